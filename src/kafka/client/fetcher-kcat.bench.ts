/**
 * The fetcher beside kcat (librdkafka, C) draining the same topic of one broker by turns: 115-byte values and keys of up to 5
 * bytes in 4 partitions, in batches as Java's producer makes them. Ours takes a view of key and value of each record, and checks
 * every checksum; kcat prints nothing and checks none, as is its default. Ours is measured from the first request on, behind one
 * warm-up round; kcat, which tells nothing else, over its life less that of a run on an empty topic. One line of JSON with the
 * medians, the ratios, what each took of the processor and the load of the machine before.
 * Run: node src/kafka/client/fetcher-kcat.bench.ts [records] [rounds]
 */
import { spawnSync } from 'node:child_process'
import { loadavg } from 'node:os'
import { KafkaServer } from '../../testing/index.ts'
import type { BatchReader } from '../records/batch-reader.ts'
import { connect, type Drained, drain } from './fetcher-reading.test-double.ts'

const RECORDS = Number(process.argv[2] ?? 3_000_000)
const ROUNDS = Number(process.argv[3] ?? 5)
const PARTITIONS = 4
const INPUT = { topic: 'in', partitions: PARTITIONS, records: RECORDS }
const PROPERTIES = { 'max.partition.fetch.bytes': 2 << 20 }
const LOAD = loadavg()[0]
const KCAT = [
  'check.crcs=false',
  'max.partition.fetch.bytes=2097152',
  'fetch.wait.max.ms=100',
  'queued.min.messages=100000',
]

const KINDS: Readonly<Record<string, (reader: BatchReader) => number>> = {
  /** Two Buffers a record. */
  buffers: (reader) => {
    let count = 0
    for (; reader.next(); count++) if (reader.key() === null || reader.value()?.length === 0) throw new Error('empty')
    return count
  },
  /** Where key and value lie in the batch. */
  places: (reader) => {
    let count = 0
    for (; reader.next(); count++)
      if (reader.keyStart + reader.keyLength > reader.valueStart || reader.valueLength < 1) throw new Error('empty')
    return count
  },
}

function kcat(topic: string): Drained {
  const flags = KCAT.flatMap((setting) => ['-X', setting]).join(' ')
  const read = `kcat -b ${server.bootstrapServers} -C -e -q -o beginning -f '' -t ${topic} ${flags} > /dev/null`
  const timed = `TIMEFORMAT='%R %U %S'; time ${read}`
  const { status, stderr } = spawnSync('bash', ['-c', timed], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  const [real = 0, user = 0, system = 0] = stderr.trim().split(' ').map(Number)
  return { seconds: real, cpuSeconds: user + system }
}

function kcatCounts(): number {
  const read = `kcat -b ${server.bootstrapServers} -C -e -q -o beginning -f x -t in | wc -c`
  return Number(spawnSync('bash', ['-c', read], { encoding: 'utf8' }).stdout)
}

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0

const server = await KafkaServer.start({ jvm: 'throughput', heapMb: 768 })
try {
  for (const topic of ['in', 'empty']) await server.createTopic(topic, { partitions: PARTITIONS })
  const value =
    '{"id":{i},"user":"u{i%10000}","type":"click","ts":1700000000000,"amount":12.5,"pad":"xxxxxxxxxxxxxxxxxxxxxxxx"}'
  const records = { count: RECORDS, value, key: 'u{i%10000}', valueBytes: 115, partitions: PARTITIONS }
  await server.java.produceGenerated('in', records)
  await server.java.close()
  const cluster = connect(server.bootstrapServers)
  await cluster.metadata.ensure(['in'])
  if (kcatCounts() !== RECORDS) throw new Error('kcat does not read all records')
  const runs: Record<string, Drained[]> = { kcat: [], buffers: [], places: [] }
  const idle = [kcat('empty'), kcat('empty'), kcat('empty')]
  const [idleSeconds, idleCpu] = [median(idle.map((run) => run.seconds)), median(idle.map((run) => run.cpuSeconds))]
  for (const each of Object.values(KINDS)) await drain(cluster, INPUT, PROPERTIES, each)
  for (let round = 0; round < ROUNDS; round++) {
    const { seconds, cpuSeconds } = kcat('in')
    runs.kcat?.push({ seconds: seconds - idleSeconds, cpuSeconds: cpuSeconds - idleCpu })
    for (const [name, each] of Object.entries(KINDS)) runs[name]?.push(await drain(cluster, INPUT, PROPERTIES, each))
  }
  const rate = (name: string): number => RECORDS / median((runs[name] ?? []).map((run) => run.seconds))
  const cpu = (name: string): number => (median((runs[name] ?? []).map((run) => run.cpuSeconds)) / RECORDS) * 1e6
  const result: Record<string, unknown> = { records: RECORDS, rounds: ROUNDS, load: LOAD, kcatIdleSeconds: idleSeconds }
  for (const name of Object.keys(runs)) {
    const ratio = Number((rate(name) / rate('kcat')).toFixed(2))
    result[name] = { recordsPerSecond: Math.round(rate(name)), cpuMicroseconds: Number(cpu(name).toFixed(3)), ratio }
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  await cluster.close()
} finally {
  await server.close()
}
