/**
 * What makes a job of `millrace run` known while it runs: its history of runs, its control socket, and its entry in the index of this
 * machine. All of it begins when the job has its place in the log, and ends with the job.
 */
import { type Clock, DirectoryStorage, type Logger } from '../base/index.ts'
import type { JobEvent } from '../runtime/index.ts'
import type { JobClient } from '../stream/index.ts'
import type { JobReport } from './control/control-messages.ts'
import { ControlServer } from './control/control-server.ts'
import { JobIndex } from './control/job-index.ts'
import { RunHistory, type RunOutcome } from './run-history.ts'

export interface RunningJobOptions {
  readonly jobFile: string
  readonly clock: Clock
  readonly logger: Logger
  /** Somebody asked for the end of the job through its socket. */
  onWish(ask: 'stop' | 'cancel'): void
}

export class RunningJob {
  readonly #options: RunningJobOptions
  readonly #beganAt: number
  readonly #index = new JobIndex()
  /** Events that came before the client was there. */
  #early: JobEvent[] = []
  #client: JobClient | undefined
  #history: RunHistory | undefined
  #control: ControlServer | undefined
  #opened: Promise<void> | undefined
  #ran = false

  constructor(options: RunningJobOptions) {
    this.#options = options
    this.#beganAt = options.clock.now()
  }

  /** Whether it ever came to run in this process. */
  get ran(): boolean {
    return this.#ran
  }

  /** For `startJob`: what it tells of the job. */
  onEvent(event: JobEvent): void {
    this.#ran ||= event.status === 'running'
    if (this.#client === undefined) this.#early.push(event)
    else if (event.status === 'recovering') this.#onAttempt(this.#client, event.attempt)
  }

  /** A job in memory has no directory, so nobody could find it. */
  started(client: JobClient): void {
    this.#client = client
    const { directory } = client
    if (directory === undefined) return
    const { logger, onWish } = this.#options
    const storage = new DirectoryStorage(directory)
    this.#history = new RunHistory({ storage, logger, run: { pid: process.pid, beganAt: this.#beganAt } })
    const report = (): JobReport => this.#report(client, directory)
    this.#control = new ControlServer({ directory, client, logger, report, onWish })
    const early = this.#early
    this.#early = []
    for (const event of early) this.onEvent(event)
  }

  /** Resolves when the history is written and whoever asked for the end was answered. */
  async ended(outcome: RunOutcome, error?: unknown): Promise<void> {
    const client = this.#client
    if (client?.directory === undefined || this.#opened === undefined) return
    await this.#history?.end(client, { outcome, at: this.#options.clock.now(), error })
    this.#index.remove(client.directory)
    await this.#opened
    await this.#control?.close()
  }

  #onAttempt(client: JobClient, attempt: number): void {
    this.#history?.attempt(attempt, client)
    if (this.#opened !== undefined || client.directory === undefined) return
    this.#opened = this.#control?.open() ?? Promise.resolve()
    this.#index.add({ job: client.jobName, directory: client.directory })
  }

  #report(client: JobClient, directory: string): JobReport {
    return {
      job: client.jobName,
      directory,
      jobFile: this.#options.jobFile,
      pid: process.pid,
      beganAt: this.#beganAt,
      status: client.status(),
      figures: client.figures(),
      failures: client.failures(),
    }
  }
}
