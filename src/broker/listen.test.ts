/** The broker on TCP: one port for each node, clients that find all of them, ports that are free again afterwards. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom, SystemClock, silentLogger, TcpNetwork } from '../base/index.ts'
import { KafkaAdmin, KafkaCluster, Producer, parseClusterOptions, parseProducerOptions } from '../kafka/index.ts'
import { EmbeddedBroker } from './embedded-broker.ts'

const ports = { network: new TcpNetwork(), clock: new SystemClock(), random: new SeededRandom(2), logger: silentLogger }
const { clock, random } = ports

function connect(bootstrapServers: string): KafkaCluster {
  return new KafkaCluster(parseClusterOptions({ 'bootstrap.servers': bootstrapServers }), ports)
}

/** A port that was given back may be taken by somebody else in that moment, but not again and again. */
async function someTry(attempt: () => Promise<void>): Promise<void> {
  for (let left = 5; ; left--) {
    try {
      return await attempt()
    } catch (error) {
      if (left === 1) throw error
    }
  }
}

test('each node has a port of its own, and TCP clients are told those', async () => {
  const broker = new EmbeddedBroker({ clock, random, nodes: 3, topics: { t: { partitions: 3, replicationFactor: 1 } } })
  const listener = await broker.listen()
  assert.equal(new Set(listener.ports).size, 3)
  const cluster = connect(listener.bootstrapServers.split(',')[2] ?? '')
  const admin = new KafkaAdmin(cluster)
  const producer = new Producer(cluster, parseProducerOptions({}))
  const topic = await producer.topic('t')
  for (let partition = 0; partition < 3; partition++) topic.append(partition, 1, null, 'x'.repeat(100_000))
  await producer.seal()
  await producer.close()
  assert.deepEqual(
    cluster.metadata
      .brokers()
      .map(({ port }) => port)
      .sort(),
    [...listener.ports].sort(),
  )
  const questions = [0, 1, 2].map((partition) => ({ topic: 't', partition, at: 'latest' as const }))
  assert.deepEqual(
    (await admin.listOffsets(questions)).map(({ offset }) => offset),
    [1, 1, 1],
  )
  await cluster.close()
  await listener.close()
  await broker.close()
  await assert.rejects(broker.listen(), { code: 'CANCELLED' })
})

test('a port is free again when nobody listens there any more, whether the broker goes on or not', async () => {
  for (const ends of ['listener', 'broker'] as const) {
    await someTry(async () => {
      const broker = new EmbeddedBroker({ clock, random })
      const listener = await broker.listen()
      const { ports } = listener
      await (ends === 'listener' ? listener : broker).close()
      const next = ends === 'listener' ? broker : new EmbeddedBroker({ clock, random })
      try {
        assert.deepEqual((await next.listen({ port: ports[0] ?? 0 })).ports, ports)
      } finally {
        await next.close()
      }
    })
  }
})

test('a port that is taken is an error that names it, and leaves nothing behind', async () => {
  const broker = new EmbeddedBroker({ clock, random })
  const [taken = 0] = (await broker.listen()).ports
  await assert.rejects(broker.listen({ port: taken }), { code: 'OPTION_INVALID', message: new RegExp(`port ${taken}`) })
  await broker.close()
})

test('a node that is down accepts nobody', async () => {
  const broker = new EmbeddedBroker({ clock, random })
  const listener = await broker.listen()
  broker.stopNode(1)
  let closed: () => void = () => undefined
  const gone = new Promise<void>((resolve) => {
    closed = resolve
  })
  const [port = 0] = listener.ports
  await ports.network.connect(
    { host: '127.0.0.1', port, timeoutMs: 60_000 },
    { buffer: () => new Uint8Array(1), received: () => assert.fail('an answer'), closed },
  )
  await gone
  assert.equal(broker.connections, 0)
  await broker.close()
})

test('a new broker is there at once', () => {
  const took: number[] = []
  // The quickest of several: the processor may be somebody else's for a while.
  for (let i = 0; i < 50 && !(Math.min(...took) < 50); i++) {
    const beganMs = clock.monotonic()
    new EmbeddedBroker({ clock, random, nodes: 3, topics: { t: { partitions: 10 } } })
    took.push(clock.monotonic() - beganMs)
  }
  assert.ok(Math.min(...took) < 50, `${took} ms`)
})
