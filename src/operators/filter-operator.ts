/**
 * filter: passes on the elements for which the user's function answers yes. Any truthy answer is a yes, as in the language;
 * a promise, which would always be one, is refused.
 */
import type { FilterFunction, Operator, OperatorContext, OperatorFactory, Output } from '../core/index.ts'
import {
  closeUserFunction,
  isThenable,
  openUserFunction,
  userFunctionAsync,
  userFunctionFailed,
} from './user-function.ts'

export type FilterCallback<T> = ((value: T) => boolean) | FilterFunction<T>

export function filterOperator<T>(fn: FilterCallback<T>): OperatorFactory<T, T> {
  return { create: (context, output) => new FilterOperator(fn, context, output) }
}

export class FilterOperator<T> implements Operator<T> {
  readonly #fn: FilterCallback<T>
  readonly #call: (value: T) => boolean
  readonly #context: OperatorContext
  readonly #output: Output<T>

  constructor(fn: FilterCallback<T>, context: OperatorContext, output: Output<T>) {
    this.#fn = fn
    this.#call = typeof fn === 'function' ? fn : (value) => fn.filter(value)
    this.#context = context
    this.#output = output
  }

  open(): Promise<void> {
    return openUserFunction(this.#fn, this.#context)
  }

  emit(value: T): void {
    const call = this.#call
    let keep: unknown
    try {
      keep = call(value)
    } catch (error) {
      throw userFunctionFailed(this.#context, 'filter', error)
    }
    if (typeof keep !== 'boolean' && isThenable(keep)) throw userFunctionAsync(this.#context, 'filter', keep)
    if (keep) this.#output.emit(value)
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
}
