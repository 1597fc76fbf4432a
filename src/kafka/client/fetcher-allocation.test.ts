/**
 * What a record costs in memory on its way out of a fetch response: nothing but the views that are asked for.
 * Prepared responses go through the fetcher.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SystemClock, SystemRandom, silentLogger } from '../../base/index.ts'
import { stampBatch } from '../records/batch-layout.ts'
import type { BatchReader } from '../records/batch-reader.ts'
import { BatchWriter } from '../records/batch-writer.ts'
import { bytesPerRecord } from './allocation.test-double.ts'
import { Fetcher } from './fetcher.ts'
import type { FetcherCluster, FetcherConnection } from './fetcher-cluster.ts'
import { parseClusterOptions, parseFetcherOptions } from './options.ts'

const BATCHES = 16
/** A Buffer over memory that is there already: 104 in Node 26. */
const VIEW_BYTES = 112

/** Answers every fetch with the same batches, at the offset asked for; four copies, as some are still walked. */
function prepared(): FetcherCluster {
  const writer = new BatchWriter(64 * 1024)
  for (let id = 0; writer.append(1_700_000_000_000 + id, `u${id}`, `{"id":${id}}`.padEnd(115)); ) id++
  const count = writer.recordCount
  const batch = Buffer.from(writer.close({ producerId: 1, producerEpoch: 0, baseSequence: 0, transactional: true }))
  const copies = Array.from({ length: 4 }, () => Buffer.concat(new Array<Buffer>(BATCHES).fill(batch)))
  const clock = new SystemClock()
  let turn = 0
  const connection: FetcherConnection = {
    giveBack: () => undefined,
    version: () => 12,
    send: async <R>(_api: unknown, request: unknown) => {
      await clock.nextTurn()
      const records = copies[turn++ % copies.length] ?? batch
      const { topics } = request as { topics: { partitions: { fetchOffset: number }[] }[] }
      const fetchOffset = topics[0]?.partitions[0]?.fetchOffset ?? 0
      for (let at = 0; at < BATCHES; at++) {
        const baseOffset = fetchOffset + at * count
        stampBatch(records.subarray(at * batch.length), { baseOffset, leaderEpoch: 0 })
      }
      const part = {
        ...{ partitionIndex: 0, errorCode: 0, highWatermark: 1e9, lastStableOffset: 1e9, logStartOffset: 0, records },
        ...{ divergingEpoch: { epoch: -1, endOffset: -1 }, abortedTransactions: null, preferredReadReplica: -1 },
      }
      const responses = [{ topic: 't', topicId: '', partitions: [part] }]
      return { throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses } as R
    },
  }
  return {
    ports: {
      clock,
      random: new SystemRandom(),
      logger: silentLogger,
      network: { connect: () => Promise.reject(new Error('no network')) },
    },
    options: parseClusterOptions({ 'bootstrap.servers': 'nowhere:1' }),
    metadata: {
      leader: () => ({ nodeId: 0, leaderEpoch: 0 }),
      partitionCount: () => 1,
      topicId: () => undefined,
      ensure: () => Promise.resolve(),
      refresh: () => Promise.resolve(),
    },
    connection: () => Promise.resolve(connection),
  }
}

async function read(fetcher: Fetcher, records: number, each: (reader: BatchReader) => number): Promise<void> {
  for (let count = 0; count < records; ) {
    const got = fetcher.next()
    if (got === undefined) await fetcher.available()
    else if (got.kind === 'trouble') throw got.error
    else {
      while (got.reader.nextBatch()) while (got.reader.next()) count += each(got.reader)
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }
}

/** A number in a variable of a module would be an object for each sum. */
const sink = new Float64Array(1)

const WAYS: readonly (readonly [name: string, each: (reader: BatchReader) => number, viewsBytes: number])[] = [
  [
    'offset, time, and where key and value lie',
    (reader) => {
      sink[0] = reader.offset + reader.timestamp + reader.keyStart + reader.keyLength + reader.valueStart
      return reader.valueLength > 0 ? 1 : 0
    },
    0,
  ],
  [
    'views of key and value',
    (reader) => {
      sink[0] = (reader.key()?.length ?? 0) + (reader.value()?.length ?? 0)
      return 1
    },
    2 * VIEW_BYTES,
  ],
]

for (const [name, each, viewsBytes] of WAYS) {
  test(`a record read as ${name} allocates nothing but the views`, async () => {
    const fetcher = new Fetcher(prepared(), parseFetcherOptions({ 'isolation.level': 'read_committed' }))
    fetcher.add('t', 0, 0)
    // The smallest object is 16 bytes; batches and requests cost about 4 bytes a record here.
    const most = viewsBytes + 8
    const bytes = await bytesPerRecord((records) => read(fetcher, records, each), most)
    await fetcher.close()
    assert.ok((sink[0] ?? 0) > 0)
    assert.ok(bytes < most, `${bytes.toFixed(2)} bytes a record`)
  })
}
