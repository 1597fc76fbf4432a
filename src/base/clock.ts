/**
 * Time as a port. Everything that reads the clock or waits does it through a Clock given to its constructor, so that the
 * simulator can run a job's hours in milliseconds and replay them exactly. `now` is for people and for event time;
 * `monotonic` is for measuring and for deadlines, and never goes back.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'

export interface Timer {
  /** Idempotent; a timer that fired already is not affected. */
  cancel(): void
}

export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number
  /** Milliseconds from an arbitrary point, with fractions; never decreases. */
  monotonic(): number
  /** Calls back once after `delayMs`. An unfired timer keeps the process alive unless `background` is set. */
  setTimer(delayMs: number, callback: () => void, options?: { readonly background?: boolean }): Timer
  /** Resolves after `delayMs`; rejects with the signal's reason when it is aborted first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
  /** Resolves on the next turn of the event loop, after pending I/O had its chance. */
  nextTurn(): Promise<void>
}

/** `setTimeout` takes a longer delay for 1 ms. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

export class SystemClock implements Clock {
  now(): number {
    return Date.now()
  }

  monotonic(): number {
    return performance.now()
  }

  setTimer(delayMs: number, callback: () => void, options?: { readonly background?: boolean }): Timer {
    let handle: NodeJS.Timeout
    const wait = (restMs: number): void => {
      const longer = restMs > LONGEST_TIMEOUT_MS
      handle = setTimeout(
        longer ? () => wait(restMs - LONGEST_TIMEOUT_MS) : callback,
        longer ? LONGEST_TIMEOUT_MS : restMs,
      )
      if (options?.background === true) handle.unref()
    }
    wait(delayMs)
    return { cancel: () => clearTimeout(handle) }
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal)
  }

  nextTurn(): Promise<void> {
    return nextTurn()
  }
}

/** `sleep` for any clock that has timers. */
export function sleepOn(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const onAbort = (): void => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
