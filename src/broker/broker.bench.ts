/**
 * Records a second through the embedded broker over TCP, everything on one core: 115-byte values in 4 partitions, this
 * project's own producer and fetcher. Broker and clients share the thread, so the broker's own share is less than half.
 * The last line is one of JSON for bench/results, with the machine's load before it began.
 * Run: taskset -c 0 node src/broker/broker.bench.ts [records]
 */
import { loadavg } from 'node:os'
import { SystemClock, SystemRandom, silentLogger, TcpNetwork } from '../base/index.ts'
import {
  Fetcher,
  KafkaCluster,
  Producer,
  parseClusterOptions,
  parseFetcherOptions,
  parseProducerOptions,
} from '../kafka/index.ts'
import { EmbeddedBroker } from './embedded-broker.ts'

const RECORDS = Number(process.argv[2] ?? 1_000_000)
const PARTITIONS = 4
const ROUNDS = 5
const VALUE = `{"id":1234567,"user":"u1234","type":"click","ts":1700000000000,"amount":12.5,"pad":"`
  .padEnd(113, 'x')
  .concat('"}')

const LOAD = Number((loadavg()[0] ?? 0).toFixed(2))

const ports = { network: new TcpNetwork(), clock: new SystemClock(), random: new SystemRandom(), logger: silentLogger }

async function produce(cluster: KafkaCluster): Promise<void> {
  const producer = new Producer(cluster, parseProducerOptions({ 'linger.ms': 5, 'batch.size': 65_536 }))
  const topic = await producer.topic('t')
  for (let at = 0; at < RECORDS; at++) {
    topic.append(at % PARTITIONS, 1_700_000_000_000 + at, null, VALUE)
    if (producer.blocked) await producer.writable()
  }
  await producer.seal()
  await producer.close()
}

async function fetch(cluster: KafkaCluster): Promise<void> {
  const fetcher = new Fetcher(cluster, parseFetcherOptions({ 'isolation.level': 'read_committed' }))
  for (let partition = 0; partition < PARTITIONS; partition++) fetcher.add('t', partition, 0)
  let count = 0
  while (count < RECORDS) {
    const part = fetcher.next()
    if (part === undefined) await fetcher.available()
    else if (part.kind === 'trouble') throw part.error
    else
      while (part.reader.nextBatch())
        while (part.reader.next()) count += part.reader.valueLength === VALUE.length ? 1 : 0
  }
  await fetcher.close()
}

const rates: { produce: number; fetch: number; both: number }[] = []
for (let round = -1; round < ROUNDS; round++) {
  const { clock, random } = ports
  const broker = new EmbeddedBroker({ clock, random, topics: { t: { partitions: PARTITIONS } } })
  const listener = await broker.listen()
  const cluster = new KafkaCluster(parseClusterOptions({ 'bootstrap.servers': listener.bootstrapServers }), ports)
  await cluster.metadata.ensure(['t'])
  const began = clock.monotonic()
  await produce(cluster)
  const between = clock.monotonic()
  await fetch(cluster)
  const ended = clock.monotonic()
  const rate = (ms: number): number => RECORDS / (ms / 1_000)
  if (round >= 0)
    rates.push({ produce: rate(between - began), fetch: rate(ended - between), both: rate(ended - began) })
  await cluster.close()
  await broker.close()
}
for (const name of ['produce', 'fetch', 'both'] as const) {
  const sorted = rates.map((one) => one[name]).sort((a, b) => a - b)
  process.stdout.write(`${name.padEnd(8)} ${Math.round((sorted[ROUNDS >> 1] ?? 0) / 1_000)} thousand records/s\n`)
}
const peakMb = Math.round(process.resourceUsage().maxRSS / 1024)
process.stdout.write(`peak resident ${peakMb} MB\n`)
const at = new Date(ports.clock.now()).toISOString()
const perSecond = Object.fromEntries(
  (['produce', 'fetch', 'both'] as const).map((name) => [name, rates.map((one) => Math.round(one[name]))]),
)
const line = { bench: 'embedded-broker', at, node: process.version, load: LOAD, records: RECORDS, perSecond, peakMb }
process.stdout.write(`${JSON.stringify(line)}\n`)
