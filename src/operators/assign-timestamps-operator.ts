/**
 * assignTimestampsAndWatermarks: gives elements a new event time and makes the watermarks of what follows (Flink:
 * TimestampsAndWatermarksOperator). Watermarks and idleness from before end here, because the new event time has nothing to
 * do with the old one; only the watermark that ends event time goes through. Watermarks passed on only rise.
 *
 * The periodic call comes from a timer, which runs between elements and never inside one. What the user's generator throws
 * there is kept and thrown by the next call of the task.
 */
import { type Timer, toError } from '../base/index.ts'
import {
  MAX_WATERMARK,
  type Operator,
  type OperatorContext,
  type OperatorFactory,
  type Output,
  type WatermarkGenerator,
  type WatermarkOutput,
  type WatermarkPlan,
} from '../core/index.ts'
import { userFunctionFailed } from './user-function.ts'

export interface AssignTimestampsOptions {
  /** `pipeline.auto-watermark-interval`. */
  readonly watermarkIntervalMs: number
}

export function assignTimestampsAndWatermarks<T>(
  plan: WatermarkPlan<T>,
  options: AssignTimestampsOptions,
): OperatorFactory<T, T> {
  return { create: (context, output) => new AssignTimestampsOperator(plan, options, context, output) }
}

export class AssignTimestampsOperator<T> implements Operator<T> {
  readonly #plan: WatermarkPlan<T>
  readonly #options: AssignTimestampsOptions
  readonly #context: OperatorContext
  readonly #output: Output<T>
  readonly #generator: WatermarkGenerator<T> | undefined
  readonly #made: MadeWatermarks
  /** Elements since the last periodic call: tells idleness without reading the clock for each. */
  #seen = 0
  #lastSeenMs = 0
  #timer: Timer | undefined
  #failure: Error | undefined

  constructor(plan: WatermarkPlan<T>, options: AssignTimestampsOptions, context: OperatorContext, output: Output<T>) {
    this.#plan = plan
    this.#options = options
    this.#context = context
    this.#output = output
    this.#generator = plan.createGenerator?.()
    this.#made = new MadeWatermarks(output)
  }

  open(): void {
    this.#lastSeenMs = this.#context.clock.monotonic()
    if (this.#generator !== undefined) this.#setTimer()
  }

  emit(value: T): void {
    if (this.#failure !== undefined) throw this.#failure
    const time = this.#context.time
    const before = time.timestamp
    if (this.#plan.timestampAssigner !== undefined) time.timestamp = this.#assign(value, before)
    if (this.#made.idle) this.#made.markActive()
    this.#output.emit(value)
    if (this.#generator !== undefined) this.#onEvent(this.#generator, value, time.timestamp)
    time.timestamp = before
  }

  emitWatermark(timestamp: number): void {
    if (this.#failure !== undefined) throw this.#failure
    if (timestamp === MAX_WATERMARK) this.#made.emitWatermark(MAX_WATERMARK)
  }

  emitIdle(_idle: boolean): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  snapshot(): undefined {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** The generator's last word; the watermark that ends event time comes from the source. */
  finish(): void {
    this.#timer?.cancel()
    if (this.#failure === undefined && this.#generator !== undefined) this.#periodic(this.#generator)
    if (this.#failure !== undefined) throw this.#failure
  }

  async close(): Promise<void> {
    this.#timer?.cancel()
  }

  #assign(value: T, before: number): number {
    let timestamp: number | undefined
    try {
      timestamp = this.#plan.timestampAssigner?.(value, before)
    } catch (error) {
      throw userFunctionFailed(this.#context, 'the timestamp assigner', error)
    }
    if (typeof timestamp === 'number' && !Number.isNaN(timestamp)) return timestamp
    throw userFunctionFailed(
      this.#context,
      'the timestamp assigner',
      new TypeError(`a timestamp must be a number of milliseconds, not ${String(timestamp)}`),
    )
  }

  #onEvent(generator: WatermarkGenerator<T>, value: T, timestamp: number): void {
    this.#seen++
    try {
      generator.onEvent(value, timestamp, this.#made)
    } catch (error) {
      throw this.#made.failed ? error : userFunctionFailed(this.#context, 'the watermark generator', error)
    }
  }

  #setTimer(): void {
    const tick = (): void => {
      if (this.#generator !== undefined) this.#periodic(this.#generator)
      if (this.#failure === undefined) this.#setTimer()
    }
    this.#timer = this.#context.clock.setTimer(this.#options.watermarkIntervalMs, tick, { background: true })
  }

  #periodic(generator: WatermarkGenerator<T>): void {
    try {
      this.#checkIdle()
      if (!this.#made.idle) generator.onPeriodicEmit(this.#made)
    } catch (error) {
      this.#failure = this.#made.failed
        ? toError(error)
        : userFunctionFailed(this.#context, 'the watermark generator', error)
    }
  }

  #checkIdle(): void {
    const timeoutMs = this.#plan.idleTimeoutMs
    if (timeoutMs === undefined) return
    const nowMs = this.#context.clock.monotonic()
    if (this.#seen > 0) {
      this.#seen = 0
      this.#lastSeenMs = nowMs
    } else if (nowMs - this.#lastSeenMs >= timeoutMs) {
      this.#made.markIdle()
    }
  }
}

/** What the generator writes to: lets only rising watermarks and changes of idleness through. */
class MadeWatermarks implements WatermarkOutput {
  idle = false
  /** True when what was thrown came from further down the chain and not from the generator. */
  failed = false
  #watermark = Number.NEGATIVE_INFINITY
  readonly #output: Output<unknown>

  constructor(output: Output<never>) {
    this.#output = output as Output<unknown>
  }

  emitWatermark(timestamp: number): void {
    if (!(timestamp > this.#watermark)) return
    this.markActive()
    this.#watermark = timestamp
    try {
      this.#output.emitWatermark(timestamp)
    } catch (error) {
      this.failed = true
      throw error
    }
  }

  markIdle(): void {
    this.#setIdle(true)
  }

  markActive(): void {
    this.#setIdle(false)
  }

  #setIdle(idle: boolean): void {
    if (this.idle === idle) return
    this.idle = idle
    try {
      this.#output.emitIdle(idle)
    } catch (error) {
      this.failed = true
      throw error
    }
  }
}
