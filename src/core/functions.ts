/**
 * What users write: plain functions, or objects with `open` and `close` round the same function. `open` may be async; the
 * function itself may not (asyncMap is for that).
 */
import type { Accumulator } from './accumulator.ts'
import type { RuntimeContext } from './operator.ts'

/** What `open` of a function gets. */
export interface FunctionContext extends RuntimeContext {
  /** A figure for the job's result, merged over all subtasks. Each name once in a function. */
  addAccumulator<T>(name: string, accumulator: Accumulator<T>): void
  /** What was added under that name by this function; undefined when nothing was. */
  getAccumulator(name: string): Accumulator<never> | undefined
}

export interface RichFunction {
  open?(context: FunctionContext): void | Promise<void>
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

export interface ReduceFunction<T> extends RichFunction {
  /** `left` is what was made so far, `right` the new element. */
  reduce(left: T, right: T): Sync<T>
}
