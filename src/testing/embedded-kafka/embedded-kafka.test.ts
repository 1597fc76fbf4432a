/** A Kafka for a test: there at once, over TCP and without, with transactions, and a comparison that finds what is wrong. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { assertTopicContains } from './assert-topic-contains.ts'
import { EmbeddedKafka } from './embedded-kafka.ts'

let kafka: EmbeddedKafka

before(async () => {
  kafka = await EmbeddedKafka.start({ topics: { orders: { partitions: 2 } } })
})

after(() => kafka.close())

const values = async (topic: string, isolation?: 'read_uncommitted'): Promise<(string | undefined)[]> =>
  (await kafka.readAll(topic, isolation === undefined ? {} : { isolation })).map(({ value }) => value?.toString())

test('it starts in less than 50 ms', async (t) => {
  const took: number[] = []
  // The quickest of five, or of more while other tests have the processors too.
  for (let round = 0; round < 5 || (round < 50 && Math.min(...took) >= 50); round++) {
    const beganMs = performance.now()
    const another = await EmbeddedKafka.start({ topics: { a: { partitions: 4 } } })
    took.push(performance.now() - beganMs)
    await another.close()
  }
  t.diagnostic(`${took.map((ms) => ms.toFixed(1)).join(', ')} ms`)
  assert.ok(Math.min(...took) < 50, `${took} ms`)
})

test('what was written is read back: keys, partitions, timestamps, headers, tombstones', async () => {
  kafka.createTopic('kept', { partitions: 3 })
  const headers = [{ key: 'h', value: 'x' }]
  await kafka.produce('kept', [
    { partition: 2, key: 'k', value: 'v', timestamp: 1_000, headers },
    { partition: 0, key: 'gone', value: null },
  ])
  const [tombstone, record, ...more] = await kafka.readAll('kept')
  assert.deepEqual(more, [])
  assert.deepEqual([tombstone?.partition, tombstone?.key?.toString(), tombstone?.value], [0, 'gone', null])
  assert.deepEqual([record?.partition, record?.offset, record?.timestamp], [2, 0, 1_000])
  assert.deepEqual(record?.headers, [{ key: 'h', value: Buffer.from('x') }])
})

test('a reader at read_committed sees committed transactions only, and waits behind an open one', async () => {
  kafka.createTopic('transactions')
  await kafka.produce('transactions', ['a'], { transactionalId: 't1' })
  await kafka.produce('transactions', ['b'], { transactionalId: 't1', end: 'abort' })
  await kafka.produce('transactions', ['c'])
  assert.deepEqual(await values('transactions'), ['a', 'c'])
  await kafka.produce('transactions', ['d'], { transactionalId: 't2', end: 'open' })
  await kafka.produce('transactions', ['e'])
  assert.deepEqual(await values('transactions'), ['a', 'c'])
  assert.deepEqual(await values('transactions', 'read_uncommitted'), ['a', 'b', 'c', 'd', 'e'])
})

test('without TCP it has an address all the same, for those who take its network', async () => {
  const quiet = await EmbeddedKafka.start({ tcp: false, topics: { a: {} } })
  await quiet.produce('a', ['1'])
  assert.equal((await quiet.readAll('a')).length, 1)
  assert.match(quiet.bootstrapServers, /:\d+$/)
  await quiet.close()
})

test('assertTopicContains takes texts and JSON in any order, and finds what lacks, what is too much, what is in the wrong place', async () => {
  kafka.createTopic('content')
  await kafka.produceJson('content', [{ id: 1, user: 'a' }, { id: 2 }, { id: 2 }])
  const quick = { timeoutMs: 50 }
  await assertTopicContains(kafka, 'content', [{ id: 2 }, { user: 'a', id: 1 }, '{"id":2}'])
  await assertTopicContains(kafka, 'content', [{ user: 'a', id: 1 }, { id: 2 }, { id: 2 }], { order: 'exactly' })
  await assert.rejects(
    assertTopicContains(kafka, 'content', [{ id: 2 }, { id: 1, user: 'a' }, { id: 2 }], { order: 'exactly' }),
    /record 0 is/,
  )
  await assert.rejects(
    assertTopicContains(kafka, 'content', [{ id: 2 }, { id: 1, user: 'a' }], quick),
    /not expected: '\{"id":2\}'/,
  )
  await assert.rejects(
    assertTopicContains(kafka, 'content', [{ id: 1, user: 'a' }, { id: 2 }, { id: 2 }, { id: 3 }], quick),
    /missing: \{ id: 3 \}/,
  )
  await assert.rejects(
    assertTopicContains(kafka, 'content', [{ id: 1 }, { id: 2 }, { id: 2 }], quick),
    /missing: \{ id: 1 \}/,
  )
})

test('assertTopicContains waits for what comes later', async () => {
  kafka.createTopic('later')
  const waiting = assertTopicContains(kafka, 'later', ['x'])
  await kafka.produce('later', ['x'])
  await waiting
})
