/**
 * reduce behind keyBy: keeps one element a key and emits what it has become with each new one (Flink: StreamGroupedReduceOperator).
 */
import { assert } from '../base/index.ts'
import type {
  Operator,
  OperatorContext,
  OperatorFactory,
  Output,
  ReduceFunction,
  StateDescriptor,
  ValueState,
} from '../core/index.ts'
import {
  closeUserFunction,
  isThenable,
  openUserFunction,
  userFunctionAsync,
  userFunctionFailed,
} from './user-function.ts'

/** As a method's type, so that a stream of more exact elements is also a stream of the wider ones. */
export type ReduceCallback<T> = ReduceFunction<T>['reduce'] | ReduceFunction<T>

const REDUCED: StateDescriptor = { kind: 'value', name: 'reduced' }

/** `method` is how messages call the function, e.g. `sum`. */
export function keyedReduceOperator<T>(fn: ReduceCallback<T>, method = 'reduce'): OperatorFactory<T, T> {
  return { create: (context, output) => new KeyedReduceOperator(fn, method, context, output) }
}

export class KeyedReduceOperator<T> implements Operator<T> {
  readonly #fn: ReduceCallback<T>
  readonly #call: (left: T, right: T) => T
  readonly #method: string
  readonly #context: OperatorContext
  readonly #output: Output<T>
  readonly #reduced: ValueState<T>

  constructor(fn: ReduceCallback<T>, method: string, context: OperatorContext, output: Output<T>) {
    assert(context.keyed !== undefined, `operator ${context.uid} stands behind keyBy and has no keyed state`)
    this.#fn = fn
    this.#call = typeof fn === 'function' ? fn : (left, right) => fn.reduce(left, right)
    this.#method = method
    this.#context = context
    this.#output = output
    this.#reduced = context.keyed.value<T>(REDUCED)
  }

  open(): Promise<void> {
    return openUserFunction(this.#fn, this.#context)
  }

  emit(value: T): void {
    const before = this.#reduced.value()
    const after = before === undefined ? value : this.#reduce(before, value)
    this.#reduced.update(after)
    this.#output.emit(after)
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

  #reduce(left: T, right: T): T {
    const call = this.#call
    let result: T
    try {
      result = call(left, right)
    } catch (error) {
      throw userFunctionFailed(this.#context, this.#method, error)
    }
    if (isThenable(result)) throw userFunctionAsync(this.#context, this.#method, result)
    return result
  }
}
