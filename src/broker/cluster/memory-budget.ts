/**
 * How many bytes of records the broker may hold in all. A log asks before it takes memory and gives it back when records are
 * deleted, so that a forgotten producer ends in a refusal that says what happened and never in a process without memory.
 */
export class MemoryBudget {
  readonly bytesMax: number
  #used = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  get used(): number {
    return this.#used
  }

  /** False, and nothing taken, when it would be too much. */
  reserve(bytes: number): boolean {
    if (this.#used + bytes > this.bytesMax) return false
    this.#used += bytes
    return true
  }

  /** For what must be stored in any case and is small, such as the end of a transaction. */
  take(bytes: number): void {
    this.#used += bytes
  }

  release(bytes: number): void {
    this.#used -= bytes
  }
}
