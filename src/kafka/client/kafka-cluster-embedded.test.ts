/** Connections of a cluster and the way to its first broker, on the embedded Kafka's TCP port. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SystemClock, SystemRandom, silentLogger, TcpNetwork } from '../../base/index.ts'
import { EmbeddedKafka } from '../../testing/index.ts'
import { KafkaAdmin } from './kafka-admin.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import { type KafkaProperties, parseClusterOptions } from './options.ts'

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

let kafka: EmbeddedKafka
let cluster: KafkaCluster

before(async () => {
  kafka = await EmbeddedKafka.start({ topics: { made: {} } })
  cluster = connect(kafka.bootstrapServers)
})
after(async () => {
  await cluster.close()
  await kafka.close()
})

test('connections are kept by broker and purpose', async () => {
  const control = await cluster.connection(1, 'control')
  assert.equal(await cluster.connection(1, 'control'), control)
  const [fetch, again] = await Promise.all([cluster.connection(1, 'fetch'), cluster.connection(1, 'fetch')])
  assert.equal(fetch, again)
  assert.notEqual(fetch, control)
  await assert.rejects(cluster.connection(77, 'control'), { code: 'KAFKA_DISCONNECTED', message: /broker 77/ })
})

test('bootstrap servers that are away are passed over', async () => {
  const other = connect(`127.0.0.1:1,${kafka.bootstrapServers}`)
  assert.ok((await new KafkaAdmin(other).listTopics()).includes('made'))
  await other.close()
})

test('when none is reachable every address is named with its error, in time', async () => {
  const other = connect('127.0.0.1:1,nowhere.invalid:9092', { 'default.api.timeout.ms': 1_500 })
  const began = performance.now()
  await assert.rejects(new KafkaAdmin(other).listTopics(), {
    code: 'KAFKA_UNREACHABLE',
    message:
      /127\.0\.0\.1:1 \(.*ECONNREFUSED.*\), nowhere\.invalid:9092 \(.*(?:ENOTFOUND|EAI_AGAIN).*default\.api\.timeout\.ms.*Check/,
  })
  assert.ok(performance.now() - began < 4_000)
  await other.close()
})
