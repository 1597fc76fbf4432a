/**
 * `millrace run --supervise`: runs the same command in a process of its own, and again whenever that dies (killed, out of memory, a bug),
 * after a pause that grows as `restart-strategy.exponential-delay` says. A process that ends by its own decision (finished, stopped,
 * cancelled, failed for good, superseded, wrong usage) says so first, and is not started again.
 *
 * What always holds: one process at a time; a wish to stop is passed on and ends the supervision; when this process is gone, the
 * other one stops by itself. The exit code is that of the last process, or 1 when it was killed.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { SystemClock, SystemRandom } from '../base/index.ts'
import { type ExponentialDelay, exponentialDelay } from '../runtime/index.ts'
import type { RunCommand } from './arguments.ts'
import { configurationOf } from './configuration-file.ts'
import { DECIDED } from './supervised.ts'

/** As it runs: from `src` unbuilt, from the package as JavaScript. */
const MAIN = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './main.js', import.meta.url))
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly decided: boolean
}

export async function supervise(command: RunCommand, args: readonly string[]): Promise<number> {
  const { jobFile, configFile } = command
  const configuration = await configurationOf({ named: configFile, jobFile, defines: command.configuration })
  const end = args.indexOf('--')
  const own = args.filter((arg, at) => arg !== '--supervise' || (end >= 0 && at > end))
  return await new Supervisor(own, exponentialDelay(configuration, new SystemClock(), new SystemRandom())).run()
}

class Supervisor {
  readonly #args: readonly string[]
  readonly #backoff: ExponentialDelay
  readonly #clock = new SystemClock()
  readonly #stopped = new AbortController()
  #child: ChildProcess | undefined

  constructor(args: readonly string[], backoff: ExponentialDelay) {
    this.#args = args
    this.#backoff = backoff
  }

  async run(): Promise<number> {
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
    for (;;) {
      const { code, signal, decided } = await this.#once()
      const exitCode = code ?? 1
      // Exit code 2 is wrong usage: the same command will be wrong again.
      if (decided || exitCode === 0 || exitCode === 2 || this.#stopped.signal.aborted) return exitCode
      const pauseMs = this.#backoff.onFailure()
      const how = signal === null ? `ended with exit code ${code}` : `was killed by ${signal}`
      if (pauseMs === undefined) {
        process.stderr.write(`millrace: the job's process ${how}; it has died too often to be started again\n`)
        return exitCode
      }
      process.stderr.write(
        `millrace: the job's process ${how}; it is started again in ${(pauseMs / 1_000).toFixed(1)} s\n`,
      )
      try {
        await this.#clock.sleep(pauseMs, this.#stopped.signal)
      } catch {
        return exitCode
      }
    }
  }

  #once(): Promise<End> {
    return new Promise((resolve, reject) => {
      const child = fork(MAIN, this.#args, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
      this.#child = child
      let decided = false
      child.on('message', (message) => {
        decided ||= message === DECIDED
      })
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        this.#child = undefined
        resolve({ code, signal, decided })
      })
    })
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#stopped.abort()
    this.#child?.kill(signal)
  }
}
