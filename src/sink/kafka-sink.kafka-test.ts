import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  type AttemptIds,
  attemptId,
  checkpointId,
  deserializeVersioned,
  type SinkWriter,
  serializeVersioned,
  type TransactionLedger,
} from '../core/index.ts'
import { KafkaServer } from '../testing/index.ts'
import type { KafkaCommittable } from './committer/kafka-committable.ts'
import { KafkaSink } from './kafka-sink.ts'
import type { KafkaSinkOptions } from './kafka-sink-builder.ts'
import {
  realPorts,
  type TestWriterContext,
  type WriterContextOptions,
  writerContext,
} from './writer/writer-context.test-double.ts'

/** Expired transactions are looked for this often, so that a test need not wait 10 s. */
const EXPIRY_CHECK_MS = 500
/** A transaction that expires before it is flushed fails its writer: then the next limit is tried. The last bears a slow machine. */
const SHORT_LIMITS_MS = [1_000, 8_000, 60_000]
/** Ends what hangs. */
const WAIT_MS = 120_000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

for (const version of [1, 2] as const) {
  describe(`transaction version ${version}`, { timeout: 900_000 }, () => {
    let server: KafkaServer
    let topics = 0

    before(async () => {
      server = await KafkaServer.start({
        transactionVersion: version,
        properties: { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': EXPIRY_CHECK_MS },
      })
    })
    after(() => server?.close())

    async function newTopic(partitions = 2): Promise<string> {
      const topic = `t${++topics}`
      await server.createTopic(topic, { partitions })
      return topic
    }

    function sinkTo(topic: string, options: Partial<KafkaSinkOptions<string>> = {}): KafkaSink<string> {
      return KafkaSink.to<string>({
        bootstrapServers: server.bootstrapServers,
        topic,
        keySerializationSchema: (element) => element.split('.')[0] ?? null,
        valueSerializationSchema: (element) => element,
        deliveryGuarantee: 'EXACTLY_ONCE',
        transactionalIdPrefix: `job-${topic}`,
        ...options,
      })
    }

    async function openWriter(
      sink: KafkaSink<string>,
      options: WriterContextOptions = {},
    ): Promise<{ writer: SinkWriter<string, KafkaCommittable>; context: TestWriterContext }> {
      const context = writerContext(options)
      const writer = sink.createWriter(context)
      await writer.open?.()
      return { writer, context }
    }

    function ledgerOf(sink: KafkaSink<string>): TransactionLedger<KafkaCommittable> {
      assert.ok(sink.transactional)
      return sink.transactional.createLedger(realPorts())
    }

    async function committed(topic: string): Promise<string[]> {
      const records = await server.java.readAll(topic, { isolation: 'read_committed' })
      return records.map((record) => String(record.value))
    }

    const attemptOf = (topic: string, attempt: number): AttemptIds => ({
      attempt: attemptId(attempt),
      clusterId: '',
      prefix: `job-${topic}`,
      naming: 'POOLING',
      parallelism: 1,
      poolBound: 3,
      firstCheckpoint: checkpointId(1),
      lastCheckpoint: checkpointId(9),
    })

    const last = (n: number): ReturnType<typeof checkpointId> => checkpointId(n)

    test('checkpoint after checkpoint, committed readers see each record once, in the order of its key', async () => {
      const topic = await newTopic()
      const { writer, context } = await openWriter(sinkTo(topic))
      const all: KafkaCommittable[] = []
      for (let n = 1; n <= 20; n++) {
        for (let i = 0; i < 200; i++) writer.write(`k${i % 7}.${n}.${i}`)
        const listed = await writer.prepareCommit(last(n), false)
        assert.equal(listed.length, 1)
        assert.equal(listed[0]?.version, version)
        all.push(...listed)
        await writer.commit?.(last(n))
        writer.committed?.(last(n))
      }
      const ledger = ledgerOf(sinkTo(topic))
      writer.write('k0.last')
      const [final] = await writer.prepareCommit(last(21), true)
      await writer.commit?.(last(21))
      assert.ok(final)
      // Readers get beyond none of them before its marker is written.
      for (const committable of [...all.slice(-3), final]) await ledger.settled(committable)
      const seen = await committed(topic)
      assert.equal(seen.length, 4001)
      assert.equal(new Set(seen).size, 4001)
      for (let key = 0; key < 7; key++) {
        const order = seen.filter((value) => value.startsWith(`k${key}.`)).map((value) => value.split('.').slice(1))
        const numbers = order.slice(0, -1).map(([n, i]) => Number(n) * 1000 + Number(i))
        assert.deepEqual(
          numbers,
          numbers.toSorted((a, b) => a - b),
        )
      }
      const metrics = context.metrics.read()
      assert.equal(metrics.get('numRecordsSend'), 4001)
      assert.equal(metrics.get('successfulCommittables'), 21)
      assert.equal(metrics.get('numRecordsOutErrors'), 0)
      assert.ok((metrics.get('numBytesSend') ?? 0) > 4001 * 5)
      assert.ok((metrics.get('currentSendTime') ?? -1) >= 0)
      assert.deepEqual(context.failures, [])
      await writer.close()
      await ledger.close()
      assert.deepEqual(await openOf(topic), [])
    })

    /** Waits until so many transactions of the topic's writers have something written. */
    async function whenOpen(topic: string, count: number): Promise<void> {
      let open = await openOf(topic)
      for (const until = performance.now() + WAIT_MS; open.length !== count; open = await openOf(topic)) {
        assert.ok(performance.now() < until, `open are ${open.join(', ')}`)
        await pause(20)
      }
    }

    async function openOf(topic: string): Promise<string[]> {
      const all = await server.java.transactions()
      return all
        .filter((one) => one.transactionalId.startsWith(`job-${topic}-`) && one.state === 'Ongoing')
        .map((one) => one.transactionalId)
    }

    test('after a crash the stored committables are committed, what was open is fenced, and nothing else is seen', async () => {
      const topic = await newTopic()
      const sink = sinkTo(topic)
      const { writer } = await openWriter(sink, { attempt: 1 })
      writer.write('a.flushed-1')
      await writer.prepareCommit(last(1), false)
      writer.write('a.flushed-2')
      const listed = await writer.prepareCommit(last(2), false)
      writer.write('a.open')
      await writer.prepareCommit(last(3), false)
      // The process dies: nothing is closed in order, only the connections go away.
      await writer.close({ abandon: true })

      const serializer = sink.transactional?.committableSerializer
      assert.ok(serializer)
      const restored = listed.map((one) => deserializeVersioned(serializer, serializeVersioned(serializer, one)))
      assert.deepEqual(restored, listed)
      const ledger = ledgerOf(sinkTo(topic))
      assert.deepEqual(await ledger.inspect(restored), ['open', 'open'])
      assert.equal((await ledger.openTransactions(attemptId(2)))?.length, 3)
      for (const committable of restored) assert.equal(await ledger.commit(committable), 'committed')
      for (const committable of restored) assert.equal(await ledger.commit(committable), 'committed')
      for (const committable of restored) await ledger.settled(committable)
      assert.deepEqual(await ledger.inspect(restored), ['committed', 'committed'])
      assert.equal(await ledger.fence([attemptOf(topic, 1)]), 1)
      assert.deepEqual(await ledger.openTransactions(attemptId(2)), [])
      assert.deepEqual(await committed(topic), ['a.flushed-1', 'a.flushed-2'])
      assert.equal((await server.java.readAll(topic, { isolation: 'read_uncommitted' })).length, 3)
      // The id is initialised again: nobody can tell any more, and nothing pretends to.
      assert.deepEqual(await ledger.inspect(restored), ['unknown', 'unknown'])
      await ledger.close()
    })

    test('a fence shuts out a living writer of an earlier attempt and leaves its successors alone', async () => {
      const topic = await newTopic()
      const old = await openWriter(sinkTo(topic), { attempt: 1 })
      const young = await openWriter(sinkTo(topic), { attempt: 2 })
      old.writer.write('a.old')
      young.writer.write('a.young')
      const [oldOne] = await old.writer.prepareCommit(last(1), false)
      const [youngOne] = await young.writer.prepareCommit(last(1), false)
      assert.ok(oldOne && youngOne)
      old.writer.write('a.old again')
      await whenOpen(topic, 3)
      const ledger = ledgerOf(sinkTo(topic))
      assert.equal(await ledger.fence([attemptOf(topic, 1)]), 2)
      old.writer.write('a.old once more')
      await assert.rejects(old.writer.prepareCommit(last(2), false), { code: 'KAFKA_FENCED' })
      assert.equal(old.context.failures.length, 1)
      assert.notEqual(await ledger.commit(oldOne), 'committed')
      assert.equal(await ledger.commit(youngOne), 'committed')
      await ledger.settled(youngOne)
      assert.deepEqual(await committed(topic), ['a.young'])
      await old.writer.close()
      await young.writer.close()
      await ledger.close()
    })

    test('a transaction that expired is gone: seen before ending anything, and told by its name when committed', async () => {
      const { topic, writer, listed } = await flushedShortly()
      const ledger = ledgerOf(sinkTo(topic))
      for (const until = performance.now() + WAIT_MS; (await ledger.inspect(listed))[0] === 'open'; ) {
        assert.ok(performance.now() < until, 'the broker never expired it')
        await pause(100)
      }
      assert.deepEqual(await ledger.inspect(listed), ['gone'])
      assert.ok(listed[0])
      assert.equal(await ledger.commit(listed[0]), 'gone')
      await ledger.abort(listed[0])
      await assert.rejects(async () => writer.commit?.(last(1)), {
        code: 'TRANSACTIONS_LOST',
        message: new RegExp(`lost: .*"job-${topic}-7-0-0".*checkpoint 1 .*${topic}: 1 record`),
      })
      assert.deepEqual(await committed(topic), [])
      await writer.close()
      await ledger.close()
    })

    /** A record in a transaction that is flushed, and soon to expire. */
    async function flushedShortly(): Promise<{
      topic: string
      writer: SinkWriter<string, KafkaCommittable>
      listed: readonly KafkaCommittable[]
    }> {
      for (const transactionTimeoutMs of SHORT_LIMITS_MS) {
        const topic = await newTopic()
        const { writer } = await openWriter(sinkTo(topic), { transactionTimeoutMs })
        writer.write('a.lost')
        const listed = await writer.prepareCommit(last(1), false).catch(() => undefined)
        if (listed !== undefined) return { topic, writer, listed }
        await writer.close({ abandon: true })
      }
      return assert.fail(`nothing was flushed within ${SHORT_LIMITS_MS.at(-1)} ms`)
    }

    test('a writer that closes in order leaves no transaction open but flushed ones', async () => {
      const topic = await newTopic()
      const { writer } = await openWriter(sinkTo(topic))
      writer.write('a.flushed')
      const [flushed] = await writer.prepareCommit(last(1), false)
      writer.write('a.open')
      await whenOpen(topic, 2)
      await writer.close()
      assert.deepEqual(await openOf(topic), [flushed?.transactionalId])
      const ledger = ledgerOf(sinkTo(topic))
      assert.ok(flushed)
      assert.equal(await ledger.commit(flushed), 'committed')
      await ledger.settled(flushed)
      assert.deepEqual(await committed(topic), ['a.flushed'])
      await ledger.close()
    })

    test('aborting what was flushed makes it gone for good', async () => {
      const topic = await newTopic()
      const { writer } = await openWriter(sinkTo(topic))
      writer.write('a.x')
      const [flushed] = await writer.prepareCommit(last(1), false)
      await writer.close()
      assert.ok(flushed)
      const ledger = ledgerOf(sinkTo(topic))
      await ledger.abort(flushed)
      await ledger.abort(flushed)
      assert.equal(await ledger.commit(flushed), 'gone')
      assert.deepEqual(await committed(topic), [])
      await ledger.close()
    })

    test('the timeout is planned from what this broker allows', async () => {
      const plan = { parallelism: 1, poolBound: 3, longestOpenMs: 1, checkpointIntervalMs: 1_000 }
      const ledger = ledgerOf(sinkTo('any'))
      const planned = await ledger.plan(plan)
      assert.equal(planned.settings.transactionTimeoutMs, 900_000)
      assert.ok(planned.attempt.clusterId.length > 0)
      const greedy = ledgerOf(sinkTo('any', { properties: { 'transaction.timeout.ms': '16 min' } }))
      await assert.rejects(greedy.plan(plan), { code: 'OPTION_INVALID' })
      await ledger.close()
      await greedy.close()
    })

    if (version === 2) {
      test('AT_LEAST_ONCE shows records with the barrier, NONE when they are sent, both without transactions', async () => {
        for (const guarantee of ['AT_LEAST_ONCE', 'NONE'] as const) {
          const topic = await newTopic()
          const { writer } = await openWriter(sinkTo(topic, { deliveryGuarantee: guarantee }))
          for (let i = 0; i < 100; i++) writer.write(`k.${i}`)
          assert.deepEqual(await writer.prepareCommit(last(1), guarantee === 'NONE'), [])
          const seen = await server.java.readAll(topic)
          assert.deepEqual(
            seen.map((record) => String(record.value)),
            Array.from({ length: 100 }, (_, i) => `k.${i}`),
          )
          await writer.close()
          assert.deepEqual(await openOf(topic), [])
        }
      })

      test('topics, partitions, headers and timestamps arrive as chosen; unknown topics are met on the way', async () => {
        const [one, two] = [await newTopic(3), await newTopic(3)]
        const sink = sinkTo(one, {
          recordSerializer: {
            serialize: (element, context, timestamp) =>
              element === 'skip'
                ? null
                : {
                    topic: element.startsWith('1') ? one : two,
                    partition: context.partitionsForTopic(two).length - 1,
                    key: Buffer.from('key'),
                    value: element.endsWith('null') ? null : element,
                    timestamp,
                    headers: [{ key: 'h', value: Buffer.from(element) }],
                  },
          },
        })
        const { writer, context } = await openWriter(sink)
        context.time.timestamp = 1_700_000_000_000
        for (const element of ['1a', 'skip', '2b', '1null', '2c']) writer.write(element)
        await writer.writable()
        const [flushed] = await writer.prepareCommit(last(1), false)
        assert.deepEqual(flushed?.records, { [one]: 2, [two]: 2 })
        await writer.commit?.(last(1))
        assert.ok(flushed)
        const ledger = ledgerOf(sink)
        await ledger.settled(flushed)
        const seen = await server.java.readAll(one, { isolation: 'read_committed' })
        assert.deepEqual(
          seen.map(({ partition, timestamp, key, value, headers }) => [
            partition,
            timestamp,
            String(key),
            value,
            String(headers[0]?.value),
          ]),
          [
            [2, 1_700_000_000_000, 'key', Buffer.from('1a'), '1a'],
            [2, 1_700_000_000_000, 'key', null, '1null'],
          ],
        )
        assert.equal(context.metrics.read().get('numRecordsSkipped'), 1)
        await writer.close()
        await ledger.close()
      })
    }
  })
}

describe('a cluster whose transaction.version changes', { timeout: 900_000 }, () => {
  let server: KafkaServer

  before(async () => {
    server = await KafkaServer.start({ transactionVersion: 1 })
    await server.createTopic('t')
  })
  after(() => server?.close())

  test('transactions end in the version they began in, whatever the feature is then, and the writer follows it', async () => {
    const sink = KafkaSink.to<string>({
      bootstrapServers: server.bootstrapServers,
      topic: 't',
      valueSerializationSchema: (element) => element,
      deliveryGuarantee: 'EXACTLY_ONCE',
      transactionalIdPrefix: 'job',
    })
    const writer = sink.createWriter(writerContext({ poolBound: 9 }))
    await writer.open?.()
    assert.ok(sink.transactional)
    const ledger = sink.transactional.createLedger(realPorts())
    const versions: number[] = []
    const expected: string[] = []
    let n = 0
    let listed: readonly KafkaCommittable[] = []
    const flush = async (): Promise<void> => {
      writer.write(`r${++n}`)
      expected.push(`r${n}`)
      listed = await writer.prepareCommit(checkpointId(n), false)
      versions.push(listed.at(-1)?.version ?? 0)
    }
    const commit = async (): Promise<void> => {
      await writer.commit?.(checkpointId(n))
      for (const committable of listed) await ledger.settled(committable)
      assert.deepEqual(new Set(await ledger.inspect(listed)), new Set(['committed']))
      writer.committed?.(checkpointId(n))
    }
    await flush()
    await server.setFeature('transaction.version', 2)
    await flush()
    await commit()
    await flush()
    await flush()
    await commit()
    await flush()
    await server.setFeature('transaction.version', 1)
    await flush()
    await commit()
    await flush()
    await commit()
    assert.deepEqual(versions, [1, 2, 2, 2, 2, 1, 1])
    const seen = await server.java.readAll('t')
    assert.deepEqual(
      seen.map((record) => String(record.value)),
      expected,
    )
    await writer.close()
    await ledger.close()
  })
})
