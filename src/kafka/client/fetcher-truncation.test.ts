/**
 * Logs that lose their end under a reader (KIP-320), on brokers in memory: it is noticed by the epoch of what was read last,
 * also where the log has grown beyond the position again, and nobody is troubled whose records are all still there.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FetchDoubleCluster } from './fetcher.test-double.ts'
import { Fetcher } from './fetcher.ts'
import { OPTIONS, Readings, read, series } from './fetcher-readings.test-double.ts'

/** Ten records in batches of two, read to their end. */
async function readTen(cluster: FetchDoubleCluster): Promise<{ fetcher: Fetcher; got: Readings }> {
  for (let b = 0; b < 5; b++) cluster.log('t/0').append(series(`${b}-`, 2))
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const got = await read(cluster, fetcher, 100)
  assert.equal(fetcher.position('t', 0), 10)
  return { fetcher, got }
}

for (const [brokers, versions] of [
  ['with both questions', {}],
  ['that do not know OffsetForLeaderEpoch, by the fetch itself', { epochs: 0 }],
  ['whose Fetch does not compare epochs, by OffsetForLeaderEpoch', { fetch: 11 }],
] satisfies readonly (readonly [string, FetchDoubleCluster['versions']])[]) {
  for (const grown of [false, true]) {
    const beyond = grown ? ', though it has grown beyond the position again' : ''
    test(`brokers ${brokers}: a log that lost what was read is trouble${beyond}`, async () => {
      const cluster = new FetchDoubleCluster({ t: 2 }, 2)
      Object.assign(cluster.versions, versions)
      const { fetcher, got } = await readTen(cluster)
      const log = cluster.log('t/0')
      log.truncate(6, 1)
      if (grown) for (let b = 0; b < 4; b++) log.append(series(`new ${b}-`, 2))
      await read(cluster, fetcher, 1500, got)
      assert.equal(got.troubles.length, 1)
      const [trouble] = got.troubles
      assert.equal(trouble?.error.code, 'KAFKA_LOG_TRUNCATED')
      assert.equal(trouble?.offset, 10)
      assert.deepEqual(trouble?.divergence?.offset, 6)
      assert.match(
        trouble?.error.message ?? '',
        /t-0 was read up to offset 10 \(leader epoch 0\).*parts from that at offset 6/,
      )
      assert.equal(got.of('t/0').length, 10, 'nothing is read on')
      fetcher.seek('t', 0, 6)
      await read(cluster, fetcher, 600, got)
      assert.deepEqual(got.of('t/0').slice(10), grown ? [0, 1, 2, 3].flatMap((b) => series(`new ${b}-`, 2)) : [])
      assert.equal(got.troubles.length, 1)
      await fetcher.close()
    })
  }
}

test('a new leader with everything that was read is asked once, and read on from', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 }, 2)
  const { fetcher, got } = await readTen(cluster)
  cluster.log('t/0').append(['not read yet'])
  cluster.log('t/0').truncate(11, 1)
  cluster.log('t/0').append(['of the new leader'])
  await read(cluster, fetcher, 1500, got)
  assert.deepEqual(got.troubles, [])
  assert.deepEqual(got.of('t/0').slice(10), ['not read yet', 'of the new leader'])
  assert.deepEqual(cluster.validations, ['t/0 of 0 at 1'])
  await fetcher.close()
})

test('a log that lost only what was fetched ahead is read on from where the caller stands, without trouble', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 }, 2)
  const log = cluster.log('t/0')
  log.append(series('a', 2))
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const got = await read(cluster, fetcher, 100)
  log.append(series('b', 2))
  for (let turn = 0; turn < 10; turn++) await cluster.clock.advance(5)
  assert.equal(fetcher.position('t', 0), 2)
  log.truncate(2, 1)
  log.append(['x', 'y', 'z'])
  for (let turn = 0; turn < 200; turn++) await cluster.clock.advance(5)
  await read(cluster, fetcher, 600, got)
  assert.deepEqual(got.troubles, [])
  assert.deepEqual(got.of('t/0'), ['a0', 'a1', 'x', 'y', 'z'])
  assert.equal(fetcher.position('t', 0), 5)
  await fetcher.close()
})

test('the epoch is of the place and not of the partition: a seek, with no batch read behind it, is asked nothing', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 }, 2)
  const { fetcher, got } = await readTen(cluster)
  cluster.log('t/0').truncate(6, 1)
  fetcher.seek('t', 0, 4)
  await read(cluster, fetcher, 1500, got)
  assert.deepEqual(got.troubles, [])
  assert.deepEqual(cluster.validations, [])
  assert.deepEqual(got.of('t/0').slice(10), series('2-', 2))
  await fetcher.close()
})

test('after a pause while data is walked, and after a damaged batch, the epoch goes with the right place', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  const log = cluster.log('t/0')
  log.append(series('a', 2))
  log.leaderEpoch++
  log.append(series('b', 2))
  log.leaderEpoch++
  log.append(series('c', 2))
  cluster.learn()
  let damaged = 0
  cluster.fate = () => (damaged++ === 0 ? { damage: (records) => records.writeUInt8(7, records.length - 4) } : 'served')
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  await cluster.clock.advance(5)
  const got = new Readings()
  for (let turn = 0; turn < 100; turn++) {
    const data = fetcher.next()
    if (data?.kind === 'data') {
      got.take(data)
      fetcher.pause('t', 0)
      await cluster.clock.advance(5)
      fetcher.resume('t', 0)
    } else if (data !== undefined) got.troubles.push(data)
    await cluster.clock.advance(20)
  }
  assert.deepEqual(got.of('t/0'), [...series('a', 2), ...series('b', 2), ...series('c', 2)])
  assert.deepEqual(got.troubles, [])
  const places = cluster.requests.map((request) => request.asked[0])
  assert.ok(places.includes('t/0@4') && places.includes('t/0@6'), places.join(' '))
  const epochs = new Set(cluster.epochs.map(({ offset, epoch }) => `${offset} of ${epoch}`))
  assert.deepEqual([...epochs].sort(), ['0 of -1', '4 of 1', '6 of 2'])
  await fetcher.close()
})

test('a follower whose log differs is not believed: the leader is asked', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  const { fetcher, got } = await readTen(cluster)
  cluster.follower = 5
  cluster.divergesAt = 5
  await read(cluster, fetcher, 600, got)
  assert.ok(
    cluster.requests.some((request) => request.node === 5),
    'the follower was asked',
  )
  cluster.follower = -1
  cluster.log('t/0').append(['v'])
  await read(cluster, fetcher, 1500, got)
  assert.deepEqual(got.troubles, [])
  assert.deepEqual(got.of('t/0').slice(10), ['v'])
  await fetcher.close()
})
