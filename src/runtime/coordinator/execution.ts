/**
 * One execution of the job: deploys the tasks, starts the enumerators and the checkpoints, and ends when the input has
 * ended, when it is told to stop, or when something fails. It resolves only when every task is closed and nothing of it is
 * under way any more, so that the next attempt never meets this one (rule 7).
 */
import { describeError, MillraceError, type Timer, toError } from '../../base/index.ts'
import type { RuntimePorts, SinkAttemptSettings, VersionedBytes } from '../../core/index.ts'
import type { TaskHost, TaskId, TaskMessage, TaskSpec } from '../channel/messages.ts'
import { taskKey } from '../channel/messages.ts'
import type { CheckpointContent, CheckpointPart } from '../checkpoint/checkpoint-metadata.ts'
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts'
import type { JobLog } from '../checkpoint/job-log.ts'
import { intersects, type KeyedPart, keyGroupsOfSubtask } from '../state/hosted-state.ts'
import { CheckpointCoordinator, type CheckpointFigures, type FinalReason } from './checkpoint-coordinator.ts'
import { EnumeratorHost } from './enumerator-host.ts'
import type { JobPlan, StartOptions } from './job-plan.ts'
import { flushedTransactions, whenVisible } from './recovery.ts'

/** How long tasks may take to close before the process gives up proving that they are gone. */
const CLOSE_TIMEOUT_MS = 30_000

export interface ExecutionOptions {
  readonly plan: JobPlan
  readonly start: StartOptions
  readonly lineage: string
  readonly restored: CheckpointContent | undefined
  /** See `Recovered`. */
  readonly voided: CheckpointContent | undefined
  readonly sinkSettings: Readonly<Record<string, SinkAttemptSettings>>
  readonly intervalMs: number | undefined
  readonly log: JobLog
  readonly store: CheckpointStore
  readonly host: TaskHost
  readonly ports: RuntimePorts
  fencedBelow(): number | undefined
  /** All tasks are open and the first splits are assigned. */
  onRunning(): void
}

export type ExecutionOutcome =
  | { readonly kind: 'ended'; readonly reason: FinalReason }
  /** `task`: the first that failed, when it was a task. */
  | { readonly kind: 'failed'; readonly error: Error; readonly task?: TaskId }

export class Execution {
  readonly #options: ExecutionOptions
  readonly #checkpoints: CheckpointCoordinator
  readonly #enumerators: EnumeratorHost[] = []
  readonly #abort = new AbortController()
  readonly #unopened: Set<string>
  readonly #unended: Set<string>
  readonly #unclosed = new Set<string>()
  readonly #failed: Promise<never>
  #fail: (error: Error) => void = () => undefined
  #onOpened: () => void = () => undefined
  #onClosed: () => void = () => undefined
  #reason: FinalReason | undefined
  #firstFailed: { readonly task: TaskId; readonly error: Error } | undefined

  constructor(options: ExecutionOptions) {
    this.#options = options
    const keys = options.plan.tasks.map(taskKey)
    this.#unopened = new Set(keys)
    this.#unended = new Set(keys)
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.#failed.catch(() => undefined)
    this.#checkpoints = this.#createCheckpoints()
  }

  get checkpoints(): CheckpointFigures {
    return this.#checkpoints.figures
  }

  /** Never rejects. */
  async run(): Promise<ExecutionOutcome> {
    let work: Promise<void> | undefined
    let outcome: ExecutionOutcome
    try {
      await Promise.race([this.#open(), this.#failed])
      this.#options.onRunning()
      work = this.#checkpoints.run()
      await Promise.race([work, this.#failed])
      outcome = { kind: 'ended', reason: this.#reason ?? 'end-of-input' }
    } catch (error) {
      outcome = { kind: 'failed', error: toError(error) }
    }
    let failure = outcome.kind === 'failed' ? outcome.error : undefined
    this.#abort.abort(failure)
    this.#checkpoints.close(failure ?? new Error('the execution has ended'))
    // A `completed` record may be on its way: what the log says is read only after it arrived or failed.
    await work?.catch(() => undefined)
    if (failure !== undefined) {
      failure = await this.#unlessSuperseded(failure)
      outcome = { kind: 'failed', error: failure }
    }
    const lingering = await this.#close(failure)
    if (lingering !== undefined) return { kind: 'failed', error: lingering }
    const first = this.#firstFailed
    return first !== undefined && first.error === failure ? { kind: 'failed', ...first } : outcome
  }

  /** Any failure, being fenced among them, leads to the question whose job it is: before tasks abort anything (rule 9). */
  async #unlessSuperseded(failure: Error): Promise<Error> {
    try {
      await this.#options.log.checkOwnership()
    } catch (error) {
      // A record that cannot be read may be another owner's.
      if (touchesNothing(error)) return error
    }
    return failure
  }

  /** A last checkpoint and its commit, then the end. */
  stop(): void {
    this.#finish('stop')
  }

  /** A checkpoint now; see `CheckpointCoordinator.trigger`. */
  triggerCheckpoint(): Promise<void> {
    return this.#checkpoints.trigger()
  }

  /** Ends at once, without a checkpoint. */
  cancel(error: Error): void {
    this.#fail(error)
  }

  async #open(): Promise<void> {
    const { plan, host, restored, voided } = this.#options
    const opened = new Promise<void>((resolve) => {
      this.#onOpened = resolve
    })
    for (const task of plan.tasks) {
      this.#unclosed.add(taskKey(task))
      host.deploy(this.#spec(task), (message) => this.#onMessage(task, message))
    }
    await opened
    for (const node of plan.sources) {
      // A task may have failed meanwhile: what is started now would never be closed.
      if (this.#abort.signal.aborted) return
      const enumerator = new EnumeratorHost({
        node,
        ports: this.#options.ports,
        restored,
        voided,
        send: (task, message) => host.send(task, message),
        fail: (error) => this.#fail(error),
      })
      this.#enumerators.push(enumerator)
      await enumerator.start(this.#abort.signal)
    }
  }

  #spec(task: TaskId): Parameters<TaskHost['deploy']>[0] {
    const { plan, log, intervalMs, sinkSettings, restored, start } = this.#options
    return {
      task,
      attempt: log.attempt,
      nextCheckpoint: log.history.highestCheckpoint + 1,
      checkpointing: intervalMs !== undefined,
      mode: plan.configuration.get('checkpointingMode'),
      watermarkIntervalMs: plan.configuration.get('watermarkIntervalMs'),
      maxParallelism: plan.configuration.get('maxParallelism'),
      sinkSettings,
      ...restoredState(plan, task, restored),
      allowNonRestoredState: start.allowNonRestoredState,
    }
  }

  #createCheckpoints(): CheckpointCoordinator {
    const { plan, log, store, ports, host, lineage, intervalMs, start } = this.#options
    const { configuration } = plan
    return new CheckpointCoordinator({
      jobName: plan.graph.jobName,
      attempt: log.attempt,
      lineage,
      firstCheckpoint: log.history.highestCheckpoint + 1,
      intervalMs,
      timeoutMs: configuration.get('checkpointTimeoutMs'),
      minPauseMs: configuration.get('checkpointMinPauseMs'),
      maxConcurrent: configuration.get('maxConcurrentCheckpoints'),
      tolerableFailures: configuration.get('tolerableFailedCheckpoints'),
      retained: configuration.get('retainedCheckpoints'),
      tasks: plan.tasks,
      sourceTasks: plan.sourceTasks,
      log,
      store,
      ports,
      send: (task, message) => host.send(task, message),
      enumeratorParts: (checkpoint): CheckpointPart[] =>
        this.#enumerators.map((enumerator) => enumerator.snapshot(checkpoint)),
      recordsOf: (content, committed = 0) => {
        const records: Record<string, number> = {}
        for (const { description } of flushedTransactions(plan, content, start.allowNonRestoredState)) {
          if (description.barrier <= committed) continue
          for (const [topic, count] of Object.entries(description.records)) {
            records[topic] = (records[topic] ?? 0) + count
          }
        }
        return records
      },
      whenVisible: (content, committed = 0) => {
        const flushed = flushedTransactions(plan, content, start.allowNonRestoredState)
        return whenVisible(flushed.filter(({ description }) => description.barrier > committed))
      },
      fencedBelow: () => this.#options.fencedBelow(),
    })
  }

  #onMessage(task: TaskId, message: TaskMessage): void {
    const key = taskKey(task)
    switch (message.kind) {
      case 'opened':
        this.#unopened.delete(key)
        if (this.#unopened.size === 0) this.#onOpened()
        break
      case 'input-ended':
        this.#unended.delete(key)
        if (this.#unended.size === 0) this.#finish('end-of-input')
        break
      case 'snapshot':
        this.#checkpoints.onSnapshot(task, message.checkpoint, message.parts)
        break
      case 'declined':
        this.#checkpoints.onDeclined(message.checkpoint, message.error)
        break
      case 'commit-finished':
        this.#checkpoints.onCommitFinished(task, message.checkpoint)
        break
      case 'failed':
        this.#firstFailed ??= { task, error: message.error }
        this.#fail(message.error)
        break
      case 'closed':
        this.#unclosed.delete(key)
        if (this.#unclosed.size === 0) this.#onClosed()
        break
    }
  }

  #finish(reason: FinalReason): void {
    this.#reason ??= reason
    this.#checkpoints.finish(this.#reason)
  }

  /** Answers an error when some task cannot be proven gone. */
  async #close(failure: Error | undefined): Promise<MillraceError | undefined> {
    const { host, plan, ports } = this.#options
    const abandon = touchesNothing(failure)
    const tasksGone = new Promise<void>((resolve) => {
      this.#onClosed = resolve
      if (this.#unclosed.size === 0) resolve()
    })
    for (const task of plan.tasks) if (this.#unclosed.has(taskKey(task))) host.send(task, { kind: 'close', abandon })
    const enumeratorsGone = this.#enumerators.map((enumerator) =>
      enumerator.close().catch((error: unknown) => {
        ports.logger.warn({ error: describeError(error) }, 'closing an enumerator failed')
      }),
    )
    let timer: Timer | undefined
    const tooLong = new Promise<'too long'>((resolve) => {
      timer = ports.clock.setTimer(CLOSE_TIMEOUT_MS, () => resolve('too long'))
    })
    const outcome = await Promise.race([Promise.all([tasksGone, ...enumeratorsGone]), tooLong])
    timer?.cancel()
    await this.#options.store.close({ abandon })
    if (outcome !== 'too long') return undefined
    const who = this.#unclosed.size === 0 ? 'an enumerator' : `tasks ${[...this.#unclosed].join(', ')}`
    return new MillraceError('TASKS_LINGER', `${who} did not end within ${CLOSE_TIMEOUT_MS / 1000} s`, {
      cause: failure,
      next: 'The process must end, because a new attempt may only begin when these are gone.',
    })
  }
}

/** The stored state of a task's operators. Of keyed state, the parts that hold something of its key groups. */
function restoredState(
  plan: JobPlan,
  task: TaskId,
  content: CheckpointContent | undefined,
): Pick<TaskSpec, 'restored' | 'keyed' | 'lists'> {
  const restored: Record<string, VersionedBytes[]> = {}
  const lists: Record<string, VersionedBytes[]> = {}
  const keyed: Record<string, KeyedPart[]> = {}
  const own = plan.uidsOf.get(task.chain)
  const nodes = new Map(plan.operators.map((node) => [node.uid, node]))
  for (const part of content?.parts ?? []) {
    if (own?.has(part.uid) !== true) continue
    if (part.role === 'operator') (restored[part.uid] ??= []).push(part)
    else if (part.role === 'list') (lists[part.uid] ??= []).push(part)
    else if (part.role === 'keyed' && part.groups !== undefined) {
      const node = nodes.get(part.uid)
      if (node === undefined) continue
      const groups = keyGroupsOfSubtask(node.maxParallelism, node.parallelism, task.subtask)
      if (intersects(part.groups, groups)) (keyed[part.uid] ??= []).push({ ...part, groups: part.groups })
    }
  }
  return { restored, keyed, lists }
}

/** The job has another owner now, or nobody can tell whose it is: nothing outside may be touched any more (rule 9). */
function touchesNothing(failure: unknown): failure is MillraceError {
  return MillraceError.is(failure) && (failure.code === 'SUPERSEDED' || failure.code === 'LOG_DAMAGED')
}
