/**
 * Builds a fetch request for the partitions of one broker, and remembers by which name or id its answer calls each topic.
 * Every request is a full one (session 0, epoch -1). Topics go by id where both sides can (version 13 on) and every id is known.
 */
import { type Input, ZERO_UUID } from '../protocol/api.ts'
import { type FetchRequest, type FetchRequestPartition, fetchApi } from '../protocol/generated/fetch.ts'
import type { FetcherBroker } from './fetcher-broker.ts'
import type { FetcherCluster, FetcherConnection } from './fetcher-cluster.ts'
import type { FetcherPartition } from './fetcher-partition.ts'
import type { FetcherOptions } from './options.ts'

/** The first version that calls topics by id. */
const VERSION_TOPIC_IDS = 13
/** The first version with an isolation level, and the oldest that current brokers speak. */
const VERSION_MIN = 4

/** The partitions of a request by topic, found again by what the answer calls the topic. */
export class AskedTopics {
  readonly #byName: Map<string, Map<number, FetcherPartition>> = new Map()
  readonly #byId: Map<string, Map<number, FetcherPartition>> | undefined

  constructor(states: readonly FetcherPartition[], topicId: ((name: string) => string | undefined) | undefined) {
    for (const state of states) {
      let partitions = this.#byName.get(state.topic)
      if (partitions === undefined) this.#byName.set(state.topic, (partitions = new Map()))
      partitions.set(state.partition, state)
    }
    if (topicId === undefined) return
    this.#byId = new Map()
    for (const [name, partitions] of this.#byName) this.#byId.set(topicId(name) ?? '', partitions)
  }

  find(topic: { readonly topic: string; readonly topicId: string }): Map<number, FetcherPartition> | undefined {
    return this.#byId === undefined ? this.#byName.get(topic.topic) : this.#byId.get(topic.topicId)
  }
}

export function fetchRequest(
  cluster: FetcherCluster,
  connection: FetcherConnection,
  options: FetcherOptions,
  broker: FetcherBroker,
  states: readonly FetcherPartition[],
): { readonly request: Input<FetchRequest>; readonly version: number; readonly topics: AskedTopics } {
  const topicId = (name: string): string | undefined => cluster.metadata.topicId(name)
  const allHaveIds = states.every((state) => (topicId(state.topic) ?? ZERO_UUID) !== ZERO_UUID)
  const version = connection.version(fetchApi, {
    min: VERSION_MIN,
    ...(allHaveIds ? {} : { max: VERSION_TOPIC_IDS - 1 }),
  })
  const byId = version >= VERSION_TOPIC_IDS
  const request: Input<FetchRequest> = {
    maxWaitMs: options.fetchMaxWaitMs,
    minBytes: options.fetchMinBytes,
    maxBytes: options.fetchMaxBytes,
    isolationLevel: options.isolationLevel === 'read_committed' ? 1 : 0,
    topics: topicsInOrder(states, byId ? topicId : undefined, broker.requestNumber),
    ...(version >= 11 ? { rackId: cluster.options.clientRack } : {}),
  }
  return { request, version, topics: new AskedTopics(states, byId ? topicId : undefined) }
}

/** Neighbours of one topic share an entry; the order, in which the broker fills its answer, is kept. */
function topicsInOrder(
  states: readonly FetcherPartition[],
  topicId: ((name: string) => string | undefined) | undefined,
  requestNumber: number,
): TopicUnderWay[] {
  const topics: TopicUnderWay[] = []
  for (const state of states) {
    state.askedIn = requestNumber
    state.askedGeneration = state.generation
    state.askedOffset = state.fetchOffset
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
    })
  }
  return topics
}

interface TopicUnderWay {
  readonly topic: string
  readonly topicId?: string
  readonly partitions: Input<FetchRequestPartition>[]
}
