/**
 * Checkpoints of one attempt: barrier, acknowledgements, durable folder, `completed N`, ends of transactions. Several may be
 * under way, from the barrier to the folder; they complete one after the other, in the order of their numbers, and the one that
 * completes discards older ones that are not so far (rule 5). Their states and what each event does are in SPEC.md.
 *
 * A place among those under way is held until the transactions are ended, which bounds how many identities a writer needs
 * (rule 3). Only `run` writes to the log, one record at a time.
 */
import { describeError, joint, MillraceError, type Timer, toError } from '../../base/index.ts'
import type { RuntimePorts } from '../../core/index.ts'
import type { CoordinatorMessage, TaskId } from '../channel/messages.ts'
import { taskKey } from '../channel/messages.ts'
import type { CheckpointContent, CheckpointPart } from '../checkpoint/checkpoint-metadata.ts'
import type { CheckpointStore, StoredCheckpoint } from '../checkpoint/checkpoint-store.ts'
import type { JobLog } from '../checkpoint/job-log.ts'
import type { CompletedRecord } from '../checkpoint/job-log-record.ts'
import { type CheckpointEvent, type CheckpointPhase, nextPhase } from './checkpoint-phase.ts'

const TIMER_SLACK_MS = 2
/** How long before it is due a checkpoint is expected. */
const AHEAD_MS = 5
/** How long behind a commit old folders go: until then the brokers are making visible what was committed. */
const RETAIN_AFTER_MS = 20

export interface CheckpointOptions {
  readonly jobName: string
  readonly attempt: number
  readonly lineage: string
  readonly firstCheckpoint: number
  /** Undefined: only the final one. */
  readonly intervalMs: number | undefined
  readonly timeoutMs: number
  readonly minPauseMs: number
  /** How many may be under way at once; with a least pause it is one. */
  readonly maxConcurrent: number
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
  /** Records per topic in the transactions that the parts list, those left out that `committed` covers. */
  recordsOf(content: CheckpointContent, committed: number | undefined): Readonly<Record<string, number>>
  /** Resolves when all that it committed is visible (rule 12), those left out that `committed` covers. */
  whenVisible(content: CheckpointContent, committed: number | undefined): Promise<void>
  /** Attempts below it need no sweep any more; undefined while that is not known. */
  fencedBelow(): number | undefined
}

export interface CheckpointFigures {
  /** Begun and neither failed, discarded nor at the end of their transactions. */
  readonly inProgress: number
  readonly completed: number
  readonly failed: number
  readonly last:
    | { readonly checkpoint: number; readonly durationMs: number; readonly bytes: number; readonly at: number }
    | undefined
}

export type FinalReason = 'end-of-input' | 'stop'

/** One checkpoint, from its barrier until its transactions are ended or it failed. */
interface Pending {
  readonly checkpoint: number
  readonly reason: FinalReason | undefined
  readonly beganMs: number
  readonly awaited: Set<string>
  readonly parts: CheckpointPart[]
  timer: Timer | undefined
  phase: CheckpointPhase
  result: { readonly content: CheckpointContent; readonly stored: StoredCheckpoint } | undefined
}

/** The tasks that are ending the transactions of a completed checkpoint. */
interface Ending {
  readonly checkpoint: number
  readonly awaited: Set<string>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Somebody who asked for a checkpoint: one of this number or a higher one answers. */
interface Wish {
  readonly checkpoint: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class CheckpointCoordinator {
  readonly #options: CheckpointOptions
  readonly #limit: number
  #next: number
  /** Ascending. */
  #pending: Pending[] = []
  #ending: Ending | undefined
  #running = false
  #dueMs = Number.POSITIVE_INFINITY
  #timer: Timer | undefined
  #consecutiveFailures = 0
  #committed: number | undefined
  /** Why nothing may go on: closed from outside, or too many failures. */
  #over: Error | undefined
  #final: FinalReason | undefined
  #wake: () => void = () => undefined
  #wishes: Wish[] = []
  /** The final one is committed: all there was has taken effect. */
  #done = false
  #completed = 0
  #failed = 0
  #last: CheckpointFigures['last']
  #retention: Timer | undefined
  #retainUpTo = 0
  /** Completed in this attempt or restored, ascending. */
  readonly #kept: number[]
  /** Writes and removals under way. */
  readonly #work = new Set<Promise<void>>()

  constructor(options: CheckpointOptions) {
    this.#options = options
    this.#limit = options.minPauseMs > 0 ? 1 : options.maxConcurrent
    this.#next = options.firstCheckpoint
    this.#kept = options.log.history.completed.map((past) => past.record.checkpoint)
  }

  get figures(): CheckpointFigures {
    const inProgress = this.#pending.filter(({ phase }) => phase !== 'overtaken').length
    return { inProgress, completed: this.#completed, failed: this.#failed, last: this.#last }
  }

  /**
   * Takes checkpoints until the final one is committed or `close`; rejects with what fails the execution. Settles only when
   * nothing is being written any more.
   */
  async run(): Promise<void> {
    this.#running = true
    this.#dueMs = this.#options.ports.clock.monotonic() + this.#intervalMs
    this.#beginWhenDue()
    try {
      for (let done = false; !done; ) {
        this.#throwIfOver()
        const stored = this.#pending.find(({ phase }) => phase === 'stored')
        if (stored?.result !== undefined) done = await this.#complete(stored, stored.result)
        else await new Promise<void>((resolve) => (this.#wake = resolve))
      }
      this.#done = true
      this.#answer((wish) => wish.resolve())
    } catch (error) {
      this.#answer((wish) => wish.reject(toError(error)))
      throw error
    } finally {
      this.#running = false
      this.#timer?.cancel()
      this.#retention?.cancel()
      for (const { timer } of this.#pending) timer?.cancel()
      while (this.#work.size > 0) await Promise.all(this.#work)
      await this.#options.log.unstage()
    }
  }

  /**
   * Begins a checkpoint as soon as there is a place for it, whatever interval and pause say. Resolves when one that began after this call
   * has taken effect: what it committed is visible (rule 12). Rejects when that one failed, or the execution ends before.
   */
  trigger(): Promise<void> {
    if (this.#done) return Promise.resolve()
    if (this.#over !== undefined) return Promise.reject(this.#over)
    return new Promise((resolve, reject) => {
      this.#wishes.push({ checkpoint: this.#next, resolve, reject })
      this.#beginWhenDue()
    })
  }

  /** The next checkpoint is the last one; it is begun as soon as none is under way. */
  finish(reason: FinalReason): void {
    this.#final ??= reason
    this.#beginWhenDue()
  }

  /** Ends all waiting with this error. What is being written to the log is finished first: see `run`'s promise. */
  close(error: Error): void {
    if (this.#over === undefined) {
      this.#over = error
      for (const pending of this.#pending) this.#step(pending, 'close')
    }
    this.#ending?.reject(this.#over)
    if (!this.#running) this.#answer((wish) => wish.reject(error))
    this.#timer?.cancel()
    this.#wake()
  }

  onSnapshot(task: TaskId, checkpoint: number, parts: readonly CheckpointPart[]): void {
    const pending = this.#gathering(checkpoint)
    if (pending === undefined || !pending.awaited.delete(taskKey(task))) return
    for (const part of parts) pending.parts.push(part)
    if (pending.awaited.size > 0) return
    this.#step(pending, 'answered')
    this.#track(this.#store(pending))
  }

  onDeclined(checkpoint: number, error: Error): void {
    const pending = this.#gathering(checkpoint)
    if (pending !== undefined) this.#fail(pending, 'declined', error)
  }

  onCommitFinished(task: TaskId, checkpoint: number): void {
    if (this.#ending?.checkpoint !== checkpoint) return
    this.#ending.awaited.delete(taskKey(task))
    if (this.#ending.awaited.size === 0) this.#ending.resolve()
  }

  get #intervalMs(): number {
    return this.#options.intervalMs ?? Number.POSITIVE_INFINITY
  }

  #gathering(checkpoint: number): Pending | undefined {
    return this.#pending.find((one) => one.checkpoint === checkpoint && one.phase === 'gathering')
  }

  /** Begins a checkpoint if the time has come and there is a place for it; else sees to it that this is asked again. */
  #beginWhenDue(): void {
    const { clock } = this.#options.ports
    this.#timer?.cancel()
    this.#timer = undefined
    if (!this.#running || this.#over !== undefined) return
    if (this.#final !== undefined) {
      if (this.#pending.length === 0) this.#begin(this.#final)
      return
    }
    if (this.#pending.length >= this.#limit) return
    const wished = this.#wishes.some((wish) => wish.checkpoint === this.#next)
    const delayMs = wished ? 0 : this.#dueMs - clock.monotonic()
    if (delayMs <= 0) {
      this.#begin(undefined)
      this.#beginWhenDue()
    } else if (Number.isFinite(delayMs)) {
      const near = delayMs <= AHEAD_MS
      if (near) this.#expect(this.#next)
      this.#timer = clock.setTimer(near ? delayMs : delayMs - AHEAD_MS, () => this.#beginWhenDue())
    }
  }

  #expect(checkpoint: number): void {
    this.#options.store.expect(checkpoint, this.#options.attempt)
    this.#options.log.expect()
  }

  /** Sends the barrier, and takes the enumerators' states in the same turn. */
  #begin(reason: FinalReason | undefined): void {
    const { ports, timeoutMs, tasks, sourceTasks } = this.#options
    const checkpoint = this.#next++
    const beganMs = ports.clock.monotonic()
    // A timer is a little late each time: what is asked for is the rate.
    const onTime = beganMs >= this.#dueMs && beganMs - this.#dueMs <= TIMER_SLACK_MS
    this.#dueMs = (onTime ? this.#dueMs : beganMs) + this.#intervalMs
    if (reason !== undefined) joint('final-checkpoint', { checkpoint })
    const pending: Pending = {
      checkpoint,
      reason,
      beganMs,
      awaited: new Set(tasks.map(taskKey)),
      parts: [],
      timer: undefined,
      phase: 'waiting',
      result: undefined,
    }
    this.#pending.push(pending)
    this.#step(pending, reason === undefined ? 'due' : 'final')
    try {
      for (const part of this.#options.enumeratorParts(checkpoint)) pending.parts.push(part)
    } catch (error) {
      this.#track(Promise.resolve().then(() => this.#fail(pending, 'declined', toError(error))))
      return
    }
    this.#expect(checkpoint)
    const tooLong = (): void => this.#fail(pending, 'timeout', new Error(`it took longer than ${timeoutMs} ms`))
    pending.timer = ports.clock.setTimer(timeoutMs, tooLong)
    for (const task of sourceTasks) {
      this.#options.send(task, { kind: 'checkpoint', checkpoint, final: reason !== undefined })
    }
  }

  /** Every task has answered: folder and `_metadata`, beside whatever else is under way. */
  async #store(pending: Pending): Promise<void> {
    const { store, log, ports, jobName, attempt, lineage } = this.#options
    const content: CheckpointContent = {
      job: jobName,
      checkpoint: pending.checkpoint,
      attempt,
      lineage,
      id: ports.random.hex(16),
      at: ports.clock.now(),
      final: pending.reason === 'end-of-input',
      parts: pending.parts,
    }
    try {
      // Its record too, on the chance that nothing changes until its turn.
      const stored = await store.write(content, (described) => log.stage(this.#recordOf(content, described)))
      if (pending.phase === 'gone') return
      this.#step(pending, 'written')
      if (pending.phase === 'overtaken') {
        await store.discard(pending.checkpoint, attempt)
        return
      }
      pending.result = { content, stored }
      this.#wake()
    } catch (error) {
      this.#fail(pending, 'write-failed', toError(error))
    }
  }

  /** From the record on it counts. True when it was the final one and all of it is done. */
  async #complete(pending: Pending, { content, stored }: NonNullable<Pending['result']>): Promise<boolean> {
    const { clock } = this.#options.ports
    const { checkpoint, reason, beganMs } = pending
    this.#step(pending, 'turn')
    this.#overtakeBelow(checkpoint)
    const rode = await this.#record(content, stored).catch((error: unknown) => this.#lost(pending, error))
    this.#throwIfOver()
    this.#step(pending, 'recorded')
    this.#consecutiveFailures = 0
    this.#completed++
    this.#last = { checkpoint, durationMs: clock.monotonic() - beganMs, bytes: stored.bytes, at: clock.now() }
    await this.#end(checkpoint)
    if (reason !== undefined) {
      this.#step(pending, 'final-ended')
      await this.#settle(content, rode).catch((error: unknown) => this.#lost(pending, error))
      this.#step(pending, 'recorded')
      return true
    }
    await this.#grant(content, rode)
    for (const one of this.#pending) if (one.checkpoint <= checkpoint) this.#step(one, 'ended')
    this.#pending = this.#pending.filter((one) => one.checkpoint > checkpoint)
    this.#ended()
    if (rode !== undefined) {
      this.#retainSoon(rode)
      await this.#options.log.prune()
    }
    return false
  }

  /** Answers those whom it serves. Identities it ended stay free of use: the record that frees them is written later. */
  async #grant(content: CheckpointContent, rode: number | undefined): Promise<void> {
    const served = (wish: Wish): boolean => wish.checkpoint <= content.checkpoint
    if (!this.#wishes.some(served)) return
    try {
      await this.#options.whenVisible(content, rode)
    } catch (error) {
      // It counts all the same; only who asked must know that it cannot be seen yet.
      this.#answer((wish) => wish.reject(toError(error)), served)
      return
    }
    this.#answer((wish) => wish.resolve(), served)
  }

  #answer(answer: (wish: Wish) => void, whom: (wish: Wish) => boolean = () => true): void {
    for (const wish of this.#wishes.filter(whom)) answer(wish)
    this.#wishes = this.#wishes.filter((wish) => !whom(wish))
  }

  /** Rule 5. What they flushed is listed by the one that completes, so nothing of them is ended, aborted or missed. */
  #overtakeBelow(checkpoint: number): void {
    const { logger } = this.#options.ports
    for (const older of this.#pending) {
      if (older.checkpoint >= checkpoint || older.phase === 'overtaken') continue
      this.#step(older, 'younger')
      logger.info({ checkpoint: older.checkpoint, by: checkpoint }, 'a checkpoint was overtaken by a younger one')
    }
  }

  /** What the log is to say of it, as things are now. */
  #recordOf(content: CheckpointContent, stored: StoredCheckpoint): CompletedRecord {
    const rides = this.#committed
    const fencedBelow = this.#options.fencedBelow()
    return {
      kind: 'completed',
      checkpoint: content.checkpoint,
      lineage: content.lineage,
      folder: stored.folder,
      digest: stored.digest,
      final: content.final,
      records: this.#options.recordsOf(content, rides),
      ...(rides === undefined ? {} : { committed: rides }),
      ...(fencedBelow === undefined ? {} : { fencedBelow }),
    }
  }

  /** A failed append fails the execution: only the log knows whether it counts. Answers whose commit became durable with it. */
  async #record(content: CheckpointContent, stored: StoredCheckpoint): Promise<number | undefined> {
    const record = this.#recordOf(content, stored)
    await this.#options.log.append(record)
    const rides = record.committed
    joint('completed-written', { checkpoint: content.checkpoint })
    this.#kept.push(content.checkpoint)
    if (rides !== undefined) this.#announceCommitted(rides)
    return rides
  }

  /** Has the tasks end the transactions, and waits until every one has. */
  async #end(checkpoint: number): Promise<void> {
    const { tasks } = this.#options
    const ended = new Promise<void>((resolve, reject) => {
      this.#ending = { checkpoint, awaited: new Set(tasks.map(taskKey)), resolve, reject }
    })
    try {
      for (const task of tasks) this.#options.send(task, { kind: 'checkpoint-completed', checkpoint })
      await ended
    } finally {
      this.#ending = undefined
    }
    joint('all-ended', { checkpoint })
    this.#committed = checkpoint
  }

  /** The final one: its end is told when what it committed is visible, and that is in the log. */
  async #settle(content: CheckpointContent, rode: number | undefined): Promise<void> {
    const { checkpoint } = content
    await this.#options.whenVisible(content, rode)
    await this.#options.log.append({ kind: 'committed', checkpoint })
    joint('final-committed', { checkpoint })
    this.#announceCommitted(checkpoint)
    await this.#retain(checkpoint)
  }

  /** One removal at a time, for the newest that is committed by then. */
  #retainSoon(committedUpTo: number): void {
    this.#retainUpTo = committedUpTo
    this.#retention ??= this.#options.ports.clock.setTimer(RETAIN_AFTER_MS, () => this.#track(this.#retainNow()))
  }

  async #retainNow(): Promise<void> {
    const upTo = this.#retainUpTo
    await this.#retain(upTo).catch((error: unknown) => this.close(toError(error)))
    this.#retention = undefined
    if (this.#retainUpTo !== upTo && this.#running) this.#retainSoon(this.#retainUpTo)
  }

  /** Removes old folders: only what is older than a committed one may go, and as many committed ones stay as are wanted. */
  async #retain(committedUpTo: number): Promise<void> {
    const committed = this.#kept.filter((kept) => kept <= committedUpTo)
    const lowest = committed.at(-this.#options.retained)
    if (lowest === undefined) return
    // One that was superseded meanwhile, as the sweep may find out, touches nothing more (rule 9).
    await this.#options.store.removeBelow(lowest, () => this.#running && this.#over === undefined)
    this.#kept.splice(0, this.#kept.indexOf(lowest))
  }

  #announceCommitted(checkpoint: number): void {
    for (const task of this.#options.tasks) this.#options.send(task, { kind: 'checkpoint-committed', checkpoint })
  }

  /** Nothing is ended or aborted: the next completed one lists what this one flushed (rule 2). */
  #fail(pending: Pending, event: 'declined' | 'timeout' | 'write-failed', error: Error): void {
    if (this.#over !== undefined) return
    this.#step(pending, event)
    if (pending.phase === 'overtaken') return
    const { store, attempt, tolerableFailures, ports } = this.#options
    const { checkpoint } = pending
    this.#failed++
    this.#consecutiveFailures++
    joint('checkpoint-failed', { checkpoint })
    const consecutive = this.#consecutiveFailures
    const fields = { checkpoint, consecutive, tolerated: tolerableFailures }
    ports.logger.warn(fields, `checkpoint ${checkpoint} failed: ${describeError(error)}`)
    const removed = store.discard(checkpoint, attempt)
    this.#track(removed)
    const refusal = checkpointFailure(checkpoint, consecutive, tolerableFailures, error)
    this.#answer(
      (wish) => wish.reject(refusal),
      (wish) => wish.checkpoint === checkpoint,
    )
    if (consecutive > tolerableFailures) this.close(refusal)
    else this.#ended()
  }

  /** Only the log knows whether it counts. */
  #lost(pending: Pending, error: unknown): never {
    this.#step(pending, 'record-failed')
    throw error
  }

  /** One that is gone leaves its place. */
  #step(pending: Pending, event: CheckpointEvent): void {
    pending.phase = nextPhase(pending.phase, event, pending.checkpoint)
    if (pending.phase !== 'gathering') pending.timer?.cancel()
    if (pending.phase === 'gone') this.#pending = this.#pending.filter((one) => one !== pending)
  }

  /** One is no longer under way: the pause begins. */
  #ended(): void {
    const { ports, minPauseMs } = this.#options
    this.#dueMs = Math.max(this.#dueMs, ports.clock.monotonic() + minPauseMs)
    this.#beginWhenDue()
  }

  /** Work that nobody waits for but the end of `run`. It does not reject. */
  #track(work: Promise<void>): void {
    this.#work.add(work)
    void work.finally(() => this.#work.delete(work))
  }

  #throwIfOver(): void {
    if (this.#over !== undefined) throw this.#over
  }
}

function checkpointFailure(checkpoint: number, consecutive: number, tolerable: number, cause: Error): MillraceError {
  if (consecutive <= tolerable) {
    return new MillraceError('CHECKPOINT_FAILED', `checkpoint ${checkpoint} failed`, {
      cause,
      retriable: true,
      next: 'The job goes on; the next checkpoint covers what this one would have.',
    })
  }
  return new MillraceError(
    'CHECKPOINT_FAILED',
    `checkpoint ${checkpoint} failed, and with it ${consecutive} in a row, more than execution.checkpointing.tolerable-failed-checkpoints allows`,
    { cause, retriable: true, next: 'The job goes back to its last completed checkpoint; nothing is lost or doubled.' },
  )
}
