/**
 * The pauses between a failure and the next attempt, one class a strategy, each after Flink's of the same name
 * (`RestartBackoffTimeStrategy`): told of a failure it answers the pause, or undefined when there have been too many.
 */
import type { Clock, Random } from '../../base/index.ts'

export interface Backoff {
  /** The pause in milliseconds before the next attempt; undefined: none any more. */
  onFailure(): number | undefined
  /** The longest pause it can answer. */
  readonly longestMs: number
}

export class NoRestart implements Backoff {
  readonly longestMs = 0

  onFailure(): undefined {
    return undefined
  }
}

/** So many attempts in all, the same pause before each. */
export class FixedDelay implements Backoff {
  readonly longestMs: number
  readonly #attempts: number
  #used = 0

  constructor(options: { readonly attempts: number; readonly delayMs: number }) {
    this.#attempts = options.attempts
    this.longestMs = options.delayMs
  }

  onFailure(): number | undefined {
    return this.#used++ < this.#attempts ? this.longestMs : undefined
  }
}

export interface ExponentialDelayOptions {
  readonly initialMs: number
  readonly maxMs: number
  readonly multiplier: number
  readonly resetAfterMs: number
  readonly jitter: number
  readonly attempts: number
}

/**
 * The pause grows with each failure up to a bound, give or take a jitter that never leads below the first pause or above the
 * bound. Running for the threshold without a failure, counted from the restart, begins it anew.
 */
export class ExponentialDelay implements Backoff {
  readonly longestMs: number
  readonly #options: ExponentialDelayOptions
  readonly #clock: Clock
  readonly #random: Random
  #attempt = 0
  #restartMs = Number.NEGATIVE_INFINITY

  constructor(options: ExponentialDelayOptions, clock: Clock, random: Random) {
    this.#options = options
    this.#clock = clock
    this.#random = random
    this.longestMs = Math.max(options.initialMs, options.maxMs)
  }

  onFailure(): number | undefined {
    const { attempts, resetAfterMs } = this.#options
    const nowMs = this.#clock.monotonic()
    if (nowMs - this.#restartMs >= resetAfterMs) this.#attempt = 0
    const pauseMs = this.#pause()
    this.#restartMs = nowMs + pauseMs
    this.#attempt++
    return this.#attempt > attempts ? undefined : pauseMs
  }

  #pause(): number {
    const { initialMs, multiplier, jitter } = this.#options
    const pauseMs = Math.min(this.longestMs, initialMs * multiplier ** this.#attempt)
    const offsetMs = jitter === 0 ? 0 : pauseMs * jitter * (2 * this.#random.next() - 1)
    return Math.round(Math.max(initialMs, Math.min(this.longestMs, pauseMs + offsetMs)))
  }
}

/** The same pause before each, until more failures than allowed fall within one interval. */
export class FailureRate implements Backoff {
  readonly longestMs: number
  readonly #failures: number
  readonly #intervalMs: number
  readonly #clock: Clock
  /** When the last ones came, one more than are allowed. */
  readonly #failedMs: number[] = []

  constructor(
    options: { readonly failures: number; readonly intervalMs: number; readonly delayMs: number },
    clock: Clock,
  ) {
    this.#failures = options.failures
    this.#intervalMs = options.intervalMs
    this.longestMs = options.delayMs
    this.#clock = clock
  }

  onFailure(): number | undefined {
    const nowMs = this.#clock.monotonic()
    this.#failedMs.push(nowMs)
    if (this.#failedMs.length > this.#failures + 1) this.#failedMs.shift()
    const [earliestMs = nowMs] = this.#failedMs
    const tooMany = this.#failedMs.length > this.#failures && nowMs - earliestMs <= this.#intervalMs
    return tooMany ? undefined : this.longestMs
  }
}
