/**
 * When all channels of a task have brought the barrier of a checkpoint, the task snapshots. Exactly-once: a channel whose
 * barrier came is not read until then, so that no element behind it gets into the state (Flink: aligned checkpoints).
 * At-least-once: every channel is read on, and several checkpoints may be under way at once.
 *
 * What always holds: barriers of one channel come in rising order, and so do the checkpoints that are answered.
 */
import { assert } from '../../base/index.ts'

export type CheckpointMode = 'exactly-once' | 'at-least-once'

export class BarrierAligner {
  readonly #mode: CheckpointMode
  readonly #last: number[]
  readonly #waiting: boolean[]
  /** By checkpoint, how many channels have brought its barrier. */
  readonly #seen = new Map<number, number>()
  #answered = 0

  constructor(channels: number, mode: CheckpointMode) {
    this.#mode = mode
    this.#last = new Array<number>(channels).fill(0)
    this.#waiting = new Array<boolean>(channels).fill(false)
  }

  /** True while the channel must not be read. */
  waits(channel: number): boolean {
    return this.#waiting[channel] === true
  }

  /** Takes note of a barrier; true when it was the last one: then the snapshot is taken before anything else is read. */
  arrived(channel: number, checkpoint: number): boolean {
    const last = this.#last[channel] ?? 0
    assert(checkpoint > last, `barrier ${checkpoint} came behind barrier ${last} on channel ${channel}`)
    assert(!this.waits(channel), `channel ${channel} was read while it waits for barrier ${last} of the others`)
    this.#last[channel] = checkpoint
    const seen = (this.#seen.get(checkpoint) ?? 0) + 1
    if (seen < this.#last.length) {
      this.#seen.set(checkpoint, seen)
      this.#waiting[channel] = this.#mode === 'exactly-once'
      return false
    }
    assert(checkpoint > this.#answered, `checkpoint ${checkpoint} is complete behind checkpoint ${this.#answered}`)
    this.#answered = checkpoint
    this.#seen.delete(checkpoint)
    this.#waiting.fill(false)
    return true
  }
}
