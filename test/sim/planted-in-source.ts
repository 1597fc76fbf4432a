/** Bugs around the source: its enumerator, its readers, and the answers that its client reads. */
import { decodeResponse, encodeResponse, fetchApi } from '../../src/kafka/index.ts'
import type { KafkaSource } from '../../src/source/index.ts'
import type { KafkaPartitionSplit } from '../../src/source/split/kafka-partition-split.ts'
import type { Element } from './copy-job.ts'
import type { PlantedBug } from './planted-bugs.ts'
import { withChanges } from './planted-in-sink.ts'

/** The splits of a checkpoint come back otherwise. */
function restoredAs(
  source: KafkaSource<Element>,
  change: (split: KafkaPartitionSplit) => KafkaPartitionSplit,
): KafkaSource<Element> {
  return withChanges(source, {
    createEnumerator: (context, restored) =>
      source.createEnumerator(
        context,
        restored === undefined ? undefined : { ...restored, splits: restored.splits.map(change) },
      ),
  })
}

function moved(split: KafkaPartitionSplit): KafkaPartitionSplit {
  const { startingOffset } = split
  if (startingOffset.kind !== 'at') return split
  return { ...split, startingOffset: { kind: 'at', offset: startingOffset.offset + 1 } }
}

const BASE_OFFSET_BYTES = 8

/** Of aborted transactions only those that began within this answer are known. */
function withoutEarlierAborts(api: string, version: number, frame: Buffer): Buffer {
  if (api !== 'Fetch') return frame
  const response = decodeResponse(fetchApi, version, frame.subarray(4))
  const responses = response.responses.map((topic) => ({
    ...topic,
    partitions: topic.partitions.map((partition) => {
      const { records, abortedTransactions } = partition
      if (records === null || records.length < BASE_OFFSET_BYTES || abortedTransactions === null) return partition
      const bytes = Buffer.from(records.buffer, records.byteOffset, records.byteLength)
      const first = Number(bytes.readBigInt64BE(0))
      return {
        ...partition,
        abortedTransactions: abortedTransactions.filter(({ firstOffset }) => firstOffset >= first),
      }
    }),
  }))
  return Buffer.concat(encodeResponse(fetchApi, version, frame.readInt32BE(4), { ...response, responses }))
}

export const SOURCE_BUGS: readonly PlantedBug[] = [
  {
    name: 'restores-one-offset-too-far',
    rule: 10,
    how: 'around the source',
    source: (source) => restoredAs(source, moved),
  },
  {
    name: 'looks-up-the-end-again',
    rule: 13,
    how: 'around the source',
    source: (source, { broker }) =>
      restoredAs(source, (split) => ({
        ...split,
        stoppingOffset: broker.offsetsOf(split.topic, split.partition).stable,
      })),
  },
  {
    name: 'looks-up-the-start-again',
    rule: 8,
    how: 'around the source',
    source: (source) =>
      withChanges(source, {
        beginningOf: () => ({ initialDiscoveryFinished: false, splits: [], initialOffsets: new Map() }),
      }),
  },
  {
    name: 'commits-group-offsets-ahead',
    rule: 16,
    how: 'around the reader',
    source: (source) =>
      withChanges(source, {
        createReader: (context) => {
          const reader = source.createReader(context)
          return withChanges(reader, {
            snapshotState: (checkpoint) => {
              const splits = reader.snapshotState(checkpoint)
              void reader.checkpointCompleted?.(checkpoint)
              return splits
            },
          })
        },
      }),
  },
  {
    name: 'forgets-aborted-transactions-between-answers',
    rule: 0,
    how: 'at the answers to Fetch',
    answers: withoutEarlierAborts,
  },
]
