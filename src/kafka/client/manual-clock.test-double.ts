/**
 * For tests: a clock that is moved by hand. After each timer whatever waits for nothing but its turn may run, so that a test
 * sees the same order every time.
 */
import { type Clock, sleepOn, type Timer } from '../../base/index.ts'

export class ManualClock implements Clock {
  #now = 0
  #timers: { readonly atMs: number; readonly callback: () => void }[] = []

  now(): number {
    return 1_700_000_000_000 + this.#now
  }

  monotonic(): number {
    return this.#now
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { atMs: this.#now + delayMs, callback }
    this.#timers.push(timer)
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) }
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal)
  }

  nextTurn(): Promise<void> {
    return settle()
  }

  get timers(): number {
    return this.#timers.length
  }

  /** Moves on, firing what becomes due one by one in its order. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (;;) {
      const due = this.#timers.filter((timer) => timer.atMs <= end).sort((a, b) => a.atMs - b.atMs)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter((other) => other !== due)
      this.#now = Math.max(this.#now, due.atMs)
      due.callback()
      await settle()
    }
    this.#now = end
    // A request, its answer and what follows from it take a few turns.
    for (let turn = 0; turn < 8; turn++) await settle()
  }
}

/** Lets everything run that waits for nothing but its turn. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
