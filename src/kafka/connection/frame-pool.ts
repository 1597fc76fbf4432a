/**
 * The buffers of a connection's large responses, used again. A buffer per response would be garbage outside of the heap every
 * few milliseconds, and V8 answers that with a full collection per ten megabytes or so: a third of the CPU time of a drain.
 *
 * What always holds: a buffer is given out again only after somebody who knows that nobody looks at it any more gave it back, once;
 * one that is never given back is simply garbage; at most FREE_MAX buffers of at most POOLED_BYTES_MAX each wait here.
 */

/** Two responses that are walked and one that arrives. */
const FREE_MAX = 3
/** Larger ones are rare, and holding on to them would cost more than making them. */
const POOLED_BYTES_MAX = 16 * 1024 * 1024

export class FramePool {
  /** Ascending by size. */
  readonly #free: Buffer[] = []
  readonly #lent: WeakMap<ArrayBufferLike, Buffer> = new WeakMap()

  /** A buffer of exactly `bytes`, its content undefined. */
  take(bytes: number): Buffer {
    if (bytes > POOLED_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes)
    const fitting = this.#free.findIndex((buffer) => buffer.length >= bytes)
    // With none that fits, the smallest makes room for a larger one.
    const [found] = this.#free.splice(Math.max(fitting, 0), 1)
    const whole = found !== undefined && fitting >= 0 ? found : Buffer.allocUnsafeSlow(capacityFor(bytes))
    this.#lent.set(whole.buffer, whole)
    return whole.subarray(0, bytes)
  }

  /** Nothing looks at this memory any more. Memory that is not lent from here is left alone. */
  giveBack(memory: ArrayBufferLike): void {
    const whole = this.#lent.get(memory)
    if (whole === undefined) return
    this.#lent.delete(memory)
    if (this.#free.length >= FREE_MAX) return
    this.#free.push(whole)
    this.#free.sort((a, b) => a.length - b.length)
  }
}

/** A little more than asked for, so that the next response, which is never quite as long, fits too. */
function capacityFor(bytes: number): number {
  const step = 2 ** Math.max(12, Math.floor(Math.log2(bytes)) - 2)
  return Math.min(POOLED_BYTES_MAX, Math.ceil(bytes / step) * step)
}
