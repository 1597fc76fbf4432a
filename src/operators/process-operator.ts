/**
 * process: a function that sees the element's timestamp and has side outputs and lists of the subtask (Flink: ProcessOperator).
 */
import {
  type Collector,
  type ListStateDescriptor,
  NO_TIMESTAMP,
  type Operator,
  type OperatorContext,
  type OperatorFactory,
  type Output,
  type OutputTag,
  type ProcessContext,
  type ProcessFunction,
  type ProcessFunctionContext,
  type ProcessResult,
} from '../core/index.ts'
import { ChainCollector } from './chain-collector.ts'
import { FunctionState, SubtaskState } from './function-state.ts'
import { closeUserFunction, functionContext, openUserFunction } from './user-function.ts'

export type ProcessCallback<In, Out> =
  | ((value: In, context: ProcessContext, out: Collector<Out>) => ProcessResult)
  | ProcessFunction<In, Out>

export function processOperator<In, Out>(fn: ProcessCallback<In, Out>): OperatorFactory<In, Out> {
  const state = new FunctionState()
  return { create: (context, output) => new ProcessOperator(fn, state, context, output) }
}

export class ProcessOperator<In, Out> implements Operator<In> {
  readonly #fn: ProcessCallback<In, Out>
  readonly #call: (value: In, context: ProcessContext, out: Collector<Out>) => ProcessResult
  readonly #state: FunctionState
  readonly #mine = new SubtaskState()
  readonly #context: OperatorContext
  readonly #output: Output<Out>
  readonly #collector: ChainCollector<Out>
  readonly #given: ProcessContext

  constructor(fn: ProcessCallback<In, Out>, state: FunctionState, context: OperatorContext, output: Output<Out>) {
    this.#fn = fn
    this.#call =
      typeof fn === 'function' ? fn : (value, processContext, out) => fn.processElement(value, processContext, out)
    this.#state = state
    this.#context = context
    this.#output = output
    const collector = new ChainCollector(output, context, 'process')
    this.#collector = collector
    this.#given = {
      timestamp: () => (context.time.timestamp === NO_TIMESTAMP ? undefined : context.time.timestamp),
      output: <X>(tag: OutputTag<X>, value: X) => collector.output(tag, value),
    }
  }

  open(): Promise<void> {
    const [context, state, mine] = [this.#context, this.#state, this.#mine]
    const given: ProcessFunctionContext = {
      ...functionContext(context),
      getOperatorListState: <T>(descriptor: ListStateDescriptor<T>) =>
        state.list<T>(mine, descriptor, 'operator', context.operatorList<T>(descriptor)),
    }
    return state.opening(mine, () => openUserFunction(this.#fn, context, given))
  }

  emit(value: In): void {
    this.#state.activate(this.#mine)
    const call = this.#call
    const collector = this.#collector
    let result: unknown
    collector.open = true
    try {
      result = call(value, this.#given, collector)
    } catch (error) {
      throw collector.failureOf('process', error)
    } finally {
      collector.open = false
    }
    collector.refuse('process', result)
  }

  emitWatermark(timestamp: number): void {
    this.#output.emitWatermark(timestamp)
  }

  emitIdle(idle: boolean): void {
    this.#output.emitIdle(idle)
  }

  close(): Promise<void> {
    this.#state.activate(this.#mine)
    return closeUserFunction(this.#fn, this.#context)
  }
}
