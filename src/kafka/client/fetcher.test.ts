/**
 * The fetcher against brokers in memory: positions, generations, leaders, isolation, damage, bounds.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { FetchDoubleCluster } from './fetcher.test-double.ts'
import { Fetcher } from './fetcher.ts'
import { COMMITTED, OPTIONS, Readings, read, series } from './fetcher-readings.test-double.ts'

test('reads each record once, in the order of offsets, from the offset asked for', async () => {
  const cluster = new FetchDoubleCluster({ t: 3 }, 2)
  for (let p = 0; p < 3; p++) for (let b = 0; b < 5; b++) cluster.log(`t/${p}`).append(series(`${p}-${b}-`, 4))
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  fetcher.add('t', 1, 6)
  fetcher.add('t', 2, 20)
  const got = await read(cluster, fetcher, 100)
  assert.deepEqual(
    got.of('t/0'),
    [0, 1, 2, 3, 4].flatMap((b) => series(`0-${b}-`, 4)),
  )
  assert.deepEqual(
    got.offsets.get('t/1'),
    Array.from({ length: 14 }, (_, i) => i + 6),
  )
  assert.deepEqual(got.of('t/2'), [])
  cluster.log('t/2').append(['late'])
  await read(cluster, fetcher, 100, got)
  assert.deepEqual(got.of('t/2'), ['late'])
  assert.equal(fetcher.position('t', 2), 21)
  assert.equal(fetcher.lag('t', 2), 0)
  await fetcher.close()
})

test('the position follows the reader record by record, and counts a part as walked at the next call', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  cluster.log('t/0').append(series('a', 3))
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  await cluster.clock.advance(10)
  assert.equal(fetcher.position('t', 0), 0)
  const data = fetcher.next()
  assert.ok(data?.kind === 'data')
  assert.equal(fetcher.position('t', 0), 0)
  assert.ok(data.reader.nextBatch() && data.reader.next())
  assert.equal(fetcher.position('t', 0), 1)
  assert.equal(fetcher.lag('t', 0), 2)
  assert.ok(data.reader.next())
  assert.equal(fetcher.position('t', 0), 2)
  assert.equal(fetcher.next(), undefined)
  assert.equal(fetcher.position('t', 0), 3)
  await fetcher.close()
})

test('markers, aborted data and compaction gaps move the position though no record comes', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  const log = cluster.log('t/0')
  log.append(series('aborted', 3), 7)
  log.finish(7, 'abort')
  log.skip(5)
  log.append(['kept'], 8)
  log.finish(8, 'commit')
  const fetcher = new Fetcher(cluster, COMMITTED)
  fetcher.add('t', 0, 0)
  const got = await read(cluster, fetcher, 50)
  assert.deepEqual(got.of('t/0'), ['kept'])
  assert.equal(fetcher.position('t', 0), 11)
  assert.equal(fetcher.lag('t', 0), 0)
  await fetcher.close()
})

test('read_committed stops before an open transaction, read_uncommitted shows all', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  const log = cluster.log('t/0')
  log.append(['plain'])
  log.append(['open'], 7)
  log.append(['behind'])
  const committed = new Fetcher(cluster, COMMITTED)
  const uncommitted = new Fetcher(cluster, OPTIONS)
  committed.add('t', 0, 0)
  uncommitted.add('t', 0, 0)
  const got = await read(cluster, committed, 50)
  assert.deepEqual(got.of('t/0'), ['plain'])
  assert.equal(committed.position('t', 0), 1)
  assert.equal(committed.endOffset('t', 0), 1)
  assert.deepEqual((await read(cluster, uncommitted, 50)).of('t/0'), ['plain', 'open', 'behind'])
  log.finish(7, 'abort')
  await read(cluster, committed, 600, got)
  assert.deepEqual(got.of('t/0'), ['plain', 'behind'])
  await committed.close()
  await uncommitted.close()
})

test('aborted data is left out also where each batch comes in a response of its own', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  const log = cluster.log('t/0')
  for (let round = 0; round < 4; round++) {
    log.append([`a${round}`], 7)
    log.append([`c${round}`], 8)
    log.append([`a${round}`], 7)
    log.finish(7, 'abort')
    log.finish(8, 'commit')
  }
  const fetcher = new Fetcher(cluster, { ...COMMITTED, maxPartitionFetchBytes: 10 })
  fetcher.add('t', 0, 0)
  assert.deepEqual((await read(cluster, fetcher, 300)).of('t/0'), ['c0', 'c1', 'c2', 'c3'])
  assert.ok(cluster.requests.length > 15)
  await fetcher.close()
})

test('a seek drops what was buffered and what is under way', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  for (let b = 0; b < 10; b++) cluster.log('t/0').append(series(`${b}-`, 2))
  const fetcher = new Fetcher(cluster, { ...OPTIONS, maxPartitionFetchBytes: 100 })
  fetcher.add('t', 0, 0)
  await cluster.clock.advance(20)
  fetcher.seek('t', 0, 14)
  assert.equal(fetcher.position('t', 0), 14)
  const got = await read(cluster, fetcher, 600)
  assert.deepEqual(got.offsets.get('t/0'), [14, 15, 16, 17, 18, 19])
  await fetcher.close()
})

test('a seek while its data is being walked sets the position at once, and the walk does not move it', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  cluster.log('t/0').append(series('v', 9))
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  await cluster.clock.advance(10)
  const data = fetcher.next()
  assert.ok(data?.kind === 'data' && data.reader.nextBatch() && data.reader.next())
  fetcher.seek('t', 0, 4)
  assert.ok(data.reader.next())
  assert.equal(fetcher.position('t', 0), 4)
  const got = await read(cluster, fetcher, 600)
  assert.deepEqual(got.offsets.get('t/0'), [4, 5, 6, 7, 8])
  await fetcher.close()
})

test('a removed partition gives nothing more, and a second life begins at its own offset', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  for (let b = 0; b < 5; b++) cluster.log('t/0').append(series(`${b}-`, 2))
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  await cluster.clock.advance(10)
  fetcher.remove('t', 0)
  fetcher.add('t', 0, 8)
  const got = await read(cluster, fetcher, 600)
  assert.deepEqual(got.offsets.get('t/0'), [8, 9])
  fetcher.remove('t', 0)
  cluster.log('t/0').append(['after'])
  await read(cluster, fetcher, 600, got)
  assert.deepEqual(got.offsets.get('t/0'), [8, 9])
  assert.equal(fetcher.position('t', 0), undefined)
  await fetcher.close()
})

test('a paused partition holds up nobody, and goes on where it stood', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 })
  const fetcher = new Fetcher(cluster, { ...OPTIONS, maxPartitionFetchBytes: 100 })
  for (let p = 0; p < 2; p++) for (let b = 0; b < 20; b++) cluster.log(`t/${p}`).append(series(`${b}-`, 2))
  fetcher.add('t', 0, 0)
  fetcher.add('t', 1, 0)
  await cluster.clock.advance(20)
  fetcher.pause('t', 0)
  const got = await read(cluster, fetcher, 1500)
  assert.equal(got.of('t/1').length, 40)
  assert.deepEqual(got.of('t/0'), [])
  fetcher.resume('t', 0)
  await read(cluster, fetcher, 1500, got)
  assert.deepEqual(
    got.offsets.get('t/0'),
    Array.from({ length: 40 }, (_, i) => i),
  )
  await fetcher.close()
})

test('a pause while its data is being walked repeats and loses nothing', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  for (let b = 0; b < 4; b++) cluster.log('t/0').append(series(`${b}-`, 3))
  const fetcher = new Fetcher(cluster, { ...OPTIONS, maxPartitionFetchBytes: 10 })
  fetcher.add('t', 0, 0)
  await cluster.clock.advance(20)
  const got = new Readings()
  const data = fetcher.next()
  assert.ok(data?.kind === 'data')
  fetcher.pause('t', 0)
  got.take(data)
  assert.equal(fetcher.position('t', 0), 3)
  await read(cluster, fetcher, 100, got)
  assert.equal(fetcher.position('t', 0), 3)
  fetcher.resume('t', 0)
  await read(cluster, fetcher, 600, got)
  assert.deepEqual(
    got.offsets.get('t/0'),
    Array.from({ length: 12 }, (_, i) => i),
  )
  await fetcher.close()
})

test('unwalked data is bounded: two responses per broker, one request in flight', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 })
  for (let p = 0; p < 2; p++) for (let b = 0; b < 50; b++) cluster.log(`t/${p}`).append(series(`${b}-`, 2))
  const fetcher = new Fetcher(cluster, { ...OPTIONS, maxPartitionFetchBytes: 100 })
  fetcher.add('t', 0, 0)
  fetcher.add('t', 1, 0)
  await cluster.clock.advance(2000)
  assert.equal(cluster.requests.length, 2)
  assert.equal(cluster.inFlightMax, 1)
  // Walking the first response to its end lets the third request go, before the second response is walked.
  for (let parts = 0; parts < 3; parts++) fetcher.next()
  await cluster.clock.advance(20)
  assert.equal(cluster.requests.length, 3)
  await fetcher.close()
})

test('the memory of a response is given back when it was walked, and strings made of it stay right', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 }, 1)
  const expected: string[] = []
  const got: string[] = []
  const fetcher = new Fetcher(cluster, OPTIONS)
  for (let p = 0; p < 2; p++) fetcher.add('t', p, 0)
  for (let round = 0; round < 20; round++) {
    for (let p = 0; p < 2; p++) {
      const values = series(`${p} in round ${round}, longer than what V8 copies anyway: `, 5)
      cluster.log(`t/${p}`).append(values)
      expected.push(...values)
    }
    const readings = await read(cluster, fetcher, 30)
    got.push(...readings.of('t/0'), ...readings.of('t/1'))
  }
  assert.deepEqual(got, expected)
  assert.ok(cluster.givenBack >= 10, `${cluster.givenBack} responses were given back`)
})

test('views of keys, values and headers stay right when the memory of their response is used again', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 }, 1)
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const kept: (Buffer | null)[] = []
  for (let round = 0; round < 5; round++) {
    cluster.log('t/0').append(series(`${round}-`, 3))
    await cluster.clock.advance(30)
    for (let part = fetcher.next(); part !== undefined; part = fetcher.next()) {
      assert.ok(part.kind === 'data')
      const { reader } = part
      while (reader.nextBatch()) {
        while (reader.next()) {
          const at = reader.valueStart - reader.viewedStart
          kept.push(reader.value(), reader.viewed.subarray(at, at + reader.valueLength))
        }
      }
    }
  }
  await cluster.clock.advance(30)
  assert.equal(fetcher.next(), undefined)
  const expected = Array.from({ length: 5 }, (_, round) => series(`${round}-`, 3)).flat()
  assert.deepEqual(
    kept.map(String),
    expected.flatMap((value) => [value, value]),
  )
  assert.equal(cluster.givenBack, 5)
})

test('the memory of what a seek or a removal dropped is given back too', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 }, 1)
  const fetcher = new Fetcher(cluster, OPTIONS)
  cluster.log('t/0').append(series('v', 10))
  fetcher.add('t', 0, 0)
  await cluster.clock.advance(30)
  fetcher.seek('t', 0, 5)
  assert.equal(cluster.givenBack, 1)
  const readings = await read(cluster, fetcher, 600)
  assert.deepEqual(readings.of('t/0'), series('v', 10).slice(5))
  cluster.log('t/0').append(series('w', 2))
  await cluster.clock.advance(30)
  const before = cluster.givenBack
  fetcher.remove('t', 0)
  assert.equal(cluster.givenBack, before + 1)
})

test('a leader that moved is followed, with its epoch, and nothing is lost', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 }, 2)
  const log = cluster.log('t/0')
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const got = new Readings()
  for (let round = 0; round < 4; round++) {
    log.append(series(`${round}-`, 3))
    await read(cluster, fetcher, 100, got)
    log.leader = 1 - log.leader
    log.leaderEpoch++
  }
  await read(cluster, fetcher, 2000, got)
  assert.deepEqual(
    got.of('t/0'),
    [0, 1, 2, 3].flatMap((round) => series(`${round}-`, 3)),
  )
  assert.deepEqual(got.troubles, [])
  await fetcher.close()
})

test('a broker that is down delays only its own partitions', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 }, 2)
  const fetcher = new Fetcher(cluster, OPTIONS)
  cluster.down.add(0)
  fetcher.add('t', 0, 0)
  fetcher.add('t', 1, 0)
  for (let p = 0; p < 2; p++) cluster.log(`t/${p}`).append(['v'])
  const got = await read(cluster, fetcher, 5000)
  assert.deepEqual(got.of('t/1'), ['v'])
  assert.deepEqual(got.of('t/0'), [])
  cluster.down.delete(0)
  await read(cluster, fetcher, 2000, got)
  assert.deepEqual(got.of('t/0'), ['v'])
  assert.deepEqual(got.troubles, [])
  await fetcher.close()
})

test('a follower that the leader recommends is read from, and the leader again when it fails', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  cluster.follower = 5
  cluster.log('t/0').append(['a'])
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const got = await read(cluster, fetcher, 700)
  assert.deepEqual(got.of('t/0'), ['a'])
  assert.equal(cluster.requests.at(-1)?.node, 5)
  cluster.down.add(5)
  cluster.follower = -1
  cluster.log('t/0').append(['b'])
  await read(cluster, fetcher, 2000, got)
  assert.deepEqual(got.of('t/0'), ['a', 'b'])
  assert.equal(cluster.requests.at(-1)?.node, 0)
  assert.deepEqual(got.troubles, [])
  await fetcher.close()
})

test('a partition without a leader waits for one, a topic made later is found', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 })
  cluster.log('t/0').leader = -1
  cluster.learn()
  const fetcher = new Fetcher(cluster, OPTIONS)
  for (let p = 0; p < 2; p++) cluster.log(`t/${p}`).append(['v'])
  fetcher.add('t', 0, 0)
  fetcher.add('t', 1, 0)
  fetcher.add('later', 0, 0)
  const got = await read(cluster, fetcher, 3000)
  assert.deepEqual([got.of('t/0'), got.of('t/1')], [[], ['v']])
  cluster.log('t/0').leader = 0
  cluster.create('later', 1)
  cluster.log('later/0').append(['w'])
  await read(cluster, fetcher, 3000, got)
  assert.deepEqual([got.of('t/0'), got.of('later/0')], [['v'], ['w']])
  await fetcher.close()
})

test('a topic that stays unknown is trouble after a minute, and only for itself', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('missing', 3, 5)
  fetcher.add('t', 9, 0)
  const got = await read(cluster, fetcher, 59_000)
  assert.equal(got.troubles.length, 0)
  await read(cluster, fetcher, 4_000, got)
  const codes = got.troubles.map((one) => [one.topic, one.partition, one.offset, one.error.code])
  assert.deepEqual(codes.sort(), [
    ['missing', 3, 5, 'KAFKA_UNKNOWN_TOPIC'],
    ['t', 9, 0, 'KAFKA_UNKNOWN_PARTITION'],
  ])
  await fetcher.close()
})

test('an offset outside the log is trouble behind the data before it, and a seek goes on', async () => {
  const cluster = new FetchDoubleCluster({ t: 2 })
  const log = cluster.log('t/0')
  log.append(series('v', 5))
  log.start = 3
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 1)
  fetcher.add('t', 1, 0)
  const got = await read(cluster, fetcher, 100)
  assert.equal(got.troubles.length, 1)
  assert.equal(got.troubles[0]?.offset, 1)
  assert.equal(got.troubles[0]?.error.code, 'KAFKA_OFFSET_OUT_OF_RANGE')
  assert.match(got.troubles[0]?.error.message ?? '', /Offset 1 of t-0.*3 to 5/)
  const asked = cluster.requests.flatMap((request) => request.asked).filter((name) => name.startsWith('t/0')).length
  await read(cluster, fetcher, 3000, got)
  assert.equal(
    cluster.requests.flatMap((request) => request.asked).filter((name) => name.startsWith('t/0')).length,
    asked,
  )
  fetcher.seek('t', 0, 3)
  await read(cluster, fetcher, 1000, got)
  assert.deepEqual(got.of('t/0'), ['v3', 'v4'])
  assert.equal(got.troubles.length, 1)
  await fetcher.close()
})

test('a missing right is trouble that says which', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  cluster.fate = () => ({ refuse: KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED })
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const got = await read(cluster, fetcher, 2000)
  assert.equal(got.troubles.length, 1)
  assert.equal(got.troubles[0]?.error.code, 'KAFKA_AUTHORIZATION_FAILED')
  assert.equal(cluster.requests.length, 1)
  await fetcher.close()
})

for (const code of [
  KafkaErrorCode.FENCED_LEADER_EPOCH,
  KafkaErrorCode.UNKNOWN_LEADER_EPOCH,
  KafkaErrorCode.OFFSET_NOT_AVAILABLE,
  KafkaErrorCode.KAFKA_STORAGE_ERROR,
  KafkaErrorCode.UNKNOWN_SERVER_ERROR,
  KafkaErrorCode.UNKNOWN_TOPIC_ID,
]) {
  test(`error code ${code} is waited out`, async () => {
    const cluster = new FetchDoubleCluster({ t: 1 })
    cluster.log('t/0').append(['v'])
    cluster.fate = (request) => (request < 3 ? { refuse: code } : 'served')
    const fetcher = new Fetcher(cluster, OPTIONS)
    fetcher.add('t', 0, 0)
    const got = await read(cluster, fetcher, 3000)
    assert.deepEqual(got.of('t/0'), ['v'])
    assert.deepEqual(got.troubles, [])
    await fetcher.close()
  })
}

test('a batch larger than the fetch size comes through, whether or not brokers send it whole', async () => {
  for (const firstWhole of [true, false]) {
    const cluster = new FetchDoubleCluster({ t: 2 })
    cluster.firstWhole = firstWhole
    for (let p = 0; p < 2; p++) cluster.log(`t/${p}`).append(series('long value '.repeat(30), 20))
    const fetcher = new Fetcher(cluster, { ...OPTIONS, maxPartitionFetchBytes: 100 })
    fetcher.add('t', 0, 0)
    fetcher.add('t', 1, 0)
    const got = await read(cluster, fetcher, 2000)
    assert.deepEqual([got.of('t/0').length, got.of('t/1').length], [20, 20])
    await fetcher.close()
  }
})

test('bytes damaged once on the way are fetched again, and nothing is lost', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  for (let b = 0; b < 3; b++) cluster.log('t/0').append(series(`${b}-`, 3))
  cluster.fate = (request) =>
    request === 0 ? { damage: (records) => records.writeUInt8(7, records.length - 4) } : 'served'
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const got = await read(cluster, fetcher, 2000)
  assert.deepEqual(got.offsets.get('t/0'), [0, 1, 2, 3, 4, 5, 6, 7, 8])
  assert.deepEqual(got.troubles, [])
  await fetcher.close()
})

test('a batch damaged in the log is trouble that names it, after the records before it', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  const log = cluster.log('t/0')
  for (let b = 0; b < 3; b++) log.append(series(`${b}-`, 3))
  log.batches[1]?.bytes.writeUInt8(7, log.batches[1].bytes.length - 4)
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const got = await read(cluster, fetcher, 3000)
  assert.deepEqual(got.offsets.get('t/0'), [0, 1, 2])
  assert.equal(got.troubles.length, 1)
  assert.equal(got.troubles[0]?.offset, 3)
  assert.equal(got.troubles[0]?.error.code, 'KAFKA_CORRUPT_BATCH')
  assert.match(got.troubles[0]?.error.message ?? '', /offset 3 of t-0/)
  fetcher.seek('t', 0, 6)
  await read(cluster, fetcher, 1000, got)
  assert.deepEqual(got.offsets.get('t/0'), [0, 1, 2, 6, 7, 8])
  await fetcher.close()
})

test('an old message format is trouble that says so', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  cluster.log('t/0').append(['v'])
  cluster.fate = () => ({ damage: (records) => records.writeUInt8(1, 16) })
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const got = await read(cluster, fetcher, 2000)
  assert.equal(got.troubles[0]?.error.code, 'KAFKA_MESSAGE_FORMAT_UNSUPPORTED')
  await fetcher.close()
})

test('an error that no other attempt changes is trouble, not an endless loop', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  const wrong = new MillraceError('KAFKA_VERSION_UNSUPPORTED', 'too old')
  cluster.connection = () => Promise.reject(wrong)
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const got = await read(cluster, fetcher, 1000)
  assert.deepEqual(
    got.troubles.map((one) => one.error),
    [wrong],
  )
  await fetcher.close()
})

test('a topic that was made anew is trouble, as the offset belonged to the old one, until a new offset is set', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  cluster.topicIds.set('t', 'AAAAAAAAAAAAAAAAAAAAAQ')
  cluster.log('t/0').append(['old'])
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const got = await read(cluster, fetcher, 100)
  cluster.topicIds.set('t', 'AAAAAAAAAAAAAAAAAAAAAg')
  cluster.create('t', 1)
  cluster.log('t/0').append(['new 0', 'new 1'])
  await read(cluster, fetcher, 1500, got)
  assert.deepEqual(got.of('t/0'), ['old'])
  assert.match(got.troubles[0]?.error.message ?? '', /made anew.*offset 1 of partition 0/)
  fetcher.seek('t', 0, 0)
  await read(cluster, fetcher, 1000, got)
  assert.deepEqual(got.of('t/0'), ['old', 'new 0', 'new 1'])
  assert.equal(got.troubles.length, 1)
  await fetcher.close()
})

test('topics go by id where all have one, by name otherwise', async () => {
  const cluster = new FetchDoubleCluster({ t: 1, u: 1 })
  cluster.topicIds.set('t', 'AAAAAAAAAAAAAAAAAAAAAQ')
  for (const topic of ['t', 'u']) cluster.log(`${topic}/0`).append(['v'])
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  const got = await read(cluster, fetcher, 20)
  fetcher.add('u', 0, 0)
  await read(cluster, fetcher, 600, got)
  assert.deepEqual([got.of('t/0'), got.of('u/0')], [['v'], ['v']])
  assert.equal(cluster.requests[0]?.version, 18)
  const byName = cluster.requests.find((request) => request.version === 12)
  assert.equal(cluster.requests.at(-1)?.version, 12)
  assert.equal(byName?.sessionEpoch, 0)
  assert.deepEqual(byName?.named, ['t/0', 'u/0'])
  await fetcher.close()
})

test('available resolves when there is something, and at close', async () => {
  const cluster = new FetchDoubleCluster({ t: 1 })
  const fetcher = new Fetcher(cluster, OPTIONS)
  fetcher.add('t', 0, 0)
  let woken = false
  void fetcher.available().then(() => void (woken = true))
  await cluster.clock.advance(400)
  assert.equal(woken, false)
  cluster.log('t/0').append(['v'])
  await cluster.clock.advance(50)
  assert.equal(woken, true)
  assert.equal(fetcher.next()?.kind, 'data')
  assert.equal(fetcher.next(), undefined)
  const waiting = fetcher.available()
  await fetcher.close()
  await waiting
  assert.equal(fetcher.next(), undefined)
})
