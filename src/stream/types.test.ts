/**
 * What the compiler must refuse and what it must infer. The functions below are compiled and never called; `tsc` fails when an
 * expected error is missing.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type KeyedProcessFunction,
  OutputTag,
  type Sink,
  type ValueState,
  ValueStateDescriptor,
} from '../core/index.ts'
import type { DataStream, KeyedStream } from './data-stream.ts'
import { defineJob } from './job-definition.ts'
import { StreamExecutionEnvironment } from './stream-execution-environment.ts'
import { WatermarkStrategy } from './watermark-strategy.ts'

interface Order {
  readonly id: number
  readonly user: string
}

type Same<Left, Right> = (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? true : false

function isTrue<Condition extends true>(condition?: Condition): void {
  void condition
}

const orders = (): DataStream<Order> => StreamExecutionEnvironment.createLocalEnvironment().fromData([] as Order[])

export function asyncFunctionsDoNotCompile(): void {
  // @ts-expect-error a promise is no element
  orders().map(async (order) => order.id)
  // @ts-expect-error neither is one now and then
  orders().map((order) => (order.id > 0 ? order.id : Promise.resolve(1)))
  // @ts-expect-error a promise is always truthy
  orders().filter(async (order) => order.id > 0)
  // @ts-expect-error nobody would wait for it
  orders().flatMap(async (order, out) => out.collect(order))
  // @ts-expect-error with the type spelled out as well
  orders().flatMap<string>(async (order) => [order.user])
  // @ts-expect-error in an object as well
  orders().map({ map: async (order: Order) => order.id })
  // @ts-expect-error a generator is asked for elements, not for promises
  StreamExecutionEnvironment.createLocalEnvironment().fromGenerator(async (index) => index)
}

export function elementsAreInferred(): void {
  const ids = orders().map((order) => order.id)
  isTrue<Same<typeof ids, DataStream<number>>>()
  const users = orders().flatMap((order) => [order.user])
  isTrue<Same<typeof users, DataStream<string>>>()
  const collected = orders().flatMap<string>((order, out) => out.collect(order.user))
  isTrue<Same<typeof collected, DataStream<string>>>()
  const rich = orders().map({ open: async () => undefined, map: (order: Order) => order.user })
  isTrue<Same<typeof rich, DataStream<string>>>()
  const maybe = orders().map((order) => (order.id > 0 ? order : undefined))
  const present = maybe.filter((order): order is Order => order !== undefined)
  isTrue<Same<typeof present, DataStream<Order>>>()
  const numbers = StreamExecutionEnvironment.createLocalEnvironment().fromData(1, 2, 3)
  isTrue<Same<typeof numbers, DataStream<number>>>()
}

export function streamsOfDifferentElementsDoNotMix(sink: Sink<string>): void {
  // @ts-expect-error orders are not strings
  orders().sinkTo(sink)
  // @ts-expect-error nor are orders numbers
  const numbers: DataStream<number> = orders()
  void numbers
  orders().assignTimestampsAndWatermarks(
    WatermarkStrategy.forMonotonousTimestamps().withTimestampAssigner((order: Order) => order.id),
  )
  // @ts-expect-error an assigner of other elements
  orders().assignTimestampsAndWatermarks(WatermarkStrategy.noWatermarks().withTimestampAssigner((at: number) => at))
}

export function asyncKeyedFunctionsDoNotCompile(): void {
  const keyed = orders().keyBy((order) => order.user)
  // @ts-expect-error a promise is no element
  keyed.reduce(async (left) => left)
  // @ts-expect-error in an object as well
  keyed.reduce({ reduce: async (left: Order) => left })
  // @ts-expect-error nobody would wait for it
  orders().process(async (order, _context, out) => out.collect(order))
  // @ts-expect-error nor for this
  keyed.process({ processElement: async (_order: Order) => undefined })
  // @ts-expect-error nor for a timer
  keyed.process({ processElement: () => undefined, onTimer: async () => undefined })
}

export function keysArePlain(): void {
  const byUser = orders().keyBy((order) => order.user)
  isTrue<Same<typeof byUser, KeyedStream<Order, string>>>()
  const byBoth = orders().keyBy((order) => [order.user, order.id])
  isTrue<Same<typeof byBoth, KeyedStream<Order, readonly [string, number]>>>()
  orders().keyBy((order) => order.id > 0)
  orders().keyBy((order) => BigInt(order.id))
  // @ts-expect-error an object is no key
  orders().keyBy((order) => ({ user: order.user }))
  // @ts-expect-error nor in a tuple
  orders().keyBy((order) => [order.user, order])
  // @ts-expect-error nor is a promise
  orders().keyBy(async (order) => order.user)
  // @ts-expect-error nor what may be absent
  orders().keyBy((order) => (order.id > 0 ? order.user : undefined))
  // @ts-expect-error nor a Date
  orders().keyBy((order) => new Date(order.id))
}

class Counted implements KeyedProcessFunction<string, Order, number> {
  #count: ValueState<number> | undefined

  open(context: Parameters<NonNullable<KeyedProcessFunction<string, Order, number>['open']>>[0]): void {
    this.#count = context.getState(new ValueStateDescriptor<number>('count'))
  }

  processElement(order: Order, ...[context, out]: TailOf<KeyedProcessFunction<string, Order, number>>): void {
    const key: string = context.getCurrentKey()
    out.collect((this.#count?.value() ?? 0) + order.id + key.length)
  }
}

type TailOf<Fn extends { processElement: (...args: never) => unknown }> =
  Parameters<Fn['processElement']> extends [unknown, ...infer Rest] ? Rest : never

export function keyedStreamsInfer(): void {
  const keyed = orders().keyBy((order) => order.user)
  const counts = keyed.process(new Counted())
  isTrue<Same<typeof counts, DataStream<number>>>()
  const sums = keyed.sum('id')
  isTrue<Same<typeof sums, DataStream<Order>>>()
  // @ts-expect-error a text has no sum
  keyed.sum('user')
  // @ts-expect-error there is no such field
  keyed.max('price')
  const texts = orders()
    .map((order) => order.user)
    .keyBy((user) => user)
  // @ts-expect-error the function is of other elements
  texts.process(new Counted())
  const byId = orders().keyBy((order) => order.id)
  // @ts-expect-error the function is of other keys
  byId.process(new Counted())
  const late = new OutputTag<string>('late')
  const side = orders()
    .process<Order>((order, context) => {
      context.output(late, order.user)
      // @ts-expect-error the tag is of texts
      context.output(late, order.id)
    })
    .getSideOutput(late)
  isTrue<Same<typeof side, DataStream<string>>>()
  // @ts-expect-error streams of different elements make no union
  orders().union(side)
}

export function parametersHaveTheTypeOfTheirDefault(): void {
  defineJob('types', (_env, params) => {
    const text: string = params.get('brokers', 'localhost:9092')
    const number: number = params.get('limit', 5)
    const flag: boolean = params.get('dry-run', false)
    // @ts-expect-error without a default it may be absent
    const absent: string = params.get('brokers')
    void [text, number, flag, absent]
  })
}

test('what must not compile does not, and what is inferred is exact (checked by tsc)', () => {
  assert.equal(typeof asyncFunctionsDoNotCompile, 'function')
})
