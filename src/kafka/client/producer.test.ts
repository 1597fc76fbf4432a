/**
 * The producer against a cluster in memory that answers by script. The numbers are the invariants of producer-SPEC.md.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import type { ProducerOptions } from './options.ts'
import { DoubleCluster, type Fate } from './producer.test-double.ts'
import { Producer } from './producer.ts'
import { ProducerLane } from './producer-lane.ts'
import type { ProducerIdentity } from './transactions.ts'

const OPTIONS: ProducerOptions = {
  acks: -1,
  batchSize: 200,
  lingerMs: 5,
  bufferMemory: 32 * 1024 * 1024,
  maxInFlightRequestsPerConnection: 5,
  deliveryTimeoutMs: 10_000,
  requestTimeoutMs: 3_000,
  maxRequestSize: 1 << 20,
  compressionType: 'none',
  enableIdempotence: true,
  partitionerAdaptive: true,
  partitionerIgnoreKeys: false,
  retries: Number.POSITIVE_INFINITY,
  transactionTimeoutMs: 60_000,
}

const identity = (producerId: number, epoch: number): Promise<ProducerIdentity> =>
  Promise.resolve({ producerId, epoch })

/** Values "name0".."name(n-1)". */
const series = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}${i}`)

async function appendAll(
  producer: Producer,
  topic: string,
  partition: number,
  values: readonly string[],
): Promise<void> {
  const handle = await producer.topic(topic)
  for (const value of values) handle.append(partition, 1000, null, value)
}

/** Moves the clock until the promise is settled; fails after 60 s of its time. */
async function within<T>(cluster: DoubleCluster, promise: Promise<T>): Promise<T> {
  let done = false
  promise.then(
    () => void (done = true),
    () => void (done = true),
  )
  for (let step = 0; step < 6000 && !done; step++) await cluster.clock.advance(10)
  assert.ok(done, 'settled within 60 s')
  return promise
}

function once(request: number, fate: Fate): (number: number) => Fate {
  return (number) => (number === request ? fate : 'served')
}

test('1: records of a partition are in the log in the order of their appends, over many batches', async () => {
  const cluster = new DoubleCluster({ t: 3 })
  const producer = new Producer(cluster, OPTIONS)
  for (let p = 0; p < 3; p++) await appendAll(producer, 't', p, series(`p${p}-`, 100))
  const sealed = await within(cluster, producer.seal())
  for (let p = 0; p < 3; p++) assert.deepEqual(cluster.log(`t/${p}`).values, series(`p${p}-`, 100))
  assert.deepEqual([...sealed.records], [['t', 300]])
  assert.equal(sealed.handle, undefined)
  assert.equal(producer.metrics().bufferBytesUsed, 0)
})

const FAULTS: readonly (readonly [name: string, fate: Fate])[] = [
  ['the leader moved', { refuse: KafkaErrorCode.NOT_LEADER_OR_FOLLOWER }],
  ['too few replicas', { refuse: KafkaErrorCode.NOT_ENOUGH_REPLICAS }],
  ['too few replicas after the append', { appendAndAnswer: KafkaErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND }],
  ['a timeout after the append', { appendAndAnswer: KafkaErrorCode.REQUEST_TIMED_OUT }],
  ['a broken connection before the append', 'break before serving'],
  ['a broken connection after the append', 'break after serving'],
]

for (const [name, fate] of FAULTS) {
  for (const request of [0, 2]) {
    test(`1, 3, 4: ${name} at request ${request} loses, repeats and reorders nothing`, async () => {
      const cluster = new DoubleCluster({ t: 1 }, 1)
      cluster.fate = once(request, fate)
      const producer = new Producer(cluster, { ...OPTIONS, maxRequestSize: 250 })
      await appendAll(producer, 't', 0, series('v', 120))
      await within(cluster, producer.seal())
      assert.deepEqual(cluster.log('t/0').values, series('v', 120))
      assert.ok(producer.metrics().retries > 0)
    })
  }
}

test('3: after a failure nothing more of the partition is sent until all in flight are answered', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  cluster.fate = once(1, { refuse: KafkaErrorCode.NOT_ENOUGH_REPLICAS })
  const producer = new Producer(cluster, { ...OPTIONS, maxRequestSize: 250 })
  await appendAll(producer, 't', 0, series('v', 120))
  await within(cluster, producer.seal())
  // The first goes alone; then five leave before an answer comes, and each after the refused one finds a gap.
  const first = producer.metrics()
  assert.equal(first.retries, 5)
  assert.equal(first.requests, first.batches + 5)
})

test('3: the first batch under an identity goes alone, as a broker takes any sequence of a producer it does not know', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  cluster.fate = once(0, { delayMs: 1000 })
  const producer = new Producer(cluster, { ...OPTIONS, maxRequestSize: 250 })
  await appendAll(producer, 't', 0, series('v', 120))
  await cluster.clock.advance(500)
  assert.equal(producer.metrics().requests, 1)
  await within(cluster, producer.seal())
  assert.deepEqual(cluster.log('t/0').values, series('v', 120))
})

for (const written of [1, 2]) {
  test(`15: what was written but not acknowledged (${written}) is not passed by new batches until the broker has forgotten it`, async () => {
    const cluster = new DoubleCluster({ t: 1 }, 1)
    // The first is alone, then five leave. The first of them (or two) are written and answered with a failure, the others are
    // acknowledged. The last of these repetitions is refused once more; four new batches behind it would be taken meanwhile.
    cluster.fate = (request) => {
      if (request >= 1 && request <= written) return { appendAndAnswer: KafkaErrorCode.REQUEST_TIMED_OUT }
      return request === 5 + written ? { refuse: KafkaErrorCode.NOT_ENOUGH_REPLICAS } : 'served'
    }
    const producer = new Producer(cluster, { ...OPTIONS, maxRequestSize: 250 })
    await appendAll(producer, 't', 0, series('v', 400))
    await within(cluster, producer.seal())
    assert.deepEqual(cluster.log('t/0').values, series('v', 400))
    assert.equal(producer.metrics().retries, written + 1)
  })
}

test('1: without idempotence a partition has one batch in flight, so that a retry keeps the order', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  cluster.fate = once(1, { refuse: KafkaErrorCode.NOT_ENOUGH_REPLICAS })
  const producer = new Producer(cluster, { ...OPTIONS, enableIdempotence: false, maxRequestSize: 250 })
  await appendAll(producer, 't', 0, series('v', 120))
  await within(cluster, producer.seal())
  assert.deepEqual(cluster.log('t/0').values, series('v', 120))
  assert.equal(cluster.producerIds, 0)
  assert.equal(producer.metrics().retries, 1)
})

test('a leader that moves while batches are in flight is followed, and nothing is lost or doubled', async () => {
  const cluster = new DoubleCluster({ t: 2 }, 2)
  const producer = new Producer(cluster, { ...OPTIONS, maxRequestSize: 250 })
  for (let round = 0; round < 6; round++) {
    for (let p = 0; p < 2; p++) await appendAll(producer, 't', p, series(`${round}-${p}-`, 30))
    await cluster.clock.advance(1)
    for (const log of cluster.logs.values()) log.leader = 1 - log.leader
  }
  await within(cluster, producer.seal())
  for (let p = 0; p < 2; p++) {
    const expected = [0, 1, 2, 3, 4, 5].flatMap((round) => series(`${round}-${p}-`, 30))
    assert.deepEqual(cluster.log(`t/${p}`).values, expected)
  }
})

test('a partition without a leader delays only itself', async () => {
  const cluster = new DoubleCluster({ t: 2 }, 1)
  const producer = new Producer(cluster, OPTIONS)
  cluster.log('t/0').leader = -1
  await cluster.metadata.refresh()
  await appendAll(producer, 't', 0, ['waits'])
  await appendAll(producer, 't', 1, ['goes'])
  await cluster.clock.advance(1000)
  assert.deepEqual(cluster.log('t/1').values, ['goes'])
  assert.deepEqual(cluster.log('t/0').values, [])
  cluster.log('t/0').leader = 0
  await within(cluster, producer.seal())
  assert.deepEqual(cluster.log('t/0').values, ['waits'])
})

test('2: a transaction reaches a partition only when all of the one before it is acknowledged there', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  // The first transaction's batches fail once, after the second one's are closed already.
  cluster.fate = (request) => (request < 3 ? { refuse: KafkaErrorCode.NOT_ENOUGH_REPLICAS } : 'served')
  const producer = new Producer(cluster, { ...OPTIONS, maxRequestSize: 250 })
  const seals = []
  for (const [index, name] of ['a', 'b', 'c'].entries()) {
    producer.beginTransaction(`id-${name}`, 2, identity(10 + index, 0))
    await appendAll(producer, 't', 0, series(name, 40))
    seals.push(producer.seal())
  }
  const sealed = await within(cluster, Promise.all(seals))
  assert.deepEqual(cluster.log('t/0').values, [...series('a', 40), ...series('b', 40), ...series('c', 40)])
  assert.deepEqual(
    sealed.map((one) => one.handle),
    ['a', 'b', 'c'].map((name, i) => ({ transactionalId: `id-${name}`, version: 2, producerId: 10 + i, epoch: 0 })),
  )
})

test('5: a seal resolves when its own records are acknowledged, not later ones', async () => {
  const cluster = new DoubleCluster({ t: 2 }, 1)
  let held = false
  cluster.fate = () => (held ? { delayMs: 5000 } : 'served')
  const producer = new Producer(cluster, OPTIONS)
  producer.beginTransaction('first', 2, identity(1, 0))
  await appendAll(producer, 't', 0, ['one'])
  const first = producer.seal()
  producer.beginTransaction('second', 2, identity(2, 0))
  await appendAll(producer, 't', 1, ['two'])
  const second = producer.seal()
  let secondDone = false
  second.then(() => void (secondDone = true))
  await first
  held = true
  assert.deepEqual(cluster.log('t/0').values, ['one'])
  await within(cluster, second)
  assert.ok(secondDone)
})

test('5: a plain seal answers for the plain records of earlier seals too', async () => {
  const cluster = new DoubleCluster({ t: 2 }, 2)
  cluster.fate = (_, node) => (node === 0 ? { delayMs: 5000 } : 'served')
  const producer = new Producer(cluster, OPTIONS)
  await appendAll(producer, 't', 0, ['slow'])
  const first = producer.seal()
  await appendAll(producer, 't', 1, ['quick'])
  const second = producer.seal()
  await cluster.clock.advance(100)
  assert.deepEqual([cluster.log('t/0').values, cluster.log('t/1').values], [[], ['quick']])
  await within(cluster, second)
  assert.deepEqual(cluster.log('t/0').values, ['slow'])
  assert.deepEqual([...(await first).records], [['t', 1]])
})

test('6: an identity that was used by a transaction before is refused as a bug', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const producer = new Producer(cluster, OPTIONS)
  producer.beginTransaction('id', 2, identity(1, 4))
  await within(cluster, producer.seal())
  producer.beginTransaction('id', 2, identity(1, 4))
  await appendAll(producer, 't', 0, ['v'])
  await within(cluster, producer.seal())
  producer.beginTransaction('id', 2, identity(1, 4))
  await assert.rejects(appendAll(producer, 't', 0, ['w']), /second transaction under producer id 1, epoch 4/)
  assert.deepEqual(cluster.log('t/0').values, ['v'])
})

test('6: nothing is sent before the identity is known, and appends do not wait for it', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const producer = new Producer(cluster, OPTIONS)
  const { promise, resolve } = Promise.withResolvers<ProducerIdentity>()
  producer.beginTransaction('id', 1, promise)
  await appendAll(producer, 't', 0, series('v', 50))
  const sealed = producer.seal()
  await cluster.clock.advance(1000)
  assert.equal(cluster.produceRequests.length + cluster.enlistRequests.length, 0)
  resolve({ producerId: 7, epoch: 3 })
  const { handle } = await within(cluster, sealed)
  assert.deepEqual(handle, { transactionalId: 'id', version: 1, producerId: 7, epoch: 3 })
  assert.deepEqual(cluster.log('t/0').values, series('v', 50))
})

test('6: an identity that cannot be had fails the producer with that error', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const producer = new Producer(cluster, OPTIONS)
  const refused = new MillraceError('KAFKA_AUTHORIZATION_FAILED', 'no')
  const { promise, reject } = Promise.withResolvers<ProducerIdentity>()
  producer.beginTransaction('id', 1, promise)
  await appendAll(producer, 't', 0, ['v'])
  const sealed = producer.seal()
  reject(refused)
  await assert.rejects(sealed, refused)
  assert.equal(producer.failure, refused)
})

test('7: a transaction without records asks nobody and has nothing to end', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const producer = new Producer(cluster, OPTIONS)
  producer.beginTransaction('id', 1, identity(1, 0))
  const sealed = await producer.seal()
  await cluster.clock.advance(1000)
  assert.equal(sealed.handle, undefined)
  assert.equal(sealed.records.size, 0)
  assert.equal(cluster.produceRequests.length + cluster.enlistRequests.length, 0)
})

test('8: under version 1 each partition is added once before it is written, together with its neighbours', async () => {
  const cluster = new DoubleCluster({ t: 3 }, 2)
  const producer = new Producer(cluster, OPTIONS)
  const topic = await producer.topic('t')
  producer.beginTransaction('id', 1, identity(1, 0))
  for (const value of series('', 60)) for (let p = 0; p < 3; p++) topic.append(p, 1000, null, `${p}-${value}`)
  await within(cluster, producer.seal())
  assert.deepEqual(cluster.enlistRequests, [{ transactionalId: 'id', partitions: ['t/0', 't/1', 't/2'] }])
  assert.ok(cluster.produceRequests.every((request) => request.version <= 11 && request.transactionalId === 'id'))
  for (let p = 0; p < 3; p++) assert.deepEqual(cluster.log(`t/${p}`).values, series(`${p}-`, 60))
})

test('8: adding is repeated while the transaction before is being ended', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  cluster.enlistCode = (request) => (request < 3 ? KafkaErrorCode.CONCURRENT_TRANSACTIONS : 0)
  const producer = new Producer(cluster, OPTIONS)
  producer.beginTransaction('id', 1, identity(1, 0))
  await appendAll(producer, 't', 0, ['v'])
  const before = cluster.clock.monotonic()
  await within(cluster, producer.seal())
  assert.equal(cluster.enlistRequests.length, 4)
  assert.ok(cluster.clock.monotonic() - before < 200, 'every 20 ms')
})

test('8: under version 2 no partition is added by request, and produce requests are of version 12 or later', async () => {
  const cluster = new DoubleCluster({ t: 2 }, 1)
  cluster.topicIds.set('t', 'AAAAAAAAAAAAAAAAAAAAAQ')
  cluster.fate = once(0, { refuse: KafkaErrorCode.CONCURRENT_TRANSACTIONS })
  const producer = new Producer(cluster, OPTIONS)
  producer.beginTransaction('id', 2, identity(1, 0))
  for (let p = 0; p < 2; p++) await appendAll(producer, 't', p, ['v'])
  await within(cluster, producer.seal())
  assert.equal(cluster.enlistRequests.length, 0)
  assert.ok(cluster.produceRequests.every((request) => request.version === 13))
  for (let p = 0; p < 2; p++) assert.deepEqual(cluster.log(`t/${p}`).values, ['v'])
})

const FATAL: readonly (readonly [code: number, expected: string])[] = [
  [KafkaErrorCode.INVALID_PRODUCER_EPOCH, 'KAFKA_FENCED'],
  [KafkaErrorCode.PRODUCER_FENCED, 'KAFKA_FENCED'],
  [KafkaErrorCode.INVALID_TXN_STATE, 'KAFKA_TRANSACTION_ABORTED'],
  [KafkaErrorCode.TRANSACTION_ABORTABLE, 'KAFKA_TRANSACTION_ABORTED'],
  [KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED, 'KAFKA_AUTHORIZATION_FAILED'],
  [KafkaErrorCode.MESSAGE_TOO_LARGE, 'KAFKA_RECORD_TOO_LARGE'],
  [KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, 'KAFKA_PRODUCE_FAILED'],
  [KafkaErrorCode.INVALID_RECORD, 'KAFKA_PRODUCE_FAILED'],
]

for (const [code, expected] of FATAL) {
  test(`9: error code ${code} fails every seal and later append with ${expected}, naming the place`, async () => {
    const cluster = new DoubleCluster({ t: 1 }, 1)
    cluster.fate = () => ({ refuse: code })
    const producer = new Producer(cluster, OPTIONS)
    producer.beginTransaction('id', 2, identity(41, 5))
    await appendAll(producer, 't', 0, ['v'])
    const first = producer.seal()
    producer.beginTransaction('other', 2, identity(42, 0))
    await appendAll(producer, 't', 0, ['w'])
    const second = producer.seal()
    await within(
      cluster,
      first.catch(() => undefined),
    )
    for (const sealed of [first, second]) {
      await assert.rejects(sealed, (error) => {
        assert.ok(MillraceError.is(error))
        assert.equal(error.code, expected)
        assert.match(error.message, /t-0.*transactional id id \(producer id 41, epoch 5\)/)
        return true
      })
    }
    await assert.rejects(appendAll(producer, 't', 0, ['x']), { code: expected })
    const requests = cluster.produceRequests.length
    await cluster.clock.advance(5000)
    assert.equal(cluster.produceRequests.length, requests)
  })
}

test('9: what is not acknowledged within delivery.timeout.ms fails the producer', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  cluster.fate = () => ({ refuse: KafkaErrorCode.NOT_ENOUGH_REPLICAS })
  const producer = new Producer(cluster, OPTIONS)
  await appendAll(producer, 't', 0, ['v'])
  const sealed = producer.seal()
  sealed.catch(() => undefined)
  await cluster.clock.advance(9_000)
  assert.equal(producer.failure, undefined)
  await cluster.clock.advance(2_000)
  await assert.rejects(sealed, { code: 'KAFKA_TIMEOUT' })
  assert.match(String(producer.failure), /t-0.*sent \d+ times/)
})

for (const fate of [{ refuse: KafkaErrorCode.NOT_ENOUGH_REPLICAS }, 'break before serving'] as const) {
  test(`retries bounds how often a batch is sent again (${JSON.stringify(fate)})`, async () => {
    const cluster = new DoubleCluster({ t: 1 }, 1)
    cluster.fate = () => fate
    const producer = new Producer(cluster, { ...OPTIONS, retries: 2 })
    await appendAll(producer, 't', 0, ['v'])
    await assert.rejects(within(cluster, producer.seal()), {
      code: 'KAFKA_PRODUCE_FAILED',
      message: /t-0.*failed 3 times, and retries is 2/,
    })
    assert.equal(cluster.produceRequests.length, 3)
  })
}

test('when the broker asks to slow down, nothing more is sent to it for so long', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  cluster.throttleMs = 700
  const producer = new Producer(cluster, OPTIONS)
  await appendAll(producer, 't', 0, ['first'])
  await within(cluster, producer.seal())
  const answeredMs = cluster.clock.monotonic()
  await appendAll(producer, 't', 0, ['second'])
  const sealed = producer.seal()
  await cluster.clock.advance(600)
  assert.equal(cluster.produceRequests.length, 1)
  await within(cluster, sealed)
  assert.ok(cluster.clock.monotonic() - answeredMs >= 680, 'the whole pause')
  assert.deepEqual(cluster.log('t/0').values, ['first', 'second'])
})

test('a broker that cannot be reached is tried again until it can', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  let down = true
  cluster.connectFails = () => down
  const producer = new Producer(cluster, OPTIONS)
  await appendAll(producer, 't', 0, series('v', 10))
  const sealed = producer.seal()
  await cluster.clock.advance(3_000)
  down = false
  await within(cluster, sealed)
  assert.deepEqual(cluster.log('t/0').values, series('v', 10))
})

test('linger.ms sends what is there by one timer, and a full batch goes at once', async () => {
  const cluster = new DoubleCluster({ t: 2 }, 1)
  const producer = new Producer(cluster, { ...OPTIONS, lingerMs: 50 })
  await appendAll(producer, 't', 0, ['a'])
  await cluster.clock.advance(30)
  await appendAll(producer, 't', 1, ['b'])
  await cluster.clock.advance(15)
  assert.deepEqual(cluster.log('t/0').values, [])
  await cluster.clock.advance(10)
  assert.deepEqual(cluster.log('t/0').values, ['a'])
  assert.deepEqual(cluster.log('t/1').values, [])
  await cluster.clock.advance(30)
  assert.deepEqual(cluster.log('t/1').values, ['b'])
  await appendAll(producer, 't', 0, series('long value number ', 20))
  await cluster.clock.advance(0)
  assert.ok(cluster.log('t/0').values.length > 1)
  await producer.close({ discard: true })
})

test('nudge sends at once where nothing is on its way to the broker, and the rest when that is acknowledged', async () => {
  const cluster = new DoubleCluster({ t: 2 }, 1)
  const producer = new Producer(cluster, { ...OPTIONS, lingerMs: 10_000 })
  await appendAll(producer, 't', 0, ['a'])
  await appendAll(producer, 't', 1, ['b'])
  producer.nudge()
  await cluster.clock.advance(0)
  assert.deepEqual([cluster.log('t/0').values, cluster.log('t/1').values], [['a'], ['b']])
  const { batches } = producer.metrics()
  cluster.fate = () => ({ delayMs: 100 })
  await appendAll(producer, 't', 0, ['c'])
  producer.nudge()
  for (const value of ['d', 'e', 'f']) {
    await appendAll(producer, 't', 0, [value])
    producer.nudge()
  }
  await cluster.clock.advance(50)
  assert.equal(producer.metrics().batches, batches + 1, 'one is on its way, the rest gathers')
  for (let turn = 0; turn < 4; turn++) await cluster.clock.advance(100)
  assert.deepEqual(cluster.log('t/0').values, ['a', 'c', 'd', 'e', 'f'])
  assert.equal(producer.metrics().batches, batches + 2)
  await appendAll(producer, 't', 0, ['held back'])
  await cluster.clock.advance(500)
  assert.equal(producer.metrics().batches, batches + 2, 'who is not nudged waits for linger.ms')
  await producer.close({ discard: true })
})

test('nudged batches of several partitions leave in one request when nothing is on its way to their broker', async () => {
  const cluster = new DoubleCluster({ t: 3 }, 1)
  const producer = new Producer(cluster, { ...OPTIONS, lingerMs: 10_000 })
  for (let p = 0; p < 3; p++) await appendAll(producer, 't', p, ['known'])
  producer.nudge()
  for (let turn = 0; turn < 3; turn++) await cluster.clock.advance(100)
  const { requests } = producer.metrics()
  cluster.fate = () => ({ delayMs: 100 })
  await appendAll(producer, 't', 0, ['a'])
  producer.nudge()
  await appendAll(producer, 't', 1, ['b'])
  producer.nudge()
  await appendAll(producer, 't', 2, ['c'])
  producer.nudge()
  await cluster.clock.advance(50)
  assert.equal(producer.metrics().requests, requests + 1, 'one is on its way to the broker, the rest gathers')
  for (let turn = 0; turn < 3; turn++) await cluster.clock.advance(100)
  assert.deepEqual([cluster.log('t/1').values.at(-1), cluster.log('t/2').values.at(-1)], ['b', 'c'])
  assert.equal(producer.metrics().requests, requests + 2)
  await producer.close({ discard: true })
})

test('11: buffer.memory used up shows as blocked, sends what is open and passes when acknowledged', async () => {
  const cluster = new DoubleCluster({ t: 4 }, 1)
  const producer = new Producer(cluster, {
    ...OPTIONS,
    batchSize: 16 * 1024,
    bufferMemory: 4 * 16 * 1024,
    lingerMs: 60_000,
  })
  for (let p = 0; p < 3; p++) await appendAll(producer, 't', p, ['v'])
  assert.equal(producer.blocked, false)
  await appendAll(producer, 't', 3, ['v'])
  assert.equal(producer.blocked, true)
  await within(cluster, producer.writable())
  assert.equal(producer.blocked, false)
  await within(cluster, producer.seal())
  assert.deepEqual(cluster.log('t/3').values, ['v'])
})

test('a record above max.request.size is refused, with nothing appended and the producer unharmed', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const producer = new Producer(cluster, { ...OPTIONS, maxRequestSize: 1000 })
  const topic = await producer.topic('t')
  assert.throws(() => topic.append(0, 1, null, 'x'.repeat(1000)), { code: 'KAFKA_RECORD_TOO_LARGE' })
  assert.throws(() => topic.append(0, 1, null, Buffer.alloc(950)), { code: 'KAFKA_RECORD_TOO_LARGE' })
  topic.append(0, 1, null, 'y'.repeat(900))
  assert.throws(() => topic.append(7, 1, null, 'y'), { code: 'KAFKA_UNKNOWN_PARTITION' })
  await within(cluster, producer.seal())
  assert.deepEqual(cluster.log('t/0').values, ['y'.repeat(900)])
})

test('sequences begin again at 0 after the largest', () => {
  const lane = new ProducerLane('t', 0)
  const row = {}
  assert.equal(lane.takeSequences(row, 0x7fff_fff0), 0)
  assert.equal(lane.takeSequences(row, 16), 0x7fff_fff0)
  assert.equal(lane.takeSequences(row, 5), 0)
  assert.equal(lane.takeSequences(row, 0x7fff_fffa), 5)
  assert.equal(lane.takeSequences(row, 3), 0x7fff_ffff)
  assert.equal(lane.takeSequences({}, 3), 0)
})

test('with partitioner.ignore.keys keyed records stick to one partition too', async () => {
  for (const partitionerIgnoreKeys of [true, false]) {
    const cluster = new DoubleCluster({ t: 8 }, 2)
    const producer = new Producer(cluster, { ...OPTIONS, batchSize: 2000, partitionerIgnoreKeys })
    const topic = await producer.topic('t')
    for (let i = 0; i < 20; i++) topic.append(-1, 1, `key ${i}`, `value ${i}`)
    await within(cluster, producer.seal())
    const used = [...cluster.logs.values()].filter((log) => log.batches.length > 0).length
    assert.equal(used === 1, partitionerIgnoreKeys, `${used} partitions`)
  }
})

test('records without key and partition go where little waits', async () => {
  const cluster = new DoubleCluster({ t: 2 }, 2)
  // One of the two brokers answers slowly.
  cluster.fate = (_, node) => (node === 0 ? { delayMs: 400 } : 'served')
  const producer = new Producer(cluster, { ...OPTIONS, batchSize: 400, maxInFlightRequestsPerConnection: 1 })
  const topic = await producer.topic('t')
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 20; i++) topic.append(-1, 1, null, `value ${i}`)
    await cluster.clock.advance(20)
  }
  await within(cluster, producer.seal())
  const [slow, fast] = ['t/0', 't/1'].map((name) => cluster.log(name).values.length)
  assert.equal((slow ?? 0) + (fast ?? 0), 4000)
  assert.ok((fast ?? 0) > 1.5 * (slow ?? 0), `${slow} to the slow one, ${fast} to the other`)
})

test('records without key and partition fill one batch before they go elsewhere', async () => {
  const cluster = new DoubleCluster({ t: 8 }, 2)
  const producer = new Producer(cluster, { ...OPTIONS, batchSize: 2000 })
  const topic = await producer.topic('t')
  for (let i = 0; i < 1000; i++) topic.append(-1, 1, null, `value ${i}`)
  await within(cluster, producer.seal())
  const used = [...cluster.logs.values()].filter((log) => log.batches.length > 0)
  const batches = used.reduce((sum, log) => sum + log.batches.length, 0)
  assert.ok(used.length > 2, 'several partitions are used')
  assert.ok(batches <= 16, `few batches, not ${batches}`)
  assert.equal(
    used.reduce((sum, log) => sum + log.values.length, 0),
    1000,
  )
})

test('10: buffers are used again only after the acknowledgement', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  // The cluster reads the bytes late; a buffer used again before would show other values.
  cluster.fate = () => ({ delayMs: 50 })
  const producer = new Producer(cluster, { ...OPTIONS, batchSize: 16 * 1024, maxRequestSize: 20_000 })
  const values = series('value-', 20_000)
  await appendAll(producer, 't', 0, values)
  await within(cluster, producer.seal())
  assert.deepEqual(cluster.log('t/0').values, values)
})

test('16: a broker that forgot a plain producer with all its records is written to from sequence 0 on', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const producer = new Producer(cluster, { ...OPTIONS, maxRequestSize: 250 })
  await appendAll(producer, 't', 0, series('a', 60))
  await within(cluster, producer.seal())
  cluster.log('t/0').deleteRecords()
  // Several batches are on their way when the first is answered.
  await appendAll(producer, 't', 0, series('b', 120))
  await within(cluster, producer.seal())
  await appendAll(producer, 't', 0, series('c', 60))
  await within(cluster, producer.seal())
  assert.deepEqual(cluster.log('t/0').values, [...series('a', 60), ...series('b', 120), ...series('c', 60)])
  const [state] = cluster.log('t/0').producers.values()
  assert.equal(state?.lastSequence, 179, 'the sequence began anew behind the deleted records')
})

test('16: a broker that forgot a producer though acknowledged records are in the log still fails it', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const producer = new Producer(cluster, OPTIONS)
  await appendAll(producer, 't', 0, series('a', 60))
  await within(cluster, producer.seal())
  const log = cluster.log('t/0')
  log.deleteRecords()
  log.logStartOffset = 59
  await appendAll(producer, 't', 0, series('b', 10))
  await assert.rejects(within(cluster, producer.seal()), { code: 'KAFKA_PRODUCE_FAILED' })
})

test('16: a broker that forgot the producer of an open transaction fails it', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const producer = new Producer(cluster, { ...OPTIONS, maxRequestSize: 250 })
  producer.beginTransaction('id', 2, identity(7, 0))
  await appendAll(producer, 't', 0, series('a', 30))
  await cluster.clock.advance(100)
  cluster.log('t/0').deleteRecords()
  await appendAll(producer, 't', 0, series('b', 30))
  await assert.rejects(within(cluster, producer.seal()), { code: 'KAFKA_PRODUCE_FAILED' })
})

test('close waits for plain records, and afterwards nothing is accepted', async () => {
  const cluster = new DoubleCluster({ t: 1 }, 1)
  const producer = new Producer(cluster, OPTIONS)
  const topic = await producer.topic('t')
  topic.append(0, 1, 'k', 'v')
  await within(cluster, producer.close())
  assert.deepEqual(cluster.log('t/0').values, ['v'])
  assert.throws(() => topic.append(0, 1, 'k', 'v'), { code: 'CANCELLED' })
  await assert.rejects(producer.seal(), { code: 'CANCELLED' })
  await producer.close()
  assert.equal(cluster.clock.timers, 0)
})
