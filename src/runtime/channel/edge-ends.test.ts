/** Edges between tasks, within a thread and over ports: the same properties for both. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MessageChannel, Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { MillraceError, SeededRandom } from '../../base/index.ts'
import { ElementTime, type GraphEdge, type GraphNode, NO_TIMESTAMP, type RecordSerializer } from '../../core/index.ts'
import type { PlannedEdge } from '../plan/physical-plan.ts'
import { receiversOf, sendersOf } from '../plan/physical-plan.ts'
import { KeyGrouping, subtaskOfKeyGroup } from '../state/key-group.ts'
import { EdgeEnds, type EdgeEndsOptions, type TaskEdgeEnds } from './edge-ends.ts'
import type { InputChannel, OutputEdge } from './exchange.ts'

const node = (id: number, name: string, parallelism: number): GraphNode => ({
  kind: 'operator',
  id,
  name,
  uid: name,
  parallelism,
  maxParallelism: 128,
  inputs: [],
  chaining: 'always',
  factory: { create: () => assert.fail() },
})

function planned(edge: Omit<GraphEdge, 'from'>, senders = 1, receivers = 1): PlannedEdge {
  return {
    index: 0,
    edge: { from: 0, ...edge },
    from: node(0, 'parse', senders),
    to: node(1, 'count', receivers),
    fromChain: 0,
  }
}

/** What came out of a channel, as text for what is no element. */
type Came = readonly [value: unknown, timestamp: number] | string

function takeAll(channel: InputChannel, most = Number.POSITIVE_INFINITY): Came[] {
  const came: Came[] = []
  while (came.length < most) {
    const item = channel.next()
    if (item === 'empty') break
    if (item === 'element') came.push([channel.value, channel.time.timestamp])
    else if (item === 'watermark') came.push(`watermark ${channel.time.timestamp}`)
    else if (item === 'idle') came.push(`idle ${channel.idle}`)
    else if (item === 'barrier') came.push(`barrier ${channel.checkpoint}${channel.final ? ' final' : ''}`)
    else came.push(item)
  }
  return came
}

interface Scene {
  readonly time: ElementTime
  readonly edge: OutputEdge
  /** By the receiver's subtask. */
  readonly inputs: ReadonlyMap<number, InputChannel>
  readonly threads: readonly EdgeEnds[]
  input(receiver: number): InputChannel
}

interface SceneOptions extends Partial<Pick<EdgeEndsOptions, 'blockBytes' | 'credits'>> {
  /** With one all channels are local; with two those from even to odd subtasks are not. */
  readonly threads?: number
  readonly sender?: number
}

/** One sender's edge and the channels that come from it. */
function scene(context: TestContext, edge: PlannedEdge, { threads = 1, sender = 0, ...limits }: SceneOptions): Scene {
  const { port1, port2 } = new MessageChannel()
  const peers = [{ 1: port1 }, { 0: port2 }]
  const all = Array.from({ length: threads }, (_, thread) => {
    const own = threads === 1 ? {} : (peers[thread] ?? {})
    return new EdgeEnds({ thread, threads, peers: own, random: new SeededRandom(1), ...limits })
  })
  const ends = (subtask: number): TaskEdgeEnds => (all[subtask % threads] ?? assert.fail()).endsOf(subtask, 1)
  const time = new ElementTime()
  const inputs = new Map(
    receiversOf(edge, sender).map((to) => [to, ends(to).createInput(edge, sender, new ElementTime())]),
  )
  context.after(() => {
    for (const one of all) one.close()
    port1.close()
  })
  const input = (receiver: number): InputChannel => inputs.get(receiver) ?? assert.fail(`no channel to ${receiver}`)
  return { time, edge: ends(sender).createOutput(edge, time), inputs, threads: all, input }
}

/** To subtask 1, which with two threads is on the other one. */
const toOther = (serializer?: RecordSerializer): PlannedEdge =>
  planned({ partitioning: 'custom', partition: () => 1, ...(serializer === undefined ? {} : { serializer }) }, 1, 2)

const THREADS = [
  { threads: 1, where: 'within a thread' },
  { threads: 2, where: 'between threads' },
]

for (const { threads, where } of THREADS) {
  test(`${where}: elements, watermarks, idleness, barriers and the end come in one order, with their times`, (context) => {
    const { edge, time, input } = scene(context, toOther(), { threads, blockBytes: 100 })
    const channel = input(1)
    const step = fc.oneof(
      fc.record({ element: fc.jsonValue(), at: fc.constantFrom(NO_TIMESTAMP, 0, -0, 1.5, 1_700_000_000_000) }),
      fc.record({ watermark: fc.constantFrom(-1, 5, Number.POSITIVE_INFINITY) }),
      fc.record({ idle: fc.boolean() }),
      fc.record({ barrier: fc.nat(), final: fc.boolean() }),
    )
    const check = (steps: readonly unknown[]): void => {
      const expected: Came[] = []
      const came: Came[] = []
      for (const one of steps as { element?: unknown; at?: number; [key: string]: unknown }[]) {
        if ('element' in one) {
          time.timestamp = one.at ?? 0
          edge.emit(one.element)
          expected.push([one.element, one.at ?? 0])
        } else if ('watermark' in one) {
          edge.emitWatermark(one.watermark as number)
          expected.push(`watermark ${one.watermark}`)
        } else if ('idle' in one) {
          edge.emitIdle(one.idle as boolean)
          expected.push(`idle ${one.idle}`)
        } else {
          edge.emitBarrier(one.barrier as number, one.final as boolean)
          expected.push(`barrier ${one.barrier}${one.final === true ? ' final' : ''}`)
        }
        if (edge.blocked) came.push(...takeAll(channel))
      }
      edge.flush()
      came.push(...takeAll(channel))
      // Credits went with the blocks that were read; what waited for one comes now.
      edge.flush()
      came.push(...takeAll(channel))
      assert.deepStrictEqual(came, expected)
      takeAll(input(0))
    }
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), check), { numRuns: 60 })
    edge.end()
    assert.deepEqual(takeAll(channel), ['end'])
    assert.equal(channel.ready, false)
  })

  test(`${where}: each way of partitioning sends each element where it says`, (context) => {
    const values = Array.from({ length: 400 }, (_, i) => `user-${i}`)
    const spread = (edge: PlannedEdge, sender = 0): Map<number, unknown[]> => {
      const { edge: out, inputs } = scene(context, edge, { threads, sender })
      for (const value of values) out.emit(value)
      out.flush()
      return new Map([...inputs].map(([to, channel]) => [to, takeAll(channel).map(([value]) => value)]))
    }
    const counts = (got: Map<number, unknown[]>): number[] => [...got.values()].map((list) => list.length)

    assert.deepEqual(spread(planned({ partitioning: 'forward' }, 3, 3), 2), new Map([[2, values]]))
    assert.deepEqual([...spread(planned({ partitioning: 'broadcast' }, 1, 3)).values()], [values, values, values])
    assert.deepEqual(counts(spread(planned({ partitioning: 'rebalance' }, 1, 4))), [100, 100, 100, 100])
    const rescaled = spread(planned({ partitioning: 'rescale' }, 2, 4), 1)
    assert.deepEqual([...rescaled.keys()], [2, 3])
    assert.deepEqual(counts(rescaled), [200, 200])
    const shuffled = counts(spread(planned({ partitioning: 'shuffle' }, 1, 4)))
    assert.equal(
      shuffled.reduce((sum, count) => sum + count),
      400,
    )
    for (const count of shuffled) assert.ok(count > 60 && count < 140, `${shuffled}`)

    const custom = spread(
      planned({ partitioning: 'custom', partition: (value, of) => String(value).length % of }, 1, 3),
    )
    for (const [to, list] of custom) for (const value of list) assert.equal(String(value).length % 3, to)
    const keyed = spread(planned({ partitioning: 'keyed', keyOf: (value) => String(value) }, 1, 3))
    const grouping = new KeyGrouping(128)
    for (const [to, list] of keyed) {
      assert.ok(list.length > 60)
      for (const value of list) assert.equal(subtaskOfKeyGroup(128, 3, grouping.groupOf(String(value))), to)
    }
    assert.equal(
      counts(keyed).reduce((sum, count) => sum + count),
      400,
    )
  })

  test(`${where}: what a custom partitioner answers must be a subtask, or the error names the operator`, (context) => {
    for (const answer of [2, -1, 0.5, Number.NaN, '1']) {
      const edge = planned({ partitioning: 'custom', partition: () => answer as number }, 1, 2)
      assert.throws(
        () => scene(context, edge, { threads }).edge.emit('x'),
        (error) => MillraceError.is(error) && error.code === 'USER_FUNCTION_FAILED' && /"parse"/.test(error.message),
      )
    }
  })

  test(`${where}: a sender that is blocked becomes writable when the receiver reads, and loses nothing`, async (context) => {
    const { edge, input } = scene(context, toOther(), { threads, blockBytes: 1_000, credits: 2 })
    const channel = input(1)
    let sent = 0
    let most = 0
    const came: unknown[] = []
    for (let round = 0; round < 200; round++) {
      let burst = 0
      while (!edge.blocked) {
        edge.emit({ n: sent++ })
        burst++
      }
      most = Math.max(most, burst)
      // Nothing is refused: what the one element still makes goes too.
      edge.emit({ n: sent++ })
      edge.flush()
      const writable = edge.writable()
      came.push(...takeAll(channel, 600))
      await Promise.race([writable, nextTurn()])
    }
    edge.flush()
    for (let turn = 0; turn < 5; turn++) {
      came.push(...takeAll(channel))
      await nextTurn()
    }
    assert.deepEqual(
      came.map((each) => (each as unknown as [{ n: number }])[0].n),
      Array.from({ length: sent }, (_, i) => i),
    )
    assert.ok(most < 2_000, `${most} elements between two blocks`)
  })

  test(`${where}: a receiver that does not read bounds what is under way`, (context) => {
    const { edge } = scene(context, toOther(), { threads, blockBytes: 1_000, credits: 3 })
    let sent = 0
    while (!edge.blocked) {
      edge.emit('x'.repeat(90))
      sent++
    }
    // Three blocks and one being filled, of about 1,000 bytes; within a thread by number.
    assert.ok(sent <= (threads === 1 ? 1_024 : 4 * 12), `${sent}`)
  })

  test(`${where}: the receiver is told once each time something comes to an empty channel`, async (context) => {
    const { edge, input } = scene(context, toOther(), { threads })
    const channel = input(1)
    let arrivals = 0
    channel.onArrival(() => arrivals++)
    for (let round = 1; round <= 3; round++) {
      assert.equal(channel.ready, false)
      edge.emit('a')
      edge.emit('b')
      edge.flush()
      await nextTurn()
      await nextTurn()
      assert.equal(channel.ready, true)
      assert.equal(arrivals, round)
      assert.equal(takeAll(channel).length, 2)
    }
  })

  test(`${where}: a receiver that closes unblocks the sender for good`, async (context) => {
    const { edge, input } = scene(context, toOther(), { threads, blockBytes: 100, credits: 1 })
    while (!edge.blocked) edge.emit('to nobody')
    const writable = edge.writable()
    input(1).close()
    input(1).close()
    await writable
    for (let i = 0; i < 5_000; i++) edge.emit('to nobody')
    edge.emitBarrier(1, false)
    edge.flush()
    assert.equal(edge.blocked, false)
    assert.equal(input(1).next(), 'empty')
    assert.equal(input(1).ready, false)
  })

  test(`${where}: a sender that closes waits for nobody and sends nothing`, async (context) => {
    const { edge, input } = scene(context, toOther(), { threads, blockBytes: 100, credits: 1 })
    while (!edge.blocked) edge.emit('x')
    const writable = edge.writable()
    edge.close()
    edge.close()
    await writable
    takeAll(input(1))
    edge.emit('more')
    edge.emitBarrier(1, true)
    edge.end()
    edge.flush()
    await nextTurn()
    assert.deepEqual(takeAll(input(1)), [])
  })

  test(`${where}: all ends of a thread close at once`, async (context) => {
    const { edge, threads: all } = scene(context, toOther(), { threads, blockBytes: 100, credits: 1 })
    while (!edge.blocked) edge.emit('x')
    const writable = edge.writable()
    for (const ends of all) {
      ends.close()
      ends.close()
    }
    if (threads === 2) await writable
    else edge.close()
    await writable
  })
}

test('a thread that is gone lets its peers go on: nobody waits, and no end is made up', async (context) => {
  const { edge, threads, input } = scene(context, toOther(), { threads: 2, blockBytes: 100, credits: 1 })
  edge.emit('before')
  edge.flush()
  while (!edge.blocked) edge.emit('x')
  const writable = edge.writable()
  threads[1]?.close()
  await writable
  edge.emit('after')
  assert.equal(edge.blocked, false)
  const other = scene(context, toOther(), { threads: 2 })
  other.edge.emit('before')
  other.edge.flush()
  await nextTurn()
  other.threads[0]?.close()
  await nextTurn()
  assert.deepEqual(takeAll(other.input(1)), [['before', NO_TIMESTAMP]])
  assert.equal(other.input(1).next(), 'empty')
  input(1).close()
})

test('blocks that come before their receiver are kept for it', async (context) => {
  const { port1, port2 } = new MessageChannel()
  context.after(() => port1.close())
  const random = new SeededRandom(1)
  const left = new EdgeEnds({ thread: 0, threads: 2, peers: { 1: port1 }, random })
  const right = new EdgeEnds({ thread: 1, threads: 2, peers: { 0: port2 }, random })
  const edge = left.endsOf(0, 7).createOutput(toOther(), new ElementTime())
  edge.emit('early')
  edge.flush()
  edge.emit('too')
  edge.flush()
  await nextTurn()
  const channel = right.endsOf(1, 7).createInput(toOther(), 0, new ElementTime())
  assert.deepEqual(takeAll(channel), [
    ['early', NO_TIMESTAMP],
    ['too', NO_TIMESTAMP],
  ])
})

test('what an earlier attempt left on a thread does not meet the next', () => {
  const ends = new EdgeEnds({ thread: 0, threads: 1, peers: {}, random: new SeededRandom(1) })
  const edge = planned({ partitioning: 'rebalance' })
  ends.endsOf(0, 1).createOutput(edge, new ElementTime()).emit('old')
  const channel = ends.endsOf(0, 2).createInput(edge, 0, new ElementTime())
  assert.equal(channel.next(), 'empty')
  ends.endsOf(0, 2).createOutput(edge, new ElementTime()).emit('new')
  assert.deepEqual(takeAll(channel), [['new', NO_TIMESTAMP]])
})

test('what cannot go to another thread is refused naming operator and field; within a thread it goes as it is', (context) => {
  const value = { order: { lines: [{ price: () => 1 }] } }
  const within = scene(context, toOther(), { threads: 1 })
  within.edge.emit(value)
  assert.equal(within.input(1).next(), 'element')
  assert.equal(within.input(1).value, value)
  assert.throws(
    () => scene(context, toOther(), { threads: 2 }).edge.emit(value),
    (error) =>
      MillraceError.is(error) &&
      error.code === 'RECORD_NOT_SERIALIZABLE' &&
      /operator "parse"/.test(error.message) &&
      /order\.lines\[0\]\.price/.test(error.message),
  )
})

test('a serializer of the edge is used between threads', (context) => {
  class Money {
    readonly cents: number
    constructor(cents: number) {
      this.cents = cents
    }
  }
  const serializer: RecordSerializer = {
    serialize: (value) => Buffer.from(String((value as Money).cents)),
    deserialize: (bytes) => new Money(Number(Buffer.from(bytes).toString())),
  }
  const { edge, input } = scene(context, toOther(serializer), { threads: 2 })
  edge.emit(new Money(5))
  edge.emit(new Money(70))
  edge.flush()
  assert.deepEqual(
    takeAll(input(1)).map(([value]) => value),
    [new Money(5), new Money(70)],
  )
})

test('a serializer that throws or answers no bytes is told with the name of the operator', (context) => {
  const broken = (serializer: Partial<Record<keyof RecordSerializer, () => unknown>>): Scene =>
    scene(context, toOther(serializer as unknown as RecordSerializer), { threads: 2 })
  const fail = (): never => assert.fail('broken')
  const told = (code: string) => (error: unknown) =>
    MillraceError.is(error) && error.code === code && /operator "parse"/.test(error.message)
  assert.throws(() => broken({ serialize: fail }).edge.emit(1), told('SERIALIZATION_FAILED'))
  assert.throws(() => broken({ serialize: () => 'text' }).edge.emit(1), told('SERIALIZATION_FAILED'))
  const { edge, input } = broken({ serialize: () => Buffer.from('x'), deserialize: fail })
  edge.emit(1)
  edge.flush()
  assert.throws(() => input(1).next(), told('DESERIALIZATION_FAILED'))
})

test('buffers come back with the credits and are used again; those that values lie in are not', async (context) => {
  const { edge, input } = scene(context, toOther(), { threads: 2, blockBytes: 4_096, credits: 1 })
  const seen = new Set<ArrayBufferLike>()
  const large: Buffer[] = []
  for (let i = 0; i < 50; i++) {
    const content = Buffer.alloc(4_000, i)
    edge.emit({ content, note: 'n'.repeat(100) })
    edge.flush()
    await nextTurn()
    for (const came of takeAll(input(1))) {
      const got = (came[0] as unknown as { content: Buffer }).content
      large.push(got)
      seen.add(got.buffer)
    }
    await edge.writable()
  }
  assert.equal(seen.size, 50)
  for (const [i, content] of large.entries()) assert.deepEqual(content, Buffer.alloc(4_000, i))
})

test('senders and receivers agree about the channels of every partitioning', () => {
  for (const partitioning of ['rebalance', 'rescale', 'broadcast', 'keyed'] as const)
    for (const [senders, receivers] of [
      [1, 4],
      [4, 1],
      [3, 5],
      [5, 3],
      [4, 4],
    ] as const) {
      const edge = planned({ partitioning }, senders, receivers)
      for (let sender = 0; sender < senders; sender++)
        for (let receiver = 0; receiver < receivers; receiver++)
          assert.equal(receiversOf(edge, sender).includes(receiver), sendersOf(edge, receiver).includes(sender))
    }
})

/** Subtask 0 here, with an edge to subtask 1 on a thread of its own. */
async function withThread(context: TestContext, reads: boolean): Promise<ThreadScene> {
  const { port1, port2 } = new MessageChannel()
  const file = new URL('./edge-peer.fixture.ts', import.meta.url)
  const worker = new Worker(file, { workerData: { port: port2, reads }, transferList: [port2] })
  await once(worker, 'message')
  const ends = new EdgeEnds({ thread: 0, threads: 2, peers: { 1: port1 }, random: new SeededRandom(1) })
  context.after(async () => {
    ends.close()
    await worker.terminate()
  })
  const time = new ElementTime()
  return { worker, time, edge: ends.endsOf(0, 1).createOutput(toOther(), time) }
}

interface ThreadScene {
  readonly worker: Worker
  readonly time: ElementTime
  readonly edge: OutputEdge
}

test('to a real thread: all elements come, in order, with their times, however often the edge was blocked', async (context) => {
  const { worker, time, edge } = await withThread(context, true)
  const told = once(worker, 'message')
  const count = 200_000
  for (let n = 0; n < count; n++) {
    if (edge.blocked) {
      edge.flush()
      await edge.writable()
    }
    time.timestamp = n
    edge.emit({ n, user: `user-${n % 100}` })
  }
  edge.end()
  assert.deepEqual(await told, [{ elements: count, ordered: true }])
})

test('to a real thread that dies: the sender that waited for it goes on', async (context) => {
  const { worker, edge } = await withThread(context, false)
  for (let n = 0; !edge.blocked; n++) edge.emit({ n })
  const writable = edge.writable()
  await worker.terminate()
  await writable
  edge.emit({ n: 0 })
  edge.flush()
  assert.equal(edge.blocked, false)
})
