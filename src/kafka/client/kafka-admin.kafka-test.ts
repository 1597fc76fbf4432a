/** The admin client against Apache Kafka of three nodes: topics, offsets of every kind, groups, configuration, a leader that dies. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { SystemClock, SystemRandom, silentLogger, TcpNetwork } from '../../base/index.ts'
import { KafkaServer } from '../../testing/index.ts'
import { KafkaAdmin } from './kafka-admin.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import { type KafkaProperties, parseClusterOptions, parseProducerOptions } from './options.ts'
import { Producer } from './producer.ts'
import { endTransaction, initProducerId } from './transactions.ts'

function connect(bootstrapServers: string, properties: KafkaProperties = {}): KafkaCluster {
  const options = parseClusterOptions({ 'bootstrap.servers': bootstrapServers, ...properties })
  const ports = {
    network: new TcpNetwork(),
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: silentLogger,
  }
  return new KafkaCluster(options, ports)
}

suite('the admin client', () => {
  let server: KafkaServer
  let cluster: KafkaCluster
  let admin: KafkaAdmin

  before(async () => {
    // A broker that is only slow for a moment must not be taken for dead: leaders would change under a test.
    server = await KafkaServer.start({ nodes: 3, properties: { 'broker.session.timeout.ms': 10_000 } })
    cluster = connect(server.bootstrapServers)
    admin = new KafkaAdmin(cluster)
  })

  after(async () => {
    await cluster?.close()
    await server?.close()
  })

  test('topics are created with their properties, listed and described', async () => {
    await admin.createTopics([
      {
        name: 'made',
        partitions: 4,
        replicationFactor: 2,
        config: { 'retention.ms': -1, 'cleanup.policy': 'compact' },
      },
      { name: 'plain', partitions: 1 },
    ])
    // Another broker than the one that said that all is led may be asked, and learns of it a moment later.
    const until = performance.now() + 60_000
    let names = await admin.listTopics()
    while (!(names.includes('made') && names.includes('plain'))) {
      assert.ok(performance.now() < until, names.join())
      names = await admin.listTopics()
    }
    assert.equal(
      names.some((name) => name.startsWith('__')),
      false,
    )
    const [made, plain] = await admin.describeTopics(['made', 'plain'])
    assert.equal(made?.name, 'made')
    assert.deepEqual(
      made?.partitions.map(({ partition }) => partition),
      [0, 1, 2, 3],
    )
    for (const { leader, replicas, isr } of made?.partitions ?? []) {
      assert.equal(replicas.length, 2)
      assert.ok(replicas.includes(leader) && isr.includes(leader))
    }
    assert.equal(made?.topicId.length, 22)
    assert.notEqual(made?.topicId, plain?.topicId)
    const config = await admin.describeConfigs({ type: 'topic', name: 'made' }, ['cleanup.policy', 'retention.ms'])
    assert.deepEqual([...config].sort(), [
      ['cleanup.policy', 'compact'],
      ['retention.ms', '-1'],
    ])
  })

  test('a topic that exists already, that cannot exist, that does not exist: each is named', async () => {
    await assert.rejects(admin.createTopics([{ name: 'made', partitions: 1 }]), {
      code: 'KAFKA_FATAL',
      message: /Creating topic made was answered TOPIC_ALREADY_EXISTS/,
    })
    await assert.rejects(admin.createTopics([{ name: 'no good name', partitions: 1 }]), { message: /no good name/ })
    await assert.rejects(admin.createTopics([{ name: 'wide', partitions: 1, replicationFactor: 9 }]), {
      code: 'OPTION_INVALID',
      message: /Creating topic wide .*INVALID_REPLICATION_FACTOR/,
    })
    // A machine that is busy elsewhere for a while makes one try late, not each.
    const took: number[] = []
    while (took.length < 5 && !took.some((ms) => ms < 10_000)) {
      const began = performance.now()
      const missing = [
        [admin.describeTopics(['made', 'missing-1', 'missing-2']), /topics missing-1, missing-2/],
        [cluster.metadata.ensure(['missing-3']), /missing-3/],
        [admin.listOffsets([{ topic: 'missing-4', partition: 0, at: 'latest' }]), /missing-4/],
        [admin.describeConfigs({ type: 'topic', name: 'missing-5' }), /missing-5/],
      ] as const
      await Promise.all(
        missing.map(([call, message]) =>
          assert.rejects(call, { code: 'KAFKA_UNKNOWN_TOPIC', retriable: false, message }),
        ),
      )
      took.push(performance.now() - began)
    }
    assert.ok(Math.min(...took) < 10_000, `each took too long: ${took.map(Math.round).join(', ')} ms`)
    await assert.rejects(admin.listOffsets([{ topic: 'made', partition: 7, at: 'latest' }]), {
      code: 'KAFKA_UNKNOWN_PARTITION',
      message: /made-7: the topic has 4 partitions/,
    })
  })

  test('offsets by place and by time, of several partitions and brokers, in the order asked', async () => {
    await admin.createTopics([{ name: 'times', partitions: 3 }])
    const producer = new Producer(cluster, parseProducerOptions({}))
    const topic = await producer.topic('times')
    for (let partition = 0; partition < 3; partition++) {
      for (let n = 0; n <= partition; n++) topic.append(partition, 1_000 * (n + 1), null, `${n}`)
    }
    await producer.seal()
    const places = ['latest', 'earliest', 'maxTimestamp', { timestamp: 1_500 }, { timestamp: 99_999 }] as const
    const questions = [2, 0, 1].flatMap((partition) => places.map((at) => ({ topic: 'times', partition, at })))
    const answers = await admin.listOffsets(questions)
    assert.deepEqual(
      answers.map(({ partition, offset, timestamp }) => [partition, offset, timestamp]),
      [
        [2, 3, -1],
        [2, 0, -1],
        [2, 2, 3_000],
        [2, 1, 2_000],
        [2, -1, -1],
        [0, 1, -1],
        [0, 0, -1],
        [0, 0, 1_000],
        [0, -1, -1],
        [0, -1, -1],
        [1, 2, -1],
        [1, 0, -1],
        [1, 1, 2_000],
        [1, 1, 2_000],
        [1, -1, -1],
      ],
    )
    await producer.close()
  })

  test('an open transaction is beyond the end for read_committed, and before it otherwise', async () => {
    await admin.createTopics([{ name: 'open', partitions: 1 }])
    const producer = new Producer(cluster, parseProducerOptions({}))
    const topic = await producer.topic('open')
    producer.beginTransaction('open-1', 2, initProducerId(cluster, 'open-1', 600_000))
    topic.append(0, 1, null, 'x')
    const { handle } = await producer.seal()
    assert.ok(handle !== undefined)
    const end = async (isolation: 'read_committed' | 'read_uncommitted'): Promise<number | undefined> =>
      (await admin.listOffsets([{ topic: 'open', partition: 0, at: 'latest' }], { isolation }))[0]?.offset
    assert.deepEqual([await end('read_committed'), await end('read_uncommitted')], [0, 1])
    await endTransaction(cluster, handle, true, { deadlineMs: 120_000 })
    // The repeat is answered after the markers are written.
    await endTransaction(cluster, handle, true, { deadlineMs: 120_000 })
    assert.deepEqual([await end('read_committed'), await end('read_uncommitted')], [2, 2])
    await producer.close()
  })

  test('offsets of groups are committed and read back', async () => {
    assert.deepEqual(await admin.groupOffsets('nobody'), [])
    await admin.commitGroupOffsets('readers', [
      { topic: 'made', partition: 0, offset: 5, leaderEpoch: 0, metadata: 'note' },
      { topic: 'made', partition: 3, offset: 7 },
      { topic: 'plain', partition: 0, offset: 0 },
    ])
    const all = await admin.groupOffsets('readers')
    const byPlace = (a: { topic: string; partition: number }, b: typeof a): number =>
      a.topic.localeCompare(b.topic) || a.partition - b.partition
    assert.deepEqual(all.sort(byPlace), [
      { topic: 'made', partition: 0, offset: 5, metadata: 'note', leaderEpoch: 0 },
      { topic: 'made', partition: 3, offset: 7, metadata: '', leaderEpoch: -1 },
      { topic: 'plain', partition: 0, offset: 0, metadata: '', leaderEpoch: -1 },
    ])
    const some = await admin.groupOffsets('readers', [
      { topic: 'made', partition: 3 },
      { topic: 'made', partition: 1 },
      { topic: 'missing', partition: 0 },
    ])
    assert.deepEqual(
      some.map(({ partition, offset }) => [partition, offset]),
      [[3, 7]],
    )
    await assert.rejects(admin.commitGroupOffsets('readers', [{ topic: 'missing', partition: 0, offset: 1 }]), {
      code: 'KAFKA_UNKNOWN_TOPIC',
      message: /offset 1 of missing-0 for group readers/,
    })
  })

  test("the broker's longest transaction is known, and the cluster has an id", async () => {
    assert.equal(await admin.transactionMaxTimeoutMs(), 900_000)
    assert.equal((await cluster.clusterId()).length, 22)
    assert.equal(await cluster.finalizedFeature('transaction.version'), 2)
    assert.equal(await cluster.finalizedFeature('no.such.feature'), 0)
    assert.deepEqual(
      cluster.metadata
        .brokers()
        .map(({ nodeId }) => nodeId)
        .sort(),
      [1, 2, 3],
    )
  })

  test('the death of a broker moves leaders and coordinators, and every call goes on', async () => {
    await admin.createTopics([{ name: 'moving', partitions: 6, replicationFactor: 3 }])
    const producer = new Producer(cluster, parseProducerOptions({}))
    const topic = await producer.topic('moving')
    for (let partition = 0; partition < 6; partition++) topic.append(partition, 1, null, 'x')
    await producer.seal()
    await producer.close()
    await admin.commitGroupOffsets('moving', [{ topic: 'moving', partition: 0, offset: 1 }])
    const coordinator = (await cluster.coordinator('group', 'moving')).nodeId
    const dying = server.nodes.find(({ id }) => id === coordinator)
    assert.ok(dying !== undefined)
    await dying.kill()
    const questions = [0, 1, 2, 3, 4, 5].map((partition) => ({ topic: 'moving', partition, at: 'latest' as const }))
    const ends = await admin.listOffsets(questions)
    assert.deepEqual(
      ends.map(({ offset }) => offset),
      [1, 1, 1, 1, 1, 1],
    )
    await admin.commitGroupOffsets('moving', [{ topic: 'moving', partition: 1, offset: 1 }])
    assert.equal((await admin.groupOffsets('moving')).length, 2)
    assert.notEqual((await cluster.coordinator('group', 'moving')).nodeId, coordinator)
    await dying.start()
    assert.equal((await admin.listTransactions())?.length, 1)
  })
})

suite('an older broker', () => {
  test('Kafka 3.9 is spoken to in the versions it knows', async () => {
    const server = await KafkaServer.start({ version: '3.9.2' })
    const cluster = connect(server.bootstrapServers)
    try {
      const admin = new KafkaAdmin(cluster)
      await admin.createTopics([{ name: 'old', partitions: 2 }])
      await admin.commitGroupOffsets('g', [{ topic: 'old', partition: 1, offset: 3 }])
      assert.deepEqual(
        (await admin.groupOffsets('g')).map(({ offset }) => offset),
        [3],
      )
      assert.equal((await admin.listOffsets([{ topic: 'old', partition: 0, at: 'latest' }]))[0]?.offset, 0)
      assert.equal(await cluster.finalizedFeature('transaction.version'), 0)
    } finally {
      await cluster.close()
      await server.close()
    }
  })
})
