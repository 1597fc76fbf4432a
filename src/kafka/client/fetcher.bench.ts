/**
 * Records a second through the fetcher, one thread, 115-byte values in 4 partitions, batches of 16 KB as Java's producer makes
 * them; median of 5 rounds. First its own work alone (answers prepared in this process, checksums included), then from a real
 * broker on this machine. What is done with each record: nothing (batches), its value's position (views), a string.
 * Run: node src/kafka/client/fetcher.bench.ts [records]
 */
import { KafkaServer } from '../../testing/index.ts'
import { stampBatch } from '../records/batch-layout.ts'
import type { BatchReader } from '../records/batch-reader.ts'
import { BatchWriter } from '../records/batch-writer.ts'
import type { FetcherCluster, FetcherConnection } from './fetcher-cluster.ts'
import { connect, drain } from './fetcher-reading.test-double.ts'

const RECORDS = Number(process.argv[2] ?? 2_000_000)
const PARTITIONS = 4
const INPUT = { topic: 'in', partitions: PARTITIONS, records: RECORDS }
const ROUNDS = 5

const KINDS: Readonly<Record<string, (reader: BatchReader) => number>> = {
  batches: (reader) => reader.recordCount,
  views: (reader) => {
    let count = 0
    for (; reader.next(); count++) if (reader.valueLength < 0) throw new Error('a null value')
    return count
  },
  'transient strings': (reader) => {
    let count = 0
    for (; reader.next(); count++) if (reader.transientValueString()?.length === 0) throw new Error('empty')
    return count
  },
  strings: (reader) => {
    let count = 0
    for (; reader.next(); count++) if (reader.valueString()?.length === 0) throw new Error('empty')
    return count
  },
}

/** Answers every fetch with one prepared megabyte for each partition asked; four copies, as two responses may be held. */
function prepared(real: FetcherCluster): FetcherCluster {
  const batches: { readonly at: number; readonly count: number }[] = []
  const parts: Buffer[] = []
  for (let size = 0, id = 0; size < 1 << 20; ) {
    const writer = new BatchWriter(16 * 1024)
    while (writer.append(1_700_000_000_000 + id, `u${id % 10_000}`, `{"id":${id}}`.padEnd(115, 'x'))) id++
    const bytes = Buffer.from(writer.close({ producerId: 1, producerEpoch: 0, baseSequence: 0, transactional: true }))
    batches.push({ at: size, count: writer.recordCount })
    parts.push(bytes)
    size += bytes.length
  }
  const copies = Array.from({ length: 4 }, () => Array.from({ length: PARTITIONS }, () => Buffer.concat(parts)))
  let turn = 0
  const answer = (asked: { partition?: number; fetchOffset?: number }): object => {
    const { partition = 0, fetchOffset = 0 } = asked
    const records = copies[turn % copies.length]?.[partition] ?? Buffer.alloc(0)
    let baseOffset = fetchOffset
    for (const batch of batches) {
      stampBatch(records.subarray(batch.at), { baseOffset, leaderEpoch: 0 })
      baseOffset += batch.count
    }
    const divergingEpoch = { epoch: -1, endOffset: -1 }
    const empty = { divergingEpoch, abortedTransactions: null, preferredReadReplica: -1, logStartOffset: 0 }
    return { ...empty, partitionIndex: partition, errorCode: 0, highWatermark: 1e9, lastStableOffset: 1e9, records }
  }
  const connection: FetcherConnection = {
    giveBack: () => {},
    version: () => 12,
    send: async <R>(_api: unknown, request: unknown) => {
      await real.ports.clock.nextTurn()
      turn++
      const { topics } = request as {
        topics: { topic: string; partitions: { partition: number; fetchOffset: number }[] }[]
      }
      const responses = topics.map(({ topic, partitions }) => ({
        topic,
        topicId: '',
        partitions: partitions.map(answer),
      }))
      return { throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses } as R
    },
  }
  return {
    ports: real.ports,
    options: real.options,
    metadata: real.metadata,
    connection: () => Promise.resolve(connection),
  }
}

const server = await KafkaServer.start({ jvm: 'throughput', heapMb: 1024 })
try {
  await server.createTopic('in', { partitions: PARTITIONS })
  const value =
    '{"id":{i},"user":"u{i%10000}","type":"click","ts":1700000000000,"amount":12.5,"pad":"xxxxxxxxxxxxxxxxxxxxxxxx"}'
  await server.java.produceGenerated('in', {
    count: RECORDS,
    value,
    key: 'u{i%10000}',
    valueBytes: 115,
    partitions: PARTITIONS,
  })
  const cluster = connect(server.bootstrapServers)
  await cluster.metadata.ensure(['in'])
  for (const [place, from] of [
    ['alone', prepared(cluster)],
    ['from Kafka', cluster],
  ] as const) {
    for (const [name, each] of Object.entries(KINDS)) {
      const rounds: number[] = []
      const cpu = process.cpuUsage()
      for (let round = -1; round < ROUNDS; round++) {
        const { seconds } = await drain(from, INPUT, { 'isolation.level': 'read_committed' }, each)
        if (round >= 0) rounds.push(RECORDS / seconds)
      }
      const { user, system } = process.cpuUsage(cpu)
      rounds.sort((a, b) => a - b)
      const median = (rounds[ROUNDS >> 1] ?? 0) / 1e6
      const perRecord = (user + system) / (RECORDS * (ROUNDS + 1))
      process.stdout.write(
        `${place.padEnd(10)} ${name.padEnd(18)} ${median.toFixed(2)} M/s, ${perRecord.toFixed(3)} us CPU a record\n`,
      )
    }
  }
  process.stdout.write(`peak resident ${Math.round(process.resourceUsage().maxRSS / 1024)} MB\n`)
  await cluster.close()
} finally {
  await server.close()
}
