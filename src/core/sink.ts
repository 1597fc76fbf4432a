/**
 * The contract of a sink. A writer lives with each task. An exactly-once sink also has a job-level side, TransactionLedger,
 * used by the coordinator: recovery is one step for the whole job with a fixed order (exactly-once, rule 8), so it is not
 * left to the tasks. A committable names one flushed transaction; the runtime stores committables in checkpoints and hands
 * them back, and never looks inside.
 */
import type { AttemptId, CheckpointId } from './brand.ts'
import type { CloseOptions, RuntimeContext, RuntimePorts } from './operator.ts'
import type { VersionedSerializer } from './serializer.ts'
import type { ElementTime } from './time.ts'

/** What a sink without transactions stores. */
export type NoCommittable = never

export interface Sink<T, Committable = NoCommittable> {
  createWriter(context: SinkWriterContext): SinkWriter<T, Committable>
  /** Present when the sink writes in transactions. */
  readonly transactional?: TransactionalSide<Committable>
  /** For messages and for the graph's hash: serializable, no secrets. */
  describe(): Readonly<Record<string, unknown>>
}

export interface SinkWriterContext extends RuntimeContext, RuntimePorts {
  readonly attempt: AttemptId
  readonly time: ElementTime
  /** The checkpoint that the next barrier will carry at the earliest (INCREMENTING names its first transaction by it). */
  readonly nextCheckpoint: CheckpointId
  /** What the ledger's `plan` decided for this attempt; undefined for a sink without transactions. */
  readonly settings: SinkAttemptSettings | undefined
  /** Reports a failure that happened between calls (a batch that could not be delivered): the task fails. */
  fail(error: Error): void
}

export interface SinkWriter<T, Committable> {
  open?(): Promise<void>
  /** Buffers the element; its timestamp stands in the context's ElementTime. Throws what makes the task fail. */
  write(element: T): void
  /** True when the writer's buffers are full: no more elements until `writable` resolves. */
  readonly blocked: boolean
  writable(): Promise<void>
  /** The input has nothing more at the moment: what was held back to be sent together with more should leave. */
  inputDry?(): void
  /**
   * The barrier: seals what was written so far, synchronously, and resolves when all of it is acknowledged, with every
   * transaction that was flushed and is not known to be ended, whichever barrier flushed it, oldest first (rules 1 and 2).
   * Elements may be written before it resolves; they belong to the next checkpoint.
   */
  prepareCommit(checkpoint: CheckpointId, final: boolean): Promise<readonly Committable[]>
  /** `completed N` is durable: ends the transactions that N lists, oldest first. Rejects with what rule 11 says. */
  commit?(checkpoint: CheckpointId): Promise<void>
  /** `committed N` is durable: identities used up to N are free (rule 3). */
  committed?(checkpoint: CheckpointId): void
  /**
   * Aborts what was begun and never flushed, unless the job is abandoned; leaves flushed transactions alone. Makes every
   * `prepareCommit` and `commit` still under way settle: the task is not closed before they have.
   */
  close(options?: CloseOptions): Promise<void>
}

/** How many transactions may be flushed and unsettled at once, and how long they must last. */
export interface TransactionPlan {
  readonly parallelism: number
  /** How many ids a writer may hold at once, by how many checkpoints may be under way and how many may fail (rule 3). */
  readonly poolBound: number
  /** How long a transaction must stay open at worst, by the job's own settings (rule 15). */
  readonly longestOpenMs: number
  /** Undefined when periodic checkpoints are off. */
  readonly checkpointIntervalMs: number | undefined
}

/** What the log's `attempt` record keeps of a sink: enough to enumerate every transactional id that the attempt may use. */
export interface SinkAttempt {
  readonly clusterId: string
  readonly prefix: string
  readonly naming: 'POOLING' | 'INCREMENTING'
  readonly parallelism: number
  readonly poolBound: number
}

/** What writers of this attempt need and only the job's side can find out. Plain data: it travels to worker threads. */
export interface SinkAttemptSettings {
  readonly poolBound: number
  readonly transactionTimeoutMs: number
}

export interface TransactionalSide<Committable> {
  readonly committableSerializer: VersionedSerializer<Committable>
  /** The owner of this sink's identities: two sinks with the same key in one job are an error (rule 17). */
  readonly ownershipKey: string
  /** For messages: transactional id and records per topic. */
  describeCommittable(committable: Committable): CommittableDescription
  createLedger(ports: RuntimePorts): TransactionLedger<Committable>
}

export interface CommittableDescription {
  readonly transactionalId: string
  readonly producer: string
  readonly barrier: number
  readonly beganAtMs: number
  readonly records: Readonly<Record<string, number>>
}

/**
 * `open`: flushed and neither ended nor lost. `committed`: ended as wanted. `gone`: aborted, by the broker's timeout or by
 * somebody; its records will never be seen. `unknown`: the broker no longer knows what became of it.
 */
export type TransactionState = 'open' | 'committed' | 'gone' | 'unknown'

/** The ids that an earlier attempt of this job may have left open. */
export interface AttemptIds extends SinkAttempt {
  readonly attempt: AttemptId
  /** INCREMENTING: checkpoint numbers that this attempt may have named ids after, both inclusive. */
  readonly firstCheckpoint: CheckpointId
  readonly lastCheckpoint: CheckpointId
}

/** The job's side of a transactional sink. Calls retry what can be retried and reject with a MillraceError else. */
export interface TransactionLedger<Committable> {
  /** Checks the options against the brokers and decides the timeout (rule 15); warns through the logger. */
  plan(plan: TransactionPlan): Promise<{ readonly attempt: SinkAttempt; readonly settings: SinkAttemptSettings }>
  /** What became of each, without changing anything. */
  inspect(committables: readonly Committable[]): Promise<readonly TransactionState[]>
  /** Ends one transaction; idempotent. Answers what became of it; rejects when there is no verdict (rule 11). */
  commit(committable: Committable): Promise<'committed' | 'gone' | 'unknown'>
  abort(committable: Committable): Promise<void>
  /** Waits until repeating the end of it says that its markers are written (rule 12). Bounded. */
  settled(committable: Committable): Promise<void>
  /** Fences every id of the earlier attempts and aborts what they left open. Returns how many were found open. */
  fence(attempts: readonly AttemptIds[]): Promise<number>
  /** Ids of this sink's prefix, of any attempt below `below`, whose transaction is open now; undefined when brokers cannot tell. */
  openTransactions(
    below: AttemptId,
  ): Promise<readonly { readonly transactionalId: string; readonly state: string }[] | undefined>
  /** Aborts one of those by its id. */
  abortById(transactionalId: string): Promise<void>
  close(): Promise<void>
}
