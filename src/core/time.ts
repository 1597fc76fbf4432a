/**
 * Event time. A watermark t says that no element with a timestamp of t or less is expected any more. A strategy makes a
 * generator per split, so that a slow partition is never overtaken by a fast one; the source combines them (minimum over
 * those that are not idle). Timestamps are milliseconds since 1970 UTC.
 */

/** The timestamp of an element that has none. */
export const NO_TIMESTAMP: number = Number.NEGATIVE_INFINITY
/** The watermark that ends event time: sent when the input has ended. */
export const MAX_WATERMARK: number = Number.POSITIVE_INFINITY

/**
 * The timestamp of the element that a chain is working on. One instance a chain: whoever introduces an element sets it
 * before `emit`, whoever changes the timestamp of what follows sets it and puts it back. It is a field and not an argument
 * because a number beyond 31 bits passed to a call that is not inlined costs an allocation for every record.
 */
export class ElementTime {
  timestamp: number = NO_TIMESTAMP
}

export interface WatermarkOutput {
  emitWatermark(timestamp: number): void
  markIdle(): void
  markActive(): void
}

export interface WatermarkGenerator<T> {
  onEvent(value: T, timestamp: number, output: WatermarkOutput): void
  /** Called every `pipeline.auto-watermark-interval` (200 ms by default). */
  onPeriodicEmit(output: WatermarkOutput): void
}

export type TimestampAssigner<T> = (value: T, recordTimestamp: number) => number

/** How event time is read and how far it is believed to have come; the public WatermarkStrategy implements it. */
export interface WatermarkPlan<T> {
  /** Undefined when there are no watermarks: then nothing is done per record. */
  readonly createGenerator: (() => WatermarkGenerator<T>) | undefined
  readonly timestampAssigner: TimestampAssigner<T> | undefined
  readonly idleTimeoutMs: number | undefined
  readonly alignment:
    | { readonly group: string; readonly maxDriftMs: number; readonly updateIntervalMs: number }
    | undefined
}
