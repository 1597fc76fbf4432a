/**
 * flatMap: one element in, any number out: collected, or answered as an array, or both. What is collected goes down the chain at
 * once, in its order.
 */
import type { Collector, FlatMapFunction, Operator, OperatorContext, OperatorFactory, Output } from '../core/index.ts'
import { ChainCollector } from './chain-collector.ts'
import { closeUserFunction, isThenable, openUserFunction, userFunctionAsync } from './user-function.ts'

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
    this.#collector = new ChainCollector(output, context, 'flatMap')
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
      throw collector.failureOf('flatMap', error)
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
