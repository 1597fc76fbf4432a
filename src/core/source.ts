/**
 * The contract of a source (Flink: FLIP-27). The enumerator lives with the coordinator, finds splits and assigns them;
 * a reader lives with each task and reads the splits assigned to it. A split carries its own position: the reader's
 * snapshot is the list of its splits with positions advanced, and that list alone decides where a restored job resumes.
 *
 * On restore all readers' splits are handed to the enumerator, which assigns them afresh: parallelism may change and no
 * subtask keeps a skew for ever (Flink: FLIP-537).
 */
import type { AttemptId, CheckpointId, SubtaskIndex } from './brand.ts'
import type { Output, RuntimeContext, RuntimePorts } from './operator.ts'
import type { VersionedSerializer } from './serializer.ts'
import type { ElementTime } from './time.ts'

export type Boundedness = 'bounded' | 'continuous'

export interface Source<T, Split, EnumeratorState> {
  readonly boundedness: Boundedness
  readonly splitSerializer: VersionedSerializer<Split>
  readonly enumeratorStateSerializer: VersionedSerializer<EnumeratorState>
  /** The name of a split within its source, e.g. `orders-3`. */
  splitId(split: Split): string
  /** `restored` is what the checkpoint being restored holds, with the splits of all its readers; absent at a fresh start. */
  createEnumerator(
    context: SplitEnumeratorContext<Split>,
    restored?: { readonly state: EnumeratorState; readonly splits: readonly Split[] },
  ): SplitEnumerator<EnumeratorState>
  /**
   * The state with every split where it first began. Asked when the checkpoint that holds it is void and no earlier one knows the
   * source: an enumerator that is restored to it, without splits of readers, reads from there again. Absent: the source
   * begins as at a fresh start, which is the same when nothing about its start depends on when it is looked up.
   */
  beginningOf?(state: EnumeratorState): EnumeratorState
  createReader(context: SourceReaderContext<T>): SourceReader<Split>
  /**
   * Exposes the positions of a completed checkpoint outside (Kafka: the group's offsets) before anything runs, as part of
   * recovery. Best effort: failing fails nothing but is logged.
   */
  publishPositions?(splits: readonly Split[], ports: RuntimePorts): Promise<void>
  /** For messages and for the graph's hash: serializable, no secrets. */
  describe(): Readonly<Record<string, unknown>>
}

export interface SplitEnumeratorContext<Split> extends RuntimePorts {
  readonly parallelism: number
  readonly uid: string
  /** Hands splits to the reader of a subtask; it receives them once it is registered. */
  assignSplits(subtask: SubtaskIndex, splits: readonly Split[]): void
  /** No splits will follow: each reader ends when it has read what it has. */
  signalNoMoreSplits(): void
  /** Fails the job's execution; the restart strategy decides. */
  fail(error: Error): void
}

export interface SplitEnumerator<EnumeratorState> {
  /** Begins discovery; resolves when the first one has been assigned, so that a failure at start is told as such. */
  start(signal: AbortSignal): Promise<void>
  snapshotState(checkpoint: CheckpointId): EnumeratorState
  /** Splits that were assigned in the execution that failed come back through `createEnumerator` instead. */
  close(): Promise<void>
}

export interface SourceReaderContext<T> extends RuntimeContext, RuntimePorts {
  readonly attempt: AttemptId
  /** The chain's element time: the reader sets it before each `emit`. */
  readonly time: ElementTime
  /** Where the reader's elements go, by split, so that watermarks are made per split. */
  readonly output: ReaderOutput<T>
  /** Whether periodic checkpoints are on; without them a Kafka reader commits offsets by time if asked to. */
  readonly checkpointing: boolean
}

export interface ReaderOutput<T> {
  /** The output of a split that was added; the same object until the split is released. */
  forSplit(splitId: string): SplitOutput<T>
  releaseSplit(splitId: string): void
}

/** `emit` assigns the timestamp as the watermark strategy says and passes the element on. */
export interface SplitOutput<T> extends Output<T> {
  /** True when the chain wants no more elements for now: the reader returns from `poll`. */
  readonly blocked: boolean
}

/**
 * `more`: there is work left, call again. `waiting`: nothing to emit until `available` resolves. `ended`: every split was
 * read to its end and no more will come.
 */
export type PollStatus = 'more' | 'waiting' | 'ended'

export interface SourceReader<Split> {
  open?(): Promise<void>
  addSplits(splits: readonly Split[]): void
  noMoreSplits(): void
  /** Emits up to about `budget` records, synchronously, and returns early when the output is blocked. */
  poll(budget: number): PollStatus
  /** Resolves when `poll` may have something to do, or rejects with what ends the reader. */
  available(): Promise<void>
  /**
   * All splits ever added, with their positions as of this moment; finished ones stay, at their end. One that is missing
   * would be taken for unread at a restore, and be read again from its start.
   */
  snapshotState(checkpoint: CheckpointId): readonly Split[]
  /** `completed N` is durable: positions may be shown outside. Resolves when that was tried; never fails the job. */
  checkpointCompleted?(checkpoint: CheckpointId): Promise<void>
  /** Records known to be available and not yet emitted; undefined when unknown. */
  pendingRecords?(): number | undefined
  close(): Promise<void>
}
