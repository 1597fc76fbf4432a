/**
 * The heart of a simulation: virtual time and everything that waits for it, in one order decided by time and then by asking.
 * Whatever happens outside of a call (a timer, bytes that arrive, a storage call that ends) is an event here, of one owner;
 * what an event sets going in promises is over before the next one begins, so that nothing is left to chance.
 *
 * What always holds: no event runs within another one; the same events in the same order give the same `hash`; nothing of an
 * owner that is gone runs, and what falls due while an owner sleeps runs when it wakes.
 */
import { crc32 } from 'node:zlib'
import type { Timer } from '../../base/index.ts'

const TIME: Float64Array = new Float64Array(1)
const TIME_BITS: Uint32Array = new Uint32Array(TIME.buffer)

/** Who an event happens to. */
export interface EventOwner {
  readonly name: string
  readonly gone: boolean
  readonly asleep: boolean
}

interface PendingEvent {
  atMs: number
  readonly number: number
  readonly owner: EventOwner
  readonly kind: string
  run: (() => void) | undefined
}

/** Events begun before the event loop of Node has its turn. */
const EVENTS_AT_ONCE = 64

/** The brokers, the network between and whoever looks on. */
export const OUTSIDE: EventOwner = { name: 'outside', gone: false, asleep: false }

export class EventLoop {
  readonly #beganMs: number
  readonly #heap: PendingEvent[] = []
  readonly #deferred: Map<EventOwner, PendingEvent[]> = new Map()
  readonly #eventsMax: number
  #nowMs = 0
  #number = 0
  #count = 0
  #hash = 0x811c9dc5
  readonly #words: Map<string, number> = new Map()
  #owner: EventOwner = OUTSIDE
  /** Told of each event, for whoever prints them. */
  onEvent: ((line: string) => void) | undefined

  constructor(options: { readonly beganMs?: number; readonly eventsMax: number }) {
    this.#beganMs = options.beganMs ?? Date.UTC(2024, 0, 1)
    this.#eventsMax = options.eventsMax
  }

  /** Since the simulation began. */
  get elapsedMs(): number {
    return this.#nowMs
  }

  /** Since 1970. */
  get epochMs(): number {
    return this.#beganMs + Math.floor(this.#nowMs)
  }

  /** Whose event runs now, its promises included. */
  get owner(): EventOwner {
    return this.#owner
  }

  get events(): number {
    return this.#count
  }

  /** Of all events so far, and of all that was noted. */
  get hash(): string {
    return `${this.#count}-${(this.#hash >>> 0).toString(16).padStart(8, '0')}`
  }

  /** Computing takes time: a loop that asks for it sees it pass. */
  spend(ms: number): void {
    this.#nowMs += ms
  }

  after(delayMs: number, owner: EventOwner, kind: string, run: () => void): Timer {
    const event: PendingEvent = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      number: this.#number++,
      owner,
      kind,
      run,
    }
    this.#push(event)
    return {
      cancel: () => {
        event.run = undefined
      },
    }
  }

  /** Makes what was done part of the hash. */
  note(what: string, bytes?: Uint8Array): void {
    TIME[0] = this.#nowMs
    this.#mix(TIME_BITS[0] as number)
    this.#mix(TIME_BITS[1] as number)
    this.#mix(this.#word(this.#owner.name))
    this.#mix(this.#word(what))
    if (bytes !== undefined) this.#mix(crc32(bytes))
    this.onEvent?.(`${this.#nowMs.toFixed(3)} ${this.#owner.name} ${what}`)
  }

  #mix(value: number): void {
    const mixed = Math.imul(this.#hash ^ value, 0x01000193)
    this.#hash = mixed ^ (mixed >>> 15)
  }

  #word(text: string): number {
    let known = this.#words.get(text)
    if (known === undefined) {
      known = crc32(text)
      this.#words.set(text, known)
    }
    return known
  }

  /** What fell due while this owner slept. */
  wake(owner: EventOwner): void {
    const deferred = this.#deferred.get(owner) ?? []
    this.#deferred.delete(owner)
    for (const event of deferred) {
      event.atMs = this.#nowMs
      this.#push(event)
    }
  }

  /** Runs events until `over` answers true. Rejects when an event throws, when nothing is left, or after too many. */
  run(over: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let done = false
      const step = (): void => {
        if (done) return
        try {
          done = over()
          if (done) resolve()
          else this.#next()
        } catch (error) {
          done = true
          reject(error)
        }
      }
      // Promises are settled between two immediates, and these cost less than turns of the whole loop.
      const turn = (): void => {
        for (let n = 0; n < EVENTS_AT_ONCE; n++) setImmediate(step)
        setImmediate(() => {
          if (!done) turn()
        })
      }
      turn()
    })
  }

  #next(): void {
    this.#owner = OUTSIDE
    for (;;) {
      const event = this.#pop()
      if (event === undefined) throw new Error('nothing is left that could happen, and the run is not over')
      const { run, owner } = event
      if (run === undefined || owner.gone) continue
      if (owner.asleep) {
        const deferred = this.#deferred.get(owner)
        if (deferred === undefined) this.#deferred.set(owner, [event])
        else deferred.push(event)
        continue
      }
      if (++this.#count > this.#eventsMax) throw new Error(`${this.#eventsMax} events, and the run is not over`)
      this.#nowMs = Math.max(this.#nowMs, event.atMs)
      this.#owner = owner
      this.note(event.kind)
      run()
      return
    }
  }

  #push(event: PendingEvent): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = heap[up] as PendingEvent
      if (!isBefore(event, parent)) break
      heap[at] = parent
      at = up
    }
    heap[at] = event
  }

  #pop(): PendingEvent | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let down = 2 * at + 1
      if (down >= heap.length) break
      const right = down + 1
      if (right < heap.length && isBefore(heap[right] as PendingEvent, heap[down] as PendingEvent)) down = right
      if (!isBefore(heap[down] as PendingEvent, last)) break
      heap[at] = heap[down] as PendingEvent
      at = down
    }
    heap[at] = last
    return first
  }
}

function isBefore(left: PendingEvent, right: PendingEvent): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.number < right.number)
}
