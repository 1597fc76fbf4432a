/**
 * Where a task's elements come from: a source's reader, or channels from other tasks. The task's loop asks it for elements in
 * slices and is the same for both.
 */
import type { CheckpointId, PollStatus } from '../../core/index.ts'
import type { CoordinatorMessage } from '../channel/messages.ts'
import type { CheckpointPart } from '../checkpoint/checkpoint-metadata.ts'

export interface TaskHead {
  /** Whether it is asked for more after its input has ended or a final barrier has passed: barriers still come this way. */
  readonly barriersComeHere: boolean
  open(): Promise<void>
  /** Sends up to about `budget` elements through the chain, synchronously, and returns early when that is blocked. */
  poll(budget: number): PollStatus
  /** Resolves when `poll` may have something to do, or rejects with what ends the task. */
  available(): Promise<void>
  /** Letters of the coordinator that are for the head alone. */
  receive(letter: Extract<CoordinatorMessage, { kind: 'assign-splits' | 'no-more-splits' }>): void
  /** What every watermark interval brings. */
  onPeriodicEmit(): void
  /** All input went through: event time ends. */
  end(): void
  snapshot(checkpoint: CheckpointId): CheckpointPart[]
  checkpointCompleted(checkpoint: CheckpointId): Promise<void>
  readonly pendingRecords: number | undefined
  close(): Promise<void>
}
