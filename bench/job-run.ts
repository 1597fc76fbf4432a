/**
 * One run of one of our jobs by `millrace run`, in a process of its own with a directory of its own for checkpoints, against
 * a topic nobody wrote before. The job runs as a user's does: by the command, with no flags of Node but those asked for.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const LIFE_MS = 600_000

export interface JobRunOptions {
  /** `dist`: what is published, as `npm run build` left it; `source`: the sources, with their types stripped at the start. */
  readonly from: 'dist' | 'source'
  /** The file below bench/jobs. */
  readonly job: string
  readonly parallelism: number
  /** 0: the caller's thread. */
  readonly threads: number
  readonly parameters: Readonly<Record<string, string | number | boolean>>
  readonly nodeFlags?: readonly string[]
}

/** What the meter in the job's process wrote at its end. */
export interface MeterLine {
  readonly first_ms: number
  readonly wall_s: number
  readonly active_s: number
  readonly counted: number
  readonly cpu_s: number
  readonly rss_max_mb: number
}

export class JobRun {
  readonly pid: number
  readonly startedMs: number
  /** Resolves at the exit with seconds from start to exit, and the meter's line when the job came to its end. */
  readonly ended: Promise<{ readonly totalS: number; readonly meter: MeterLine | undefined }>
  readonly #child: ChildProcess

  constructor(options: JobRunOptions) {
    const { from, job, parallelism, threads, parameters, nodeFlags = [] } = options
    const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
    const cli = join(ROOT, from === 'dist' ? 'dist/cli/main.js' : 'src/cli/main.ts')
    if (!existsSync(cli)) throw new Error(`${cli} is missing: npm run build`)
    const args = [
      ...nodeFlags,
      ...(from === 'dist' ? [] : ['--conditions=millrace-source']),
      ...[
        cli,
        'run',
        join(ROOT, 'bench/jobs', job),
        '--quiet',
        '-p',
        String(parallelism),
        '--threads',
        String(threads),
      ],
      ...['-D', `execution.checkpointing.dir=${directory}`, '-D', 'restart-strategy.type=none', '--'],
      ...Object.entries(parameters).flatMap(([name, value]) => [`--${name}`, String(value)]),
    ]
    this.startedMs = performance.timeOrigin + performance.now()
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: ROOT })
    this.#child = child
    this.pid = child.pid ?? -1
    // A job without an end must not outlive whoever measures it.
    const onExit = (): void => void child.kill('SIGKILL')
    process.once('exit', onExit)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
    const bound = setTimeout(() => child.kill('SIGKILL'), LIFE_MS)
    let said = ''
    let result: MeterLine | undefined
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const line = /^RESULT (.*)$/m.exec(text)?.[1]
      if (line !== undefined) result = JSON.parse(line)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-10_000)
    })
    let exitMs = 0
    child.once('exit', () => {
      exitMs = performance.timeOrigin + performance.now()
    })
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        clearTimeout(bound)
        process.off('exit', onExit)
        rmSync(directory, { recursive: true, force: true })
        if (code === 0) resolve({ totalS: (exitMs - this.startedMs) / 1_000, meter: result })
        else reject(new Error(`${job} ended with ${signal ?? `code ${code}`}:\n${said}`))
      })
    })
    this.ended.catch(() => undefined)
  }

  /** As a user ends it: SIGTERM, which takes a last checkpoint. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.ended
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

/** user + system seconds of another process, or undefined where /proc is not. */
export function cpuSecondsOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return undefined
  }
}

export function peakMegabytesOf(pid: number): number | undefined {
  try {
    const kilobytes = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? undefined : Math.round(Number(kilobytes) / 1024)
  } catch {
    return undefined
  }
}
