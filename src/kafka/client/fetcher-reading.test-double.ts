/**
 * For tests against a real broker: a cluster over TCP, and reading whole partitions with the fetcher.
 */
import { SystemClock, SystemRandom, silentLogger, TcpNetwork } from '../../base/index.ts'
import type { ReadOptions } from '../../testing/index.ts'
import { Fetcher } from './fetcher.ts'
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

/** Everything of a topic up to the end that its partitions have at the first answer; at most 60 s. */
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
  const until = performance.now() + 60_000
  while (!done()) {
    if (performance.now() > until) throw new Error(`reading ${topic} took more than 60 s`)
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

export function values(records: readonly ReadRecord[] | undefined): string[] {
  return (records ?? []).map((record) => record.value ?? '')
}
