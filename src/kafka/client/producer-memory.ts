/**
 * The memory of a producer's batches: who takes a writer here is counted, and gets one that fits. Writers of acknowledged
 * batches are used again; their buffers keep the size they grew to, so that a partition with much data gets a large one and
 * thousands of partitions with little data small ones.
 *
 * What always holds: `usedBytes` is the capacity of all writers given out; a writer comes back only when no connection can
 * read its bytes any more (after the acknowledgement); what rests here stays within a quarter of `limitBytes`, as a slow
 * minute of a broker must not be remembered for ever, and together with what is given out within `limitBytes`, unless that
 * alone is above it.
 */
import { BatchWriter } from '../records/batch-writer.ts'

/** The smallest buffer of a writer; others are this doubled so many times. */
const SMALLEST = 16 * 1024
const RESTING_SHARE = 0.25

export class ProducerMemory {
  readonly limitBytes: number
  readonly #batchBytes: number
  /** Resting writers by the number of doublings of their buffers. */
  readonly #resting: BatchWriter[][] = []
  #restingBytes = 0
  #usedBytes = 0
  #waiting: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined

  constructor(limitBytes: number, batchBytes: number) {
    this.limitBytes = limitBytes
    this.#batchBytes = batchBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get restingBytes(): number {
    return this.#restingBytes
  }

  get blocked(): boolean {
    return this.#usedBytes >= this.limitBytes
  }

  /** The capacity that a writer of so many bytes has. */
  capacityOf(sizeBytes: number): number {
    return SMALLEST << this.#doublings(sizeBytes)
  }

  /**
   * A writer for about so many bytes: a resting one of that size, else a new one. A smaller one that rests would be grown by
   * doubling, and its old buffers, together as large again, would be garbage that is collected late.
   */
  take(expectedBytes: number): { readonly writer: BatchWriter; readonly capacity: number } {
    const doublings = this.#doublings(Math.min(expectedBytes, this.#batchBytes))
    const capacity = SMALLEST << doublings
    this.#usedBytes += capacity
    const resting = this.#resting[doublings]?.pop()
    if (resting !== undefined) {
      this.#restingBytes -= capacity
      return { writer: resting, capacity }
    }
    this.#makeRoom()
    return { writer: new BatchWriter(this.#batchBytes, capacity), capacity }
  }

  /** A writer that was given out has grown. */
  grown(byBytes: number): void {
    this.#usedBytes += byBytes
    this.#makeRoom()
  }

  /** A writer comes back; `reusable` when nobody reads its buffer any more. */
  give(writer: BatchWriter, capacity: number, reusable: boolean): void {
    this.#usedBytes -= capacity
    // A buffer that one large record blew up is not kept.
    if (reusable && capacity <= this.capacityOf(this.#batchBytes) && this.#fits(capacity)) {
      writer.reset()
      ;(this.#resting[this.#doublings(capacity)] ??= []).push(writer)
      this.#restingBytes += capacity
    }
    if (!this.blocked) this.wake()
  }

  /** Resolves when below the limit, or at `wake`. */
  writable(): Promise<void> {
    if (!this.blocked) return Promise.resolve()
    this.#waiting ??= Promise.withResolvers<void>()
    return this.#waiting.promise
  }

  wake(): void {
    this.#waiting?.resolve()
    this.#waiting = undefined
  }

  #fits(capacity: number): boolean {
    const resting = this.#restingBytes + capacity
    return resting <= this.limitBytes * RESTING_SHARE && this.#usedBytes + resting <= this.limitBytes
  }

  #doublings(sizeBytes: number): number {
    let doublings = 0
    while (SMALLEST << doublings < sizeBytes && doublings < 16) doublings++
    return doublings
  }

  /** Resting writers give way to used ones, the largest first. */
  #makeRoom(): void {
    for (let doublings = this.#resting.length - 1; doublings >= 0 && !this.#fits(0); doublings--) {
      const writers = this.#resting[doublings]
      while (writers !== undefined && writers.length > 0 && !this.#fits(0)) {
        writers.pop()
        this.#restingBytes -= SMALLEST << doublings
      }
    }
  }
}
