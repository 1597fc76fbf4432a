/**
 * Averages, maxima and rates over the last minute or so, as Kafka's clients keep them (metrics.num.samples=2 of
 * metrics.sample.window.ms=30000): the stretch that is being filled and the one before it. Nothing is kept per value.
 */
import type { Clock } from '../../base/index.ts'

const SAMPLE_MS = 30_000

class Sample {
  fromMs: number
  count = 0
  sum = 0
  max = Number.NEGATIVE_INFINITY

  constructor(fromMs: number) {
    this.fromMs = fromMs
  }
}

export class SampledStat {
  readonly #clock: Clock
  #before: Sample | undefined
  #current: Sample | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  record(value: number): void {
    const now = this.#clock.monotonic()
    this.#age(now)
    this.#current ??= new Sample(now)
    const sample = this.#current
    sample.count++
    sample.sum += value
    if (value > sample.max) sample.max = value
  }

  /** NaN when nothing was recorded lately, as in Java. */
  get average(): number {
    return this.sum / this.count
  }

  get maximum(): number {
    this.#age(this.#clock.monotonic())
    const max = Math.max(this.#before?.max ?? Number.NEGATIVE_INFINITY, this.#current?.max ?? Number.NEGATIVE_INFINITY)
    return max === Number.NEGATIVE_INFINITY ? Number.NaN : max
  }

  /** Values recorded lately. */
  get count(): number {
    this.#age(this.#clock.monotonic())
    return (this.#before?.count ?? 0) + (this.#current?.count ?? 0)
  }

  get sum(): number {
    this.#age(this.#clock.monotonic())
    return (this.#before?.sum ?? 0) + (this.#current?.sum ?? 0)
  }

  /** The recorded values' sum a second. */
  get sumRate(): number {
    return this.sum / this.#seconds()
  }

  /** Recordings a second. */
  get countRate(): number {
    return this.count / this.#seconds()
  }

  /** A young statistic is spread over a whole sample, so that its first second is no peak. */
  #seconds(): number {
    const now = this.#clock.monotonic()
    const fromMs = (this.#before ?? this.#current)?.fromMs ?? now
    const elapsedMs = now - fromMs
    return (elapsedMs < SAMPLE_MS ? elapsedMs + SAMPLE_MS : elapsedMs) / 1000
  }

  #age(now: number): void {
    const current = this.#current
    if (current !== undefined && now - current.fromMs >= SAMPLE_MS) {
      this.#before = current
      this.#current = undefined
    }
    if (this.#before !== undefined && now - this.#before.fromMs >= 2 * SAMPLE_MS) this.#before = undefined
  }
}
