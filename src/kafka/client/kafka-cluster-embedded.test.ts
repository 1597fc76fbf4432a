/** Connections of a cluster and the way to its first broker, on the embedded Kafka's TCP port. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SystemClock, SystemRandom, silentLogger, TcpNetwork } from '../../base/index.ts'
import { EmbeddedKafka } from '../../testing/index.ts'
import { KafkaAdmin } from './kafka-admin.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import { type KafkaProperties, parseClusterOptions } from './options.ts'

function connect(
  bootstrapServers: string,
  properties: KafkaProperties = {},
  { network = new TcpNetwork(), clock = new SystemClock() } = {},
): KafkaCluster {
  const options = parseClusterOptions({ 'bootstrap.servers': bootstrapServers, ...properties })
  const ports = { network, clock, random: new SystemRandom(), logger: silentLogger }
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

/** Time is over for whoever waits as soon as two attempts to find a broker have failed, and not before, however long they take. */
class TwoAttempts extends TcpNetwork {
  readonly clock: SystemClock = new SystemClock()
  #failures = 0

  constructor() {
    super()
    const { clock } = this
    const now = clock.monotonic.bind(clock)
    clock.monotonic = () => now() + (this.#failures >= 2 ? 3_600_000 : 0)
  }

  override connect(...args: Parameters<TcpNetwork['connect']>): ReturnType<TcpNetwork['connect']> {
    return this.#watched(super.connect(...args))
  }

  override lookup(...args: Parameters<TcpNetwork['lookup']>): ReturnType<TcpNetwork['lookup']> {
    return this.#watched(super.lookup(...args))
  }

  #watched<T>(attempt: Promise<T>): Promise<T> {
    return attempt.catch((error) => {
      this.#failures++
      throw error
    })
  }
}

test('when none is reachable every address is named with its error', async () => {
  const network = new TwoAttempts()
  const patient = { 'socket.connection.setup.timeout.ms': 60_000, 'socket.connection.setup.timeout.max.ms': 60_000 }
  const other = connect('127.0.0.1:1,nowhere.invalid:9092', patient, { network, clock: network.clock })
  await assert.rejects(new KafkaAdmin(other).listTopics(), {
    code: 'KAFKA_UNREACHABLE',
    message:
      /127\.0\.0\.1:1 \(.*ECONNREFUSED.*\), nowhere\.invalid:9092 \(.*(?:ENOTFOUND|EAI_AGAIN).*default\.api\.timeout\.ms.*Check/,
  })
  await other.close()
})
