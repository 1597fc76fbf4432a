/**
 * Fetch sessions, reading from followers and truncated logs against Apache Kafka itself.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { KafkaServer } from '../../testing/index.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { Fetcher, type PartitionTrouble } from './fetcher.ts'
import { connect } from './fetcher-reading.test-double.ts'
import { WatchedCluster } from './fetcher-watched.test-double.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import { parseFetcherOptions } from './options.ts'

const series = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}${i}`)
const records = (values: readonly string[], partition = 0): { value: string; partition: number }[] =>
  values.map((value) => ({ value, partition }))
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Reads on until the condition holds; at most 120 s. Values as `partition:value`. */
async function readUntil(
  fetcher: Fetcher,
  into: string[],
  done: (trouble: PartitionTrouble | undefined) => boolean,
): Promise<PartitionTrouble | undefined> {
  let trouble: PartitionTrouble | undefined
  const until = performance.now() + 120_000
  while (!done(trouble)) {
    assert.ok(performance.now() < until, `within 120 s, not after ${into.length} records`)
    const got = fetcher.next()
    if (got === undefined) await Promise.race([fetcher.available(), pause(100)])
    else if (got.kind === 'trouble') trouble = got
    else {
      const { reader, topic, partition } = got
      while (reader.nextBatch()) while (reader.next()) into.push(`${topic}/${partition}:${reader.valueString()}`)
    }
  }
  return trouble
}

describe('one broker', () => {
  const PARTITIONS = 100
  let server: KafkaServer
  let cluster: KafkaCluster
  before(async () => {
    server = await KafkaServer.start()
    cluster = connect(server.bootstrapServers)
  })
  after(async () => {
    await cluster?.close()
    await server?.close()
  })

  test('of many partitions a request names those that moved, and an answer those with news', async () => {
    await server.createTopic('many', { partitions: PARTITIONS })
    const watched = new WatchedCluster(cluster)
    const fetcher = new Fetcher(watched, parseFetcherOptions({ 'fetch.max.wait.ms': 200 }))
    const got: string[] = []
    for (let p = 0; p < PARTITIONS; p++) fetcher.add('many', p, 0)
    const allKnown = (): boolean =>
      Array.from({ length: PARTITIONS }, (_, p) => fetcher.lag('many', p)).every((lag) => lag === 0)
    // Partitions that were just made may be unknown to the broker for a moment, and are asked for again one by one.
    const quiet = (): boolean => watched.fetches.slice(-3, -1).every(({ named, told }) => named === 0 && told === 0)
    await readUntil(fetcher, got, () => watched.fetches.length > 4 && quiet() && allKnown())
    const [full] = watched.fetches
    assert.deepEqual([full?.sessionId, full?.sessionEpoch, full?.named, full?.told], [0, 0, PARTITIONS, PARTITIONS])
    await server.java.produce('many', records(['x', 'y'], 7))
    await readUntil(fetcher, got, () => got.length === 2)
    assert.deepEqual(got, ['many/7:x', 'many/7:y'])
    assert.equal(watched.fetches.findLast((one) => one.bytes > 0)?.told, 1)
    fetcher.pause('many', 7)
    fetcher.remove('many', 8)
    const mark = watched.fetches.length
    await readUntil(fetcher, got, () => watched.fetches.length > mark + 2)
    assert.equal(
      watched.fetches.slice(mark - 1).reduce((sum, one) => sum + one.forgotten, 0),
      2,
    )
    await server.java.produce('many', [...records(['paused'], 7), ...records(['removed'], 8)])
    fetcher.resume('many', 7)
    fetcher.add('many', 8, 0)
    await readUntil(fetcher, got, () => got.length === 4)
    assert.deepEqual(got.slice(2).sort(), ['many/7:paused', 'many/8:removed'])
    assert.equal(watched.fetches.filter((one) => one.sessionEpoch === 0).length, 1)
    await readUntil(fetcher, got, allKnown)
    await fetcher.close()
  })

  test('a session that the broker refuses, and one that ends with its connection, are begun anew unnoticed', async () => {
    await server.createTopic('refused', { partitions: 4 })
    const watched = new WatchedCluster(cluster)
    const fetcher = new Fetcher(watched, parseFetcherOptions({ 'fetch.max.wait.ms': 100 }))
    const got: string[] = []
    for (let p = 0; p < 4; p++) fetcher.add('refused', p, 0)
    await readUntil(fetcher, got, () => (watched.fetches.at(-1)?.sessionEpoch ?? 0) > 1)
    // A topic that was just made may be unknown to the broker for a moment.
    const { failures } = fetcher.metrics()
    const refusals = [
      [KafkaErrorCode.FETCH_SESSION_ID_NOT_FOUND, { sessionId: 77 }],
      [KafkaErrorCode.INVALID_FETCH_SESSION_EPOCH, { sessionEpoch: 4711 }],
    ] as const
    for (const [errorCode, wrong] of refusals) {
      const mark = watched.fetches.length
      await readUntil(fetcher, got, () => (watched.fetches.at(-1)?.sessionEpoch ?? 0) > 1)
      let changed = false
      watched.change = (request) => {
        if (changed || (request.sessionEpoch ?? 0) <= 0) return request
        changed = true
        return { ...request, ...wrong }
      }
      await readUntil(fetcher, got, () => watched.fetches.slice(mark).some((one) => one.errorCode === errorCode))
      const expected = got.length + 4
      await server.java.produce(
        'refused',
        [0, 1, 2, 3].flatMap((p) => records([String(errorCode)], p)),
      )
      await readUntil(fetcher, got, () => got.length >= expected)
      const refused = watched.fetches.findLastIndex((one) => one.errorCode === errorCode)
      assert.deepEqual([watched.fetches[refused + 1]?.sessionEpoch, watched.fetches[refused + 1]?.named], [0, 4])
    }
    assert.equal(fetcher.metrics().failures, failures)
    await server.nodes[0]?.restart()
    await server.java.produce(
      'refused',
      [0, 1, 2, 3].flatMap((p) => records(['after'], p)),
    )
    await readUntil(fetcher, got, () => got.length >= 12)
    assert.equal(new Set(got).size, 12)
    await fetcher.close()
  })

  test('a topic made anew within a session is trouble; topics beside it go on', async () => {
    await server.createTopic('gone')
    await server.createTopic('stays')
    const watched = new WatchedCluster(cluster)
    const fetcher = new Fetcher(watched, parseFetcherOptions({ 'fetch.max.wait.ms': 100 }))
    const got: string[] = []
    fetcher.add('gone', 0, 0)
    fetcher.add('stays', 0, 0)
    await server.java.produce('gone', records(['old']))
    await readUntil(fetcher, got, () => got.length === 1)
    await server.deleteTopic('gone')
    await server.createTopic('gone')
    await server.java.produce('gone', records(['new a', 'new b']))
    const trouble = await readUntil(fetcher, got, (one) => one !== undefined)
    assert.match(trouble?.error.message ?? '', /made anew/)
    await server.java.produce('stays', records(['on']))
    await readUntil(fetcher, got, () => got.length === 2)
    fetcher.seek('gone', 0, 0)
    await readUntil(fetcher, got, () => got.length === 4)
    assert.deepEqual(got, ['gone/0:old', 'stays/0:on', 'gone/0:new a', 'gone/0:new b'])
    await fetcher.close()
  })
})

describe('three brokers in three racks', () => {
  let server: KafkaServer
  before(async () => {
    const selector = 'org.apache.kafka.common.replica.RackAwareReplicaSelector'
    // A broker that is only slow for a moment must not be taken for dead: leaders and replicas in sync would change under a test.
    const properties = { 'replica.selector.class': selector, 'broker.session.timeout.ms': 10_000 }
    server = await KafkaServer.start({ nodes: 3, heapMb: 300, properties })
  })
  after(async () => {
    await server?.close()
  })

  async function leaderOf(topic: string): Promise<{ leader: number; followers: number[] }> {
    const [partition] = (await server.java.describeTopic(topic)).partitions
    assert.ok(partition !== undefined)
    assert.ok(partition.leader !== null)
    return { leader: partition.leader, followers: partition.replicas.filter((id) => id !== partition.leader) }
  }

  test('the follower in the own rack is read from, the leader asked again in time, and read from when the follower dies', async () => {
    await server.createTopic('near', { replicationFactor: 3 })
    await server.java.produce('near', records(series('v', 100)))
    const { leader, followers } = await leaderOf('near')
    const [near] = followers
    const cluster = connect(server.bootstrapServers, { 'client.rack': `rack-${near}`, 'metadata.max.age.ms': 2000 })
    const watched = new WatchedCluster(cluster)
    const fetcher = new Fetcher(watched, parseFetcherOptions({ 'fetch.max.wait.ms': 100 }))
    fetcher.add('near', 0, 0)
    const got: string[] = []
    await readUntil(fetcher, got, () => got.length >= 100)
    const bytesFrom = (node: number): number =>
      watched.fetches.filter((one) => one.node === node).reduce((sum, one) => sum + one.bytes, 0)
    assert.ok(bytesFrom(near ?? -1) > 0 && bytesFrom(leader) === 0, 'all bytes come from the rack')
    const askedLeader = (): number => watched.fetches.filter((one) => one.node === leader).length
    const before = askedLeader()
    await readUntil(fetcher, got, () => askedLeader() > before + 1)
    await server.java.produce('near', records(series('w', 50)))
    await readUntil(fetcher, got, () => got.length >= 150)
    assert.equal(bytesFrom(leader), 0)
    const follower = server.nodes.find((node) => node.id === near)
    await follower?.kill()
    await server.java.produce('near', records(series('x', 50)))
    await readUntil(fetcher, got, () => got.length >= 200)
    await follower?.start()
    assert.deepEqual(
      got,
      [...series('v', 100), ...series('w', 50), ...series('x', 50)].map((v) => `near/0:${v}`),
    )
    await fetcher.close()
    await cluster.close()
  })

  test('an offset beyond the end is trouble also for a reader of a follower, by the word of the leader', async () => {
    await server.createTopic('beyond', { replicationFactor: 3 })
    await server.java.produce('beyond', records(series('v', 5)))
    const { followers } = await leaderOf('beyond')
    const cluster = connect(server.bootstrapServers, { 'client.rack': `rack-${followers[0]}` })
    const fetcher = new Fetcher(cluster, parseFetcherOptions({ 'fetch.max.wait.ms': 100 }))
    fetcher.add('beyond', 0, 0)
    const got: string[] = []
    await readUntil(fetcher, got, () => got.length === 5)
    fetcher.seek('beyond', 0, 1000)
    const trouble = await readUntil(fetcher, got, (one) => one !== undefined)
    assert.equal(trouble?.error.code, 'KAFKA_OFFSET_OUT_OF_RANGE')
    assert.match(trouble?.error.message ?? '', /Offset 1000 of beyond-0/)
    await fetcher.close()
    await cluster.close()
  })

  test('an unclean election that lost what was read is trouble with both places, and not read over', async () => {
    const config = { 'min.insync.replicas': 1, 'unclean.leader.election.enable': true }
    await server.createTopic('cut', { replicationFactor: 2, config })
    await server.java.produce('cut', records(series('kept', 10)))
    const { leader, followers } = await leaderOf('cut')
    const nodeOf = (id: number | undefined): (typeof server.nodes)[number] | undefined =>
      server.nodes.find((node) => node.id === id)
    await nodeOf(followers[0])?.kill()
    await server.java.produce('cut', records(series('lost', 10)))
    const cluster = connect(server.bootstrapServers)
    const watched = new WatchedCluster(cluster)
    const fetcher = new Fetcher(watched, parseFetcherOptions({ 'fetch.max.wait.ms': 100 }))
    fetcher.add('cut', 0, 0)
    const got: string[] = []
    await readUntil(fetcher, got, () => got.length === 20)
    await nodeOf(leader)?.kill()
    await nodeOf(followers[0])?.start()
    const trouble = await readUntil(fetcher, got, (one) => one !== undefined)
    assert.equal(trouble?.error.code, 'KAFKA_LOG_TRUNCATED')
    assert.equal(trouble?.offset, 20)
    assert.equal(trouble?.divergence?.offset, 10)
    assert.ok(watched.others.includes('OffsetForLeaderEpoch'), watched.others.join(' '))
    await server.java.produce('cut', records(series('other', 15)))
    fetcher.seek('cut', 0, trouble?.divergence?.offset ?? -1)
    await readUntil(fetcher, got, () => got.length === 35)
    assert.deepEqual(
      got.slice(20),
      series('other', 15).map((value) => `cut/0:${value}`),
    )
    await fetcher.close()
    await cluster.close()
    await nodeOf(leader)?.start()
  })
})
