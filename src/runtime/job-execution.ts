/**
 * Runs a job's graph on this thread: puts coordinator and tasks together and hands out what a client needs. The engine's
 * front door; it knows no Kafka.
 */
import { MemoryStorage, MillraceError, type Storage, toError } from '../base/index.ts'
import type { Configuration, JobGraph, RuntimePorts } from '../core/index.ts'
import { JobCoordinator, type JobFigures, type JobStatus } from './coordinator/job-coordinator.ts'
import { type JobPlan, planTasks, type StartOptions } from './coordinator/job-plan.ts'
import { LocalTaskHost } from './local-task-host.ts'

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
  /** Aborting it cancels the job; `result` rejects with its reason. */
  readonly signal?: AbortSignal
  readonly onEvent?: (event: JobEvent) => void
}

export interface JobExecution {
  readonly jobName: string
  status(): JobStatus
  figures(): JobFigures
  metrics(): Map<string, number>
  result(): Promise<JobExecutionResult>
  /** Ends at once; resolves when everything is closed. `result` rejects. */
  cancel(): Promise<void>
  /** A last checkpoint and its commit; resolves when the job has stopped. */
  stop(): Promise<void>
}

/** Starts the job. Throws GRAPH_INVALID for a graph that cannot run; everything later comes through `result`. */
export function runJobGraph(graph: JobGraph, options: RunOptions): JobExecution {
  const plan = planJob(graph, options)
  const { ports, onEvent, signal } = options
  const cancelReason = new MillraceError('CANCELLED', `job "${graph.jobName}" was cancelled`)
  let status: JobStatus = 'created'
  const setStatus = (next: JobStatus, attempt: number, error?: Error): void => {
    status = next
    onEvent?.({ status, attempt, ...(error === undefined ? {} : { error }) })
  }
  const coordinator = new JobCoordinator({
    plan,
    start: { mode: 'resume', allowNonRestoredState: false, ...options.start },
    storage: options.storage ?? new MemoryStorage(),
    durable: options.storage !== undefined,
    ports,
    createHost: () => new LocalTaskHost(graph, ports),
    onStatus: (next, detail) => setStatus(next, detail.attempt, detail.error),
  })
  let ended = false
  let cancelledWith: Error | undefined
  const cancel = (reason: Error): void => {
    cancelledWith ??= reason
    coordinator.cancel(cancelledWith)
  }
  const onAbort = (): void => cancel(toError(signal?.reason))
  const result = run()
  result.catch(() => undefined)
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })

  async function run(): Promise<JobExecutionResult> {
    const beganMs = ports.clock.monotonic()
    try {
      const outcome = await coordinator.run()
      ended = true
      setStatus(outcome.kind, 0)
      const { recordsIn, recordsOut } = coordinator.figures
      return {
        jobName: graph.jobName,
        outcome: outcome.kind === 'finished' && outcome.alreadyBefore ? 'already-finished' : outcome.kind,
        durationMs: ports.clock.monotonic() - beganMs,
        recordsIn,
        recordsOut,
        accumulators: {},
      }
    } catch (error) {
      ended = true
      setStatus(cancelledWith !== undefined && error === cancelledWith ? 'cancelled' : 'failed', 0, toError(error))
      throw error
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  return {
    jobName: graph.jobName,
    status: () => status,
    figures: () => coordinator.figures,
    metrics: () => coordinator.metrics(),
    result: () => result,
    cancel: async () => {
      cancel(cancelReason)
      await result.catch(() => undefined)
    },
    stop: async () => {
      if (!ended) {
        setStatus('stopping', 0)
        coordinator.stop()
      }
      await result
    },
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
    tasks: planTasks(graph),
    transactional: sinks.flatMap(({ uid, name, parallelism, sink }) => {
      const side = sink.transactional
      return side === undefined ? [] : [{ uid, name, parallelism, side, ledger: side.createLedger(options.ports) }]
    }),
  }
}
