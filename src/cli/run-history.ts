/**
 * What became of the last runs of a job, a run being one process: kept in the job's directory for people to read, by the process that
 * runs the job. Nothing depends on it; recovery is decided by the log alone. A run without an end was killed, or runs still.
 */
import { describeError, type Logger, MillraceError, type Storage } from '../base/index.ts'
import type { JobFailure, JobFigures } from '../runtime/index.ts'

const PATH = 'runs.json'
const RUNS_MAX = 20
/** VERSION_1: JSON `{"v":1,"runs":[…]}`, oldest first. */
const VERSION_1 = 1

export type RunOutcome = 'finished' | 'stopped' | 'cancelled' | 'failed'

export interface Run {
  readonly pid: number
  readonly beganAt: number
  /** Absent: it runs, or was killed. */
  readonly endedAt?: number
  readonly outcome?: RunOutcome
  readonly message?: string
  /** Its attempts in the log. */
  readonly firstAttempt: number
  readonly lastAttempt: number
  readonly restarts: number
  readonly completedCheckpoints: number
  readonly failedCheckpoints: number
  readonly recordsIn: number
  readonly recordsOut: number
  readonly failures: readonly JobFailure[]
}

/** What the job is asked about itself. */
export interface RunView {
  figures(): JobFigures
  failures(): readonly JobFailure[]
}

export async function readRuns(storage: Storage): Promise<readonly Run[]> {
  const bytes = await storage.read(PATH)
  if (bytes === undefined) return []
  try {
    return decodeRuns(bytes)
  } catch {
    // It was made by another version, or by hand: it is for people only.
    return []
  }
}

export function encodeRuns(runs: readonly Run[]): Buffer {
  return Buffer.from(`${JSON.stringify({ v: VERSION_1, runs })}\n`)
}

export function decodeRuns(bytes: Buffer): readonly Run[] {
  const { v, runs } = JSON.parse(bytes.toString('utf8')) as { readonly v: number; readonly runs: readonly Run[] }
  if (v !== VERSION_1) throw new RangeError(`version ${v} of the history of runs is not known`)
  return runs
}

export class RunHistory {
  readonly #storage: Storage
  readonly #logger: Logger
  readonly #run: { readonly pid: number; readonly beganAt: number }
  #firstAttempt = 0
  #lastAttempt = 0
  #before: readonly Run[] | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(options: {
    readonly storage: Storage
    readonly logger: Logger
    readonly run: { readonly pid: number; readonly beganAt: number }
  }) {
    this.#storage = options.storage
    this.#logger = options.logger
    this.#run = options.run
  }

  /** The job has its place in the log with this attempt: before, another process may own the directory. */
  attempt(attempt: number, view: RunView): void {
    if (this.#firstAttempt === 0) this.#firstAttempt = attempt
    this.#lastAttempt = attempt
    this.#write(view, {})
  }

  /** Resolves when the end is written; a run that never had an attempt has no history. */
  async end(
    view: RunView,
    end: { readonly outcome: RunOutcome; readonly at: number; readonly error?: unknown },
  ): Promise<void> {
    if (this.#firstAttempt === 0) return
    const message = end.error === undefined ? {} : { message: describeError(end.error) }
    this.#write(view, { endedAt: end.at, outcome: end.outcome, ...message })
    await this.#writing
  }

  #write(view: RunView, end: Pick<Run, 'endedAt' | 'outcome' | 'message'>): void {
    const { checkpoints, recordsIn, recordsOut, restarts } = view.figures()
    const run: Run = {
      ...this.#run,
      ...end,
      firstAttempt: this.#firstAttempt,
      lastAttempt: this.#lastAttempt,
      restarts,
      completedCheckpoints: checkpoints.completed,
      failedCheckpoints: checkpoints.failed,
      recordsIn,
      recordsOut,
      failures: view.failures(),
    }
    this.#writing = this.#writing.then(() => this.#store(run))
  }

  async #store(run: Run): Promise<void> {
    try {
      this.#before ??= await readRuns(this.#storage)
      await this.#storage.write(PATH, encodeRuns([...this.#before, run].slice(-RUNS_MAX)))
    } catch (error) {
      if (!MillraceError.is(error)) throw error
      this.#logger.warn({ error: describeError(error) }, 'the history of runs could not be written')
    }
  }
}
