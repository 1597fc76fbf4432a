/**
 * Time that stands still until a test moves it. Timers fire in the order of their time, and of their making where that is
 * equal, never by themselves. `advance` moves time in one go; `pass` gives promises a turn of the event loop after every
 * timer, so that work which sets further timers goes on as it would in real time. `until` makes it virtual time: it runs on to the
 * next timer whenever nothing else happens, as long as a promise is open.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Clock, sleepOn, type Timer } from '../base/index.ts'

/** Turns of the event loop in which nothing is left to do but to wait: an answer of a broker in this process takes fewer. */
const QUIET_TURNS = 32
/** In so many nobody waits for time; what keeps the promise open is no timer of this clock. */
const STANDSTILL_TURNS = 20_000
const UNTIL_LIMIT_MS = 24 * 3_600_000

interface PendingTimer {
  readonly dueMs: number
  readonly callback: () => void
}

export class SimulatedClock implements Clock {
  readonly #beganMs: number
  #elapsedMs = 0
  /** In the order in which they will fire. */
  #timers: PendingTimer[] = []

  /** `nowMs`: what `now` answers at first. */
  constructor(nowMs: number = Date.UTC(2024, 0, 1)) {
    this.#beganMs = nowMs
  }

  now(): number {
    return this.#beganMs + Math.floor(this.#elapsedMs)
  }

  monotonic(): number {
    return this.#elapsedMs
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer: PendingTimer = { dueMs: this.#elapsedMs + Math.max(0, delayMs), callback }
    const after = this.#timers.findIndex((other) => other.dueMs > timer.dueMs)
    this.#timers.splice(after < 0 ? this.#timers.length : after, 0, timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer)
      },
    }
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal)
  }

  nextTurn(): Promise<void> {
    return nextTurn()
  }

  /** Timers that were neither fired nor cancelled. */
  get pendingTimers(): number {
    return this.#timers.length
  }

  /** Moves time on, firing what falls due, timers that these set included. */
  advance(ms: number): void {
    const endMs = this.#elapsedMs + ms
    while (this.#fireNext(endMs));
    this.#elapsedMs = endMs
  }

  /** The same, with a turn of the event loop before the first and after every timer, and one at the end. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms
    await nextTurn()
    while (this.#fireNext(endMs)) await nextTurn()
    this.#elapsedMs = endMs
    await nextTurn()
  }

  /**
   * Lets time pass while the promise is open, from timer to timer, and answers what it answers. Work between two timers is given time to end, that
   * of a Kafka in this process included. Rejects when it is still open after `limitMs`, a day if not told otherwise, or when nobody waits for time.
   */
  async until<T>(work: Promise<T>, limitMs: number = UNTIL_LIMIT_MS): Promise<T> {
    let open = true
    const end = (): void => {
      open = false
    }
    work.then(end, end)
    const endMs = this.#elapsedMs + limitMs
    for (let quiet = 0; open; quiet++) {
      await nextTurn()
      if (quiet < QUIET_TURNS || !open) continue
      if (this.#fireNext(endMs)) quiet = 0
      else if (this.#timers.length > 0) throw new Error(`what was waited for did not happen in ${limitMs} ms`)
      else if (quiet > STANDSTILL_TURNS)
        throw new Error('what was waited for does not depend on this clock: no timer is left')
    }
    return work
  }

  #fireNext(endMs: number): boolean {
    const [next] = this.#timers
    if (next === undefined || next.dueMs > endMs) return false
    this.#timers.shift()
    this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs)
    next.callback()
    return true
  }
}
