/**
 * What map, filter and flatMap add to a record: a chain of one each over small objects, against the same three functions
 * called by hand. Run: node src/operators/chain.bench.ts
 */
import { SeededRandom, SystemClock, silentLogger, TcpNetwork } from '../base/index.ts'
import {
  AccumulatorRegistry,
  ElementTime,
  MetricRegistry,
  NO_OUTPUT,
  type OperatorContext,
  type Output,
  subtaskIndex,
} from '../core/index.ts'
import { filterOperator } from './filter-operator.ts'
import { flatMapOperator } from './flat-map-operator.ts'
import { mapOperator } from './map-operator.ts'

interface Order {
  readonly id: number
  readonly amount: number
}

const RECORDS = 5_000_000

class Count implements Output<Order> {
  count = 0
  emit(value: Order): void {
    this.count += value.amount
  }
  emitWatermark(): void {}
  emitIdle(): void {}
}

const context: OperatorContext = {
  jobName: 'bench',
  operatorName: 'bench',
  uid: 'bench',
  subtask: subtaskIndex(0),
  parallelism: 1,
  maxParallelism: 128,
  metrics: new MetricRegistry(),
  clock: new SystemClock(),
  random: new SeededRandom(1),
  network: new TcpNetwork(),
  logger: silentLogger,
  time: new ElementTime(),
  restored: [],
  sideOutput: () => NO_OUTPUT,
  accumulators: new AccumulatorRegistry(),
  operatorList: () => {
    throw new Error('no state here')
  },
}

const fee = (order: Order): Order => ({ id: order.id, amount: order.amount + 1 })
const large = (order: Order): boolean => order.amount > 10
const double = (order: Order, out: { collect(value: Order): void }): void => out.collect(order)

function chained(orders: readonly Order[]): number {
  const sink = new Count()
  const last = flatMapOperator(double).create(context, sink)
  const middle = filterOperator(large).create(context, last)
  const first = mapOperator(fee).create(context, middle)
  for (let i = 0; i < RECORDS; i++) first.emit(orders[i & 1023] as Order)
  return sink.count
}

function byHand(orders: readonly Order[]): number {
  let count = 0
  const out = {
    collect: (value: Order) => {
      count += value.amount
    },
  }
  for (let i = 0; i < RECORDS; i++) {
    const priced = fee(orders[i & 1023] as Order)
    if (large(priced)) double(priced, out)
  }
  return count
}

const orders: Order[] = Array.from({ length: 1024 }, (_, id) => ({ id, amount: id % 100 }))
for (const [name, run] of Object.entries({ byHand, chained, byHandAgain: byHand, chainedAgain: chained })) {
  const begin = performance.now()
  const count = run(orders)
  const ns = ((performance.now() - begin) * 1e6) / RECORDS
  process.stdout.write(`${name}: ${ns.toFixed(1)} ns a record (${count})\n`)
}
