/**
 * What a chain is made of. Elements travel by direct calls: an operator is the Output of the one before it, so a forward
 * edge costs one method call and no envelope. The element's timestamp stands in the chain's ElementTime.
 *
 * Callers keep: one call at a time, never from inside a promise that outlives the call; `open` before the first element;
 * after `finish` no elements; `close` always, even after a failure. An operator may throw from any call; the task then fails.
 */
import type { Clock, Logger, Network, Random } from '../base/index.ts'
import type { AccumulatorRegistry } from './accumulator.ts'
import type { CheckpointId, SubtaskIndex } from './brand.ts'
import type { MetricGroup } from './metric.ts'
import type { VersionedBytes } from './serializer.ts'
import type { KeyedContext, ListState, StateDescriptor } from './state.ts'
import type { ElementTime } from './time.ts'

export interface Output<T> {
  /** Passes one element on. Synchronous: when it returns the element has gone through the whole chain. */
  emit(value: T): void
  emitWatermark(timestamp: number): void
  /** No elements are to be expected for a while: the watermark must not wait for this input. */
  emitIdle(idle: boolean): void
}

/** Where elements go that nobody reads. */
export const NO_OUTPUT: Output<unknown> = {
  emit: () => undefined,
  emitWatermark: () => undefined,
  emitIdle: () => undefined,
}

export interface RuntimeContext {
  readonly jobName: string
  readonly operatorName: string
  readonly uid: string
  readonly subtask: SubtaskIndex
  readonly parallelism: number
  readonly maxParallelism: number
  readonly metrics: MetricGroup
}

/** The ports an operator may use, given by whoever hosts it. */
export interface RuntimePorts {
  readonly clock: Clock
  readonly random: Random
  readonly network: Network
  readonly logger: Logger
}

export interface OperatorContext extends RuntimeContext, RuntimePorts {
  /** The chain's element time, shared by all its operators. */
  readonly time: ElementTime
  /** What this operator's subtasks stored in the checkpoint being restored; empty when there is none. */
  readonly restored: readonly VersionedBytes[]
  /** Where this subtask's accumulators are kept; whoever hosts it reads them at the end. */
  readonly accumulators: AccumulatorRegistry
  /** State and timers of the current key; absent without keyBy. */
  readonly keyed?: KeyedContext
  /**
   * A list of this subtask that belongs to no key. The host snapshots it; after a restore the elements of all subtasks are dealt
   * out evenly (Flink: operator list state). Asked for before `open` ends.
   */
  operatorList<T>(descriptor: StateDescriptor): ListState<T>
  /** Where elements of a side output go; to nobody when the job reads none of that tag. */
  sideOutput(tag: string): Output<unknown>
}

/**
 * The two halves of a snapshot: what the call itself captured, synchronously, and what completes later without stopping
 * the record path (a flush, a write). Undefined where there is nothing to store.
 */
export type OperatorSnapshot = Promise<VersionedBytes | undefined> | undefined

export interface CloseOptions {
  /** The job has another owner: release what is local and touch nothing outside (exactly-once, rule 9). */
  readonly abandon: boolean
}

export interface Operator<In> extends Output<In> {
  open?(): void | Promise<void>
  /** The input has nothing more at the moment. Called between elements, often; a sink may send what it gathered. */
  inputDry?(): void
  /** All input has been seen; emits what remains. */
  finish?(): void | Promise<void>
  /** Captures the state as of this moment. Elements may follow before the promise resolves. */
  snapshot?(checkpoint: CheckpointId, final: boolean): OperatorSnapshot
  /** `completed N` is durable in the job's log. Resolves when this operator's part of N has taken effect outside. */
  checkpointCompleted?(checkpoint: CheckpointId): Promise<void>
  /** `committed N` is durable in the job's log: nothing of N can be asked for again. */
  checkpointCommitted?(checkpoint: CheckpointId): void
  close?(options: CloseOptions): Promise<void>
  /** True when the operator wants no more elements for now; the task then waits for `writable`. */
  readonly blocked?: boolean
  writable?(): Promise<void>
}

/** Makes the operator of one subtask; called once for every execution. */
export interface OperatorFactory<In, Out> {
  create(context: OperatorContext, output: Output<Out>): Operator<In>
}
