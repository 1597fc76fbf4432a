/**
 * map: one element in, one element out. The model of all operators here: the user's function runs inside `try`, passing on
 * runs outside it, so that a failure further down is never blamed on this operator.
 */
import type { MapFunction, Operator, OperatorContext, OperatorFactory, Output, Sync } from '../core/index.ts'
import {
  closeUserFunction,
  isThenable,
  openUserFunction,
  userFunctionAsync,
  userFunctionFailed,
} from './user-function.ts'

export type MapCallback<In, Out> = ((value: In) => Sync<Out>) | MapFunction<In, Out>

export function mapOperator<In, Out>(fn: MapCallback<In, Out>): OperatorFactory<In, Out> {
  return { create: (context, output) => new MapOperator(fn, context, output) }
}

export class MapOperator<In, Out> implements Operator<In> {
  readonly #fn: MapCallback<In, Out>
  readonly #call: (value: In) => Out
  readonly #context: OperatorContext
  readonly #output: Output<Out>

  constructor(fn: MapCallback<In, Out>, context: OperatorContext, output: Output<Out>) {
    this.#fn = fn
    this.#call = typeof fn === 'function' ? fn : (value) => fn.map(value)
    this.#context = context
    this.#output = output
  }

  open(): Promise<void> {
    return openUserFunction(this.#fn, this.#context)
  }

  emit(value: In): void {
    const call = this.#call
    let result: Out
    try {
      result = call(value)
    } catch (error) {
      throw userFunctionFailed(this.#context, 'map', error)
    }
    if (isThenable(result)) throw userFunctionAsync(this.#context, 'map', result)
    this.#output.emit(result)
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
