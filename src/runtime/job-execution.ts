/**
 * Runs a job's graph, on this thread or with its tasks on worker threads: puts coordinator and tasks together and hands out what a client needs. The engine's
 * front door; it knows no Kafka.
 */
import { DirectoryStorage, MemoryStorage, MillraceError, type Storage, toError, transition } from '../base/index.ts'
import type { Configuration, JobGraph, RuntimePorts } from '../core/index.ts'
import type { JobFailure } from './coordinator/failure-history.ts'
import { JobCoordinator, type JobFigures, type JobStatus } from './coordinator/job-coordinator.ts'
import { type JobPlan, planTasks, type StartOptions } from './coordinator/job-plan.ts'
import { LocalTaskHost } from './local-task-host.ts'
import { WorkerTaskHost } from './worker-task-host.ts'
import type { ThreadSettings } from './worker-thread.ts'

export interface JobExecutionResult {
  readonly jobName: string
  readonly outcome: 'finished' | 'already-finished' | 'stopped'
  readonly durationMs: number
  /** Records read and written by this process, those that were read again after a restart included. */
  readonly recordsIn: number
  readonly recordsOut: number
  readonly accumulators: Readonly<Record<string, unknown>>
}

export interface JobEvent {
  readonly status: JobStatus
  readonly attempt: number
  readonly error?: Error
}

export interface RunOptions {
  readonly configuration: Configuration
  readonly ports: RuntimePorts
  /** The job's own directory; absent: memory, and exactly-once ends with the process. */
  readonly storage?: Storage
  readonly start?: Partial<StartOptions>
  /** Where a savepoint lies, by its path; a directory by default. */
  readonly openStorage?: (path: string) => Storage
  /** Worker threads for the tasks; absent: they run on the caller's thread. */
  readonly threads?: ThreadSettings & { readonly count: number }
  /** Aborting it cancels the job; `result` rejects with its reason. */
  readonly signal?: AbortSignal
  readonly onEvent?: (event: JobEvent) => void
}

export interface JobExecution {
  readonly jobName: string
  status(): JobStatus
  figures(): JobFigures
  metrics(): Map<string, number>
  /** The last failures in this process, oldest first. */
  failures(): readonly JobFailure[]
  result(): Promise<JobExecutionResult>
  /** Resolves when a checkpoint that began after this call has taken effect, or the job ended well. */
  triggerCheckpoint(): Promise<void>
  /** Ends at once; resolves when everything is closed. `result` rejects. */
  cancel(): Promise<void>
  /** A last checkpoint and its commit; resolves when the job has stopped. */
  stop(): Promise<void>
}

/** Starts the job. Throws GRAPH_INVALID for a graph that cannot run; everything later comes through `result`. */
export function runJobGraph(graph: JobGraph, options: RunOptions): JobExecution {
  return new LocalJobExecution(graph, options)
}

class LocalJobExecution implements JobExecution {
  readonly jobName: string
  readonly #options: RunOptions
  readonly #coordinator: JobCoordinator
  readonly #result: Promise<JobExecutionResult>
  #status: JobStatus = 'created'
  #ended = false
  #cancelledWith: Error | undefined

  constructor(graph: JobGraph, options: RunOptions) {
    this.jobName = graph.jobName
    this.#options = options
    const { ports, storage, start, signal } = options
    this.#coordinator = new JobCoordinator({
      plan: planJob(graph, options),
      start: { mode: 'resume', allowNonRestoredState: false, ...start },
      storage: storage ?? new MemoryStorage(),
      durable: storage !== undefined,
      ports,
      openStorage: options.openStorage ?? ((path) => new DirectoryStorage(path)),
      createHost: () =>
        options.threads === undefined
          ? new LocalTaskHost(graph, ports)
          : new WorkerTaskHost({ threads: options.threads.count, settings: options.threads, ports }),
      onStatus: (status, detail) => this.#setStatus(status, detail.attempt, detail.error),
    })
    this.#result = this.#run()
    this.#result.catch(() => undefined)
    if (signal?.aborted) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  status(): JobStatus {
    return this.#status
  }

  figures(): JobFigures {
    return this.#coordinator.figures
  }

  failures(): readonly JobFailure[] {
    return this.#coordinator.failures
  }

  metrics(): Map<string, number> {
    return this.#coordinator.metrics()
  }

  result(): Promise<JobExecutionResult> {
    return this.#result
  }

  triggerCheckpoint(): Promise<void> {
    return this.#coordinator.triggerCheckpoint()
  }

  async cancel(): Promise<void> {
    this.#cancel(new MillraceError('CANCELLED', `job "${this.jobName}" was cancelled`))
    await this.#result.catch(() => undefined)
  }

  async stop(): Promise<void> {
    if (!this.#ended) {
      this.#setStatus('stopping', 0)
      this.#coordinator.stop()
    }
    await this.#result
  }

  async #run(): Promise<JobExecutionResult> {
    const { clock } = this.#options.ports
    const beganMs = clock.monotonic()
    try {
      const outcome = await this.#coordinator.run()
      this.#ended = true
      this.#setStatus(outcome.kind, 0)
      const { recordsIn, recordsOut } = this.#coordinator.figures
      return {
        jobName: this.jobName,
        outcome: outcome.kind === 'finished' && outcome.alreadyBefore ? 'already-finished' : outcome.kind,
        durationMs: clock.monotonic() - beganMs,
        recordsIn,
        recordsOut,
        accumulators: this.#coordinator.accumulators(),
      }
    } catch (error) {
      this.#ended = true
      const cancelled = this.#cancelledWith !== undefined && error === this.#cancelledWith
      this.#setStatus(cancelled ? 'cancelled' : 'failed', 0, toError(error))
      throw error
    } finally {
      this.#options.signal?.removeEventListener('abort', this.#onAbort)
    }
  }

  /** The first reason counts. */
  #cancel(reason: Error): void {
    this.#cancelledWith ??= reason
    this.#coordinator.cancel(this.#cancelledWith)
  }

  readonly #onAbort = (): void => this.#cancel(toError(this.#options.signal?.reason))

  #setStatus(status: JobStatus, attempt: number, error?: Error): void {
    transition('job', this.#status, 'goes on', status)
    this.#status = status
    this.#options.onEvent?.({ status, attempt, ...(error === undefined ? {} : { error }) })
  }
}

function planJob(graph: JobGraph, options: RunOptions): JobPlan {
  const sinks = graph.nodes.filter((node) => node.kind === 'sink')
  return {
    graph,
    configuration: options.configuration,
    sources: graph.nodes.filter((node) => node.kind === 'source'),
    operators: graph.nodes.filter((node) => node.kind === 'operator'),
    sinks,
    ...planTasks(graph),
    transactional: sinks.flatMap(({ uid, name, parallelism, sink }) => {
      const side = sink.transactional
      return side === undefined ? [] : [{ uid, name, parallelism, side, ledger: side.createLedger(options.ports) }]
    }),
  }
}
