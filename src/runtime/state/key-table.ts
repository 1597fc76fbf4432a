/**
 * Entries found by their keys. Not a Map by key, because V8 makes every text that is a Map's key one of a table of its own, which
 * each full collection walks while the program stands still: 35 ms for a million keys. Here a Map by hash holds the first entry of
 * those with that hash, and each the next.
 *
 * What always holds, also for a walk that is under way while entries come and go: every entry that was there when the walk began and is
 * still there is met, and none twice; those that come meanwhile may be met or not.
 */
import { assert } from '../../base/index.ts'
import type { PrimitiveKey } from './primitive-key.ts'

export interface Keyed {
  readonly primitive: PrimitiveKey
  /** The next one with the same hash. */
  next: this | undefined
}

/** More keys of one hash than this are somebody's doing: the others go where V8 tells them apart. */
const CHAIN_MAX = 8

export class KeyTable<E extends Keyed> {
  readonly #byHash: Map<number, E> = new Map()
  readonly #beyond: Map<PrimitiveKey, E> = new Map()
  readonly #hashOf: (primitive: PrimitiveKey) => number
  #size = 0

  constructor(hash: (primitive: PrimitiveKey) => number = hashOf) {
    this.#hashOf = hash
  }

  get size(): number {
    return this.#size
  }

  get(primitive: PrimitiveKey): E | undefined {
    let entry = this.#byHash.get(this.#hashOf(primitive))
    while (entry !== undefined && !isSame(entry.primitive, primitive)) entry = entry.next
    return entry === undefined && this.#beyond.size > 0 ? this.#beyond.get(primitive) : entry
  }

  /** Of a key that has none. */
  add(entry: E): void {
    this.#size++
    const { primitive } = entry
    const hash = this.#hashOf(primitive)
    const first = this.#byHash.get(hash)
    let length = 0
    for (let other = first; other !== undefined; other = other.next) length++
    if (length >= CHAIN_MAX) {
      this.#beyond.set(primitive, entry)
      return
    }
    entry.next = first
    this.#byHash.set(hash, entry)
  }

  /** What is taken out keeps its `next`, so that a walk that stands on it goes on. */
  delete(entry: E): void {
    this.#size--
    const { primitive } = entry
    if (this.#beyond.size > 0 && this.#beyond.get(primitive) === entry) {
      this.#beyond.delete(primitive)
      return
    }
    const hash = this.#hashOf(primitive)
    let before = this.#byHash.get(hash)
    if (before === entry) {
      if (entry.next === undefined) this.#byHash.delete(hash)
      else this.#byHash.set(hash, entry.next)
      return
    }
    while (before !== undefined && before.next !== entry) before = before.next
    assert(before !== undefined, 'what is taken out was there')
    before.next = entry.next
  }

  *[Symbol.iterator](): Generator<E, void> {
    for (const first of this.#byHash.values()) {
      for (let entry: E | undefined = first; entry !== undefined; entry = entry.next) yield entry
    }
    yield* this.#beyond.values()
  }
}

/** As a Map compares: NaN is itself, and 0 and -0 are one. */
function isSame(one: PrimitiveKey, other: PrimitiveKey): boolean {
  return one === other || (Number.isNaN(one) && Number.isNaN(other))
}

/** 30 bits, so that it is no object anywhere. */
function hashOf(primitive: PrimitiveKey): number {
  if (typeof primitive === 'string') return hashOfText(primitive)
  if (typeof primitive === 'bigint') return Number(BigInt.asUintN(30, primitive))
  const number = Number(primitive)
  return Number.isInteger(number) ? number & 0x3fff_ffff : hashOfText(String(number))
}

/** Each character is mixed in for good: texts alike in many places meet no more often than others. */
function hashOfText(text: string): number {
  let hash = text.length
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x5bd1e995)
    hash ^= hash >>> 15
  }
  return hash & 0x3fff_ffff
}
