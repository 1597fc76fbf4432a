/**
 * Bytes of one connection to whole responses.
 *
 * Small responses are read, several at once, into a scratch buffer of this connection and copied out; as soon as a response
 * that goes beyond it is announced, its own exactly-sized buffer is made and the rest is read straight into it, without a copy.
 * What always holds: a frame handed on is not touched again, so views into it may be kept, until its memory is given back to
 * the pool by who knows that none are; no buffer is made before the announced size and correlation id were found credible.
 */
import type { NetworkReceiver } from '../../base/index.ts'
import { FramePool } from './frame-pool.ts'

const SCRATCH_BYTES = 64 * 1024
/** Size and correlation id. */
const HEAD_BYTES = 8

export interface FrameListener {
  /** Throws when no such response is expected; called before its buffer is made. */
  announced(bytes: number, correlationId: number): void
  /** A whole response, beginning with the correlation id. Throws when it is malformed. */
  frame(frame: Buffer): void
  /** Thrown by one of the two above; the rest of what arrives is dropped. */
  failed(error: unknown): void
  closed(error?: Error): void
}

export class FrameReceiver implements NetworkReceiver {
  /** Of the frames that go beyond the scratch buffer. */
  readonly pool: FramePool = new FramePool()
  readonly #listener: FrameListener
  readonly #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  /** Bytes in the scratch buffer that are not consumed: the beginning of a head only. */
  #scratchFilled = 0
  #frame: Buffer | undefined
  #frameFilled = 0
  #failed = false

  constructor(listener: FrameListener) {
    this.#listener = listener
  }

  buffer(): Uint8Array {
    if (this.#frame !== undefined) return this.#frame.subarray(this.#frameFilled)
    return this.#scratch.subarray(this.#scratchFilled)
  }

  received(count: number): void {
    if (this.#failed) return
    try {
      if (this.#frame === undefined) this.#takeScratch(this.#scratchFilled + count)
      else this.#takeFrame(this.#frame, count)
    } catch (error) {
      this.#failed = true
      this.#frame = undefined
      this.#scratchFilled = 0
      this.#listener.failed(error)
    }
  }

  closed(error?: Error): void {
    this.#failed = true
    this.#listener.closed(error)
  }

  #takeFrame(frame: Buffer, count: number): void {
    this.#frameFilled += count
    if (this.#frameFilled < frame.length) return
    this.#frame = undefined
    this.#listener.frame(frame)
  }

  #takeScratch(filled: number): void {
    const scratch = this.#scratch
    let at = 0
    while (filled - at >= HEAD_BYTES) {
      const bytes = scratch.readInt32BE(at)
      this.#listener.announced(bytes, scratch.readInt32BE(at + 4))
      const end = at + 4 + bytes
      const frame = end > filled ? this.pool.take(bytes) : Buffer.allocUnsafe(bytes)
      scratch.copy(frame, 0, at + 4, Math.min(end, filled))
      if (end > filled) {
        this.#frame = frame
        this.#frameFilled = filled - at - 4
        this.#scratchFilled = 0
        return
      }
      at = end
      this.#listener.frame(frame)
    }
    if (at > 0) scratch.copy(scratch, 0, at, filled)
    this.#scratchFilled = filled - at
  }
}
