/**
 * Reading from the follower that a leader recommends (KIP-392), on brokers in memory: for as long as metadata is believed, and
 * whatever a follower finds wrong is asked of the leader before anybody is troubled.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { FetchDoubleCluster } from './fetcher.test-double.ts'
import { Fetcher } from './fetcher.ts'
import { OPTIONS, type Readings, read } from './fetcher-readings.test-double.ts'

const FOLLOWER = 5

async function readingFromFollower(maxAgeMs = 300_000): Promise<{
  cluster: FetchDoubleCluster
  fetcher: Fetcher
  got: Readings
  asked: (node: number) => number
}> {
  const cluster = new FetchDoubleCluster({ t: 1 })
  cluster.options.metadataMaxAgeMs = maxAgeMs
  cluster.follower = FOLLOWER
  cluster.log('t/0').append(['a'])
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const got = await read(cluster, fetcher, 1200)
  const asked = (node: number): number => cluster.requests.filter((request) => request.node === node).length
  assert.deepEqual(got.of('t/0'), ['a'])
  assert.equal(asked(0), 1)
  return { cluster, fetcher, got, asked }
}

test('after metadata.max.age.ms the leader is asked who is the best one now', async () => {
  const { cluster, fetcher, got, asked } = await readingFromFollower(2000)
  await read(cluster, fetcher, 2000, got)
  assert.equal(asked(0), 2)
  assert.equal(cluster.requests.at(-1)?.node, FOLLOWER)
  cluster.follower = -1
  await read(cluster, fetcher, 3000, got)
  cluster.log('t/0').append(['b'])
  await read(cluster, fetcher, 600, got)
  assert.equal(cluster.requests.at(-1)?.node, 0)
  assert.deepEqual(got.of('t/0'), ['a', 'b'])
  assert.deepEqual(got.troubles, [])
  await fetcher.close()
})

for (const code of [
  KafkaErrorCode.OFFSET_OUT_OF_RANGE,
  KafkaErrorCode.OFFSET_NOT_AVAILABLE,
  KafkaErrorCode.NOT_LEADER_OR_FOLLOWER,
  KafkaErrorCode.FENCED_LEADER_EPOCH,
  KafkaErrorCode.REPLICA_NOT_AVAILABLE,
]) {
  test(`error code ${code} of a follower sends the reader back to the leader, and is no trouble`, async () => {
    const { cluster, fetcher, got, asked } = await readingFromFollower()
    let refused = 0
    cluster.fate = (_, node) => {
      if (node !== FOLLOWER || refused++ > 0) return 'served'
      cluster.follower = -1
      return { refuse: code }
    }
    cluster.log('t/0').append(['b'])
    await read(cluster, fetcher, 1500, got)
    assert.ok(refused > 0)
    assert.ok(asked(0) > 1)
    assert.deepEqual(got.of('t/0'), ['a', 'b'])
    assert.deepEqual(got.troubles, [])
    await fetcher.close()
  })
}

test('an offset that the leader finds out of range as well is trouble, once', async () => {
  const { cluster, fetcher, got } = await readingFromFollower()
  cluster.fate = (_, node) => {
    if (node === FOLLOWER) cluster.follower = -1
    return node === FOLLOWER ? { refuse: KafkaErrorCode.OFFSET_OUT_OF_RANGE } : 'served'
  }
  fetcher.seek('t', 0, 999)
  await read(cluster, fetcher, 1500, got)
  assert.deepEqual(
    got.troubles.map(({ error, offset }) => [error.code, offset]),
    [['KAFKA_OFFSET_OUT_OF_RANGE', 999]],
  )
  assert.equal(cluster.requests.at(-1)?.node, 0)
  await fetcher.close()
})

test('a new leader is asked before the follower of the one before', async () => {
  const { cluster, fetcher, got } = await readingFromFollower()
  cluster.follower = -1
  const log = cluster.log('t/0')
  log.leaderEpoch++
  log.append(['b'])
  await read(cluster, fetcher, 1500, got)
  assert.deepEqual(got.of('t/0'), ['a', 'b'])
  assert.deepEqual(cluster.validations, ['t/0 of 0 at 0'])
  assert.deepEqual(got.troubles, [])
  await fetcher.close()
})
