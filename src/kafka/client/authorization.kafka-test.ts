/** Rights that Kafka denies: each error names the right and the resource, is not tried again, and says what it means for the data. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { MillraceError, SystemClock, SystemRandom, silentLogger, TcpNetwork } from '../../base/index.ts'
import { KafkaServer } from '../../testing/index.ts'
import { Fetcher } from './fetcher.ts'
import { KafkaAdmin } from './kafka-admin.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import { parseClusterOptions, parseFetcherOptions, parseProducerOptions } from './options.ts'
import { Producer } from './producer.ts'
import { initProducerId } from './transactions.ts'

const AUTHORIZER = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'allow.everyone.if.no.acl.found': true,
}

for (const version of [1, 2] as const) {
  describe(`rights, transaction version ${version}`, { timeout: 900_000 }, () => {
    let server: KafkaServer
    let cluster: KafkaCluster
    let admin: KafkaAdmin

    before(async () => {
      server = await KafkaServer.start({ transactionVersion: version, properties: AUTHORIZER })
      const options = parseClusterOptions({ 'bootstrap.servers': server.bootstrapServers })
      const ports = { clock: new SystemClock(), random: new SystemRandom(), logger: silentLogger }
      cluster = new KafkaCluster(options, { network: new TcpNetwork(), ...ports })
      admin = new KafkaAdmin(cluster)
    })
    after(async () => {
      await cluster?.close()
      await server?.close()
    })

    const deny = (operation: string, type: 'topic' | 'group' | 'transactional_id', name: string): Promise<unknown> =>
      server.java.request('deny', { operation, type, name })

    /** The rejection of a call; the broker goes by a rule when `deny` has returned. */
    async function refused(call: () => Promise<unknown>): Promise<MillraceError> {
      try {
        await call()
      } catch (error) {
        assert.ok(MillraceError.is(error), String(error))
        assert.deepEqual([error.code, error.retriable], ['KAFKA_AUTHORIZATION_FAILED', false], error.message)
        return error
      }
      return assert.fail('it was not refused')
    }

    async function writeTo(topic: string): Promise<void> {
      const producer = new Producer(cluster, parseProducerOptions({}))
      try {
        const handle = await producer.topic(topic)
        handle.append(0, 1, null, 'x')
        await producer.seal()
      } finally {
        await producer.close({ discard: true })
      }
    }

    test('DESCRIBE on a topic', async () => {
      await server.createTopic('hidden')
      await deny('DESCRIBE', 'topic', 'hidden')
      // Whoever may write or read may describe as well, so that these have to go too.
      for (const also of ['READ', 'WRITE', 'DELETE', 'ALTER']) await deny(also, 'topic', 'hidden')
      assert.match((await refused(() => admin.describeTopics(['hidden']))).message, /DESCRIBE on topic hidden/)
      const question = { topic: 'hidden', partition: 0, at: 'latest' } as const
      assert.match((await refused(() => admin.listOffsets([question]))).message, /DESCRIBE on topic hidden/)
      assert.match((await refused(() => writeTo('hidden'))).message, /DESCRIBE on topic hidden/)
    })

    test('READ on a topic is trouble of its partition, and others are read on', async () => {
      for (const topic of ['unreadable', 'readable']) {
        await server.createTopic(topic)
        await server.java.produce(topic, [{ value: 'x' }])
      }
      await deny('READ', 'topic', 'unreadable')
      const error = await refused(async () => {
        const fetcher = new Fetcher(cluster, parseFetcherOptions({}))
        try {
          fetcher.add('unreadable', 0, 0)
          fetcher.add('readable', 0, 0)
          let [read, trouble]: [number, Error | undefined] = [0, undefined]
          for (const until = Date.now() + 60_000; read === 0 || trouble === undefined; ) {
            assert.ok(Date.now() < until, `in time ${read} readable records, and ${trouble ?? 'no trouble'}`)
            const got = fetcher.next()
            if (got === undefined) await Promise.race([fetcher.available(), pause(50)])
            else if (got.kind === 'trouble') trouble = got.error
            else if (got.topic === 'readable') while (got.reader.nextBatch()) while (got.reader.next()) read++
          }
          assert.equal(read, 1)
          throw trouble
        } finally {
          await fetcher.close()
        }
      })
      assert.match(error.message, /READ on topic unreadable.*Nothing is lost/)
    })

    test('WRITE on a topic, plainly and in a transaction', async () => {
      await server.createTopic('locked')
      await deny('WRITE', 'topic', 'locked')
      assert.match((await refused(() => writeTo('locked'))).message, /WRITE on topic locked/)
      const producer = new Producer(cluster, parseProducerOptions({}))
      const topic = await producer.topic('locked')
      producer.beginTransaction('writer', version, initProducerId(cluster, 'writer', 60_000))
      topic.append(0, 1, null, 'x')
      const error = await refused(() => producer.seal())
      assert.match(error.message, /WRITE on topic locked/)
      await producer.close({ discard: true })
    })

    test('READ and DESCRIBE on a group', async () => {
      await server.createTopic('grouped')
      await deny('READ', 'group', 'closed')
      const place = { topic: 'grouped', partition: 0, offset: 0 }
      const error = await refused(() => admin.commitGroupOffsets('closed', [place]))
      assert.match(error.message, /READ on group closed/)
      await deny('DESCRIBE', 'group', 'secret')
      for (const also of ['READ', 'DELETE']) await deny(also, 'group', 'secret')
      assert.match((await refused(() => admin.groupOffsets('secret'))).message, /DESCRIBE on group secret/)
    })

    test('WRITE and DESCRIBE on a transactional id', async () => {
      await deny('WRITE', 'transactional_id', 'taken')
      const error = await refused(() => initProducerId(cluster, 'taken', 60_000))
      assert.match(error.message, /WRITE on transactional id taken/)
      await deny('DESCRIBE', 'transactional_id', 'hidden')
      await deny('WRITE', 'transactional_id', 'hidden')
      const described = await refused(() => admin.describeTransactions(['hidden']))
      assert.match(described.message, /DESCRIBE on transactional id hidden/)
    })
  })
}
