/** Chance as faults and weather are made of it: a seeded sequence with the questions that are asked of one. */
import { SeededRandom } from '../../base/index.ts'

export class Dice {
  readonly #random: SeededRandom

  /** `name` makes sequences of one seed independent of each other. */
  constructor(seed: number, name = '') {
    let mixed = seed >>> 0
    for (let at = 0; at < name.length; at++) mixed = (Math.imul(mixed ^ name.charCodeAt(at), 0x01000193) + at) >>> 0
    this.#random = new SeededRandom(mixed)
  }

  /** A number in [0, 1). */
  next(): number {
    return this.#random.next()
  }

  /** A whole number from 0 to below the limit. */
  below(limit: number): number {
    return Math.floor(this.#random.next() * limit)
  }

  /** A whole number, both ends included. */
  between(lowest: number, highest: number): number {
    return lowest + this.below(highest - lowest + 1)
  }

  chance(probability: number): boolean {
    return this.#random.next() < probability
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T
  }
}
