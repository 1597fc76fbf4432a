/**
 * The only words between the coordinator and the tasks. They are plain data (errors aside, which a thread boundary turns
 * into text), so that the same two sides meet on one thread or across threads.
 */

import type { AccumulatorValue, SinkAttemptSettings, VersionedBytes } from '../../core/index.ts'
import type { CheckpointPart } from '../checkpoint/checkpoint-metadata.ts'
import type { KeyedPart } from '../state/hosted-state.ts'

/** A task is one subtask of one chain; the chain is named by its first node. */
export interface TaskId {
  readonly chain: number
  readonly subtask: number
}

export const taskKey = (task: TaskId): string => `${task.chain}-${task.subtask}`

/** What a task needs to know before it opens. */
export interface TaskSpec {
  readonly task: TaskId
  readonly attempt: number
  readonly nextCheckpoint: number
  readonly checkpointing: boolean
  /** What a task that reads channels does between the first and the last barrier of a checkpoint. */
  readonly mode: 'exactly-once' | 'at-least-once'
  readonly watermarkIntervalMs: number
  readonly maxParallelism: number
  /** By the sink's uid. */
  readonly sinkSettings: Readonly<Record<string, SinkAttemptSettings>>
  /** Operators' own state, by uid. */
  readonly restored: Readonly<Record<string, readonly VersionedBytes[]>>
  /** Keyed state by uid: the parts that hold something of this subtask's key groups. */
  readonly keyed: Readonly<Record<string, readonly KeyedPart[]>>
  /** Lists of all subtasks by uid, in the same order for each. */
  readonly lists: Readonly<Record<string, readonly VersionedBytes[]>>
  /** Stored state that an operator does not ask for is given up. */
  readonly allowNonRestoredState: boolean
}

export type CoordinatorMessage =
  | { readonly kind: 'assign-splits'; readonly splits: readonly VersionedBytes[] }
  | { readonly kind: 'no-more-splits' }
  /** The barrier. After a final one the sources emit nothing any more. */
  | { readonly kind: 'checkpoint'; readonly checkpoint: number; readonly final: boolean }
  | { readonly kind: 'checkpoint-completed'; readonly checkpoint: number }
  | { readonly kind: 'checkpoint-committed'; readonly checkpoint: number }
  /** `abandon`: the job has another owner, so nothing outside may be touched any more (exactly-once, rule 9). */
  | { readonly kind: 'close'; readonly abandon: boolean }

export type TaskMessage =
  | { readonly kind: 'opened' }
  /** All input was read and went through the chain. */
  | { readonly kind: 'input-ended' }
  | { readonly kind: 'snapshot'; readonly checkpoint: number; readonly parts: readonly CheckpointPart[] }
  | { readonly kind: 'declined'; readonly checkpoint: number; readonly error: Error }
  /** Everything that the completed checkpoint listed took effect outside. */
  | { readonly kind: 'commit-finished'; readonly checkpoint: number }
  | { readonly kind: 'failed'; readonly error: Error }
  | { readonly kind: 'closed' }

/** Figures of a running task, read when somebody looks. */
export interface TaskFigures {
  readonly recordsIn: number
  readonly recordsOut: number
  readonly pendingRecords: number | undefined
}

/** Whoever runs tasks: this thread, or worker threads. */
export interface TaskHost {
  /** Starts the task; its first word is `opened` or `failed`. */
  deploy(spec: TaskSpec, receive: (message: TaskMessage) => void): void
  send(task: TaskId, message: CoordinatorMessage): void
  figures(): TaskFigures
  /** All metrics by `<uid>.<subtask>.<name>`. */
  metrics(): Map<string, number>
  /** What the job's functions counted, merged over all tasks. Complete once they are closed. */
  accumulators(): ReadonlyMap<string, AccumulatorValue>
}
