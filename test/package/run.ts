/**
 * Programs run by the tests of the package: bounded, with all that they print, and in an environment like that of a person
 * who never saw this repository, although npm itself runs these tests.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname } from 'node:path'

export interface RunOptions {
  readonly cwd: string
  /** The folder of the Node to run on; default the one that runs the tests. */
  readonly node?: string
  /** On top of the environment. */
  readonly env?: NodeJS.ProcessEnv
  /** The exit code that is right; default 0. */
  readonly code?: number
  readonly timeoutMs?: number
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** What it has printed so far, on both. */
  readonly printed: () => string
  /** Ends it and all that it started. */
  readonly destroy: () => void
}

/** Ends what hangs. */
const TIMEOUT_MS = 300_000

/** In a process group of its own, as a terminal starts a command. */
export function start(command: string, args: readonly string[], options: RunOptions): Started {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...environment(options.node), ...options.env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const destroy = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It is gone, which is what was asked for.
    }
  }
  const bound = setTimeout(destroy, options.timeoutMs ?? TIMEOUT_MS)
  const ended = once(child, 'close').then(
    ([code]) => ({ code: code as number | null, stdout, stderr }),
    (error: unknown) => ({ code: null, stdout, stderr: `${stderr}\n${String(error)}` }),
  )
  return { child, destroy, printed: () => stdout + stderr, ended: ended.finally(() => clearTimeout(bound)) }
}

/** To its end, which must be with the right exit code. */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<Ended> {
  const ended = await start(command, args, options).ended
  const said = `${command} ${args.join(' ')}: exit code ${ended.code}\n${ended.stdout}${ended.stderr}`
  assert.equal(ended.code, options.code ?? 0, said)
  return ended
}

/** npm tells its scripts, in variables, which package they belong to; a nested npm must not believe that. */
function environment(node = dirname(process.execPath)): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) =>
      !/^(?:npm_(?:package|lifecycle)_.*|npm_config_local_prefix|npm_config_workspaces?|INIT_CWD)$/.test(name),
  )
  const own: NodeJS.ProcessEnv = Object.fromEntries(inherited)
  delete own.NODE_TEST_CONTEXT
  delete own.NODE_OPTIONS
  return {
    ...own,
    PATH: `${node}${delimiter}${own.PATH ?? ''}`,
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_prefer_offline: 'true',
    npm_config_update_notifier: 'false',
  }
}
