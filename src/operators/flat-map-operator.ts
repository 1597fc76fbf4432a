/**
 * flatMap: one element in, any number out: collected, or answered as an array, or both. The collector is one object for the
 * operator's life. It remembers a failure further down the chain: that failure is passed on unwrapped, and is not lost
 * when the user's function catches everything. Collecting after the function has returned is refused, because a barrier may
 * have passed between and the element would belong to neither side.
 */
import { MillraceError } from '../base/index.ts'
import type { Collector, FlatMapFunction, Operator, OperatorContext, OperatorFactory, Output } from '../core/index.ts'
import {
  closeUserFunction,
  isThenable,
  openUserFunction,
  userFunctionAsync,
  userFunctionFailed,
} from './user-function.ts'

/** `void` and not only `undefined`: a function without a `return` is the common case, an async one must not fit. */
export type FlatMapResult<Out> =
  | readonly Out[]
  // biome-ignore lint/suspicious/noConfusingVoidType: see above
  | void

export type FlatMapCallback<In, Out> =
  | ((value: In, out: Collector<Out>) => FlatMapResult<Out>)
  | FlatMapFunction<In, Out>

export function flatMapOperator<In, Out>(fn: FlatMapCallback<In, Out>): OperatorFactory<In, Out> {
  return { create: (context, output) => new FlatMapOperator(fn, context, output) }
}

export class FlatMapOperator<In, Out> implements Operator<In> {
  readonly #fn: FlatMapCallback<In, Out>
  readonly #call: (value: In, out: Collector<Out>) => FlatMapResult<Out>
  readonly #context: OperatorContext
  readonly #output: Output<Out>
  readonly #collector: ChainCollector<Out>

  constructor(fn: FlatMapCallback<In, Out>, context: OperatorContext, output: Output<Out>) {
    this.#fn = fn
    this.#call = typeof fn === 'function' ? fn : (value, out) => fn.flatMap(value, out)
    this.#context = context
    this.#output = output
    this.#collector = new ChainCollector(output, context)
  }

  open(): Promise<void> {
    return openUserFunction(this.#fn, this.#context)
  }

  emit(value: In): void {
    const call = this.#call
    const collector = this.#collector
    let result: unknown
    collector.open = true
    try {
      result = call(value, collector)
    } catch (error) {
      throw collector.failed ? collector.failure : userFunctionFailed(this.#context, 'flatMap', error)
    } finally {
      collector.open = false
    }
    if (collector.failed) throw collector.failure
    if (result !== undefined) this.#emitResult(result)
  }

  emitWatermark(timestamp: number): void {
    this.#output.emitWatermark(timestamp)
  }

  emitIdle(idle: boolean): void {
    this.#output.emitIdle(idle)
  }

  close(): Promise<void> {
    return closeUserFunction(this.#fn, this.#context)
  }

  /** Only an array is taken apart: a string is an element somebody forgot to wrap, not a list of characters. */
  #emitResult(result: unknown): void {
    if (Array.isArray(result)) {
      for (let i = 0; i < result.length; i++) this.#output.emit(result[i])
    } else if (isThenable(result)) {
      throw userFunctionAsync(this.#context, 'flatMap', result)
    }
  }
}

class ChainCollector<Out> implements Collector<Out> {
  open = false
  failed = false
  failure: unknown
  readonly #output: Output<Out>
  readonly #context: OperatorContext

  constructor(output: Output<Out>, context: OperatorContext) {
    this.#output = output
    this.#context = context
  }

  collect(value: Out): void {
    if (!this.open) throw this.#collectedLate()
    try {
      this.#output.emit(value)
    } catch (error) {
      this.failed = true
      this.failure = error
      throw error
    }
  }

  /** Kept as a failure, because whoever called `collect` late (a timer, a promise) is not the task. */
  #collectedLate(): unknown {
    if (!this.failed) {
      this.failed = true
      this.failure = new MillraceError(
        'USER_FUNCTION_ASYNC',
        `flatMap of operator "${this.#context.operatorName}" (uid ${this.#context.uid}, subtask ` +
          `${this.#context.subtask}) collected after it had returned; use asyncMap for a function that waits`,
        { next: 'The task fails with the next element. The element collected late was not passed on.' },
      )
    }
    return this.failure
  }
}
