/**
 * Timers of one time domain: each belongs to a key and a time, the same twice is one. A binary heap by time, and by order of
 * registration among equal times; beside it an index by key, so that a timer is found to be deleted. A Timer never changes except
 * for its place in the heap, so a copy of the array is a snapshot.
 */
import type { Key } from '../../core/index.ts'
import type { PrimitiveKey } from './primitive-key.ts'

export class Timer {
  readonly timestamp: number
  readonly key: Key
  readonly primitive: PrimitiveKey
  readonly group: number
  readonly order: number
  place = 0

  constructor(timestamp: number, key: Key, primitive: PrimitiveKey, group: number, order: number) {
    this.timestamp = timestamp
    this.key = key
    this.primitive = primitive
    this.group = group
    this.order = order
  }
}

export class TimerQueue {
  readonly #heap: Timer[] = []
  /** A key with one timer, which is the rule, needs no map of its own. */
  readonly #byKey = new Map<PrimitiveKey, Timer | Map<number, Timer>>()
  #registered = 0

  get first(): Timer | undefined {
    return this.#heap[0]
  }

  get size(): number {
    return this.#heap.length
  }

  /** False when it was there already. `group` is asked for only when it was not. */
  add(timestamp: number, key: Key, primitive: PrimitiveKey, group: () => number): boolean {
    const known = this.#byKey.get(primitive)
    if (known instanceof Timer ? known.timestamp === timestamp : known?.has(timestamp)) return false
    const timer = new Timer(timestamp, key, primitive, group(), this.#registered++)
    if (known === undefined) this.#byKey.set(primitive, timer)
    else if (known instanceof Timer) {
      this.#byKey.set(
        primitive,
        new Map([
          [known.timestamp, known],
          [timestamp, timer],
        ]),
      )
    } else known.set(timestamp, timer)
    timer.place = this.#heap.length
    this.#heap.push(timer)
    this.#rise(timer)
    return true
  }

  delete(timestamp: number, primitive: PrimitiveKey): void {
    const known = this.#byKey.get(primitive)
    const timer = known instanceof Timer ? known : known?.get(timestamp)
    if (timer?.timestamp === timestamp) this.remove(timer)
  }

  remove(timer: Timer): void {
    const known = this.#byKey.get(timer.primitive)
    if (known instanceof Map) {
      known.delete(timer.timestamp)
      if (known.size === 0) this.#byKey.delete(timer.primitive)
    } else this.#byKey.delete(timer.primitive)
    const last = this.#heap.pop()
    if (last === undefined || last === timer) return
    last.place = timer.place
    this.#heap[timer.place] = last
    this.#rise(last)
    this.#sink(last)
  }

  /** All timers of this moment, the earliest first but otherwise in no order. */
  snapshot(): Timer[] {
    return this.#heap.slice()
  }

  #rise(timer: Timer): void {
    while (timer.place > 0) {
      const parent = this.#heap[(timer.place - 1) >> 1]
      if (parent === undefined || !isBefore(timer, parent)) return
      this.#swap(timer, parent)
    }
  }

  #sink(timer: Timer): void {
    for (;;) {
      const left = this.#heap[timer.place * 2 + 1]
      const right = this.#heap[timer.place * 2 + 2]
      if (left === undefined) return
      const child = right !== undefined && isBefore(right, left) ? right : left
      if (!isBefore(child, timer)) return
      this.#swap(child, timer)
    }
  }

  #swap(left: Timer, right: Timer): void {
    const place = left.place
    left.place = right.place
    right.place = place
    this.#heap[left.place] = left
    this.#heap[right.place] = right
  }
}

function isBefore(left: Timer, right: Timer): boolean {
  return left.timestamp < right.timestamp || (left.timestamp === right.timestamp && left.order < right.order)
}
