/**
 * A running job in the hands of whoever started it. Disposing of it cancels the job, so a client bound to a scope never
 * leaves one behind. A failure that nobody asks for (`result` never called) ends no process; the log has told it.
 */
import type { JobExecution, JobExecutionResult, JobFailure, JobFigures, JobStatus } from '../runtime/index.ts'

export class JobClient implements AsyncDisposable {
  readonly jobName: string
  /** Where its checkpoints and log lie; undefined: in memory. */
  readonly directory: string | undefined
  readonly #execution: JobExecution
  readonly #result: Promise<JobExecutionResult>

  constructor(execution: JobExecution, signal: AbortSignal | undefined, directory: string | undefined) {
    this.jobName = execution.jobName
    this.directory = directory
    this.#execution = execution
    this.#result = execution.result().catch((error: unknown) => {
      // The caller's own reason as it was given, an Error or not.
      throw signal?.aborted === true ? signal.reason : error
    })
    this.#result.catch(() => undefined)
  }

  status(): JobStatus {
    return this.#execution.status()
  }

  figures(): JobFigures {
    return this.#execution.figures()
  }

  /** The last failures in this process, oldest first: those that it restarted after, and the one that ended it. */
  failures(): readonly JobFailure[] {
    return this.#execution.failures()
  }

  /** Every metric's value now, by `uid.subtask.name`. */
  metrics(): Map<string, number> {
    return this.#execution.metrics()
  }

  /** Resolves when the bounded job has finished or was stopped; rejects when it failed for good or was cancelled. */
  result(): Promise<JobExecutionResult> {
    return this.#result
  }

  /**
   * Takes a checkpoint now, not when the interval has passed. Resolves when one that began after this call has taken effect: what the job had
   * written before it is committed and can be read. Also when the job has finished or was stopped meanwhile. Rejects when that checkpoint failed
   * (the job may go on) or the job failed.
   */
  triggerCheckpoint(): Promise<void> {
    return this.#execution.triggerCheckpoint()
  }

  /** Ends the job at once; resolves when everything of it is closed. What was not committed is done again by a restart. */
  cancel(): Promise<void> {
    return this.#execution.cancel()
  }

  /** A last checkpoint and its commit, then the end; a later start resumes from there. */
  stop(): Promise<void> {
    return this.#execution.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cancel()
  }
}
