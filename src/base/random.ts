/**
 * Randomness as a port: identities, nonces and jitter come from here, so that a simulated run is decided by its seed alone.
 */
import { randomBytes } from 'node:crypto'

export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** `count` bytes as lower-case hexadecimal, for identities and nonces. */
  hex(count: number): string
}

export class SystemRandom implements Random {
  next(): number {
    return Math.random()
  }

  hex(count: number): string {
    return randomBytes(count).toString('hex')
  }
}

/** The same sequence for the same seed on every platform (mulberry32). For tests and simulation, not for secrets. */
export class SeededRandom implements Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }

  hex(count: number): string {
    let text = ''
    for (let i = 0; i < count; i++)
      text += Math.floor(this.next() * 256)
        .toString(16)
        .padStart(2, '0')
    return text
  }
}
