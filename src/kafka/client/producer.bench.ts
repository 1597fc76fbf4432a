/**
 * Records a second through the producer. First its own work alone (append, CRC, request) against a broker in this process that
 * acknowledges at once; then to a real broker on this machine. Values of 115 bytes, keys of 5, 4 partitions, batch.size 512 KB,
 * linger 10 ms; median of 5 rounds.
 *
 * Then beside Kafka's own ProducerPerformance: the same values without keys to the same broker with the same settings (acks=all,
 * idempotence; Kafka's default batches, and large ones), by turns; one line of JSON with the medians, the ratio and the load
 * of the machine before. Theirs is a process of its own for each round and begins to count after 500,000 records; ours has had
 * one round before. Both read the clock for each record; the values come from a file there, from memory here.
 *
 * Run: node src/kafka/client/producer.bench.ts [records] [all|own|beside]
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { installKafka, KafkaServer } from '../../testing/index.ts'
import { connect } from './fetcher-reading.test-double.ts'
import { parseProducerOptions } from './options.ts'
import { Producer } from './producer.ts'
import type { ProducerCluster, ProducerConnection } from './producer-cluster.ts'
import { initProducerId } from './transactions.ts'

const RECORDS = Number(process.argv[2] ?? 2_000_000)
const PART = process.argv[3] ?? 'all'
const PARTITIONS = 4
const ROUNDS = 5
/** Records between two turns of the event loop. */
const SLICE = 4000

const texts = Array.from({ length: 4096 }, (_, id) =>
  JSON.stringify({
    id,
    user: `u${id}`,
    type: 'click',
    ts: 1_700_000_000_000,
    amount: 12.5,
    pad: 'x'.repeat(32),
  }).padEnd(115),
)
const keys = texts.map((_, id) => `u${String(id).padStart(4, '0')}`)
const bytes = texts.map((text) => Buffer.from(text))
const keyBytes = keys.map((key) => Buffer.from(key))
const OPTIONS = parseProducerOptions({ 'batch.size': 512 * 1024, 'linger.ms': 10, 'buffer.memory': 32 << 20 })

type Cells = readonly (string | Uint8Array)[]

async function write(
  cluster: ProducerCluster,
  keyCells: Cells,
  valueCells: Cells,
  keyed: boolean,
  transaction?: string,
): Promise<number> {
  const producer = new Producer(cluster, OPTIONS)
  const topic = await producer.topic('out')
  const before = performance.now()
  if (transaction !== undefined) {
    producer.beginTransaction(
      transaction,
      2,
      initProducerId(cluster as Parameters<typeof initProducerId>[0], transaction, 60_000),
    )
  }
  for (let done = 0; done < RECORDS; ) {
    for (const end = Math.min(RECORDS, done + SLICE); done < end; done++) {
      const index = done & 4095
      topic.append(keyed ? -1 : done & 3, 1_700_000_000_000 + done, keyCells[index] ?? null, valueCells[index] ?? null)
    }
    if (producer.blocked) await producer.writable()
    else await cluster.ports.clock.nextTurn()
  }
  await producer.seal()
  const rate = RECORDS / ((performance.now() - before) / 1000)
  await producer.close({ discard: true })
  return rate
}

async function measure(name: string, round: (number: number) => Promise<number>): Promise<void> {
  const rounds: number[] = []
  const cpu = process.cpuUsage()
  for (let number = -1; number < ROUNDS; number++) {
    const rate = await round(number)
    if (number >= 0) rounds.push(rate)
  }
  const { user, system } = process.cpuUsage(cpu)
  rounds.sort((a, b) => a - b)
  const perRecord = (user + system) / (RECORDS * (ROUNDS + 1))
  process.stdout.write(
    `${name.padEnd(44)} ${((rounds[ROUNDS >> 1] ?? 0) / 1e6).toFixed(2)} M/s, ${perRecord.toFixed(3)} us CPU a record\n`,
  )
}

/** Acknowledges what it is sent, unread. */
function obliging(real: ProducerCluster): ProducerCluster {
  const connection: ProducerConnection = {
    closed: false,
    version: () => 12,
    send: async <R>(_api: unknown, request: unknown) => {
      await real.ports.clock.nextTurn()
      const { topicData } = request as { topicData?: { name: string; partitionData: { index: number }[] }[] }
      const responses = (topicData ?? []).map((topic) => ({
        name: topic.name,
        partitionResponses: topic.partitionData.map(({ index }) => ({
          index,
          errorCode: 0,
          errorMessage: null,
          logStartOffset: 0,
        })),
      }))
      return { errorCode: 0, producerId: 1, producerEpoch: 0, throttleTimeMs: 0, responses } as R
    },
  }
  return {
    ports: real.ports,
    options: real.options,
    metadata: real.metadata,
    connection: () => Promise.resolve(connection),
    anyConnection: () => Promise.resolve(connection),
    coordinator: () => Promise.resolve(connection),
    forgetCoordinator: () => undefined,
  }
}

/** Of the machine before anything was started. */
const LOAD = Number((loadavg()[0] ?? 0).toFixed(2))

/** Kafka's default batches, and the large ones of the part above. */
const SETTINGS: Readonly<Record<string, Readonly<Record<string, string | number>>>> = {
  defaults: { acks: 'all', 'batch.size': 16_384, 'linger.ms': 5, 'buffer.memory': 32 << 20 },
  large: { acks: 'all', 'batch.size': 512 * 1024, 'linger.ms': 10, 'buffer.memory': 32 << 20 },
}
const WARM_UP = 500_000

async function writeAsTheyDo(
  cluster: ProducerCluster,
  settings: Readonly<Record<string, string | number>>,
): Promise<number> {
  const producer = new Producer(cluster, parseProducerOptions(settings))
  const topic = await producer.topic('beside')
  const before = performance.now()
  for (let done = 0; done < RECORDS; ) {
    for (const end = Math.min(RECORDS, done + SLICE); done < end; done++) {
      topic.append(-1, Date.now(), null, bytes[done & 4095] ?? null)
    }
    if (producer.blocked) await producer.writable()
    else await cluster.ports.clock.nextTurn()
  }
  await producer.seal()
  const rate = RECORDS / ((performance.now() - before) / 1000)
  await producer.close({ discard: true })
  return rate
}

async function theirs(payloads: string, settings: Readonly<Record<string, string | number>>): Promise<number> {
  const { java, classpath } = await installKafka(server.version)
  const properties = Object.entries(settings).map(([key, value]) => `${key}=${value}`)
  const args = [
    // As kafka-producer-perf-test.sh starts it.
    ...[
      '-Xmx512M',
      '-server',
      '-XX:+UseG1GC',
      '-XX:MaxGCPauseMillis=20',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=off',
    ],
    ...[
      'org.apache.kafka.tools.ProducerPerformance',
      '--bootstrap-server',
      server.bootstrapServers,
      '--topic',
      'beside',
    ],
    ...['--num-records', String(RECORDS + WARM_UP), '--warmup-records', String(WARM_UP), '--throughput', '-1'],
    ...['--payload-file', payloads, '--command-property', ...properties],
  ]
  const options = { env: { ...process.env, CLASSPATH: classpath }, timeout: 300_000, maxBuffer: 1 << 26 }
  const { stdout } = await promisify(execFile)(java, args, options)
  const summary = stdout.trim().split('\n').at(-1) ?? ''
  const rate = Number(/([\d.]+) records\/sec/.exec(summary)?.[1])
  if (!(rate > 0) || !summary.startsWith(`${RECORDS} steady state records sent`))
    throw new Error(`no summary in: ${stdout.slice(-500)}`)
  return rate
}

const median = (rates: readonly number[]): number => [...rates].sort((a, b) => a - b)[rates.length >> 1] ?? 0

async function beside(cluster: ProducerCluster): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const payloads = join(directory, 'values.txt')
  writeFileSync(payloads, texts.join('\n'))
  const result: Record<string, unknown> = { records: RECORDS, valueBytes: 115, load: LOAD }
  try {
    for (const [name, settings] of Object.entries(SETTINGS)) {
      const [own, java]: [number[], number[]] = [[], []]
      await writeAsTheyDo(cluster, settings)
      for (let round = 0; round < ROUNDS; round++) {
        java.push(await theirs(payloads, settings))
        own.push(await writeAsTheyDo(cluster, settings))
      }
      const ratio = Number((median(own) / median(java)).toFixed(2))
      result[name] = { own: Math.round(median(own)), ProducerPerformance: Math.round(median(java)), ratio }
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

const server = await KafkaServer.start({ jvm: 'throughput', heapMb: 1024 })
try {
  await server.createTopic('out', { partitions: PARTITIONS, config: { 'retention.bytes': 100 << 20 } })
  await server.createTopic('beside', { partitions: PARTITIONS, config: { 'retention.bytes': 100 << 20 } })
  const cluster = connect(server.bootstrapServers)
  await cluster.metadata.ensure(['out'])
  if (PART !== 'beside') {
    const alone = obliging(cluster)
    await measure('alone, bytes', () => write(alone, keyBytes, bytes, false))
    await measure('alone, bytes, by key', () => write(alone, keyBytes, bytes, true))
    await measure('alone, strings, by key', () => write(alone, keys, texts, true))
    await measure('to Kafka, bytes', () => write(cluster, keyBytes, bytes, false))
    await measure('to Kafka, strings, by key', () => write(cluster, keys, texts, true))
    await measure('to Kafka, strings, by key, in a transaction', (number) =>
      write(cluster, keys, texts, true, `bench-${number}`),
    )
  }
  if (PART !== 'own') await beside(cluster)
  process.stdout.write(`peak resident ${Math.round(process.resourceUsage().maxRSS / 1024)} MB\n`)
  await cluster.close()
} finally {
  await server.close()
}
