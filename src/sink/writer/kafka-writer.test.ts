import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import { checkpointId, type ElementTime, type MetricRegistry, type SinkWriter } from '../../core/index.ts'
import type { KafkaCommittable } from '../committer/kafka-committable.ts'
import { KafkaSinkBuilder, type KafkaSinkOptions } from '../kafka-sink-builder.ts'
import { ModelConnector, type ModelProducer, TransactionModel } from '../transaction/transaction-model.test-double.ts'
import { writerContext } from './writer-context.test-double.ts'

interface Driven {
  readonly writer: SinkWriter<string, KafkaCommittable>
  readonly model: TransactionModel
  readonly producer: ModelProducer
  readonly time: ElementTime
  readonly failures: Error[]
  readonly metrics: MetricRegistry
  /** Barrier, completion and commit of checkpoint N, as the coordinator would. */
  checkpoint(n: number): Promise<readonly KafkaCommittable[]>
}

type Options = Partial<KafkaSinkOptions<string>> & {
  readonly model?: TransactionModel
  readonly nextCheckpoint?: number
  readonly poolBound?: number
}

async function open(options: Options = {}): Promise<Driven> {
  const { model = new TransactionModel(), nextCheckpoint = 1, poolBound = 3, ...sinkOptions } = options
  if (!model.topics.has('out')) model.topics.set('out', 4)
  const connector = new ModelConnector(model)
  const sink = new KafkaSinkBuilder<string>('object')
    .setConnector(connector)
    .setAll({
      bootstrapServers: 'model:1',
      ...(sinkOptions.recordSerializer === undefined && sinkOptions.topicSelector === undefined
        ? { topic: 'out' }
        : {}),
      valueSerializationSchema: (element) => element,
      deliveryGuarantee: 'EXACTLY_ONCE',
      transactionalIdPrefix: 'job',
      ...sinkOptions,
    })
    .build()
  const context = writerContext({ nextCheckpoint, poolBound })
  const { time, failures, metrics } = context
  const writer = sink.createWriter(context)
  await writer.open?.()
  assert.ok(connector.producer)
  const checkpoint = async (n: number): Promise<readonly KafkaCommittable[]> => {
    const listed = await writer.prepareCommit(checkpointId(n), false)
    await writer.commit?.(checkpointId(n))
    writer.committed?.(checkpointId(n))
    return listed
  }
  return { writer, model, producer: connector.producer, time, failures, metrics, checkpoint }
}

const values = (model: TransactionModel): (string | null)[] => model.visible.map((record) => record.value)
const idsOf = (listed: readonly KafkaCommittable[]): string[] => listed.map((one) => one.transactionalId)

for (const version of [1, 2] as const) {
  test(`version ${version}: records appear with the commit of their checkpoint, in order, once`, async () => {
    const model = new TransactionModel()
    model.version = version
    const { writer, checkpoint } = await open({ model })
    const expected: string[] = []
    for (let n = 1; n <= 12; n++) {
      for (let i = 0; i < 3; i++) {
        writer.write(`${n}.${i}`)
        expected.push(`${n}.${i}`)
      }
      const [listed, ...more] = await checkpoint(n)
      assert.equal(more.length, 0)
      assert.equal(listed?.barrier, n)
      assert.equal(listed?.version, version)
      assert.deepEqual(listed?.records, { out: 3 })
      assert.deepEqual(values(model), expected)
    }
    await writer.close()
    assert.deepEqual(model.open(), [])
    const inits = model.calls.filter((call) => call.startsWith('init')).length
    assert.equal(inits, version === 1 ? 12 : model.ids().length, 'version 2 takes the next identity from the last end')
  })
}

test('a writer without records begins no transaction, lists nothing and asks the brokers for nothing', async () => {
  const { model, checkpoint, writer } = await open()
  const before = model.calls.length
  for (let n = 1; n <= 3; n++) assert.deepEqual(await checkpoint(n), [])
  await writer.close()
  assert.deepEqual(model.calls.slice(before), [])
})

test('a checkpoint that fails ends and aborts nothing; the next lists its transactions too, oldest first', async () => {
  const { writer, model, checkpoint } = await open({ poolBound: 4 })
  writer.write('a')
  const first = await writer.prepareCommit(checkpointId(1), false)
  writer.write('b')
  const second = await writer.prepareCommit(checkpointId(2), false)
  assert.deepEqual(idsOf(second), [...idsOf(first), 'job-7-0-1'])
  writer.write('c')
  assert.deepEqual(idsOf(await checkpoint(3)), ['job-7-0-0', 'job-7-0-1', 'job-7-0-2'])
  assert.deepEqual(values(model), ['a', 'b', 'c'])
  await writer.close()
})

test('an id is used again only when a durable committed covers it, smallest free slot first', async () => {
  const { writer, model } = await open()
  const flush = async (n: number): Promise<string | undefined> => {
    writer.write(`r${n}`)
    return (await writer.prepareCommit(checkpointId(n), false)).at(-1)?.transactionalId
  }
  assert.equal(await flush(1), 'job-7-0-0')
  await writer.commit?.(checkpointId(1))
  assert.equal(await flush(2), 'job-7-0-1', 'ended, but its commit may still be asked for again')
  writer.committed?.(checkpointId(1))
  await writer.commit?.(checkpointId(2))
  assert.equal(await flush(3), 'job-7-0-0')
  writer.committed?.(checkpointId(2))
  await writer.commit?.(checkpointId(3))
  writer.committed?.(checkpointId(3))
  assert.equal(await flush(4), 'job-7-0-0')
  assert.deepEqual(model.ids(), ['job-7-0-0', 'job-7-0-1'])
  await writer.close()
})

test('beyond its bound the pool fails instead of waiting or reusing', async () => {
  const { writer } = await open({ poolBound: 2 })
  for (let n = 1; n <= 2; n++) {
    writer.write('x')
    await writer.prepareCommit(checkpointId(n), false)
  }
  assert.throws(() => writer.write('x'), /all 2 transactional ids of "job-7-0-\.\.\." are held/)
  await writer.close()
})

test('INCREMENTING names each transaction after the checkpoint that flushes it', async () => {
  const { writer, checkpoint } = await open({ transactionNamingStrategy: 'INCREMENTING', nextCheckpoint: 41 })
  writer.write('a')
  assert.deepEqual(idsOf(await checkpoint(41)), ['job-7-0-41'])
  assert.deepEqual(idsOf(await checkpoint(42)), [])
  writer.write('b')
  assert.deepEqual(idsOf(await checkpoint(43)), ['job-7-0-43'])
  await writer.close()
})

test('records written after the barrier belong to the next checkpoint, also before the flush is acknowledged', async () => {
  const { writer, model, checkpoint } = await open()
  const held = Promise.withResolvers<void>()
  model.before = (call) => (call === 'produce' ? held.promise : undefined)
  writer.write('a')
  const flushing = writer.prepareCommit(checkpointId(1), false)
  writer.write('b')
  held.resolve()
  assert.equal((await flushing).length, 1)
  await writer.commit?.(checkpointId(1))
  writer.committed?.(checkpointId(1))
  assert.deepEqual(values(model), ['a'])
  await checkpoint(2)
  assert.deepEqual(values(model), ['a', 'b'])
  await writer.close()
})

test('a commit ends what its checkpoint lists and nothing of a later barrier', async () => {
  const { writer, model } = await open()
  for (let n = 1; n <= 2; n++) {
    writer.write(`r${n}`)
    await writer.prepareCommit(checkpointId(n), false)
  }
  await writer.commit?.(checkpointId(1))
  assert.deepEqual(model.open(), ['job-7-0-1'])
  assert.deepEqual(values(model), ['r1'])
  await writer.close()
})

test('a later barrier resolves only when all before it is acknowledged', async () => {
  const { writer, model } = await open()
  const held = Promise.withResolvers<void>()
  model.before = (call, id) => (call === 'produce' && id === 'job-7-0-0' ? held.promise : undefined)
  writer.write('a')
  const first = writer.prepareCommit(checkpointId(1), false)
  writer.write('b')
  let resolved = false
  const second = writer.prepareCommit(checkpointId(2), false).then((listed) => {
    resolved = true
    return listed
  })
  await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(resolved, false)
  held.resolve()
  assert.deepEqual(idsOf(await first), ['job-7-0-0'])
  assert.deepEqual(idsOf(await second), ['job-7-0-0', 'job-7-0-1'])
  await writer.close()
})

test('closing aborts what was never flushed and leaves flushed transactions to whoever restores the checkpoint', async () => {
  const { writer, model, producer } = await open()
  writer.write('flushed')
  const [flushed] = await writer.prepareCommit(checkpointId(1), false)
  writer.write('open')
  await producer.flush()
  assert.deepEqual(model.open(), ['job-7-0-0', 'job-7-0-1'])
  await writer.close()
  await writer.close()
  assert.deepEqual(model.open(), ['job-7-0-0'])
  assert.ok(flushed)
  assert.equal(model.end(flushed, true).kind, 'ended')
  assert.deepEqual(values(model), ['flushed'])
})

test('closing an abandoned job touches nothing', async () => {
  const { writer, model, producer } = await open()
  writer.write('open')
  await producer.flush()
  const calls = model.calls.length
  await writer.close({ abandon: true })
  assert.deepEqual(model.calls.slice(calls), [])
  assert.deepEqual(model.open(), ['job-7-0-0'])
})

test('a flush that is under way when the writer closes is never listed', async () => {
  const { writer, model } = await open()
  const held = Promise.withResolvers<void>()
  model.before = (call) => (call === 'produce' ? held.promise : undefined)
  writer.write('a')
  const flushing = writer.prepareCommit(checkpointId(1), false)
  const rejected = assert.rejects(flushing, { code: 'CANCELLED' })
  const closing = writer.close()
  held.resolve()
  await rejected
  await closing
  assert.deepEqual(model.open(), [])
})

for (const version of [1, 2] as const) {
  test(`version ${version}: a transaction that expired before its commit fails the job by name, and nothing after it is committed`, async () => {
    const model = new TransactionModel()
    model.version = version
    const { writer, metrics } = await open({ model })
    writer.write('a')
    await writer.prepareCommit(checkpointId(1), false)
    writer.write('b')
    await writer.prepareCommit(checkpointId(2), false)
    model.expire('job-7-0-0')
    for (let i = 0; i < 2; i++) {
      await assert.rejects(
        async () => writer.commit?.(checkpointId(2)),
        (error) => {
          assert.ok(MillraceError.is(error) && error.code === 'TRANSACTIONS_LOST')
          assert.match(error.message, /^lost: transaction "job-7-0-0".*checkpoint 2.*barrier 1.*out: 1 record/)
          return true
        },
      )
    }
    assert.deepEqual(model.open(), ['job-7-0-1'], 'kept, so that recovery can go back one checkpoint')
    assert.equal(metrics.read().get('failedCommittables'), 1)
    await writer.close()
  })
}

test('a commit without a verdict is told as such, aborts nothing and can be tried again', async () => {
  const { writer, model } = await open()
  writer.write('a')
  await writer.prepareCommit(checkpointId(1), false)
  model.before = (call) => {
    if (call === 'end') throw new MillraceError('KAFKA_TIMEOUT', 'coordinator away')
  }
  await assert.rejects(async () => writer.commit?.(checkpointId(1)), { code: 'COMMIT_UNRESOLVED' })
  assert.deepEqual(model.open(), ['job-7-0-0'])
  model.before = () => undefined
  await writer.commit?.(checkpointId(1))
  assert.deepEqual(values(model), ['a'])
  await writer.close()
})

test('an identity that cannot be had fails an idle task too', async () => {
  const { writer, model, failures } = await open()
  model.before = (call) => {
    if (call === 'init') throw new MillraceError('KAFKA_AUTHORIZATION_FAILED', 'not allowed to write "job-7-0-0"')
  }
  writer.write('a')
  for (let turns = 0; failures.length === 0 && turns < 1_000; turns++)
    await new Promise((resolve) => setImmediate(resolve))
  assert.equal(failures.length, 1)
  await assert.rejects(writer.prepareCommit(checkpointId(1), false), { code: 'KAFKA_AUTHORIZATION_FAILED' })
  await writer.close()
})

test('a version change between transactions is followed, and each is ended as it began', async () => {
  const model = new TransactionModel()
  model.version = 1
  const { writer, checkpoint } = await open({ model })
  const versions: (number | undefined)[] = []
  for (const [n, version] of ([1, 2, 2, 2, 1, 1, 2, 2] as const).entries()) {
    model.version = version
    writer.write(`r${n}`)
    await new Promise((resolve) => setImmediate(resolve))
    // The cluster changes again before the commit.
    model.version = version === 1 ? 2 : 1
    versions.push((await checkpoint(n + 1))[0]?.version)
  }
  assert.deepEqual(versions, [1, 2, 2, 2, 1, 1, 2, 2])
  const inits = model.calls.filter((call) => call.startsWith('init')).length
  // Each of version 1, and of version 2 the one after a version 1: only an EndTxn of version 2 names the next identity.
  assert.equal(inits, 5)
  assert.equal(model.visible.length, 8)
  await writer.close()
})

test('elements for a topic seen first wait in order, barriers with them', async () => {
  const model = new TransactionModel()
  model.topics.set('b', 1).set('c', 1)
  const held = Promise.withResolvers<void>()
  const { writer } = await open({ model, topicSelector: (element) => element.charAt(0) })
  model.before = (call) => (call === 'topic' ? held.promise : undefined)
  assert.equal(writer.blocked, false)
  writer.write('b1')
  assert.equal(writer.blocked, true)
  writer.write('c2')
  writer.write('b3')
  const first = writer.prepareCommit(checkpointId(1), false)
  writer.write('b4')
  const writable = writer.writable()
  held.resolve()
  await writable
  assert.equal(writer.blocked, false)
  assert.deepEqual((await first)[0]?.records, { b: 2, c: 1 })
  writer.write('c5')
  await writer.prepareCommit(checkpointId(2), false)
  await writer.commit?.(checkpointId(2))
  assert.deepEqual(values(model), ['b1', 'c2', 'b3', 'b4', 'c5'])
  await writer.close()
})

test('a topic that does not exist fails the task, the waiting barrier and whoever waits to write', async () => {
  const { writer, failures } = await open({ topicSelector: () => 'nowhere' })
  writer.write('x')
  const code = 'KAFKA_UNKNOWN_TOPIC'
  await assert.rejects(writer.prepareCommit(checkpointId(1), false), { code })
  await assert.rejects(writer.writable(), { code })
  assert.equal(failures.length, 1)
  assert.equal(writer.blocked, true)
  await writer.close()
})

test('NONE flushes only at the end, AT_LEAST_ONCE at each barrier, neither lists anything', async () => {
  for (const guarantee of ['NONE', 'AT_LEAST_ONCE'] as const) {
    const { writer, model } = await open({ deliveryGuarantee: guarantee })
    writer.write('a')
    assert.deepEqual(await writer.prepareCommit(checkpointId(1), false), [])
    assert.equal(model.visible.length, guarantee === 'NONE' ? 0 : 1)
    writer.write('b')
    assert.deepEqual(await writer.prepareCommit(checkpointId(2), true), [])
    assert.deepEqual(values(model), ['a', 'b'])
    assert.ok(!model.calls.some((call) => /init|end|version/.test(call)))
    await writer.close()
  }
})

test('a failed flush fails its barrier and every later one', async () => {
  const { writer, model } = await open({ deliveryGuarantee: 'EXACTLY_ONCE' })
  model.before = (call) => {
    if (call === 'produce') throw new MillraceError('KAFKA_FENCED', 'superseded')
  }
  writer.write('a')
  await assert.rejects(writer.prepareCommit(checkpointId(1), false), { code: 'KAFKA_FENCED' })
  await assert.rejects(writer.prepareCommit(checkpointId(2), false), { code: 'KAFKA_FENCED' })
  await writer.close()
})

for (const [name, expected, options] of [
  ['at least once', 1, { deliveryGuarantee: 'AT_LEAST_ONCE' }],
  [
    'at least once with a linger.ms of the user',
    0,
    { deliveryGuarantee: 'AT_LEAST_ONCE', properties: { 'linger.ms': 10 } },
  ],
  ['in transactions, where nobody would see it earlier', 0, {}],
] as const) {
  test(`what waits for more records leaves when the input is dry: ${name}: ${expected === 1 ? 'yes' : 'no'}`, async () => {
    const { writer, producer } = await open(options)
    writer.write('a')
    writer.inputDry?.()
    assert.equal(producer.nudges, expected)
    await writer.close()
  })
}
