/**
 * What it takes to make a topic: a name that Kafka allows, partitions and replicas that are possible, settings that exist.
 */
import { KafkaErrorCode } from '../../kafka/index.ts'
import type { Topic } from '../cluster/topic.ts'
import { wrongValue } from '../cluster/topic-config.ts'
import type { BrokerCore } from '../request/broker-core.ts'

const NAME_LENGTH_MAX = 249

export interface TopicRefusal {
  readonly error: number
  readonly message: string
}

export interface TopicPlan {
  readonly name: string
  readonly replicas: readonly (readonly number[])[]
  readonly config: readonly (readonly [name: string, value: string])[]
}

export interface TopicWish {
  readonly name: string
  /** -1: the broker's default. */
  readonly partitions: number
  readonly replicationFactor: number
  readonly assignments: readonly { readonly partitionIndex: number; readonly brokerIds: readonly number[] }[]
  readonly config: readonly { readonly name: string; readonly value: string | null }[]
}

export function wrongTopicName(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return `the topic name "${name}" is not allowed`
  if (name.length > NAME_LENGTH_MAX)
    return `the topic name has ${name.length} characters; ${NAME_LENGTH_MAX} are possible`
  return /^[a-zA-Z0-9._-]+$/.test(name)
    ? undefined
    : `the topic name "${name}" has other characters than a-z A-Z 0-9 . _ -`
}

/** How a topic would be made, or why it cannot be. */
export function planTopic(core: BrokerCore, wish: TopicWish): TopicPlan | TopicRefusal {
  const { cluster } = core
  const { name } = wish
  const wrongName = wrongTopicName(name)
  if (wrongName !== undefined) return { error: KafkaErrorCode.INVALID_TOPIC_EXCEPTION, message: wrongName }
  if (cluster.topics.has(name)) {
    return { error: KafkaErrorCode.TOPIC_ALREADY_EXISTS, message: `Topic '${name}' already exists.` }
  }
  const alike = [...cluster.topics.keys()].find((other) => other.replaceAll('.', '_') === name.replaceAll('.', '_'))
  if (alike !== undefined) {
    const message = `Topic '${name}' collides with existing topic: ${alike}`
    return { error: KafkaErrorCode.INVALID_TOPIC_EXCEPTION, message }
  }
  for (const { name: key, value } of wish.config) {
    const message = value === null ? `Null value not supported for topic configs: ${key}` : wrongValue(key, value)
    if (message !== undefined) return { error: KafkaErrorCode.INVALID_CONFIG, message }
  }
  const replicas = planReplicas(core, wish)
  if ('error' in replicas) return replicas
  const tooMany = tooManyPartitions(core, replicas.length)
  if (tooMany !== undefined) return tooMany
  return { name, replicas, config: wish.config.map(({ name: key, value }) => [key, value ?? '']) }
}

function planReplicas(core: BrokerCore, wish: TopicWish): readonly (readonly number[])[] | TopicRefusal {
  const { cluster, settings } = core
  if (wish.assignments.length > 0) return assigned(core, wish.assignments)
  const partitions = wish.partitions === -1 ? settings.numPartitions : wish.partitions
  if (partitions <= 0) {
    return {
      error: KafkaErrorCode.INVALID_PARTITIONS,
      message: 'Number of partitions was set to an invalid non-positive value.',
    }
  }
  const tooMany = tooManyPartitions(core, partitions)
  if (tooMany !== undefined) return tooMany
  const up = cluster.nodesUp.length
  const factor =
    wish.replicationFactor === -1 ? Math.min(settings.defaultReplicationFactor, up) : wish.replicationFactor
  if (factor <= 0 || factor > up) {
    const message = `Unable to replicate the partition ${factor} time(s): ${up} broker(s) are registered.`
    return { error: KafkaErrorCode.INVALID_REPLICATION_FACTOR, message }
  }
  return cluster.assign(partitions, factor)
}

function assigned(core: BrokerCore, assignments: TopicWish['assignments']): (readonly number[])[] | TopicRefusal {
  const replicas: (readonly number[])[] = []
  for (const { partitionIndex, brokerIds } of assignments) replicas[partitionIndex] = brokerIds
  const sound =
    replicas.length === assignments.length &&
    assignments.every(({ partitionIndex, brokerIds }) => partitionIndex >= 0 && isReplicaList(core, brokerIds))
  if (sound) return replicas
  const message = 'Partitions are numbered from 0 without gaps, each with known and different nodes.'
  return { error: KafkaErrorCode.INVALID_REPLICA_ASSIGNMENT, message }
}

export function isReplicaList(core: BrokerCore, nodes: readonly number[]): boolean {
  return (
    nodes.length > 0 && new Set(nodes).size === nodes.length && nodes.every((node) => core.cluster.nodes.includes(node))
  )
}

export function tooManyPartitions(core: BrokerCore, added: number): TopicRefusal | undefined {
  const { partitionsMax } = core.settings
  const count = core.cluster.partitionCount
  if (count + added <= partitionsMax) return undefined
  const message = `the embedded broker has ${count} partitions and takes no ${added} more; ${partitionsMax} are possible`
  return { error: KafkaErrorCode.POLICY_VIOLATION, message }
}

export function createTopic(core: BrokerCore, plan: TopicPlan): Topic {
  const topic = core.cluster.createTopic(plan)
  for (const [name, value] of plan.config) topic.config.overrides.set(name, value)
  return topic
}

/** For somebody who merely asks for it by name. */
export function createByName(core: BrokerCore, name: string): Topic | undefined {
  const plan = planTopic(core, { name, partitions: -1, replicationFactor: -1, assignments: [], config: [] })
  return 'error' in plan ? undefined : createTopic(core, plan)
}
