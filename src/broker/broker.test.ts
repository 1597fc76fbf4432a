/**
 * The embedded broker as this project's own client sees it: idempotence, isolation, long polls, leaders that move, nodes that
 * go, faults on request, bounds. Everything goes over the protocol, in this process.
 */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, suite, test } from 'node:test'
import {
  createTopicsApi,
  deleteRecordsApi,
  deleteTopicsApi,
  describeProducersApi,
  endTransaction,
  endTxnApi,
  Fetcher,
  type FetchResponsePartitionData,
  fetchApi,
  incrementalAlterConfigsApi,
  initProducerId,
  kafkaError,
  listOffsetsApi,
  metadataApi,
  offsetCommitApi,
  offsetFetchApi,
  offsetForLeaderEpochApi,
  parseFetcherOptions,
  produceApi,
  txnOffsetCommitApi,
} from '../kafka/index.ts'
import { BrokerWorld, HoldingClock } from './broker-world.test-double.ts'
import type { EmbeddedBrokerOptions } from './embedded-broker.ts'

let world: BrokerWorld

/** Of no other timer. */
const MARKER_DELAY_MS = 41
/** A transaction may take this long to end, on a machine that others use too. */
const DEADLINE = { deadlineMs: 60_000 }

async function open(options: Partial<EmbeddedBrokerOptions> = {}): Promise<void> {
  await world?.close()
  world = new BrokerWorld({ topics: { t: { partitions: 1 } }, ...options })
}

/** One partition's part of one fetch. */
async function fetched(
  fetchOffset: number,
  options: {
    isolation?: number
    epoch?: number
    bytes?: number
    maxWaitMs?: number
    minBytes?: number
    node?: number
  } = {},
): Promise<FetchResponsePartitionData> {
  const { isolation = 0, epoch = -1, bytes = 1 << 20, maxWaitMs = 0, minBytes = 1, node = 1 } = options
  const partition = { partition: 0, fetchOffset, partitionMaxBytes: bytes, currentLeaderEpoch: epoch }
  const topics = [{ topic: 't', partitions: [partition] }]
  const request = { maxWaitMs, minBytes, maxBytes: 1 << 20, isolationLevel: isolation, sessionEpoch: -1, topics }
  const response = await world.ask(fetchApi, request, { version: 12, node, purpose: 'fetch' })
  const part = response.responses[0]?.partitions[0]
  assert.ok(part !== undefined)
  return part
}

const name = (code: number): string => kafkaError(code).name

suite('the embedded broker', () => {
  beforeEach(() => open())
  afterEach(() => world.close())

  suite('idempotent producers', () => {
    const values = ['x']

    test('a batch that is sent again is stored once and answered with its first offset, five batches back', async () => {
      for (let sequence = 0; sequence < 6; sequence++) {
        const answer = await world.send('t', 0, { values, producerId: 5, epoch: 0, sequence })
        assert.equal(answer.baseOffset, sequence)
      }
      const again = await world.send('t', 0, { values, producerId: 5, epoch: 0, sequence: 1 })
      assert.deepEqual([name(again.errorCode), again.baseOffset], ['NONE', 1])
      assert.equal(
        await world.sent('t', 0, { values, producerId: 5, epoch: 0, sequence: 0 }),
        'OUT_OF_ORDER_SEQUENCE_NUMBER',
      )
      assert.equal((await world.values('t')).length, 6)
    })

    test('a gap is refused, an older epoch is fenced, a new epoch begins at zero', async () => {
      const batch = { values, producerId: 5, epoch: 3, sequence: 0 }
      assert.equal(await world.sent('t', 0, batch), 'NONE')
      assert.equal(await world.sent('t', 0, { ...batch, sequence: 2 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
      assert.equal(await world.sent('t', 0, { ...batch, epoch: 2, sequence: 1 }), 'INVALID_PRODUCER_EPOCH')
      assert.equal(await world.sent('t', 0, { ...batch, epoch: 4, sequence: 1 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
      assert.equal(await world.sent('t', 0, { ...batch, epoch: 4 }), 'NONE')
    })

    test('sequences go on at zero after the largest', async () => {
      const batch = { values: ['a', 'b'], producerId: 5, epoch: 0 }
      assert.equal(await world.sent('t', 0, { ...batch, sequence: 0x7ffffffe }), 'NONE')
      assert.equal(await world.sent('t', 0, { ...batch, sequence: 0 }), 'NONE')
      assert.equal(
        await world.sent('t', 0, { ...batch, values: ['c', 'd', 'e'], sequence: 0x7fffffff }),
        'OUT_OF_ORDER_SEQUENCE_NUMBER',
      )
    })

    test('what a partition knows of its producers can be asked for', async () => {
      await world.send('t', 0, { values: ['a', 'b'], producerId: 5, epoch: 2, sequence: 7, timestamp: 1_000 })
      const response = await world.ask(describeProducersApi, { topics: [{ name: 't', partitionIndexes: [0] }] })
      assert.deepEqual(response.topics[0]?.partitions[0]?.activeProducers, [
        {
          producerId: 5,
          producerEpoch: 2,
          lastSequence: 8,
          lastTimestamp: 1_000,
          coordinatorEpoch: -1,
          currentTxnStartOffset: -1,
        },
      ])
    })
  })

  suite('transactions in a partition', () => {
    test('a batch outside of the open transaction of its producer, and one of no transaction, are refused', async () => {
      const { producerId, epoch } = await world.flushed('id', 't')
      assert.equal(await world.sent('t', 0, { values: ['x'], producerId, epoch, sequence: 1 }), 'INVALID_TXN_STATE')
      await open({ transactionVersion: 1 })
      const fresh = await initProducerId(world.cluster, 'id', 60_000)
      const batch = {
        values: ['x'],
        transactionalId: 'id',
        producerId: fresh.producerId,
        epoch: fresh.epoch,
        sequence: 0,
      }
      assert.equal(await world.sent('t', 0, { ...batch, version: 11 }), 'TRANSACTION_ABORTABLE')
      assert.equal(await world.sent('t', 0, { ...batch, version: 10 }), 'INVALID_TXN_STATE')
    })

    test('a fenced producer cannot write, and a producer that goes on while its last end is under way is told to wait', async () => {
      const clock = new HoldingClock()
      await open({ clock, settings: { markerDelayMs: MARKER_DELAY_MS } })
      clock.hold(MARKER_DELAY_MS)
      const handle = await world.flushed('id', 't')
      const { producerId, epoch, transactionalId } = handle
      const ended = await world.ask(
        endTxnApi,
        { transactionalId, producerId, producerEpoch: epoch, committed: true },
        { version: 5 },
      )
      assert.equal(ended.producerEpoch, epoch + 1)
      const next = { values: ['next'], transactionalId, producerId, epoch: epoch + 1, sequence: 0 }
      assert.equal(await world.sent('t', 0, next), 'CONCURRENT_TRANSACTIONS')
      clock.letGo()
      await world.describe('id')
      assert.equal(await world.sent('t', 0, { ...next, epoch }), 'INVALID_PRODUCER_EPOCH')
      assert.equal(await world.sent('t', 0, next), 'NONE')
      assert.deepEqual(await world.values('t'), ['id'])
    })

    test('the last stable offset waits for the first open transaction, and aborted ones are named beside their data', async () => {
      const first = await world.flushed('a', 't')
      const second = await world.flushed('b', 't')
      await endTransaction(world.cluster, second, false, DEADLINE)
      await world.describe('b')
      const before = await fetched(0, { isolation: 1 })
      assert.deepEqual([before.lastStableOffset, before.highWatermark, before.records?.length], [0, 3, 0])
      await endTransaction(world.cluster, first, true, DEADLINE)
      await world.describe('a')
      const after = await fetched(0, { isolation: 1 })
      assert.equal(after.lastStableOffset, 4)
      assert.deepEqual(after.abortedTransactions, [{ producerId: second.producerId, firstOffset: 1 }])
      assert.equal((await fetched(0)).abortedTransactions, null)
      assert.deepEqual(await world.values('t'), ['a'])
      assert.deepEqual(await world.values('t', 'read_uncommitted'), ['a', 'b'])
    })

    test("a group's offsets are seen when their transaction commits, dropped when it aborts, and unstable until then", async () => {
      for (const [commit, expected] of [
        [false, -1],
        [true, 7],
      ] as const) {
        const { producerId, epoch } = await initProducerId(world.cluster, 'id', 60_000)
        const offsets = [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 7, committedMetadata: '' }] }]
        const request = { transactionalId: 'id', groupId: 'g', producerId, producerEpoch: epoch, topics: offsets }
        const held = await world.ask(txnOffsetCommitApi, request, { version: 5 })
        assert.equal(name(held.topics[0]?.partitions[0]?.errorCode ?? -1), 'NONE')
        const ask = async (requireStable: boolean): Promise<(string | number)[]> => {
          const groups = [{ groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }] }]
          const found = await world.ask(offsetFetchApi, { groups, requireStable }, { version: 9 })
          const one = found.groups[0]?.topics[0]?.partitions[0]
          return [name(one?.errorCode ?? -1), one?.committedOffset ?? -2]
        }
        assert.deepEqual(await ask(true), ['UNSTABLE_OFFSET_COMMIT', -1])
        assert.deepEqual(await ask(false), ['NONE', -1])
        await endTransaction(world.cluster, { transactionalId: 'id', producerId, epoch, version: 2 }, commit, DEADLINE)
        await world.describe('id')
        assert.deepEqual(await ask(true), ['NONE', expected])
      }
    })
  })

  suite('fetching', () => {
    test('a fetch waits for the bytes it wants, and no longer than it says', async () => {
      const began = performance.now()
      assert.equal((await fetched(0, { maxWaitMs: 60 })).records?.length, 0)
      assert.ok(performance.now() - began >= 55)
      // Longer than a test may take: only bytes end it.
      const waiting = fetched(0, { maxWaitMs: 600_000, minBytes: 120 })
      await world.clock.sleep(10)
      await world.send('t', 0, { values: ['small'] })
      await world.clock.sleep(10)
      await world.send('t', 0, { values: ['small', 'and more'] })
      assert.ok(((await waiting).records?.length ?? 0) > 120)
    })

    test('offsets outside of the log are out of range', async () => {
      await world.send('t', 0, { values: ['a'] })
      assert.equal(name((await fetched(2)).errorCode), 'OFFSET_OUT_OF_RANGE')
      assert.equal(name((await fetched(1)).errorCode), 'NONE')
    })

    test('an answer holds whole batches up to the limit, and at least one', async () => {
      for (let i = 0; i < 4; i++) await world.send('t', 0, { values: ['x'.repeat(100)] })
      const one = await fetched(0, { bytes: 10 })
      const size = one.records?.length ?? 0
      assert.ok(size > 100)
      assert.equal((await fetched(0, { bytes: 2 * size })).records?.length, 2 * size)
      assert.equal((await fetched(0, { bytes: 3 * size - 1 })).records?.length, 2 * size)
      assert.equal((await fetched(0)).records?.length, 4 * size)
    })

    test('a session names the partitions once, and answers with what is news', async () => {
      await world.send('t', 0, { values: ['a'] })
      const topics = [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }] }]
      const base = { maxWaitMs: 0, minBytes: 1, maxBytes: 10_000, isolationLevel: 0 }
      const ask = (request: object) => world.ask(fetchApi, { ...base, ...request }, { version: 12, purpose: 'fetch' })
      const first = await ask({ sessionId: 0, sessionEpoch: 0, topics })
      assert.ok(first.sessionId > 0)
      const { sessionId } = first
      const second = await ask({ sessionId, sessionEpoch: 1, topics: [] })
      assert.equal(
        second.responses[0]?.partitions[0]?.records?.length,
        first.responses[0]?.partitions[0]?.records?.length,
      )
      const moved = [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 1, partitionMaxBytes: 1_000 }] }]
      assert.deepEqual((await ask({ sessionId, sessionEpoch: 2, topics: moved })).responses, [])
      await world.send('t', 0, { values: ['b'] })
      assert.equal(
        (await ask({ sessionId, sessionEpoch: 3, topics: [] })).responses[0]?.partitions[0]?.highWatermark,
        2,
      )
      assert.equal(
        name((await ask({ sessionId, sessionEpoch: 9, topics: [] })).errorCode),
        'INVALID_FETCH_SESSION_EPOCH',
      )
      assert.equal(
        name((await ask({ sessionId: 12_345, sessionEpoch: 1, topics: [] })).errorCode),
        'FETCH_SESSION_ID_NOT_FOUND',
      )
      await ask({ sessionId, sessionEpoch: -1, topics })
      assert.equal(
        name((await ask({ sessionId, sessionEpoch: 4, topics: [] })).errorCode),
        'FETCH_SESSION_ID_NOT_FOUND',
      )
    })
  })

  suite('nodes and leaders', () => {
    const three = { nodes: 3, topics: { t: { replicationFactor: 3 } } }

    test('a leader that moved is found again, with its epoch, and nothing is lost', async () => {
      await open(three)
      await world.send('t', 0, { values: ['a', 'b'] })
      const before = world.broker.leaderOf('t', 0)
      const fetcher = new Fetcher(world.cluster, parseFetcherOptions({ 'fetch.max.wait.ms': 50 }))
      await world.cluster.metadata.ensure(['t'])
      fetcher.add('t', 0, 2)
      world.broker.moveLeader('t', 0)
      const after = world.broker.leaderOf('t', 0)
      assert.notEqual(after, before)
      assert.equal(name((await fetched(0, { node: before })).errorCode), 'NOT_LEADER_OR_FOLLOWER')
      const told = (await fetched(0, { node: before })).currentLeader
      assert.deepEqual(told, { leaderId: after, leaderEpoch: 1 })
      assert.equal(name((await fetched(0, { node: after, epoch: 0 })).errorCode), 'FENCED_LEADER_EPOCH')
      assert.equal(name((await fetched(0, { node: after, epoch: 2 })).errorCode), 'UNKNOWN_LEADER_EPOCH')
      await world.send('t', 0, { values: ['c'] })
      const seen: (string | null)[] = []
      while (seen.length < 1) {
        const part = fetcher.next()
        if (part === undefined) await fetcher.available()
        else if (part.kind === 'trouble') throw part.error
        else while (part.reader.nextBatch()) while (part.reader.next()) seen.push(part.reader.valueString())
      }
      assert.deepEqual(seen, ['c'])
      await fetcher.close()
      const ends = async (epoch: number): Promise<readonly (number | undefined)[]> => {
        const topics = [{ topic: 't', partitions: [{ partition: 0, leaderEpoch: epoch }] }]
        const found = await world.ask(offsetForLeaderEpochApi, { topics }, { node: after })
        const one = found.topics[0]?.partitions[0]
        return [one?.leaderEpoch, one?.endOffset]
      }
      assert.deepEqual(await ends(0), [0, 2])
      assert.deepEqual(await ends(1), [1, 3])
      assert.deepEqual(await ends(2), [-1, -1])
    })

    test('a node that goes hands its partitions over; with one replica they wait for it', async () => {
      await open({ nodes: 2, topics: { t: { replicationFactor: 2 }, alone: { replicationFactor: 1 } } })
      const leader = world.broker.leaderOf('t', 0)
      world.broker.stopNode(leader)
      const other = world.broker.leaderOf('t', 0)
      assert.deepEqual([leader, other].sort(), [1, 2])
      world.broker.startNode(leader)
      const home = world.broker.leaderOf('alone', 0)
      world.broker.stopNode(home)
      assert.equal(world.broker.leaderOf('alone', 0), -1)
      const node = home === 1 ? 2 : 1
      const described = await world.ask(metadataApi, { topics: [{ name: 'alone' }] }, { node })
      assert.deepEqual(
        described.brokers.map(({ nodeId }) => nodeId),
        [node],
      )
      const [partition] = described.topics[0]?.partitions ?? []
      assert.deepEqual([name(partition?.errorCode ?? 0), partition?.offlineReplicas], ['LEADER_NOT_AVAILABLE', [home]])
      await assert.rejects(
        world.broker.network.connect({ host: 'embedded', port: 9_091 + home, timeoutMs: 100 }, nobody),
        /refused/,
      )
      world.broker.startNode(home)
      assert.equal(world.broker.leaderOf('alone', 0), home)
    })

    test('markers wait for a partition without a leader, and are written when it has one again', async () => {
      await open({ nodes: 2, topics: { t: { replicationFactor: 1 } } })
      const handle = await world.flushed('id', 't')
      const home = world.broker.leaderOf('t', 0)
      await world.cluster.coordinator('transaction', 'id')
      world.broker.stopNode(home)
      const ended = await endTransaction(world.cluster, handle, true, DEADLINE)
      assert.equal(ended.kind, 'ended')
      await world.clock.sleep(30)
      const [waiting] = (await world.admin.describeTransactions(['id'])) ?? []
      assert.equal(waiting?.state, 'PrepareCommit')
      world.broker.startNode(home)
      assert.match(await world.describe('id'), /^CompleteCommit/)
      assert.deepEqual(await world.values('t'), ['id'])
    })
  })

  suite('faults on request', () => {
    test('errors strike the partition, the topic and the number of requests they were planned for', async () => {
      await open({ topics: { t: { partitions: 1 }, u: {} } })
      world.broker.faults.fail({ api: 'Produce', topic: 't', error: 'NOT_ENOUGH_REPLICAS', times: 2 })
      assert.equal(await world.sent('u', 0, { values: ['x'] }), 'NONE')
      assert.equal(await world.sent('t', 0, { values: ['x'] }), 'NOT_ENOUGH_REPLICAS')
      assert.equal(await world.sent('t', 0, { values: ['x'] }), 'NOT_ENOUGH_REPLICAS')
      assert.equal(await world.sent('t', 0, { values: ['x'] }), 'NONE')
      assert.equal((await world.values('t')).length, 1)
      world.broker.faults.fail({ api: 'EndTxn', error: 'COORDINATOR_NOT_AVAILABLE', times: 3 })
      const handle = await world.flushed('id', 'u')
      assert.equal((await endTransaction(world.cluster, handle, true, DEADLINE)).kind, 'ended')
      assert.equal(world.broker.faults.pending, 0)
    })

    test('a connection dropped before the request loses it, one dropped after it loses the answer only', async () => {
      world.broker.faults.drop({ api: 'Produce', when: 'before' })
      await assert.rejects(world.send('t', 0, { values: ['lost'] }), { code: 'KAFKA_DISCONNECTED' })
      world.broker.faults.drop({ api: 'Produce', when: 'after' })
      await assert.rejects(world.send('t', 0, { values: ['kept'] }), { code: 'KAFKA_DISCONNECTED' })
      assert.deepEqual(await world.values('t'), ['kept'])
      // The producer's own repeat is told apart by its sequence.
      world.broker.faults.drop({ api: 'Produce', when: 'after' })
      const producer = world.producer()
      const topic = await producer.topic('t')
      topic.append(0, 1, null, 'once')
      await producer.seal()
      await producer.close()
      assert.deepEqual(await world.values('t'), ['kept', 'once'])
    })

    test('delays and throttling take their time and say so', async () => {
      world.broker.faults.delay({ api: 'ListOffsets', ms: 50 })
      const began = performance.now()
      const topics = [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: -1 }] }]
      await world.ask(listOffsetsApi, { replicaId: -1, topics })
      assert.ok(performance.now() - began >= 45)
      world.broker.faults.throttle({ api: 'ListOffsets', throttleTimeMs: 7 })
      assert.equal((await world.ask(listOffsetsApi, { replicaId: -1, topics })).throttleTimeMs, 7)
      assert.equal((await world.ask(listOffsetsApi, { replicaId: -1, topics })).throttleTimeMs, 0)
    })
  })

  suite('bounds', () => {
    test('records beyond the memory are refused with words, and taken again when others are deleted', async () => {
      await open({ memoryBytesMax: 64 * 1024 })
      const values = ['x'.repeat(10_000)]
      let refused: Awaited<ReturnType<BrokerWorld['send']>> | undefined
      let stored = 0
      for (; refused === undefined && stored < 20; stored++) {
        const answer = await world.send('t', 0, { values })
        if (answer.errorCode !== 0) refused = answer
      }
      assert.equal(name(refused?.errorCode ?? 0), 'POLICY_VIOLATION')
      assert.match(refused?.errorMessage ?? '', /memoryBytesMax/)
      assert.ok(world.broker.memoryBytes <= 64 * 1024)
      const topics = [{ name: 't', partitions: [{ partitionIndex: 0, offset: -1 }] }]
      const deleted = await world.ask(deleteRecordsApi, { topics, timeoutMs: 1_000 })
      assert.equal(deleted.topics[0]?.partitions[0]?.lowWatermark, stored - 1)
      assert.ok(world.broker.memoryBytes < 16 * 1024)
      assert.equal(await world.sent('t', 0, { values }), 'NONE')
      await world.ask(deleteTopicsApi, { topics: [{ name: 't' }], timeoutMs: 1_000 })
      assert.equal(world.broker.memoryBytes, 0)
    })

    test('a transaction can end when memory is used up', async () => {
      await open({ memoryBytesMax: 24 * 1024 })
      const handle = await world.flushed('id', 't')
      while ((await world.sent('t', 0, { values: ['x'.repeat(900)] })) === 'NONE');
      assert.equal((await endTransaction(world.cluster, handle, true, DEADLINE)).kind, 'ended')
      assert.match(await world.describe('id'), /^CompleteCommit/)
    })

    test('retention removes old and surplus batches, but nothing behind an open transaction', async () => {
      const alter = (configs: { name: string; value: string }[]) =>
        world.ask(incrementalAlterConfigsApi, {
          resources: [
            { resourceType: 2, resourceName: 't', configs: configs.map((one) => ({ configOperation: 0, ...one })) },
          ],
        })
      const now = world.clock.now()
      await world.send('t', 0, { values: ['old'], timestamp: now - 100_000 })
      await world.send('t', 0, { values: ['new'], timestamp: now })
      await alter([{ name: 'retention.ms', value: '50000' }])
      world.broker.applyRetention()
      assert.deepEqual(await world.values('t'), ['new'])
      const handle = await world.flushed('id', 't')
      await world.send('t', 0, { values: ['later'], timestamp: now })
      await alter([
        { name: 'retention.ms', value: '-1' },
        { name: 'retention.bytes', value: '1' },
      ])
      world.broker.applyRetention()
      assert.deepEqual(await world.values('t', 'read_uncommitted'), ['id', 'later'])
      await endTransaction(world.cluster, handle, true, DEADLINE)
      await world.describe('id')
      world.broker.applyRetention()
      assert.deepEqual(await world.values('t'), [])
    })

    test('connections, partitions and groups are bounded', async () => {
      await open({ settings: { connectionsMax: 4, partitionsMax: 10, coordinatedMax: 2 } })
      const create = await world.ask(createTopicsApi, {
        topics: [{ name: 'many', numPartitions: 10, replicationFactor: 1 }],
        timeoutMs: 100,
      })
      assert.equal(name(create.topics[0]?.errorCode ?? 0), 'POLICY_VIOLATION')
      const commit = async (groupId: string): Promise<string> => {
        const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }]
        const answer = await world.ask(
          offsetCommitApi,
          { groupId, generationIdOrMemberEpoch: -1, topics: [{ name: 't', partitions }] },
          { version: 9 },
        )
        return name(answer.topics[0]?.partitions[0]?.errorCode ?? 0)
      }
      assert.deepEqual([await commit('a'), await commit('b'), await commit('c')], ['NONE', 'NONE', 'POLICY_VIOLATION'])
      const one = { host: 'embedded', port: 9_092, timeoutMs: 100 }
      let refusals = 0
      for (let i = 0; i < 6; i++) await world.broker.network.connect(one, { ...nobody }).catch(() => refusals++)
      assert.ok(refusals >= 2, `${refusals}`)
    })
  })

  test('without acknowledgement nothing is answered, and what was sent is there', async () => {
    const connection = await world.connection(1, 'produce')
    assert.ok(connection.supports(produceApi))
    const producer = world.producer({ acks: 0, 'enable.idempotence': 'false' })
    const topic = await producer.topic('t')
    for (let i = 0; i < 10; i++) topic.append(0, 1, null, `${i}`)
    await producer.seal()
    await producer.close()
    for (let round = 0; round < 100 && (await world.values('t')).length < 10; round++) await world.clock.sleep(5)
    assert.equal((await world.values('t')).length, 10)
  })

  test('a second broker in the same process shares nothing with the first', async () => {
    const other = new BrokerWorld({ topics: { t: {} } })
    await world.send('t', 0, { values: ['first'] })
    assert.deepEqual(await other.values('t'), [])
    assert.equal(other.broker.bootstrapServers, world.broker.bootstrapServers)
    await other.close()
  })
})

const nobody = { buffer: () => new Uint8Array(1), received: () => undefined, closed: () => undefined }
