import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { KafkaServer } from '../../testing/index.ts'
import { KafkaSinkConnector } from '../kafka-sink-connector.ts'
import type { SinkConnection } from '../sink-connector.ts'
import { realPorts } from '../writer/writer-context.test-double.ts'
import type { TransactionGateway, TransactionHandle, TransactionVersion } from './transaction-gateway.ts'
import { ModelGateway, TransactionModel } from './transaction-model.test-double.ts'

/** Either the model or a broker, asked the same questions. */
interface Subject {
  readonly gateway: TransactionGateway
  flush(handle: TransactionHandle): Promise<void>
}

const TOPIC = 'conformance'
/** These end what hangs. */
const DEADLINE_MS = 120_000
const SETTLE_MS = 60_000
/** Long: nothing is to expire while the questions are asked. */
const LIMIT_MS = 600_000

/** Asks everything that the sink's verdicts rest on, and notes the answers, identities relative to the first one. */
async function interview(subject: Subject, version: TransactionVersion): Promise<string[]> {
  const answers: string[] = []
  const { gateway } = subject
  let base = { producerId: 0, epoch: 0 }
  const relative = (producerId: number, epoch: number): string => {
    if (producerId < 0) return 'none'
    return producerId === base.producerId ? `same/${epoch - base.epoch}` : `other/${epoch}`
  }
  const note = (what: string, answer: string): void => void answers.push(`${what}: ${answer}`)
  const begin = async (id: string): Promise<TransactionHandle> => {
    base = await gateway.initProducerId(id, LIMIT_MS)
    return { transactionalId: id, version, ...base }
  }
  const flushed = async (id: string): Promise<TransactionHandle> => {
    const handle = await begin(id)
    await subject.flush(handle)
    return handle
  }
  const end = async (what: string, handle: TransactionHandle, commit: boolean): Promise<void> => {
    const outcome = await gateway.endTransaction(handle, commit, DEADLINE_MS)
    if (outcome.kind === 'ended') {
      note(
        what,
        outcome.next === undefined ? 'ended' : `ended, next ${relative(outcome.next.producerId, outcome.next.epoch)}`,
      )
    } else note(what, outcome.kind === 'refused' ? outcome.error : `undecided: ${outcome.error.message}`)
  }
  const look = async (what: string, id: string): Promise<void> => {
    for (const until = performance.now() + SETTLE_MS; performance.now() < until; ) {
      const found = (await gateway.describe([id]))?.[0]
      assert.ok(found)
      if (!found.state.startsWith('Prepare')) {
        note(what, `${found.state} ${relative(found.producerId, found.producerEpoch)}`)
        return
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.fail(`${id} stays in a Prepare state`)
  }

  let handle = await flushed('p-1-0-0')
  await look('flushed', 'p-1-0-0')
  await end('commit', handle, true)
  await end('repeat', handle, true)
  await look('committed', 'p-1-0-0')
  await end('abort of the committed one', handle, false)
  await gateway.initProducerId('p-1-0-0', LIMIT_MS)
  await look('initialised again', 'p-1-0-0')
  await end('repeat after that', handle, true)

  handle = await flushed('p-1-0-1')
  await end('abort', handle, false)
  await end('repeat of the abort', handle, false)
  await end('commit of the aborted one', handle, true)
  await look('aborted', 'p-1-0-1')

  handle = await flushed('p-1-0-2')
  await gateway.initProducerId('p-1-0-2', LIMIT_MS)
  await look('initialised while open', 'p-1-0-2')
  await end('its commit', handle, true)

  handle = await flushed('p-1-0-3')
  await end('a later epoch', { ...handle, epoch: handle.epoch + 1 }, true)
  await end('another producer id', { ...handle, producerId: handle.producerId + 100_000 }, true)
  await look('untouched by those', 'p-1-0-3')
  await end('the right one', handle, true)

  await look('never used', 'p-1-0-4')
  await end('commit of one never used', { ...handle, transactionalId: 'p-1-0-4' }, true)

  handle = await begin('p-1-0-5')
  await end('commit of an empty one', handle, true)
  await look('empty', 'p-1-0-5')

  handle = await flushed('p-1-0-6')
  const outcome = await gateway.endTransaction(handle, true, DEADLINE_MS)
  const next = outcome.kind === 'ended' ? outcome.next : undefined
  const younger = {
    transactionalId: 'p-1-0-6',
    version,
    ...(next ?? (await gateway.initProducerId('p-1-0-6', LIMIT_MS))),
  }
  await subject.flush(younger)
  await end('repeat of the first while a second is open', handle, true)
  await look('the second', 'p-1-0-6')
  await end('commit of the second', younger, true)
  return answers
}

for (const version of [1, 2] as const) {
  describe(`transaction version ${version}`, { timeout: 900_000 }, () => {
    let server: KafkaServer
    let connection: SinkConnection
    const connections: SinkConnection[] = []

    before(async () => {
      server = await KafkaServer.start({ transactionVersion: version })
      await server.createTopic(TOPIC)
      connection = connect()
    })
    after(async () => {
      for (const one of connections) await one.close()
      await server?.close()
    })

    function connect(): SinkConnection {
      const made = new KafkaSinkConnector().connect(
        { 'bootstrap.servers': server.bootstrapServers, 'linger.ms': 0 },
        realPorts(),
      )
      connections.push(made)
      return made
    }

    test('a broker and the model of it answer alike', async () => {
      assert.equal(await connection.gateway.transactionVersion(), version)
      const real: Subject = {
        gateway: connection.gateway,
        flush: async (handle) => {
          const producer = connect().createProducer((error) => assert.fail(error))
          const topic = await producer.topic(TOPIC)
          producer.beginTransaction(handle.transactionalId, Promise.resolve(handle))
          topic.append(0, 1, null, 'v')
          await producer.seal()
          await producer.close({ discard: true })
        },
      }
      const model = new TransactionModel()
      model.version = version
      const modelled: Subject = {
        gateway: new ModelGateway(model),
        flush: async (handle) =>
          model.produce(handle, [{ topic: TOPIC, partition: 0, key: null, value: 'v', timestamp: 1 }]),
      }
      assert.deepEqual(await interview(real, version), await interview(modelled, version))
    })
  })
}
