/**
 * Where a reader's elements enter the chain. Each split has an output of its own, so that timestamps and watermarks are
 * made per split; the chain sees the minimum over the splits that are not idle (Flink: WatermarkOutputMultiplexer).
 * Without a watermark strategy an output only counts and passes on.
 */
import type { Clock } from '../../base/index.ts'
import {
  type Counter,
  type ElementTime,
  MAX_WATERMARK,
  type Output,
  type ReaderOutput,
  type SplitOutput,
  type WatermarkGenerator,
  type WatermarkOutput,
  type WatermarkPlan,
} from '../../core/index.ts'

export interface ChainHead {
  readonly first: Output<unknown>
  /** True when some operator of the chain wants no more elements for now. */
  readonly blocked: boolean
}

export interface SourceOutputOptions {
  readonly head: ChainHead
  readonly plan: WatermarkPlan<unknown>
  readonly time: ElementTime
  readonly records: Counter
  readonly clock: Clock
}

export class SourceOutput implements ReaderOutput<unknown> {
  readonly #options: SourceOutputOptions
  readonly #splits = new Map<string, SplitOutput<unknown>>()
  readonly #timed = new Map<string, TimedSplitOutput>()
  #watermark = Number.NEGATIVE_INFINITY
  #idle = false

  constructor(options: SourceOutputOptions) {
    this.#options = options
  }

  forSplit(splitId: string): SplitOutput<unknown> {
    const known = this.#splits.get(splitId)
    if (known !== undefined) return known
    const { plan, head, records } = this.#options
    if (plan.createGenerator === undefined && plan.timestampAssigner === undefined) {
      const plain = new PlainSplitOutput(head, records)
      this.#splits.set(splitId, plain)
      return plain
    }
    const timed = new TimedSplitOutput(this.#options, () => this.#combine())
    this.#splits.set(splitId, timed)
    this.#timed.set(splitId, timed)
    return timed
  }

  releaseSplit(splitId: string): void {
    this.#splits.delete(splitId)
    if (this.#timed.delete(splitId) && this.#timed.size > 0) this.#combine()
  }

  /** Called every watermark interval. */
  onPeriodicEmit(): void {
    for (const split of this.#timed.values()) split.onPeriodicEmit()
  }

  /** All input has ended. */
  end(): void {
    this.#options.head.first.emitWatermark(MAX_WATERMARK)
  }

  #combine(): void {
    let lowest = Number.POSITIVE_INFINITY
    let active = false
    for (const split of this.#timed.values()) {
      if (split.idle) continue
      active = true
      lowest = Math.min(lowest, split.watermark)
    }
    const { first } = this.#options.head
    if (this.#idle === active) {
      this.#idle = !active
      first.emitIdle(!active)
    }
    if (active && lowest > this.#watermark) {
      this.#watermark = lowest
      first.emitWatermark(lowest)
    }
  }
}

class PlainSplitOutput implements SplitOutput<unknown> {
  readonly #head: ChainHead
  readonly #first: Output<unknown>
  readonly #records: Counter

  constructor(head: ChainHead, records: Counter) {
    this.#head = head
    this.#first = head.first
    this.#records = records
  }

  get blocked(): boolean {
    return this.#head.blocked
  }

  emit(value: unknown): void {
    this.#records.value++
    this.#first.emit(value)
  }

  emitWatermark(): void {}

  emitIdle(): void {}
}

class TimedSplitOutput implements SplitOutput<unknown>, WatermarkOutput {
  watermark: number = Number.NEGATIVE_INFINITY
  idle = false
  readonly #options: SourceOutputOptions
  readonly #generator: WatermarkGenerator<unknown> | undefined
  readonly #changed: () => void
  #seen = 0
  #seenAtLastCheck = 0
  #quietSinceMs: number

  constructor(options: SourceOutputOptions, changed: () => void) {
    this.#options = options
    this.#changed = changed
    this.#generator = options.plan.createGenerator?.()
    this.#quietSinceMs = options.clock.monotonic()
  }

  get blocked(): boolean {
    return this.#options.head.blocked
  }

  emit(value: unknown): void {
    const { plan, time, head, records } = this.#options
    if (plan.timestampAssigner !== undefined) time.timestamp = plan.timestampAssigner(value, time.timestamp)
    const timestamp = time.timestamp
    this.#seen++
    if (this.idle) this.markActive()
    records.value++
    head.first.emit(value)
    this.#generator?.onEvent(value, timestamp, this)
  }

  onPeriodicEmit(): void {
    const { plan, clock } = this.#options
    this.#generator?.onPeriodicEmit(this)
    if (plan.idleTimeoutMs === undefined) return
    const now = clock.monotonic()
    if (this.#seen !== this.#seenAtLastCheck) {
      this.#seenAtLastCheck = this.#seen
      this.#quietSinceMs = now
    } else if (now - this.#quietSinceMs >= plan.idleTimeoutMs) {
      this.markIdle()
    }
  }

  emitWatermark(timestamp: number): void {
    if (timestamp <= this.watermark) return
    this.watermark = timestamp
    this.markActive()
    this.#changed()
  }

  emitIdle(idle: boolean): void {
    if (idle) this.markIdle()
    else this.markActive()
  }

  markIdle(): void {
    if (this.idle) return
    this.idle = true
    this.#changed()
  }

  markActive(): void {
    if (!this.idle) return
    this.idle = false
    this.#quietSinceMs = this.#options.clock.monotonic()
    this.#changed()
  }
}
