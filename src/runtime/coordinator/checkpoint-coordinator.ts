/**
 * Checkpoints of one attempt, one at a time: barrier, acknowledgements, durable folder, `completed N`, ends of transactions,
 * and then the next. Its states and what each event does are in SPEC.md. A checkpoint is not begun while the transactions of
 * the last completed one are being ended, which bounds how many identities a writer needs (rule 3).
 */
import { describeError, joint, MillraceError, type Timer, toError } from '../../base/index.ts'
import type { RuntimePorts } from '../../core/index.ts'
import type { CoordinatorMessage, TaskId } from '../channel/messages.ts'
import { taskKey } from '../channel/messages.ts'
import type { CheckpointContent, CheckpointPart } from '../checkpoint/checkpoint-metadata.ts'
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts'
import type { JobLog } from '../checkpoint/job-log.ts'

export interface CheckpointOptions {
  readonly jobName: string
  readonly attempt: number
  readonly lineage: string
  readonly firstCheckpoint: number
  /** Undefined: only the final one. */
  readonly intervalMs: number | undefined
  readonly timeoutMs: number
  readonly minPauseMs: number
  readonly tolerableFailures: number
  readonly retained: number
  readonly tasks: readonly TaskId[]
  /** Those that the barrier is sent to; it reaches the others through the channels between them. */
  readonly sourceTasks: readonly TaskId[]
  readonly log: JobLog
  readonly store: CheckpointStore
  readonly ports: RuntimePorts
  send(task: TaskId, message: CoordinatorMessage): void
  /** The enumerators' states, taken in the same turn as the barrier is sent. */
  enumeratorParts(checkpoint: number): readonly CheckpointPart[]
  /** Records per topic in the transactions that the parts list. */
  recordsOf(content: CheckpointContent): Readonly<Record<string, number>>
  /** For a final one: resolves when all that it committed is visible (rule 12). */
  whenVisible(content: CheckpointContent): Promise<void>
  /** Attempts below it need no sweep any more; undefined while that is not known. */
  fencedBelow(): number | undefined
}

export interface CheckpointFigures {
  readonly completed: number
  readonly failed: number
  readonly last:
    | { readonly checkpoint: number; readonly durationMs: number; readonly bytes: number; readonly at: number }
    | undefined
}

export type FinalReason = 'end-of-input' | 'stop'

/** One round of acknowledgements. */
interface Round {
  readonly checkpoint: number
  readonly awaited: Set<string>
  readonly parts: CheckpointPart[]
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class CheckpointCoordinator {
  readonly #options: CheckpointOptions
  #next: number
  #round: Round | undefined
  #committing: Round | undefined
  #consecutiveFailures = 0
  #committed: number | undefined
  #closed: Error | undefined
  #final: FinalReason | undefined
  #wake: (() => void) | undefined
  #completed = 0
  #failed = 0
  #last: CheckpointFigures['last']
  /** Completed in this attempt or restored, ascending. */
  readonly #kept: number[]

  constructor(options: CheckpointOptions) {
    this.#options = options
    this.#next = options.firstCheckpoint
    this.#kept = options.log.history.completed.map((past) => past.record.checkpoint)
  }

  get figures(): CheckpointFigures {
    return { completed: this.#completed, failed: this.#failed, last: this.#last }
  }

  /** Takes checkpoints until the final one is committed or `close`; rejects with what fails the execution. */
  async run(): Promise<void> {
    const { clock } = this.#options.ports
    let dueMs = clock.monotonic() + (this.#options.intervalMs ?? Number.POSITIVE_INFINITY)
    for (;;) {
      await this.#pauseUntil(dueMs)
      this.#throwIfClosed()
      const reason = this.#final
      const beganMs = clock.monotonic()
      const done = await this.#checkpoint(reason)
      if (done && reason !== undefined) return
      const endedMs = clock.monotonic()
      dueMs = Math.max(
        beganMs + (this.#options.intervalMs ?? Number.POSITIVE_INFINITY),
        endedMs + this.#options.minPauseMs,
      )
    }
  }

  /** The next checkpoint is the last one; it is begun as soon as the current one is done. */
  finish(reason: FinalReason): void {
    this.#final ??= reason
    this.#wake?.()
  }

  /** Ends all waiting with this error. What is being written to the log is finished first: see `run`'s promise. */
  close(error: Error): void {
    this.#closed ??= error
    this.#round?.reject(error)
    this.#committing?.reject(error)
    this.#wake?.()
  }

  onSnapshot(task: TaskId, checkpoint: number, parts: readonly CheckpointPart[]): void {
    const round = this.#round
    if (round?.checkpoint !== checkpoint) return
    round.parts.push(...parts)
    acknowledge(round, task)
  }

  onDeclined(checkpoint: number, error: Error): void {
    if (this.#round?.checkpoint === checkpoint) this.#round.reject(error)
  }

  onCommitFinished(task: TaskId, checkpoint: number): void {
    if (this.#committing?.checkpoint === checkpoint) acknowledge(this.#committing, task)
  }

  /** True when it completed and took effect; false when it failed and that is tolerated. */
  async #checkpoint(reason: FinalReason | undefined): Promise<boolean> {
    const checkpoint = this.#next++
    const beganMs = this.#options.ports.clock.monotonic()
    if (reason !== undefined) joint('final-checkpoint', { checkpoint })
    let content: CheckpointContent
    let stored: Awaited<ReturnType<CheckpointStore['write']>>
    try {
      content = await this.#collect(checkpoint, reason)
      stored = await this.#options.store.write(content)
    } catch (error) {
      this.#throwIfClosed()
      await this.#onFailure(checkpoint, toError(error))
      return false
    }
    this.#throwIfClosed()
    const rode = await this.#complete(content, stored)
    this.#throwIfClosed()
    this.#consecutiveFailures = 0
    this.#completed++
    this.#last = {
      checkpoint,
      durationMs: this.#options.ports.clock.monotonic() - beganMs,
      bytes: stored.bytes,
      at: this.#options.ports.clock.now(),
    }
    await this.#commit(content, reason)
    // Behind the commit, because nobody waits for old folders to go.
    if (rode !== undefined) {
      await this.#retain(rode)
      await this.#options.log.prune()
    }
    return true
  }

  /** Sends the barrier and gathers every task's parts, within the timeout. */
  async #collect(checkpoint: number, reason: FinalReason | undefined): Promise<CheckpointContent> {
    const { ports, timeoutMs, tasks, jobName, attempt, lineage } = this.#options
    let timer: Timer | undefined
    const parts: CheckpointPart[] = [...this.#options.enumeratorParts(checkpoint)]
    const gathered = new Promise<void>((resolve, reject) => {
      this.#round = { checkpoint, awaited: new Set(tasks.map(taskKey)), parts, resolve, reject }
      timer = ports.clock.setTimer(timeoutMs, () => reject(new Error(`it took longer than ${timeoutMs} ms`)))
    })
    try {
      for (const task of this.#options.sourceTasks)
        this.#options.send(task, { kind: 'checkpoint', checkpoint, final: reason !== undefined })
      await gathered
    } finally {
      timer?.cancel()
      this.#round = undefined
    }
    return {
      job: jobName,
      checkpoint,
      attempt,
      lineage,
      id: ports.random.hex(16),
      at: ports.clock.now(),
      final: reason === 'end-of-input',
      parts,
    }
  }

  /**
   * From here on the checkpoint counts. A failed append fails the execution: only the log knows whether it counts. Answers
   * which checkpoint's commit became durable with it.
   */
  async #complete(content: CheckpointContent, stored: { folder: string; digest: string }): Promise<number | undefined> {
    const { log } = this.#options
    const rides = this.#committed
    const fencedBelow = this.#options.fencedBelow()
    await log.append({
      kind: 'completed',
      checkpoint: content.checkpoint,
      lineage: content.lineage,
      folder: stored.folder,
      digest: stored.digest,
      final: content.final,
      records: this.#options.recordsOf(content),
      ...(rides === undefined ? {} : { committed: rides }),
      ...(fencedBelow === undefined ? {} : { fencedBelow }),
    })
    joint('completed-written', { checkpoint: content.checkpoint })
    this.#kept.push(content.checkpoint)
    if (rides !== undefined) this.#announceCommitted(rides)
    return rides
  }

  async #commit(content: CheckpointContent, reason: FinalReason | undefined): Promise<void> {
    const { tasks, log } = this.#options
    const checkpoint = content.checkpoint
    const ended = new Promise<void>((resolve, reject) => {
      this.#committing = { checkpoint, awaited: new Set(tasks.map(taskKey)), parts: [], resolve, reject }
    })
    try {
      for (const task of tasks) this.#options.send(task, { kind: 'checkpoint-completed', checkpoint })
      await ended
    } finally {
      this.#committing = undefined
    }
    joint('all-ended', { checkpoint })
    this.#committed = checkpoint
    if (reason === undefined) return
    await this.#options.whenVisible(content)
    await log.append({ kind: 'committed', checkpoint })
    joint('final-committed', { checkpoint })
    this.#announceCommitted(checkpoint)
    await this.#retain(checkpoint)
  }

  /** Removes old folders: only what is older than a committed one may go, and as many committed ones stay as are wanted. */
  async #retain(committedUpTo: number): Promise<void> {
    const committed = this.#kept.filter((kept) => kept <= committedUpTo)
    const lowest = committed.at(-this.#options.retained)
    if (lowest === undefined) return
    await this.#options.store.removeBelow(lowest)
    this.#kept.splice(0, this.#kept.indexOf(lowest))
  }

  #announceCommitted(checkpoint: number): void {
    for (const task of this.#options.tasks) this.#options.send(task, { kind: 'checkpoint-committed', checkpoint })
  }

  /** Nothing is ended or aborted: the next completed one lists what this one flushed (rule 2). */
  async #onFailure(checkpoint: number, error: Error): Promise<void> {
    const { store, attempt, tolerableFailures, ports } = this.#options
    this.#failed++
    this.#consecutiveFailures++
    joint('checkpoint-failed', { checkpoint })
    await store.discard(checkpoint, attempt)
    const fields = { checkpoint, consecutive: this.#consecutiveFailures, tolerated: tolerableFailures }
    ports.logger.warn(fields, `checkpoint ${checkpoint} failed: ${describeError(error)}`)
    if (this.#consecutiveFailures > tolerableFailures) throw checkpointFailure(checkpoint, fields.consecutive, error)
  }

  /** Waits until the time has come, `finish` or `close`. */
  async #pauseUntil(dueMs: number): Promise<void> {
    const { clock } = this.#options.ports
    const delayMs = dueMs - clock.monotonic()
    if (this.#closed !== undefined || this.#final !== undefined || delayMs <= 0) return
    await new Promise<void>((resolve) => {
      const timer = Number.isFinite(delayMs) ? clock.setTimer(delayMs, () => this.#wake?.()) : undefined
      this.#wake = () => {
        timer?.cancel()
        this.#wake = undefined
        resolve()
      }
    })
  }

  #throwIfClosed(): void {
    if (this.#closed !== undefined) throw this.#closed
  }
}

function acknowledge(round: Round, task: TaskId): void {
  round.awaited.delete(taskKey(task))
  if (round.awaited.size === 0) round.resolve()
}

function checkpointFailure(checkpoint: number, consecutive: number, cause: Error): MillraceError {
  return new MillraceError(
    'CHECKPOINT_FAILED',
    `checkpoint ${checkpoint} failed, and with it ${consecutive} in a row, more than execution.checkpointing.tolerable-failed-checkpoints allows`,
    { cause, retriable: true, next: 'The job goes back to its last completed checkpoint; nothing is lost or doubled.' },
  )
}
