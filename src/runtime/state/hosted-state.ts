/**
 * What a task sees of the state it hosts. Per keyed operator subtask one HostedKeyedState: given to the operator as its
 * KeyedContext, driven by the task. All calls come between elements, never from inside one.
 */
import type { CheckpointId, KeyedContext, ListState, StateDescriptor, VersionedBytes } from '../../core/index.ts'

/** The key groups of a subtask, or those that a part of a checkpoint holds: first and last, both included. */
export type KeyGroups = readonly [first: number, last: number]

/** The groups of a subtask (Flink: KeyGroupRangeAssignment.computeKeyGroupRangeForOperatorIndex). */
export function keyGroupsOfSubtask(maxParallelism: number, parallelism: number, subtask: number): KeyGroups {
  const first = Math.floor((subtask * maxParallelism + parallelism - 1) / parallelism)
  return [first, Math.floor(((subtask + 1) * maxParallelism - 1) / parallelism)]
}

export function intersects(left: KeyGroups, right: KeyGroups): boolean {
  return left[0] <= right[1] && right[0] <= left[1]
}

/** A part of a checkpoint, role `keyed`. */
export interface KeyedPart extends VersionedBytes {
  readonly groups: KeyGroups
}

export interface HostedKeyedState extends KeyedContext {
  /** The operator is open: no state can be asked for any more. Throws STATE_NOT_RESTORED for stored state that it did not ask for. */
  opened(): void
  /**
   * Captures the state of this moment and answers its parts once `step` has serialised them. A capture still under way is
   * finished first, at once.
   */
  snapshot(checkpoint: CheckpointId): Promise<readonly KeyedPart[]>
  /** True while a capture is under way: `step` is to be called between elements. */
  readonly capturing: boolean
  /** Serialises for about this long; true while more remains. */
  step(budgetMs: number): boolean
  /** Event time has come to here: fires the timers that are due, in order, each with its key current. */
  advanceWatermark(timestamp: number): void
  /** When the next processing-time timer is due; undefined when there is none. */
  readonly nextProcessingTimer: number | undefined
  /** Called when that changes, so that the task need not ask after each element. One listener. */
  onNextProcessingTimer(listener: () => void): void
  /** Fires the processing-time timers due by `nowMs`. */
  fireProcessing(nowMs: number): void
  /** Rejects what `snapshot` promised. Idempotent. */
  close(): void
}

/** The lists of a subtask that belong to no key: parts of the role `list`. */
export interface HostedLists {
  list<T>(descriptor: StateDescriptor): ListState<T>
  opened(): void
  /** Undefined when there is nothing to store. */
  snapshot(): VersionedBytes | undefined
}
