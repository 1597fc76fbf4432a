/**
 * The process that the demo kills: `millrace run` of the demo's job, started again and again by the same command. Its job
 * directory stays, its memory does not. A pipe on its standard input tells it when this process is gone.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../base/index.ts'

/** The last of what the process said on standard error. */
const STDERR_CHARACTERS = 4_000
/** As it runs: from `src` unbuilt, from the package as JavaScript. */
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const MAIN = fileURLToPath(new URL(`../main.${EXTENSION}`, import.meta.url))
const JOB = fileURLToPath(new URL(`./demo-job.${EXTENSION}`, import.meta.url))

export class JobProcess {
  readonly startedMs: number
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  #running = true
  #killed = false
  #stderr = ''

  constructor(folder: string, brokers: string, clock: Clock, job: string = JOB) {
    const where = [
      '-D',
      `execution.checkpointing.dir=${join(folder, 'checkpoints')}`,
      '-p',
      '2',
      '--threads',
      '0',
      '--quiet',
    ]
    const parameters = ['--', '--brokers', brokers, '--until-parent-is-gone', folder]
    this.startedMs = clock.monotonic()
    // A group of its own: Ctrl-C is for the demo, which lets the job catch up first.
    const child = spawn(process.execPath, [MAIN, 'run', job, ...where, ...parameters], {
      stdio: ['pipe', 'ignore', 'pipe'],
      // Its entry among the running jobs of this machine lies in the demo's folder, and goes with it.
      env: { ...process.env, XDG_RUNTIME_DIR: folder },
      detached: true,
      windowsHide: true,
    })
    // It may be gone before a byte reaches it; the end of the process tells the same.
    child.stdin.on('error', () => undefined)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARACTERS)
    })
    this.#child = child
    const gone = (): void => {
      this.#running = false
    }
    child.once('exit', gone)
    this.#ended = once(child, 'close').then(gone, (error: unknown) => {
      gone()
      this.#stderr += String(error)
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get running(): boolean {
    return this.#running
  }

  /** What it said last. */
  get said(): string {
    return this.#stderr.trim()
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#killed = true
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  /** SIGTERM, and SIGKILL when that takes too long; true when it stopped with its last checkpoint. */
  async stop(withinMs: number, clock: Clock): Promise<boolean> {
    this.#child.kill('SIGTERM')
    const timer = clock.setTimer(withinMs, () => void this.kill())
    await this.#ended
    timer.cancel()
    return !this.#killed && this.#child.exitCode === 0
  }
}
