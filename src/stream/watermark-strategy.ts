/**
 * How a job reads event time and how far it believes it to have come (Flink: WatermarkStrategy). A strategy is a value:
 * each `with…` answers a new one. It makes one generator per split, so that a slow partition is never overtaken by a fast
 * one.
 *
 *     WatermarkStrategy.forBoundedOutOfOrderness(5_000)
 *       .withTimestampAssigner((order: Order) => order.at)
 *       .withIdleness(60_000)
 */
import { MillraceError } from '../base/index.ts'
import {
  NO_TIMESTAMP,
  type TimestampAssigner,
  type WatermarkGenerator,
  type WatermarkOutput,
  type WatermarkPlan,
} from '../core/index.ts'

export class WatermarkStrategy<T> implements WatermarkPlan<T> {
  readonly createGenerator: (() => WatermarkGenerator<T>) | undefined
  readonly timestampAssigner: TimestampAssigner<T> | undefined
  readonly idleTimeoutMs: number | undefined
  readonly alignment: WatermarkPlan<T>['alignment']

  private constructor(plan: WatermarkPlan<T>) {
    this.createGenerator = plan.createGenerator
    this.timestampAssigner = plan.timestampAssigner
    this.idleTimeoutMs = plan.idleTimeoutMs
    this.alignment = plan.alignment
  }

  /** No event time beyond the timestamps that records carry: windows over event time end with the input only. */
  static noWatermarks<T = unknown>(): WatermarkStrategy<T> {
    return new WatermarkStrategy<T>({
      createGenerator: undefined,
      timestampAssigner: undefined,
      idleTimeoutMs: undefined,
      alignment: undefined,
    })
  }

  /** Timestamps of a split never fall. */
  static forMonotonousTimestamps<T = unknown>(): WatermarkStrategy<T> {
    return WatermarkStrategy.forBoundedOutOfOrderness<T>(0)
  }

  /** An element may come up to `maxOutOfOrdernessMs` of event time after a younger one of its split. */
  static forBoundedOutOfOrderness<T = unknown>(maxOutOfOrdernessMs: number): WatermarkStrategy<T> {
    atLeast('WatermarkStrategy.forBoundedOutOfOrderness', maxOutOfOrdernessMs, 0)
    return WatermarkStrategy.forGenerator<T>(() => new BoundedOutOfOrderness(maxOutOfOrdernessMs))
  }

  /** A generator of one's own; the factory is called once per split. */
  static forGenerator<T = unknown>(createGenerator: () => WatermarkGenerator<T>): WatermarkStrategy<T> {
    return new WatermarkStrategy<T>({ ...WatermarkStrategy.noWatermarks<T>(), createGenerator })
  }

  /** The event time of an element; without an assigner it is the record's own timestamp. */
  withTimestampAssigner<S extends T>(timestampAssigner: TimestampAssigner<S>): WatermarkStrategy<S> {
    return new WatermarkStrategy<S>({ ...(this as WatermarkPlan<S>), timestampAssigner })
  }

  /** A split without elements for this long is not waited for. */
  withIdleness(idleTimeoutMs: number): WatermarkStrategy<T> {
    atLeast('WatermarkStrategy.withIdleness', idleTimeoutMs, 1)
    return new WatermarkStrategy<T>({ ...this, idleTimeoutMs })
  }

  /** Sources of one group are held back when they run ahead of its slowest by more than `maxDriftMs`. */
  withWatermarkAlignment(group: string, maxDriftMs: number, updateIntervalMs = 1_000): WatermarkStrategy<T> {
    atLeast('WatermarkStrategy.withWatermarkAlignment: maxDriftMs', maxDriftMs, 0)
    atLeast('WatermarkStrategy.withWatermarkAlignment: updateIntervalMs', updateIntervalMs, 1)
    return new WatermarkStrategy<T>({ ...this, alignment: { group, maxDriftMs, updateIntervalMs } })
  }
}

class BoundedOutOfOrderness implements WatermarkGenerator<unknown> {
  readonly #maxOutOfOrdernessMs: number
  #highest = NO_TIMESTAMP

  constructor(maxOutOfOrdernessMs: number) {
    this.#maxOutOfOrdernessMs = maxOutOfOrdernessMs
  }

  onEvent(_value: unknown, timestamp: number): void {
    if (timestamp > this.#highest) this.#highest = timestamp
  }

  /** One less than what may still come: an element with exactly that timestamp is not late. */
  onPeriodicEmit(output: WatermarkOutput): void {
    if (this.#highest !== NO_TIMESTAMP) output.emitWatermark(this.#highest - this.#maxOutOfOrdernessMs - 1)
  }
}

function atLeast(what: string, value: number, lowest: number): void {
  if (Number.isFinite(value) && value >= lowest) return
  throw new MillraceError('OPTION_INVALID', `${what}: ${value} must be a number of milliseconds, at least ${lowest}`)
}
