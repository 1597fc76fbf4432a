/**
 * Fetch sessions against brokers in memory that keep them as Kafka does: what is left out of requests is only what the broker
 * knows already, and however a session ends, every record comes once and in order.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../base/index.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { FetchDoubleCluster } from './fetcher.test-double.ts'
import { Fetcher } from './fetcher.ts'
import { OPTIONS, read, series } from './fetcher-readings.test-double.ts'

const T_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'

test('a request names only what is new, has moved or is gone, an answer only what has news', async () => {
  const cluster = new FetchDoubleCluster({ t: 3 })
  cluster.topicIds.set('t', T_ID)
  const fetcher = new Fetcher(cluster, OPTIONS)
  for (let p = 0; p < 3; p++) fetcher.add('t', p, 0)
  const got = await read(cluster, fetcher, 1100)
  const [first, second] = cluster.requests
  assert.deepEqual([first?.sessionId, first?.sessionEpoch, first?.named], [0, 0, ['t/0', 't/1', 't/2']])
  assert.deepEqual([second?.sessionEpoch, second?.named], [1, []])
  assert.deepEqual(cluster.told[1], [])
  const before = cluster.requests.length
  cluster.log('t/1').append(['v'])
  await read(cluster, fetcher, 50, got)
  assert.deepEqual(cluster.told.at(-1), ['t/1'])
  assert.deepEqual(cluster.requests[before]?.named, ['t/1'])
  fetcher.pause('t', 2)
  await read(cluster, fetcher, 600, got)
  assert.deepEqual(cluster.requests.at(-1)?.forgotten, [`${T_ID}/2`])
  assert.deepEqual(cluster.requests.at(-1)?.asked, ['t/0@0', 't/1@1'])
  fetcher.resume('t', 2)
  cluster.log('t/2').append(['w'])
  await read(cluster, fetcher, 600, got)
  assert.deepEqual([got.of('t/1'), got.of('t/2')], [['v'], ['w']])
  assert.equal(new Set(cluster.requests.slice(1).map((request) => request.sessionId)).size, 1)
  await fetcher.close()
})

test('the ends are known where an answer left them out, also to a partition removed and added again', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 })
  cluster.log('t/0').append(['a', 'b'])
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 2)
  fetcher.add('t', 1, 0)
  await read(cluster, fetcher, 600)
  assert.equal(fetcher.lag('t', 0), 0)
  fetcher.remove('t', 0)
  fetcher.add('t', 0, 2)
  await read(cluster, fetcher, 1200)
  assert.deepEqual(cluster.requests.at(-1)?.forgotten, [])
  assert.equal(fetcher.endOffset('t', 0), 2)
  assert.equal(fetcher.lag('t', 0), 0)
  await fetcher.close()
})

test('an answer that a seek made void is asked for again, also when the seek goes back to where it was asked', async () => {
  for (const to of [0, 2, 4]) {
    const cluster = new FetchDoubleCluster({ t: 1 })
    const fetcher = new Fetcher(cluster, OPTIONS)
    fetcher.add('t', 0, 0)
    await read(cluster, fetcher, 600)
    assert.ok((cluster.requests.at(-1)?.sessionEpoch ?? 0) > 0, 'within a session')
    for (let b = 0; b < 3; b++) cluster.log('t/0').append(series(`${b}-`, 2))
    fetcher.seek('t', 0, to)
    const got = await read(cluster, fetcher, 600)
    assert.deepEqual(
      got.offsets.get('t/0'),
      [0, 1, 2, 3, 4, 5].filter((offset) => offset >= to),
    )
    await fetcher.close()
  }
})

for (const [name, disturb] of [
  ['the broker has forgotten the session', (cluster) => cluster.sessions(0).sessions.clear()],
  [
    'the epoch is another one',
    (cluster) => {
      for (const session of cluster.sessions(0).sessions.values()) session.epoch += 3
    },
  ],
  [
    'the broker gives no sessions any more',
    (cluster) => {
      cluster.sessions(0).room = false
      cluster.sessions(0).sessions.clear()
    },
  ],
] satisfies readonly (readonly [string, (cluster: FetchDoubleCluster) => void])[]) {
  test(`${name}: a full request follows at once, and nobody notices`, async () => {
    const cluster = new FetchDoubleCluster({ t: 2 })
    cluster.topicIds.set('t', T_ID)
    const fetcher = new Fetcher(cluster, OPTIONS)
    for (let p = 0; p < 2; p++) fetcher.add('t', p, 0)
    const got = await read(cluster, fetcher, 1100)
    disturb(cluster)
    const before = cluster.requests.length
    await read(cluster, fetcher, 600, got)
    const atMs = cluster.clock.monotonic()
    for (let p = 0; p < 2; p++) cluster.log(`t/${p}`).append(series('v', 3))
    await read(cluster, fetcher, 40, got)
    assert.deepEqual([got.of('t/0'), got.of('t/1')], [series('v', 3), series('v', 3)], `at ${atMs}`)
    const full = cluster.requests.slice(before).find((request) => request.sessionEpoch === 0)
    assert.deepEqual(full?.named, ['t/0', 't/1'])
    assert.equal(fetcher.metrics().failures, 0)
    assert.deepEqual(got.troubles, [])
    await fetcher.close()
  })
}

test('a lost connection ends the session; the next one is begun with the true positions, and ends the one before', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 })
  for (let p = 0; p < 2; p++) cluster.log(`t/${p}`).append(series('a', 2))
  const fetcher = new Fetcher(cluster, OPTIONS)
  for (let p = 0; p < 2; p++) fetcher.add('t', p, 0)
  const got = await read(cluster, fetcher, 600)
  const [session] = [...cluster.sessions(0).sessions.keys()]
  const next = cluster.requests.length
  cluster.fate = (request) => (request === next ? 'break' : 'served')
  await read(cluster, fetcher, 510, got)
  cluster.fate = () => 'served'
  for (let p = 0; p < 2; p++) cluster.log(`t/${p}`).append(series('b', 2))
  await read(cluster, fetcher, 1500, got)
  const full = cluster.requests.findLast((request) => request.sessionEpoch === 0)
  for (const name of full?.asked ?? []) assert.match(name, /@2$/)
  assert.equal(full?.sessionId, session)
  assert.equal(cluster.sessions(0).sessions.has(session ?? -1), false)
  assert.deepEqual(got.of('t/0'), ['a0', 'a1', 'b0', 'b1'])
  assert.deepEqual(got.of('t/1'), ['a0', 'a1', 'b0', 'b1'])
  await fetcher.close()
})

test('brokers from before sessions are asked in full each time', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 })
  cluster.versions.fetch = 6
  const fetcher = new Fetcher(cluster, OPTIONS)
  for (let p = 0; p < 2; p++) fetcher.add('t', p, 0)
  const got = await read(cluster, fetcher, 1100)
  cluster.log('t/0').append(['v'])
  await read(cluster, fetcher, 600, got)
  assert.ok(cluster.requests.length > 2)
  for (const request of cluster.requests) assert.equal(request.named.length, 2)
  assert.deepEqual(got.of('t/0'), ['v'])
  await fetcher.close()
})

test('an error within a session costs its partition a pause and no other anything', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 })
  const fetcher = new Fetcher(cluster, OPTIONS)
  for (let p = 0; p < 2; p++) fetcher.add('t', p, 0)
  const got = await read(cluster, fetcher, 600)
  const known = cluster.requests.length
  cluster.fate = (request) => (request === known ? { refuse: KafkaErrorCode.KAFKA_STORAGE_ERROR } : 'served')
  for (let p = 0; p < 2; p++) cluster.log(`t/${p}`).append(['v'])
  await read(cluster, fetcher, 1500, got)
  assert.deepEqual([got.of('t/0'), got.of('t/1')], [['v'], ['v']])
  assert.deepEqual(got.troubles, [])
  await fetcher.close()
})

test('whatever happens between requests, each record comes once and in order', async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = new SeededRandom(seed)
    const chance = (one: number): boolean => random.next() * one < 1
    const cluster = new FetchDoubleCluster({ t: 3, u: 2 }, 2)
    const names = [...cluster.logs.keys()]
    if (seed % 2 === 0)
      for (const [i, topic] of ['t', 'u'].entries()) cluster.topicIds.set(topic, T_ID.replace('Q', 'QRS'[i] ?? 'Q'))
    cluster.fate = () =>
      chance(25) ? 'break' : chance(25) ? { refuse: KafkaErrorCode.OFFSET_NOT_AVAILABLE } : 'served'
    const fetcher = new Fetcher(cluster, { ...OPTIONS, maxPartitionFetchBytes: 300, fetchMaxBytes: 700 })
    const place = (name: string): [string, number] => [name.slice(0, 1), Number(name.slice(2))]
    const pick = (): string => names[Math.floor(random.next() * names.length)] ?? 't/0'
    const seen = new Map<string, number>()
    const paused = new Set<string>()
    for (const name of names) {
      seen.set(name, 0)
      fetcher.add(...place(name), 0)
    }
    const turn = (): void => {
      for (let got = fetcher.next(); got !== undefined; got = fetcher.next()) {
        assert.equal(got.kind, 'data')
        if (got.kind !== 'data') return
        const name = `${got.topic}/${got.partition}`
        while (got.reader.nextBatch()) {
          while (got.reader.next()) {
            assert.equal(got.reader.offset, seen.get(name), `seed ${seed}: ${name}`)
            seen.set(name, got.reader.offset + 1)
          }
        }
        if (chance(3)) return
      }
    }
    for (let step = 0; step < 300; step++) {
      const name = pick()
      if (chance(3)) cluster.log(name).append(series('some value ', 1 + Math.floor(random.next() * 5)))
      if (chance(12)) {
        const back = Math.floor(random.next() * ((seen.get(name) ?? 0) + 1))
        fetcher.seek(...place(name), back)
        seen.set(name, back)
      }
      if (chance(15)) {
        fetcher.remove(...place(name))
        paused.delete(name)
        fetcher.add(...place(name), seen.get(name) ?? 0)
      }
      if (chance(10)) {
        if (paused.delete(name)) fetcher.resume(...place(name))
        else {
          paused.add(name)
          fetcher.pause(...place(name))
        }
      }
      if (chance(20)) cluster.sessions(Math.floor(random.next() * 2)).sessions.clear()
      if (chance(30)) {
        const log = cluster.log(name)
        log.leader = 1 - log.leader
        log.leaderEpoch++
      }
      await cluster.clock.advance(Math.floor(random.next() * 30))
      turn()
    }
    for (const name of paused) fetcher.resume(...place(name))
    for (let ms = 0; ms < 6000; ms += 50) {
      await cluster.clock.advance(50)
      turn()
    }
    for (const name of names) {
      assert.equal(seen.get(name), cluster.log(name).end, `seed ${seed}: ${name} to its end`)
      assert.equal(fetcher.lag(...place(name)), 0, `seed ${seed}: ${name} knows its end`)
    }
    assert.ok(
      cluster.requests.some((request) => request.sessionEpoch > 3),
      'sessions were used',
    )
    await fetcher.close()
  }
})
