/**
 * A keyed shuffle of { user, amount, ts } between two worker threads: each record is made, its key taken and grouped, and it is
 * serialised, sent, read and added up. One way: thread 1 makes all records and thread 0 gets all. Both ways: each thread makes
 * records and gets those of its keys, so half of them cross and half stay. Best of the rounds, and what one record costs to
 * write into a block and to read from it, alone.
 *
 * Two cores that others used as well (load 7): 62 ns to write a record and 36 ns to read it; 5.2 million records a second one way,
 * 6.6 million both ways.
 *
 * Run: node src/runtime/channel/shuffle.bench.ts [records] [rounds]
 */
import { loadavg } from 'node:os'
import { isMainThread, MessageChannel, type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads'
import { SeededRandom } from '../../base/index.ts'
import { ElementTime, type GraphNode } from '../../core/index.ts'
import { BlockReader } from '../block/block-reader.ts'
import { BlockWriter } from '../block/block-writer.ts'
import { ReaderShapes } from '../block/reader-shapes.ts'
import type { PlannedEdge } from '../plan/physical-plan.ts'
import { EdgeEnds } from './edge-ends.ts'
import type { InputChannel, OutputEdge } from './exchange.ts'

interface Payment {
  readonly user: string
  readonly amount: number
  readonly ts: number
}

interface Seat {
  readonly thread: number
  readonly peers: Readonly<Record<number, MessagePort>>
  readonly bothWays: boolean
  readonly records: number
  readonly rounds: number
}

/** Elements between two looks at the clock, as a task does it. */
const RUN = 512
const SLICE_MS = 4
const users: readonly string[] = Array.from({ length: 8192 }, (_, i) => `user-${(i * 7919) % 100_000}`)

function paymentOf(i: number): Payment {
  return { user: users[i & 8191] as string, amount: (i & 1023) * 0.25, ts: 1_700_000_000_000 + i }
}

function node(parallelism: number): GraphNode {
  const common = { id: 0, name: 'bench', uid: 'bench', maxParallelism: 128, inputs: [], chaining: 'always' } as const
  return { ...common, kind: 'operator', parallelism, factory: { create: () => ({}) as never } }
}

/** What one thread does in a round: emits its share, reads what comes, until all channels ended. */
class Half {
  readonly #edge: OutputEdge | undefined
  readonly #inputs: readonly InputChannel[]
  readonly #time = new ElementTime()
  readonly #records: number
  #sent = 0
  #ended = 0
  received = 0
  sum = 0
  #wake: (() => void) | undefined

  constructor(ends: EdgeEnds, seat: Seat, round: number) {
    const senders = seat.bothWays ? 2 : 1
    const edge: PlannedEdge = {
      index: 0,
      edge: { from: 0, partitioning: 'keyed', keyOf: (value) => (value as Payment).user },
      from: node(senders),
      to: node(senders),
      fromChain: 0,
    }
    const own = ends.endsOf(seat.thread, round)
    const makes = seat.bothWays || seat.thread === 1
    this.#records = makes ? seat.records / senders : 0
    if (makes) this.#edge = own.createOutput(edge, this.#time)
    const from = seat.bothWays ? [0, 1] : seat.thread === 0 ? [1] : []
    this.#inputs = from.map((sender) => own.createInput(edge, sender, new ElementTime()))
    for (const input of this.#inputs) input.onArrival(() => this.#wake?.())
  }

  async run(): Promise<void> {
    let sliceEndsMs = performance.now() + SLICE_MS
    const edge = this.#edge
    for (;;) {
      const emitted = edge === undefined || edge.blocked ? 0 : this.#emit(edge)
      const read = this.#read()
      if (this.#sent === this.#records && this.#ended === this.#inputs.length) return
      if (performance.now() > sliceEndsMs) {
        await new Promise((resolve) => setImmediate(resolve))
        sliceEndsMs = performance.now() + SLICE_MS
      } else if (emitted === 0 && read === 0) {
        edge?.flush()
        const sends = edge !== undefined && this.#sent < this.#records
        if ((sends && !edge.blocked) || this.#inputs.some((input) => input.ready)) continue
        const arrival = new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        await (sends ? Promise.race([arrival, edge.writable()]) : arrival)
      }
    }
  }

  #emit(edge: OutputEdge): number {
    const end = Math.min(this.#sent + RUN, this.#records)
    const begin = this.#sent
    let i = begin
    for (; i < end && !edge.blocked; i++) {
      this.#time.timestamp = 1_700_000_000_000 + i
      edge.emit(paymentOf(i))
    }
    this.#sent = i
    if (i === this.#records && begin !== i) edge.end()
    return i - begin
  }

  #read(): number {
    let read = 0
    for (const input of this.#inputs)
      for (let left = RUN; left > 0; left--) {
        const item = input.next()
        if (item === 'empty') break
        read++
        if (item === 'end') this.#ended++
        else {
          const payment = input.value as Payment
          this.received++
          this.sum += payment.amount + payment.user.length
        }
      }
    return read
  }
}

async function work(seat: Seat): Promise<void> {
  const ends = new EdgeEnds({
    thread: seat.thread,
    threads: 2,
    peers: seat.peers,
    random: new SeededRandom(1),
    blockBytes: Number(process.env.BLOCK_BYTES ?? 32 * 1024),
  })
  for (let round = 1; round <= seat.rounds; round++) {
    await new Promise<void>((resolve) => parentPort?.once('message', () => resolve()))
    const half = new Half(ends, seat, round)
    const beginMs = performance.now()
    await half.run()
    parentPort?.postMessage({ received: half.received, sum: half.sum, tookMs: performance.now() - beginMs })
  }
  ends.close()
  parentPort?.close()
}

async function shuffle(records: number, rounds: number, bothWays: boolean): Promise<number> {
  const { port1, port2 } = new MessageChannel()
  const workers = [port1, port2].map((port, thread) => {
    const data: Seat = { thread, peers: { [1 - thread]: port }, bothWays, records, rounds }
    return new Worker(new URL(import.meta.url), { workerData: data, transferList: [port] })
  })
  let best = 0
  for (let round = 0; round < rounds; round++) {
    const answers = workers.map(
      (worker) =>
        new Promise<{ received: number; tookMs: number }>((resolve) => {
          worker.once('message', resolve)
          worker.postMessage('go')
        }),
    )
    const done = await Promise.all(answers)
    const received = done.reduce((sum, { received }) => sum + received, 0)
    if (received !== records) throw new Error(`${received} of ${records} records arrived`)
    best = Math.max(best, records / (Math.max(...done.map(({ tookMs }) => tookMs)) / 1000))
  }
  await Promise.all(workers.map((worker) => worker.terminate()))
  return best
}

/** Nanoseconds to write and to read one record, best of many blocks. */
function codec(): { writeNs: number; readNs: number; bytes: number } {
  const perBlock = 900
  const writer = new BlockWriter()
  const reader = new BlockReader(new BlockWriter().finish(), { shapes: new ReaderShapes() })
  let [writeNs, readNs, bytes, sum] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0, 0]
  for (let sample = 0; sample < 40; sample++) {
    let [writing, reading] = [0, 0]
    for (let round = 0; round < 50; round++) {
      const payments = Array.from({ length: perBlock }, (_, i) => paymentOf(i + round * perBlock))
      const beginMs = performance.now()
      for (const payment of payments) {
        writer.write(payment)
        writer.writeNumber(payment.ts)
      }
      const block = writer.finish()
      const writtenMs = performance.now()
      reader.open(block)
      for (let i = 0; i < perBlock; i++) {
        sum += (reader.read() as Payment).amount + reader.readNumber()
      }
      reading += performance.now() - writtenMs
      writing += writtenMs - beginMs
      bytes = block.byteLength / perBlock
    }
    writeNs = Math.min(writeNs, (writing * 1e6) / (50 * perBlock))
    readNs = Math.min(readNs, (reading * 1e6) / (50 * perBlock))
  }
  if (Number.isNaN(sum)) throw new Error('nothing was read')
  return { writeNs, readNs, bytes }
}

if (isMainThread) {
  const records = Number(process.argv[2] ?? 4_000_000)
  const rounds = Number(process.argv[3] ?? 6)
  const load = loadavg()[0]
  const { writeNs, readNs, bytes } = codec()
  const oneWay = await shuffle(records, rounds, false)
  const bothWays = await shuffle(records, rounds, true)
  const figures = {
    writeNs: Math.round(writeNs),
    readNs: Math.round(readNs),
    bytesPerRecord: Math.round(bytes * 10) / 10,
    oneWayPerSecond: Math.round(oneWay),
    bothWaysPerSecond: Math.round(bothWays),
    load,
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`)
} else await work(workerData as Seat)
