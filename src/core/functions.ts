/**
 * What users write: plain functions, or objects with `open` and `close` round the same function. `open` may be async; the
 * function itself may not (asyncMap is for that).
 */
import type { RuntimeContext } from './operator.ts'

export interface RichFunction {
  open?(context: RuntimeContext): void | Promise<void>
  close?(): void | Promise<void>
}

export interface Collector<T> {
  collect(value: T): void
}

/** Not a promise: an async function is a compile error here. */
export type Sync<T> = T extends PromiseLike<unknown> ? never : T

export interface MapFunction<In, Out> extends RichFunction {
  map(value: In): Sync<Out>
}

export interface FilterFunction<T> extends RichFunction {
  filter(value: T): boolean
}

export interface FlatMapFunction<In, Out> extends RichFunction {
  flatMap(value: In, out: Collector<Out>): void
}
