/**
 * From a topic's name or id and a partition's number to the partition, as far as the asked node leads it. Every request about
 * partitions comes through here, so that planned faults, leaders elsewhere and stale epochs are answered alike.
 */
import { KafkaErrorCode, ZERO_UUID } from '../../kafka/index.ts'
import type { Partition, Topic } from '../cluster/topic.ts'
import type { BrokerCore } from '../request/broker-core.ts'
import type { RequestContext } from '../request/request-context.ts'

export interface TopicName {
  readonly name: string
  /** ZERO_UUID in versions that go by name. */
  readonly id: string
}

export type Place =
  | { readonly error: 0; readonly partition: Partition }
  | { readonly error: number; readonly partition: Partition | undefined }

export function findTopic(core: BrokerCore, asked: TopicName): Topic | undefined {
  return asked.id === ZERO_UUID ? core.cluster.topics.get(asked.name) : core.cluster.topicById(asked.id)
}

/** Whether there is such a partition; by name and id the errors differ. */
export function anyPartition(core: BrokerCore, context: RequestContext, asked: TopicName, index: number): Place {
  const topic = findTopic(core, asked)
  const planned = plannedError(core, context, topic?.name ?? asked.name, index)
  const partition = topic?.partitions[index]
  if (planned !== KafkaErrorCode.NONE) return { error: planned, partition }
  if (partition !== undefined) return { error: KafkaErrorCode.NONE, partition }
  const unknownId = topic === undefined && asked.id !== ZERO_UUID
  const error = unknownId ? KafkaErrorCode.UNKNOWN_TOPIC_ID : KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
  return { error, partition }
}

/** The same, led by the asked node; `epoch` is what the client takes for the leader's (-1: it does not say). */
export function ledPartition(
  core: BrokerCore,
  context: RequestContext,
  asked: TopicName,
  index: number,
  epoch = -1,
): Place {
  const place = anyPartition(core, context, asked, index)
  const { partition } = place
  if (place.error !== KafkaErrorCode.NONE || partition === undefined) return place
  if (partition.leader !== context.node) return { error: KafkaErrorCode.NOT_LEADER_OR_FOLLOWER, partition }
  if (epoch >= 0 && epoch < partition.leaderEpoch) return { error: KafkaErrorCode.FENCED_LEADER_EPOCH, partition }
  if (epoch > partition.leaderEpoch) return { error: KafkaErrorCode.UNKNOWN_LEADER_EPOCH, partition }
  return place
}

/** Says where the leader is, to clients that ask a node that is not (KIP-951). */
export function leaderHints(
  context: RequestContext,
  partitions: readonly Partition[],
): { nodeId: number; host: string; port: number; rack: null }[] {
  const nodes = new Set(partitions.map(({ leader }) => leader).filter((leader) => leader >= 0))
  return [...nodes].map((nodeId) => ({ nodeId, ...context.endpoints.of(nodeId), rack: null }))
}

/** The error that was planned for the request as a whole, or for its part about this topic or partition. */
export function plannedError(core: BrokerCore, context: RequestContext, topic?: string, partition?: number): number {
  return core.faults.errorFor({ api: context.api, node: context.node, clientId: context.clientId }, topic, partition)
}
