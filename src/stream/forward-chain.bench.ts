/**
 * What a chain of five operators costs a record beyond the source alone: two jobs over the same generated records, on one thread,
 * in turns, by processor time of the process, collection of garbage included. Required: at most 60 ns. Run: node --conditions=millrace-source src/stream/forward-chain.bench.ts
 *
 * Measured with the machine under load (Node 26, two cores): 38 to 47 ns more.
 */
import type { Sink } from '../core/index.ts'
import { StreamExecutionEnvironment } from './stream-execution-environment.ts'

interface Order {
  readonly id: number
  readonly amount: number
}

const RECORDS = 8_000_000
const ORDERS: readonly Order[] = Array.from({ length: 1024 }, (_, id) => ({ id, amount: id % 100 }))

const nothing: Sink<Order, never> = {
  createWriter: () => ({
    blocked: false,
    write: () => undefined,
    writable: async () => undefined,
    prepareCommit: async () => [],
    close: async () => undefined,
  }),
  describe: () => ({ kind: 'nothing' }),
}

async function nsOf(chained: boolean): Promise<number> {
  const env = StreamExecutionEnvironment.createLocalEnvironment()
  const source = env.fromGenerator((index) => ORDERS[index & 1023] as Order, { count: RECORDS })
  if (!chained) source.sinkTo(nothing)
  else {
    source
      .map((order) => ({ id: order.id, amount: order.amount + 1 }))
      .filter((order) => order.amount > 0)
      .map((order) => ({ id: order.id + 1, amount: order.amount }))
      .flatMap<Order>((order, out) => out.collect(order))
      .filter((order) => order.id > 0)
      .sinkTo(nothing)
  }
  const before = process.cpuUsage()
  await env.execute('bench')
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1e3) / RECORDS
}

for (let round = 1; round <= 4; round++) {
  const [alone, five] = [await nsOf(false), await nsOf(true)]
  const more = (five - alone).toFixed(1)
  process.stdout.write(
    `round ${round}: source alone ${alone.toFixed(1)} ns, with five operators ${five.toFixed(1)} ns: ${more} ns more\n`,
  )
}
