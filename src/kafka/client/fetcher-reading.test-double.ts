/**
 * For tests and benches against a real broker: a cluster over TCP, and reading whole partitions with the fetcher.
 */
import { SystemClock, SystemRandom, silentLogger, TcpNetwork } from '../../base/index.ts'
import type { ReadOptions } from '../../testing/index.ts'
import type { BatchReader } from '../records/batch-reader.ts'
import { Fetcher } from './fetcher.ts'
import type { FetcherCluster } from './fetcher-cluster.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import { parseClusterOptions, parseFetcherOptions } from './options.ts'

export function connect(
  bootstrapServers: string,
  properties: Readonly<Record<string, string | number>> = {},
): KafkaCluster {
  return new KafkaCluster(parseClusterOptions({ 'bootstrap.servers': bootstrapServers, ...properties }), {
    network: new TcpNetwork(),
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: silentLogger,
  })
}

export interface ReadRecord {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
}

/** Everything of a topic up to the end that its partitions have at the first answer; at most 120 s. */
export async function readTopic(
  cluster: KafkaCluster,
  topic: string,
  isolation: NonNullable<ReadOptions['isolation']>,
  properties: Readonly<Record<string, string | number>> = {},
): Promise<ReadRecord[][]> {
  await cluster.metadata.ensure([topic])
  const count = cluster.metadata.partitionCount(topic) ?? 0
  const fetcher = new Fetcher(cluster, parseFetcherOptions({ 'isolation.level': isolation, ...properties }))
  const records: ReadRecord[][] = Array.from({ length: count }, () => [])
  for (let partition = 0; partition < count; partition++) fetcher.add(topic, partition, 0)
  const done = (): boolean => records.every((_, partition) => fetcher.lag(topic, partition) === 0)
  const until = performance.now() + 120_000
  while (!done()) {
    if (performance.now() > until) throw new Error(`reading ${topic} took more than 120 s`)
    const got = fetcher.next()
    if (got === undefined) {
      await Promise.race([fetcher.available(), cluster.ports.clock.sleep(100)])
      continue
    }
    if (got.kind === 'trouble') throw got.error
    const { reader, partition } = got
    while (reader.nextBatch()) {
      while (reader.next()) {
        const { offset, timestamp } = reader
        records[partition]?.push({ partition, offset, timestamp, key: reader.keyString(), value: reader.valueString() })
      }
    }
  }
  await fetcher.close()
  return records
}

export interface Drained {
  readonly seconds: number
  /** Of this whole process. */
  readonly cpuSeconds: number
}

/** Reads so many records of all partitions as fast as it goes; `each` goes through a batch and answers how many it has. */
export async function drain(
  cluster: FetcherCluster,
  from: { readonly topic: string; readonly partitions: number; readonly records: number },
  properties: Readonly<Record<string, string | number>>,
  each: (reader: BatchReader) => number,
): Promise<Drained> {
  const fetcher = new Fetcher(cluster, parseFetcherOptions(properties))
  const before = performance.now()
  const cpu = process.cpuUsage()
  for (let partition = 0; partition < from.partitions; partition++) fetcher.add(from.topic, partition, 0)
  let count = 0
  while (count < from.records) {
    const got = fetcher.next()
    if (got === undefined) await fetcher.available()
    else if (got.kind === 'trouble') throw got.error
    else {
      while (got.reader.nextBatch()) count += each(got.reader)
      // As a task between two mailbox turns: the network gets its chance.
      await cluster.ports.clock.nextTurn()
    }
  }
  const seconds = (performance.now() - before) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await fetcher.close()
  return { seconds, cpuSeconds: (user + system) / 1e6 }
}

export function values(records: readonly ReadRecord[] | undefined): string[] {
  return (records ?? []).map((record) => record.value ?? '')
}
