/**
 * Builds a fetch request for the partitions of one broker out of what its session says is news to the broker. Topics go by id
 * where both sides can (version 13 on) and every id is known.
 */
import { type Input, ZERO_UUID } from '../protocol/api.ts'
import {
  type FetchRequest,
  type FetchRequestForgottenTopic,
  type FetchRequestPartition,
  fetchApi,
} from '../protocol/generated/fetch.ts'
import type { FetcherBroker } from './fetcher-broker.ts'
import type { FetcherCluster, FetcherConnection } from './fetcher-cluster.ts'
import type { FetcherPartition } from './fetcher-partition.ts'
import type { ForgottenPartition } from './fetcher-session.ts'
import type { FetcherOptions } from './options.ts'

/** The first version that calls topics by id. */
const VERSION_TOPIC_IDS = 13
/** The first version in which the broker compares the epoch of what was read last with its log. */
const VERSION_LAST_EPOCH = 12
const VERSION_RACK = 11
const VERSION_SESSIONS = 7
/** The first version with an isolation level, and the oldest that current brokers speak. */
const VERSION_MIN = 4

export function fetchRequest(
  cluster: FetcherCluster,
  connection: FetcherConnection,
  options: FetcherOptions,
  broker: FetcherBroker,
  states: readonly FetcherPartition[],
): { readonly request: Input<FetchRequest>; readonly version: number } {
  const topicId = (name: string): string => cluster.metadata.topicId(name) ?? ZERO_UUID
  const allHaveIds = states.every((state) => topicId(state.topic) !== ZERO_UUID)
  const version = connection.version(fetchApi, {
    min: VERSION_MIN,
    ...(allHaveIds ? {} : { max: VERSION_TOPIC_IDS - 1 }),
  })
  for (const state of states) {
    state.askedIn = broker.requestNumber
    state.askedGeneration = state.generation
    state.askedOffset = state.fetchOffset
  }
  const byId = version >= VERSION_TOPIC_IDS
  const keyOf = byId ? topicId : (name: string) => name
  const { sessionId, sessionEpoch, asked, forgotten } = broker.session.next(connection, states, byId, keyOf)
  const request: Input<FetchRequest> = {
    maxWaitMs: options.fetchMaxWaitMs,
    minBytes: options.fetchMinBytes,
    maxBytes: options.fetchMaxBytes,
    isolationLevel: options.isolationLevel === 'read_committed' ? 1 : 0,
    topics: topicsInOrder(asked, byId ? topicId : undefined, version >= VERSION_LAST_EPOCH),
    ...(version >= VERSION_SESSIONS ? { sessionId, sessionEpoch } : {}),
    ...(forgotten.length > 0 ? { forgottenTopicsData: forgottenTopics(forgotten, byId) } : {}),
    ...(version >= VERSION_RACK ? { rackId: cluster.options.clientRack } : {}),
  }
  return { request, version }
}

/** Neighbours of one topic share an entry; the order, in which the broker fills its answer, is kept. */
function topicsInOrder(
  states: readonly FetcherPartition[],
  topicId: ((name: string) => string) | undefined,
  withLastEpoch: boolean,
): TopicUnderWay[] {
  const topics: TopicUnderWay[] = []
  for (const state of states) {
    let last = topics[topics.length - 1]
    if (last?.topic !== state.topic) {
      const id = topicId?.(state.topic)
      last = { topic: state.topic, partitions: [], ...(id === undefined ? {} : { topicId: id }) }
      topics.push(last)
    }
    last.partitions.push({
      partition: state.partition,
      currentLeaderEpoch: state.leaderEpoch,
      fetchOffset: state.fetchOffset,
      partitionMaxBytes: state.bytesMax,
      ...(withLastEpoch ? { lastFetchedEpoch: state.fetchEpoch } : {}),
    })
  }
  return topics
}

function forgottenTopics(forgotten: readonly ForgottenPartition[], byId: boolean): Input<FetchRequestForgottenTopic>[] {
  const byKey = new Map<string, number[]>()
  const topics: Input<FetchRequestForgottenTopic>[] = []
  for (const { topic, key, partition } of forgotten) {
    const partitions = byKey.get(key)
    if (partitions !== undefined) {
      partitions.push(partition)
      continue
    }
    const own = [partition]
    byKey.set(key, own)
    topics.push(byId ? { topicId: key, partitions: own } : { topic, partitions: own })
  }
  return topics
}

interface TopicUnderWay {
  readonly topic: string
  readonly topicId?: string
  readonly partitions: Input<FetchRequestPartition>[]
}
