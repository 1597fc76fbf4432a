/**
 * process behind keyBy: a function with state and timers of the element's key (Flink: KeyedProcessOperator). Whoever hosts the
 * operator sets the key before each element and each timer; elements made by a timer carry its time when it is one of event time,
 * and none when it is one of processing time.
 */
import { assert } from '../base/index.ts'
import {
  type Key,
  type KeyedContext,
  type KeyedProcessFunction,
  type KeyedProcessFunctionContext,
  type KeyPart,
  type ListStateDescriptor,
  type MapStateDescriptor,
  NO_TIMESTAMP,
  type OnTimerContext,
  type Operator,
  type OperatorContext,
  type OperatorFactory,
  type Output,
  type OutputTag,
  type TimeDomain,
  type TimerService,
  type ValueStateDescriptor,
} from '../core/index.ts'
import { ChainCollector } from './chain-collector.ts'
import { FunctionState, SubtaskState } from './function-state.ts'
import { closeUserFunction, functionContext, openUserFunction } from './user-function.ts'

export function keyedProcessOperator<K extends Key, In, Out>(
  fn: KeyedProcessFunction<K, In, Out>,
): OperatorFactory<In, Out> {
  const state = new FunctionState()
  return { create: (context, output) => new KeyedProcessOperator(fn, state, context, output) }
}

export class KeyedProcessOperator<K extends Key, In, Out> implements Operator<In> {
  readonly #fn: KeyedProcessFunction<K, In, Out>
  readonly #state: FunctionState
  readonly #mine = new SubtaskState()
  readonly #context: OperatorContext
  readonly #keyed: KeyedContext
  readonly #output: Output<Out>
  readonly #collector: ChainCollector<Out>
  readonly #given: GivenContext<K>

  constructor(
    fn: KeyedProcessFunction<K, In, Out>,
    state: FunctionState,
    context: OperatorContext,
    output: Output<Out>,
  ) {
    assert(context.keyed !== undefined, `operator ${context.uid} stands behind keyBy and has no keyed state`)
    this.#fn = fn
    this.#state = state
    this.#context = context
    this.#keyed = context.keyed
    this.#output = output
    this.#collector = new ChainCollector(output, context, 'process')
    this.#given = new GivenContext(context, context.keyed, this.#collector)
    this.#keyed.onTimer((timestamp, domain) => this.#onTimer(timestamp, domain))
  }

  open(): Promise<void> {
    return this.#state.opening(this.#mine, () => openUserFunction(this.#fn, this.#context, this.#openContext()))
  }

  emit(value: In): void {
    this.#state.activate(this.#mine)
    const collector = this.#collector
    let result: unknown
    collector.open = true
    try {
      result = this.#fn.processElement(value, this.#given, collector)
    } catch (error) {
      throw collector.failureOf('processElement', error)
    } finally {
      collector.open = false
    }
    collector.refuse('processElement', result)
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

  #onTimer(timestamp: number, domain: TimeDomain): void {
    if (this.#fn.onTimer === undefined) return
    this.#state.activate(this.#mine)
    const { time } = this.#context
    const before = time.timestamp
    time.timestamp = domain === 'event' ? timestamp : NO_TIMESTAMP
    this.#given.timer = { timestamp, domain }
    const collector = this.#collector
    let result: unknown
    collector.open = true
    try {
      result = this.#fn.onTimer(timestamp, this.#given, collector)
    } catch (error) {
      throw collector.failureOf('onTimer', error)
    } finally {
      collector.open = false
      this.#given.timer = undefined
      time.timestamp = before
    }
    collector.refuse('onTimer', result)
  }

  #openContext(): KeyedProcessFunctionContext {
    const [context, keyed, state, mine] = [this.#context, this.#keyed, this.#state, this.#mine]
    return {
      ...functionContext(context),
      getOperatorListState: <T>(descriptor: ListStateDescriptor<T>) =>
        state.list<T>(mine, descriptor, 'operator', context.operatorList<T>(descriptor)),
      getState: <T>(descriptor: ValueStateDescriptor<T>) =>
        state.value<T>(mine, descriptor, keyed.value<T>(descriptor)),
      getListState: <T>(descriptor: ListStateDescriptor<T>) =>
        state.list<T>(mine, descriptor, 'keyed', keyed.list<T>(descriptor)),
      getMapState: <MapKey extends KeyPart, V>(descriptor: MapStateDescriptor<MapKey, V>) =>
        state.map<MapKey, V>(mine, descriptor, keyed.map<MapKey, V>(descriptor)),
    }
  }
}

/** One for the operator's life, for elements and timers. */
class GivenContext<K extends Key> implements OnTimerContext<K> {
  timer: { readonly timestamp: number; readonly domain: TimeDomain } | undefined
  readonly #context: OperatorContext
  readonly #keyed: KeyedContext
  readonly #collector: ChainCollector<unknown>

  constructor(context: OperatorContext, keyed: KeyedContext, collector: ChainCollector<never>) {
    this.#context = context
    this.#keyed = keyed
    this.#collector = collector as ChainCollector<unknown>
  }

  timestamp(): number | undefined {
    if (this.timer !== undefined) return this.timer.timestamp
    const { timestamp } = this.#context.time
    return timestamp === NO_TIMESTAMP ? undefined : timestamp
  }

  timeDomain(): TimeDomain {
    assert(this.timer !== undefined, 'there is a time domain in onTimer only')
    return this.timer.domain
  }

  getCurrentKey(): K {
    return this.#keyed.currentKey as K
  }

  timerService(): TimerService {
    return this.#keyed.timers
  }

  output<X>(tag: OutputTag<X>, value: X): void {
    this.#collector.output(tag, value)
  }
}
