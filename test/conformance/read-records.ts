/** All records of a topic as this project's fetcher gives them, with every part of each, at least up to the ends of now. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fetcher, KafkaAdmin, type KafkaCluster, parseFetcherOptions } from '../../src/kafka/index.ts'
import type { Isolation, Settings } from './scenario.ts'
import type { SeenRecord } from './shown.ts'

const WAIT_MS = 120_000

export async function readRecords(
  cluster: KafkaCluster,
  topic: string,
  isolation: Isolation,
  settings: Settings = {},
): Promise<SeenRecord[][]> {
  await cluster.metadata.ensure([topic])
  const count = cluster.metadata.partitionCount(topic) ?? 0
  const questions = Array.from({ length: count }, (_, partition) => ({ topic, partition, at: 'latest' as const }))
  const ends = await new KafkaAdmin(cluster).listOffsets(questions, { isolation })
  const fetcher = new Fetcher(cluster, parseFetcherOptions({ ...settings, 'isolation.level': isolation }))
  for (let partition = 0; partition < count; partition++) fetcher.add(topic, partition, 0)
  const records = questions.map((): SeenRecord[] => [])
  const until = performance.now() + WAIT_MS
  // The marker of a transaction that had just ended may move the end on meanwhile, and the reader beyond the one that was told.
  while (!ends.every(({ partition, offset }) => (fetcher.position(topic, partition) ?? 0) >= offset)) {
    assert.ok(performance.now() < until, `${topic} was not read in time`)
    const part = fetcher.next()
    if (part === undefined) await Promise.race([fetcher.available(), sleep(50)])
    else if (part.kind === 'trouble') throw part.error
    else takeAll(part.reader, records[part.partition] ?? [])
  }
  await fetcher.close()
  return records
}

type Reader = Extract<NonNullable<ReturnType<Fetcher['next']>>, { kind: 'data' }>['reader']

/** Walks what was handed out to its end. */
export function takeAll(reader: Reader, into: SeenRecord[]): void {
  while (reader.nextBatch()) {
    while (reader.next()) {
      const { offset, timestamp, timestampType } = reader
      into.push({
        offset,
        timestamp,
        timestampType,
        key: reader.key(),
        value: reader.value(),
        headers: reader.headers(),
      })
    }
  }
}
