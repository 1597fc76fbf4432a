/**
 * Functions that see more than the element: its timestamp, side outputs, and behind keyBy state and timers of the key (Flink:
 * ProcessFunction, KeyedProcessFunction). One object serves all subtasks of its thread. State that it asks for in `open` is
 * always that of the subtask and key at work; what it keeps in fields of its own is shared.
 */
import type { Collector, FunctionContext, RichFunction } from './functions.ts'
import type { OutputTag } from './output-tag.ts'
import type { Key, KeyPart, ListState, MapState, TimeDomain, TimerService, ValueState } from './state.ts'
import type { ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor } from './state-descriptor.ts'

/** Nothing. Written so that an async function does not fit. */
// biome-ignore lint/suspicious/noConfusingVoidType: `undefined` alone would refuse functions without a `return`
export type ProcessResult = void | undefined

/** Valid during the call it was given to. */
export interface ProcessContext {
  /** Of the element or the timer at work; undefined for an element that has none. */
  timestamp(): number | undefined
  output<X>(tag: OutputTag<X>, value: X): void
}

/** What `open` of a process function gets. State is asked for here, not later. */
export interface ProcessFunctionContext extends FunctionContext {
  /**
   * State of the subtask, not of a key (Flink: operator list state). After a restore at another parallelism the elements of all
   * subtasks are dealt out evenly.
   */
  getOperatorListState<T>(descriptor: ListStateDescriptor<T>): ListState<T>
}

export interface ProcessFunction<In, Out> extends RichFunction {
  open?(context: ProcessFunctionContext): void | Promise<void>
  processElement(value: In, context: ProcessContext, out: Collector<Out>): ProcessResult
}

export interface KeyedProcessContext<K extends Key> extends ProcessContext {
  getCurrentKey(): K
  timerService(): TimerService
}

export interface OnTimerContext<K extends Key> extends KeyedProcessContext<K> {
  timeDomain(): TimeDomain
}

/** What `open` of a keyed process function gets. State is asked for here, not later. */
export interface KeyedProcessFunctionContext extends ProcessFunctionContext {
  getState<T>(descriptor: ValueStateDescriptor<T>): ValueState<T>
  getListState<T>(descriptor: ListStateDescriptor<T>): ListState<T>
  getMapState<MapKey extends KeyPart, V>(descriptor: MapStateDescriptor<MapKey, V>): MapState<MapKey, V>
}

export interface KeyedProcessFunction<K extends Key, In, Out> extends RichFunction {
  open?(context: KeyedProcessFunctionContext): void | Promise<void>
  processElement(value: In, context: KeyedProcessContext<K>, out: Collector<Out>): ProcessResult
  /** A timer is due. Elements collected here carry the time of an event-time timer, and none of a processing-time one. */
  onTimer?(timestamp: number, context: OnTimerContext<K>, out: Collector<Out>): ProcessResult
}
