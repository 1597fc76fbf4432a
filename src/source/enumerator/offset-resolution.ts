/**
 * Turns an initializer's answer into what splits store. Everything is looked up here, once, on the main thread: `latest`,
 * committed offsets and stop offsets become numbers that travel in the split. Only `earliest` stays as it is for a start,
 * because a partition whose leader is away must not hold up the others, and looking it up later changes nothing.
 */
import { assert, MillraceError } from '../../base/index.ts'
import type { OffsetResetStrategy } from '../offset-reset-strategy.ts'
import { type OffsetsInitializer, parseOffset } from '../offsets-initializer.ts'
import type { PartitionOffsetsRetriever } from '../partition-offsets-retriever.ts'
import type { StartingOffset } from '../split/kafka-partition-split.ts'
import { listPartitions, partitionName, type TopicPartition, TopicPartitionMap } from '../topic-partition.ts'

type Specification = number | 'earliest' | 'latest' | 'committed'

export interface OffsetResolution {
  readonly initializer: OffsetsInitializer
  readonly retriever: PartitionOffsetsRetriever
  readonly partitions: readonly TopicPartition[]
  readonly groupId: string | undefined
}

/** Where each partition begins. One without a committed offset begins by the reset strategy; NONE rejects with KAFKA_NO_OFFSET. */
export async function resolveStartingOffsets(
  resolution: OffsetResolution & { readonly resetStrategy: OffsetResetStrategy },
): Promise<TopicPartitionMap<StartingOffset>> {
  const { partitions, retriever, resetStrategy, groupId } = resolution
  const wanted = await ask(resolution, 'setStartingOffsets')
  const committed = await retriever.committedOffsets(selected(partitions, wanted, 'committed'))
  const without = partitions.filter(
    (partition) =>
      wanted.get(partition) === undefined || (wanted.get(partition) === 'committed' && !committed.has(partition)),
  )
  if (without.length > 0 && resetStrategy === 'NONE') {
    throw new MillraceError(
      'KAFKA_NO_OFFSET',
      `there is no offset to start from for ${listPartitions(without)}: group "${groupId ?? ''}" has committed none, and the reset strategy is NONE. Nothing was read; use committedOffsets(OffsetResetStrategy.EARLIEST) or LATEST, or other starting offsets`,
    )
  }
  for (const partition of without) wanted.set(partition, resetStrategy === 'LATEST' ? 'latest' : 'earliest')
  const ends = await retriever.endOffsets(selected(partitions, wanted, 'latest'))
  return new TopicPartitionMap(
    partitions.map((partition): [TopicPartition, StartingOffset] => {
      const specification = wanted.get(partition)
      assert(specification !== undefined, `${partitionName(partition)} has no starting offset`)
      if (specification === 'earliest') return [partition, { kind: 'earliest' }]
      const offset =
        specification === 'committed'
          ? committed.get(partition)
          : specification === 'latest'
            ? ends.get(partition)
            : specification
      if (offset === undefined) throw noAnswer(partition, 'end')
      return [partition, { kind: 'at', offset }]
    }),
  )
}

/** Where each partition ends; one that is missing in the result has no end. */
export async function resolveStoppingOffsets(resolution: OffsetResolution): Promise<TopicPartitionMap<number>> {
  const { partitions, retriever, groupId } = resolution
  const wanted = await ask(resolution, 'setBounded or setUnbounded')
  const stops = new TopicPartitionMap<number>()
  const committed = await retriever.committedOffsets(selected(partitions, wanted, 'committed'))
  const ends = await retriever.endOffsets(selected(partitions, wanted, 'latest'))
  const beginnings = await retriever.beginningOffsets(selected(partitions, wanted, 'earliest'))
  for (const partition of partitions) {
    const specification = wanted.get(partition)
    if (specification === undefined) continue
    if (typeof specification === 'number') {
      stops.set(partition, specification)
      continue
    }
    const found = { committed, latest: ends, earliest: beginnings }[specification].get(partition)
    if (found === undefined && specification === 'committed') {
      throw new MillraceError(
        'KAFKA_NO_OFFSET',
        `${partitionName(partition)} is to stop at the committed offset of group "${groupId ?? ''}", and there is none. Nothing was read; commit one or choose other stopping offsets`,
      )
    }
    if (found === undefined) throw noAnswer(partition, specification === 'latest' ? 'end' : 'beginning')
    stops.set(partition, found)
  }
  return stops
}

async function ask(resolution: OffsetResolution, path: string): Promise<TopicPartitionMap<Specification>> {
  const answer = await resolution.initializer.getPartitionOffsets(resolution.partitions, resolution.retriever)
  const wanted = new TopicPartitionMap<Specification>()
  for (const [partition, offset] of answer) {
    wanted.set(partition, parseOffset(offset, `${path}: ${partitionName(partition)}`))
  }
  return wanted
}

function selected(
  partitions: readonly TopicPartition[],
  wanted: TopicPartitionMap<Specification>,
  specification: Specification,
): TopicPartition[] {
  return partitions.filter((partition) => wanted.get(partition) === specification)
}

function noAnswer(partition: TopicPartition, which: string): MillraceError {
  return new MillraceError('KAFKA_RETRIABLE', `the brokers did not tell the ${which} of ${partitionName(partition)}`, {
    retriable: true,
  })
}
