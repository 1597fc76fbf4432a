import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { MillraceError, SeededRandom, silentLogger } from '../../base/index.ts'
import { ScriptedNetwork } from '../connection/scripted-network.test-double.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { describeConfigsApi } from '../protocol/generated/describe-configs.ts'
import { KafkaAdmin } from './kafka-admin.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import { ManualClock, settle } from './manual-clock.test-double.ts'
import { parseClusterOptions } from './options.ts'
import { ScriptedCluster, topicIdOf } from './scripted-cluster.test-double.ts'

/** The outcome of a promise while the clock is moved on, at most so far. */
async function outcome<T>(clock: ManualClock, promise: Promise<T>, limitMs: number): Promise<T | unknown> {
  let settled = false
  const observed = promise.then(
    (value) => value,
    (error: unknown) => error,
  )
  void observed.then(() => {
    settled = true
  })
  for (let passedMs = 0; !settled && passedMs <= limitMs; passedMs += 50) await clock.advance(50)
  assert.ok(settled, `no outcome within ${limitMs} ms`)
  return observed
}

function isError(error: unknown, code: string, pattern: RegExp): void {
  assert.ok(MillraceError.is(error), String(error))
  assert.equal(error.code, code, error.message)
  assert.match(error.message, pattern)
}

suite('finding a broker', () => {
  test('without any broker every address is named with its last error and how long it was tried', async () => {
    const { cluster, clock, up, network } = new ScriptedCluster({ 'default.api.timeout.ms': 5_000 })
    up.clear()
    const error = await outcome(clock, new KafkaAdmin(cluster).listTopics(), 6_000)
    isError(
      error,
      'KAFKA_UNREACHABLE',
      /broker:9001 \(connect ECONNREFUSED broker:9001\), broker:9002 \(.*broker:9002\), tried for [45]\d{3} ms \(default\.api\.timeout\.ms\)/,
    )
    assert.ok(clock.monotonic() <= 5_100)
    assert.ok(network.attempts.length >= 8 && network.attempts.length <= 60, `${network.attempts.length} attempts`)
  })

  test('addresses that never answer use up the time, not more', async () => {
    const clock = new ManualClock()
    const ports = {
      network: new ScriptedNetwork(() => 'silence'),
      clock,
      random: new SeededRandom(1),
      logger: silentLogger,
    }
    const options = parseClusterOptions({ 'bootstrap.servers': 'a:1,b:2', 'default.api.timeout.ms': 1_000 })
    const cluster = new KafkaCluster(options, ports)
    const error = await outcome(clock, cluster.anyConnection(), 2_000)
    isError(error, 'KAFKA_UNREACHABLE', /a:1 \(no answer yet\), b:2 \(no answer yet\)/)
  })

  test('what answers but is no broker is told at once, without waiting for the time limit', async () => {
    const clock = new ManualClock()
    const network = new ScriptedNetwork(() => (_, connection) => connection.deliver([Buffer.from('HTTP/1.1 400 Bad')]))
    const ports = { network, clock, random: new SeededRandom(1), logger: silentLogger }
    const cluster = new KafkaCluster(parseClusterOptions({ 'bootstrap.servers': 'web:80' }), ports)
    const error = await outcome(clock, cluster.anyConnection(), 500)
    isError(error, 'KAFKA_UNREACHABLE', /web:80 .*is no such message/)
    assert.equal((error as MillraceError).retriable, false)
  })

  test('callers share the attempts', async () => {
    const { cluster, clock, network } = new ScriptedCluster()
    const found = await outcome(clock, Promise.all([1, 2, 3].map(() => cluster.anyConnection())), 200)
    assert.equal(new Set(found as unknown[]).size, 1)
    assert.equal(network.attempts.length, 1)
  })

  test('a broker that was killed is asked again with growing pauses, and found when it is back', async () => {
    const scripted = new ScriptedCluster({ 'default.api.timeout.ms': 60_000 }, [1])
    const { cluster, clock, network } = scripted
    await outcome(clock, cluster.anyConnection(), 200)
    await cluster.metadata.refresh()
    scripted.disconnect(1, true)
    const before = network.attempts.length
    const finding = cluster.anyConnection()
    void finding.catch(() => undefined)
    await clock.advance(20_000)
    const attempts = network.attempts.length - before
    assert.ok(attempts >= 10 && attempts <= 80, `${attempts} attempts in 20 s`)
    scripted.up.add(1)
    assert.equal(typeof (await outcome(clock, finding, 3_000)), 'object')
  })

  test('after closing nothing is connected and everything is refused', async () => {
    const { cluster, clock, network } = new ScriptedCluster()
    await outcome(clock, cluster.anyConnection(), 200)
    const pending = outcome(clock, new KafkaAdmin(cluster).describeConfigs({ type: 'topic', name: 't' }), 2_000)
    await settle()
    await cluster.close()
    await cluster.close()
    isError(await pending, 'CANCELLED', /closed/)
    isError(await outcome(clock, cluster.anyConnection(), 100), 'CANCELLED', /closed/)
    isError(await outcome(clock, cluster.connection(1, 'fetch'), 100), 'CANCELLED', /closed/)
    isError(await outcome(clock, cluster.metadata.refresh(), 2_000), 'CANCELLED', /closed/)
    assert.ok(network.connections.every(({ destroyed }) => destroyed))
    assert.equal(clock.timers, 0)
  })
})

suite('metadata', () => {
  test('refreshes are coalesced and kept apart, and each sees an answer to a later question', async () => {
    const scripted = new ScriptedCluster({ 'retry.backoff.ms': 100 })
    const { cluster, clock } = scripted
    await outcome(clock, cluster.metadata.refresh(), 200)
    assert.equal(scripted.count('Metadata'), 1)
    scripted.metadataDelayed = true
    await clock.advance(100)
    const first = cluster.metadata.refresh()
    await clock.advance(1)
    assert.equal(scripted.count('Metadata'), 2)
    let second = false
    const later = [cluster.metadata.refresh(), cluster.metadata.refresh()]
    void Promise.all(later).then(() => {
      second = true
    })
    await clock.advance(500)
    assert.equal(scripted.count('Metadata'), 2, 'one question at a time')
    scripted.answerDelayed()
    await first
    await clock.advance(1)
    assert.equal(second, false, 'an answer to an earlier question is not enough')
    await clock.advance(200)
    assert.equal(scripted.count('Metadata'), 3)
    scripted.answerDelayed()
    await Promise.all(later)
  })

  test('a leader of an older epoch never replaces a newer one, unless the topic was made anew', async () => {
    const scripted = new ScriptedCluster()
    const { cluster, clock, topics } = scripted
    topics.set('t', {
      topicId: topicIdOf('B'),
      leaders: [
        [1, 5],
        [2, 5],
      ],
    })
    await outcome(clock, cluster.metadata.ensure(['t']), 500)
    assert.deepEqual(cluster.metadata.leader('t', 0), { nodeId: 1, leaderEpoch: 5 })
    assert.equal(cluster.metadata.partitionCount('t'), 2)
    assert.equal(cluster.metadata.topicName(topicIdOf('B')), 't')
    topics.set('t', {
      topicId: topicIdOf('B'),
      leaders: [
        [2, 4],
        [1, 6],
      ],
    })
    await outcome(clock, cluster.metadata.refresh(), 500)
    assert.deepEqual(cluster.metadata.leader('t', 0), { nodeId: 1, leaderEpoch: 5 })
    assert.deepEqual(cluster.metadata.leader('t', 1), { nodeId: 1, leaderEpoch: 6 })
    topics.set('t', { topicId: topicIdOf('C'), leaders: [[2, 0]] })
    await outcome(clock, cluster.metadata.refresh(), 500)
    assert.deepEqual(cluster.metadata.leader('t', 0), { nodeId: 2, leaderEpoch: 0 })
    assert.equal(cluster.metadata.partitionCount('t'), 1)
    assert.equal(cluster.metadata.topicName(topicIdOf('B')), undefined)
    topics.delete('t')
    await outcome(clock, cluster.metadata.refresh(), 500)
    assert.equal(cluster.metadata.leader('t', 0), undefined)
    assert.equal(cluster.metadata.topicId('t'), undefined)
  })

  test('a topic that appears within moments is waited for, one that does not is refused by name', async () => {
    const scripted = new ScriptedCluster()
    const { cluster, clock, topics } = scripted
    const appearing = outcome(clock, cluster.metadata.ensure(['soon']), 3_000)
    await settle()
    topics.set('soon', { topicId: topicIdOf('B'), leaders: [undefined] })
    assert.equal(await appearing, undefined)
    assert.equal(cluster.metadata.leader('soon', 0), undefined)
    isError(
      await outcome(clock, cluster.metadata.ensure(['soon', 'never']), 4_000),
      'KAFKA_UNKNOWN_TOPIC',
      /topic never/,
    )
    await outcome(clock, cluster.metadata.refresh(), 500)
    const last = scripted.requests.at(-1)?.request.body as { topics: { name: string }[] }
    assert.deepEqual(
      last.topics.map(({ name }) => name),
      ['soon'],
      'what does not exist is not asked for for ever',
    )
  })

  test('a topic may be unknown for moments from the first answer that says so, however long that took to come', async () => {
    const scripted = new ScriptedCluster()
    const { cluster, clock } = scripted
    await outcome(clock, cluster.metadata.refresh(), 200)
    scripted.metadataDelayed = true
    const ensured = cluster.metadata.ensure(['slow'])
    const described = new KafkaAdmin(cluster).describeTopics(['slow'])
    await clock.advance(5_000)
    scripted.metadataDelayed = false
    scripted.answerDelayed()
    await clock.advance(300)
    scripted.topics.set('slow', { topicId: topicIdOf('s'), leaders: [[1, 0]] })
    assert.equal(await outcome(clock, ensured, 2_000), undefined)
    assert.equal(cluster.metadata.partitionCount('slow'), 1)
    assert.deepEqual(((await outcome(clock, described, 2_000)) as { name: string }[])[0]?.name, 'slow')
  })

  test('metadata is renewed by itself when it has its age', async () => {
    const scripted = new ScriptedCluster({ 'metadata.max.age.ms': 10_000 })
    const { cluster, clock, topics } = scripted
    topics.set('t', { topicId: topicIdOf('B'), leaders: [[1, 1]] })
    await outcome(clock, cluster.metadata.ensure(['t']), 500)
    topics.set('t', {
      topicId: topicIdOf('B'),
      leaders: [
        [1, 1],
        [2, 1],
      ],
    })
    await clock.advance(10_000)
    assert.equal(cluster.metadata.partitionCount('t'), 2)
    await cluster.close()
  })
})

suite('coordinators', () => {
  test('they are looked up once, again when forgotten, and while they are not available', async () => {
    const scripted = new ScriptedCluster()
    const { cluster, clock, lookupErrors } = scripted
    lookupErrors.push(KafkaErrorCode.COORDINATOR_NOT_AVAILABLE, KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    const first = await outcome(clock, cluster.coordinator('group', 'g'), 2_000)
    assert.equal((first as { nodeId: number }).nodeId, 1)
    assert.equal(scripted.count('FindCoordinator'), 3)
    await outcome(clock, cluster.coordinator('group', 'g'), 200)
    assert.equal(scripted.count('FindCoordinator'), 3)
    await outcome(clock, cluster.coordinator('transaction', 'g'), 200)
    assert.equal(scripted.count('FindCoordinator'), 4, 'a group and a transactional id of one name are two things')
    scripted.coordinator = 2
    cluster.forgetCoordinator('group', 'g')
    const moved = await outcome(clock, cluster.coordinator('group', 'g'), 200)
    assert.equal((moved as { nodeId: number }).nodeId, 2)
  })

  test('one that cannot be reached is looked up again', async () => {
    const scripted = new ScriptedCluster()
    const { cluster, clock } = scripted
    await outcome(clock, cluster.coordinator('group', 'g'), 200)
    scripted.disconnect(1, true)
    scripted.coordinator = 2
    const moved = await outcome(clock, cluster.coordinator('group', 'g'), 5_000)
    assert.equal((moved as { nodeId: number }).nodeId, 2)
  })

  test('a missing right is said with the right and the resource', async () => {
    const { cluster, clock, lookupErrors } = new ScriptedCluster()
    lookupErrors.push(KafkaErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    const error = await outcome(clock, cluster.coordinator('transaction', 'tx'), 500)
    isError(error, 'KAFKA_AUTHORIZATION_FAILED', /DESCRIBE on transactional id tx/)
  })
})

suite('admin answers', () => {
  test('configuration that may not be read is no error for the longest transaction', async () => {
    const scripted = new ScriptedCluster()
    scripted.script = (request, _, connection) => {
      assert.equal(request.api.key, describeConfigsApi.key)
      const errorCode = KafkaErrorCode.CLUSTER_AUTHORIZATION_FAILED
      connection.answer(request, { results: [{ errorCode, resourceType: 4, resourceName: '1' }] })
    }
    const admin = new KafkaAdmin(scripted.cluster)
    assert.equal(await outcome(scripted.clock, admin.transactionMaxTimeoutMs(), 500), undefined)
    const reading = admin.describeConfigs({ type: 'broker', name: '1' })
    isError(
      await outcome(scripted.clock, reading, 500),
      'KAFKA_AUTHORIZATION_FAILED',
      /DESCRIBE_CONFIGS on the cluster/,
    )
  })

  test('offsets: only the partitions that failed for a passing reason are asked for again', async () => {
    const scripted = new ScriptedCluster()
    const { cluster, clock, topics } = scripted
    topics.set('t', {
      topicId: topicIdOf('B'),
      leaders: [
        [1, 1],
        [1, 1],
        [2, 1],
      ],
    })
    const asked: string[] = []
    let first = true
    scripted.script = (request, nodeId, connection) => {
      const body = request.body as { topics: { partitions: { partitionIndex: number }[] }[] }
      const partitions = body.topics.flatMap((topic) => topic.partitions.map(({ partitionIndex }) => partitionIndex))
      asked.push(`${nodeId}: ${partitions.join(' ')}`)
      const answers = partitions.map((partitionIndex) => {
        const errorCode = first && partitionIndex === 1 ? KafkaErrorCode.NOT_LEADER_OR_FOLLOWER : 0
        return { partitionIndex, errorCode, offset: 10 + partitionIndex, timestamp: -1, leaderEpoch: 1 }
      })
      if (partitions.includes(1)) {
        first = false
        topics.set('t', {
          topicId: topicIdOf('B'),
          leaders: [
            [1, 1],
            [2, 2],
            [2, 1],
          ],
        })
      }
      connection.answer(request, { topics: [{ name: 't', partitions: answers }] })
    }
    const questions = [0, 1, 2].map((partition) => ({ topic: 't', partition, at: 'latest' as const }))
    const found = (await outcome(clock, new KafkaAdmin(cluster).listOffsets(questions), 2_000)) as { offset: number }[]
    assert.deepEqual(
      found.map(({ offset }) => offset),
      [10, 11, 12],
    )
    assert.deepEqual(asked.sort(), ['1: 0 1', '2: 1', '2: 2'])
  })

  test('commits: only the partitions that failed are committed again, at the coordinator of now', async () => {
    const scripted = new ScriptedCluster()
    const commits: string[] = []
    scripted.script = (request, nodeId, connection) => {
      const body = request.body as { topics: { name: string; partitions: { partitionIndex: number }[] }[] }
      const moved = nodeId === 1
      scripted.coordinator = 2
      const topics = body.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => {
          commits.push(`${nodeId}: ${partitionIndex}`)
          return { partitionIndex, errorCode: moved && partitionIndex > 0 ? KafkaErrorCode.NOT_COORDINATOR : 0 }
        }),
      }))
      connection.answer(request, { topics })
    }
    const offsets = [0, 1, 2].map((partition) => ({ topic: 't', partition, offset: 1 }))
    const committing = new KafkaAdmin(scripted.cluster).commitGroupOffsets('g', offsets)
    assert.equal(await outcome(scripted.clock, committing, 2_000), undefined)
    assert.deepEqual(commits, ['1: 0', '1: 1', '1: 2', '2: 1', '2: 2'])
  })

  test('a commit while the group has members is refused and says what it means', async () => {
    const scripted = new ScriptedCluster()
    scripted.script = (request, _, connection) => {
      const partitions = [{ partitionIndex: 0, errorCode: KafkaErrorCode.UNKNOWN_MEMBER_ID }]
      connection.answer(request, { topics: [{ name: 't', partitions }] })
    }
    const committing = new KafkaAdmin(scripted.cluster).commitGroupOffsets('g', [
      { topic: 't', partition: 0, offset: 4 },
    ])
    isError(await outcome(scripted.clock, committing, 500), 'KAFKA_FATAL', /offset 4 of t-0 for group g .*live members/)
  })
})
