/**
 * Shows positions to the outside as the group's committed offsets. They serve monitoring only and are never read at recovery, so
 * a failure is counted and logged and nothing else. What always holds: offsets of a checkpoint are committed only once it is
 * complete; commits go out one after another; an offset that this reader has committed never goes back.
 */
import { describeError, type Logger } from '../../base/index.ts'
import type { CheckpointId, Counter } from '../../core/index.ts'
import type { SourceAdmin } from '../source-client.ts'
import type { SplitReading } from './split-reading.ts'

/** Checkpoints remembered at most; only those that never complete fill it. */
const REMEMBERED_MAX = 64

interface PositionAtCheckpoint {
  readonly reading: SplitReading<unknown>
  readonly offset: number
}

export interface OffsetCommitterOptions {
  readonly groupId: string
  readonly admin: () => SourceAdmin
  readonly logger: Logger
  readonly succeeded: Counter
  readonly failed: Counter
}

export class OffsetCommitter {
  readonly #options: OffsetCommitterOptions
  readonly #remembered = new Map<CheckpointId, readonly PositionAtCheckpoint[]>()
  #last: Promise<void> = Promise.resolve()

  constructor(options: OffsetCommitterOptions) {
    this.#options = options
  }

  /** Keeps the positions as of this moment until the checkpoint is complete or overtaken. */
  remember(checkpoint: CheckpointId, readings: Iterable<SplitReading<unknown>>): void {
    this.#remembered.set(checkpoint, positionsOf(readings))
    for (const id of this.#remembered.keys()) {
      if (this.#remembered.size <= REMEMBERED_MAX) break
      this.#remembered.delete(id)
    }
  }

  /** Resolves when the commit was tried. */
  async checkpointCompleted(checkpoint: CheckpointId): Promise<void> {
    const positions = this.#remembered.get(checkpoint)
    for (const id of this.#remembered.keys()) if (id <= checkpoint) this.#remembered.delete(id)
    if (positions !== undefined) await this.#commitInTurn(positions)
  }

  /** For readers without checkpoints. */
  commitNow(readings: Iterable<SplitReading<unknown>>): Promise<void> {
    return this.#commitInTurn(positionsOf(readings))
  }

  #commitInTurn(positions: readonly PositionAtCheckpoint[]): Promise<void> {
    const turn = this.#last.then(() => this.#commit(positions))
    this.#last = turn
    return turn
  }

  /** Never rejects. */
  async #commit(positions: readonly PositionAtCheckpoint[]): Promise<void> {
    const risen = positions.filter(({ reading, offset }) => offset >= reading.committedOffset)
    if (risen.length === 0) return
    const { groupId, admin, logger, succeeded, failed } = this.#options
    const offsets = risen.map(({ reading: { topic, partition }, offset }) => ({ topic, partition, offset }))
    try {
      await admin().commitGroupOffsets(groupId, offsets)
    } catch (error) {
      failed.add(1)
      logger.warn(
        { group: groupId, partitions: offsets.length, error: describeError(error) },
        'committing offsets failed; the group looks further behind than it is, nothing else depends on it',
      )
      return
    }
    succeeded.add(1)
    for (const { reading, offset } of risen) reading.committedOffset = Math.max(reading.committedOffset, offset)
  }
}

function positionsOf(readings: Iterable<SplitReading<unknown>>): PositionAtCheckpoint[] {
  const positions: PositionAtCheckpoint[] = []
  for (const reading of readings) {
    if (reading.position !== undefined) positions.push({ reading, offset: reading.position })
  }
  return positions
}
