/**
 * Time that stands still until a test moves it. Timers fire in the order of their time, and of their making where that is
 * equal, never by themselves. `advance` moves time in one go; `pass` gives promises a turn of the event loop after every
 * timer, so that work which sets further timers goes on as it would in real time.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Clock, sleepOn, type Timer } from '../base/index.ts'

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

  #fireNext(endMs: number): boolean {
    const [next] = this.#timers
    if (next === undefined || next.dueMs > endMs) return false
    this.#timers.shift()
    this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs)
    next.callback()
    return true
  }
}
