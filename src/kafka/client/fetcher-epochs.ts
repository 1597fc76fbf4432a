/**
 * Asks a new leader whether its log goes on where partitions stand (KIP-320), by the epoch of the batch before: where that
 * epoch ends in its own log. A fetch request of version 12 on asks the same by itself; this one is for older brokers, and so
 * that nothing is fetched at all from a leader whose log is another one.
 */
import { MillraceError } from '../../base/index.ts'
import type { Input } from '../protocol/api.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import {
  type OffsetForLeaderEpochRequest,
  type OffsetForLeaderEpochRequestOffsetForLeaderPartition,
  offsetForLeaderEpochApi,
} from '../protocol/generated/offset-for-leader-epoch.ts'
import type { FetcherConnection } from './fetcher-cluster.ts'
import type { Divergence } from './fetcher-errors.ts'
import type { FetcherPartition } from './fetcher-partition.ts'

/** The first version that asks for no right beyond DESCRIBE on the topic. */
const VERSION_MIN = 3

export interface EpochAnswer {
  readonly state: FetcherPartition
  /** The answer is about the partition as it was then. */
  readonly generation: number
  readonly errorCode: number
  /** Negative when the leader cannot say. */
  readonly end: Divergence
}

/** Undefined when the broker does not know the question. */
export async function askEpochs(
  connection: FetcherConnection,
  states: readonly FetcherPartition[],
): Promise<EpochAnswer[] | undefined> {
  const version = versionOf(connection)
  if (version === undefined) return undefined
  const asked = new Map<string, Map<number, { readonly state: FetcherPartition; readonly generation: number }>>()
  const topics: { topic: string; partitions: Input<OffsetForLeaderEpochRequestOffsetForLeaderPartition>[] }[] = []
  for (const state of states) {
    let partitions = asked.get(state.topic)
    if (partitions === undefined) {
      asked.set(state.topic, (partitions = new Map()))
      topics.push({ topic: state.topic, partitions: [] })
    }
    partitions.set(state.partition, { state, generation: state.generation })
    topics
      .find(({ topic }) => topic === state.topic)
      ?.partitions.push({
        partition: state.partition,
        currentLeaderEpoch: state.leaderEpoch,
        leaderEpoch: state.fetchEpoch,
      })
  }
  const request: Input<OffsetForLeaderEpochRequest> = { replicaId: -1, topics }
  const response = await connection.send(offsetForLeaderEpochApi, request, { version })
  const answers: EpochAnswer[] = []
  for (const topic of response.topics) {
    for (const { partition, errorCode, leaderEpoch, endOffset } of topic.partitions) {
      const found = asked.get(topic.topic)?.get(partition)
      if (found === undefined) continue
      asked.get(topic.topic)?.delete(partition)
      answers.push({ ...found, errorCode, end: { offset: endOffset, epoch: leaderEpoch } })
    }
  }
  // Whoever was not answered is asked again later.
  for (const partitions of asked.values()) {
    for (const found of partitions.values()) answers.push({ ...found, errorCode: UNANSWERED, end: CANNOT_SAY })
  }
  return answers
}

const UNANSWERED = KafkaErrorCode.UNKNOWN_SERVER_ERROR
const CANNOT_SAY: Divergence = { offset: -1, epoch: -1 }

/** Whether a log in which the epoch asked about ends there is another one than that which was read up to the partition. */
export function diverges(state: FetcherPartition, end: Divergence): boolean {
  return end.epoch < state.fetchEpoch || end.offset < state.fetchOffset
}

function versionOf(connection: FetcherConnection): number | undefined {
  try {
    return connection.version(offsetForLeaderEpochApi, { min: VERSION_MIN })
  } catch (error) {
    if (MillraceError.is(error) && error.code === 'KAFKA_VERSION_UNSUPPORTED') return undefined
    throw error
  }
}
