/**
 * Questions and small changes that a job needs of a cluster: topics, offsets, groups, configuration, transactions. Each call
 * tries what may pass again with backoff until default.api.timeout.ms (or `timeoutMs`), then rejects with what went wrong last.
 *
 * ```ts
 * const admin = new KafkaAdmin(cluster)
 * await admin.createTopics([{ name: 'orders', partitions: 4 }])
 * const ends = await admin.listOffsets([{ topic: 'orders', partition: 0, at: 'latest' }])
 * ```
 */
import { MillraceError } from '../../base/index.ts'
import type { Input } from '../protocol/api.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { type CreateTopicsRequestCreatableTopic, createTopicsApi } from '../protocol/generated/create-topics.ts'
import { describeConfigsApi } from '../protocol/generated/describe-configs.ts'
import type { MetadataResponseTopic } from '../protocol/generated/metadata.ts'
import {
  commitGroupOffsets,
  type GroupOffset,
  type GroupOffsetToCommit,
  groupOffsets,
  type TopicPartitionPlace,
} from './admin-groups.ts'
import { type ListedOffset, type ListOffsetsOptions, type ListOffsetsQuestion, listOffsets } from './admin-offsets.ts'
import { createPartitions, type NewPartitions } from './admin-partitions.ts'
import { describeProducers, type PartitionProducers } from './admin-producers.ts'
import {
  describeTransactions,
  listTransactions,
  type TransactionDescription,
  type TransactionFilter,
  type TransactionListing,
} from './admin-transactions.ts'
import { unknownTopic } from './cluster-metadata.ts'
import { brokerError } from './error-classes.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import { type RetryLimits, retrying } from './retrying.ts'
import { unknownTopicGrace } from './unknown-topic-grace.ts'

export interface TopicDescription {
  readonly name: string
  /** Zeros when the brokers give topics no ids (before 2.8). */
  readonly topicId: string
  readonly partitions: readonly PartitionDescription[]
}

export interface PartitionDescription {
  readonly partition: number
  /** -1: none now. */
  readonly leader: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
}

export interface NewTopic {
  readonly name: string
  readonly partitions: number
  /** The cluster's default when absent, which brokers before 2.4 cannot be asked for. */
  readonly replicationFactor?: number
  readonly config?: Readonly<Record<string, string | number | boolean>>
}

export interface ConfigResource {
  readonly type: 'topic' | 'broker'
  readonly name: string
}

/** The cluster's own number of replicas can be asked for since 2.4 (KIP-464). */
const CREATE_WITH_DEFAULTS = 4
const RESOURCE_TYPES = { topic: 2, broker: 4 } as const

export class KafkaAdmin {
  readonly #cluster: KafkaCluster
  readonly #limits: RetryLimits

  constructor(cluster: KafkaCluster, limits: RetryLimits = {}) {
    this.#cluster = cluster
    this.#limits = limits
  }

  /** Names, without the cluster's internal topics. */
  async listTopics(): Promise<string[]> {
    const response = await retrying(
      this.#cluster,
      'Listing the topics',
      () => this.#cluster.askMetadata(null),
      this.#limits,
    )
    const names: string[] = []
    for (const { name, isInternal } of response.topics) if (name !== null && !isInternal) names.push(name)
    return names.sort()
  }

  /** In the order of the names. A topic that does not exist is KAFKA_UNKNOWN_TOPIC naming all that do not. */
  async describeTopics(names: readonly string[]): Promise<TopicDescription[]> {
    if (names.length === 0) return []
    const mayStillCome = unknownTopicGrace(this.#cluster.ports.clock)
    const attempt = async (): Promise<TopicDescription[]> => {
      const { topics } = await this.#cluster.askMetadata([...new Set(names)])
      const byName = new Map(topics.map((topic) => [topic.name, topic]))
      const unknown = names.filter((name) => isUnknown(byName.get(name)))
      if (unknown.length > 0) throw unknownTopic(unknown, mayStillCome())
      return names.flatMap((name) => {
        const topic = byName.get(name)
        return topic === undefined ? [] : [described(topic, name)]
      })
    }
    return retrying(this.#cluster, `Describing the topics ${some(names)}`, attempt, this.#limits)
  }

  /** Resolves when all exist and every partition has a leader. One that exists already is an error naming it. */
  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    let pending = [...topics]
    if (pending.length === 0) return
    const names = topics.map(({ name }) => name)
    const wantsDefaults = topics.some(({ replicationFactor }) => replicationFactor === undefined)
    let unsure = false
    const create = async ({ remainingMs }: { remainingMs: number }): Promise<void> => {
      const { controllerId } = await this.#cluster.askMetadata([])
      const connection = await (controllerId >= 0
        ? this.#cluster.connection(controllerId, 'control')
        : this.#cluster.anyConnection({ ...this.#limits, timeoutMs: remainingMs }))
      const wasUnsure = unsure
      unsure = true
      const response = await connection.send(
        createTopicsApi,
        { topics: pending.map(creatable), timeoutMs: this.#cluster.options.requestTimeoutMs },
        { version: connection.version(createTopicsApi, { min: wantsDefaults ? CREATE_WITH_DEFAULTS : 0 }) },
      )
      unsure = false
      const errors: MillraceError[] = []
      for (const { name, errorCode, errorMessage: message } of response.topics) {
        // An attempt whose answer was lost may have succeeded.
        const mine = wasUnsure && errorCode === KafkaErrorCode.TOPIC_ALREADY_EXISTS
        if (errorCode === KafkaErrorCode.NONE || mine) pending = pending.filter((topic) => topic.name !== name)
        else {
          const doing = `Creating topic ${name}`
          errors.push(brokerError(errorCode, { context: 'admin', doing, right: `CREATE on topic ${name}`, message }))
        }
      }
      const decisive = errors.find((error) => !error.retriable) ?? errors[0]
      if (decisive !== undefined) throw decisive
    }
    await retrying(this.#cluster, `Creating the topics ${some(names)}`, create, this.#limits)
    await retrying(this.#cluster, `Waiting for the topics ${some(names)}`, () => this.#allLed(names), this.#limits)
  }

  /** Makes topics larger; fewer partitions than a topic has is an error. */
  createPartitions(topics: readonly NewPartitions[]): Promise<void> {
    return createPartitions(this.#cluster, topics, this.#limits)
  }

  listOffsets(questions: readonly ListOffsetsQuestion[], options: ListOffsetsOptions = {}): Promise<ListedOffset[]> {
    return listOffsets(this.#cluster, questions, options, this.#limits)
  }

  /** Of these partitions, or all of the group; only those that exist. */
  groupOffsets(groupId: string, partitions?: readonly TopicPartitionPlace[]): Promise<GroupOffset[]> {
    return groupOffsets(this.#cluster, groupId, partitions, this.#limits)
  }

  /** Without being a member: refused while the group has members of its own. */
  commitGroupOffsets(groupId: string, offsets: readonly GroupOffsetToCommit[]): Promise<void> {
    return commitGroupOffsets(this.#cluster, groupId, offsets, this.#limits)
  }

  /** Values that are secret are null. */
  async describeConfigs(resource: ConfigResource, keys?: readonly string[]): Promise<Map<string, string | null>> {
    const { type, name } = resource
    const doing = `Reading the configuration of ${type} ${name}`
    const resources = [
      {
        resourceType: RESOURCE_TYPES[type],
        resourceName: name,
        configurationKeys: keys === undefined ? null : [...keys],
      },
    ]
    const mayStillCome = unknownTopicGrace(this.#cluster.ports.clock)
    const attempt = async ({ remainingMs }: { remainingMs: number }): Promise<Map<string, string | null>> => {
      const connection = await (type === 'broker'
        ? this.#cluster.connection(Number(name), 'control')
        : this.#cluster.anyConnection({ ...this.#limits, timeoutMs: remainingMs }))
      const [result] = (await connection.send(describeConfigsApi, { resources })).results
      if (result === undefined) throw new MillraceError('KAFKA_PROTOCOL', `${doing} was answered without it.`)
      if (result.errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION) {
        throw unknownTopic([name], mayStillCome())
      }
      if (result.errorCode !== KafkaErrorCode.NONE) {
        const right = type === 'topic' ? `DESCRIBE_CONFIGS on topic ${name}` : 'DESCRIBE_CONFIGS on the cluster'
        throw brokerError(result.errorCode, { context: 'admin', doing, right, message: result.errorMessage })
      }
      return new Map(result.configs.map((config) => [config.name, config.value]))
    }
    return retrying(this.#cluster, doing, attempt, this.#limits)
  }

  /** The broker's transaction.max.timeout.ms; undefined when it may not be read. */
  async transactionMaxTimeoutMs(): Promise<number | undefined> {
    const key = 'transaction.max.timeout.ms'
    await retrying(this.#cluster, `Asking for ${key}`, () => this.#cluster.metadata.refresh(), this.#limits)
    const connected = await this.#cluster.anyConnection(this.#limits)
    const nodeId = connected.nodeId >= 0 ? connected.nodeId : this.#cluster.metadata.brokers()[0]?.nodeId
    if (nodeId === undefined) return undefined
    try {
      const configs = await this.describeConfigs({ type: 'broker', name: String(nodeId) }, [key])
      const value = Number(configs.get(key) ?? Number.NaN)
      return Number.isSafeInteger(value) && value > 0 ? value : undefined
    } catch (error) {
      if (MillraceError.is(error) && error.code === 'KAFKA_AUTHORIZATION_FAILED') return undefined
      throw error
    }
  }

  /** In the order of the ids; undefined when the brokers lack it (before 3.0). */
  describeTransactions(ids: readonly string[]): Promise<TransactionDescription[] | undefined> {
    return describeTransactions(this.#cluster, ids, this.#limits)
  }

  /** From all brokers; undefined when they lack it (before 3.0). */
  listTransactions(filter: TransactionFilter = {}): Promise<TransactionListing[] | undefined> {
    return listTransactions(this.#cluster, filter, this.#limits)
  }

  /** The producers each partition knows, with their open transactions; undefined when the brokers lack it (before 3.0). */
  describeProducers(places: readonly TopicPartitionPlace[]): Promise<PartitionProducers[] | undefined> {
    return describeProducers(this.#cluster, places, this.#limits)
  }

  async #allLed(names: readonly string[]): Promise<void> {
    const { topics } = await this.#cluster.askMetadata(names)
    const led = topics.filter(
      (topic) => topic.errorCode === KafkaErrorCode.NONE && topic.partitions.every(({ leaderId }) => leaderId >= 0),
    )
    if (led.length >= new Set(names).size) return
    throw new MillraceError('KAFKA_RETRIABLE', `Not all of ${some(names)} have a leader for every partition yet.`, {
      retriable: true,
    })
  }
}

function isUnknown(topic: MetadataResponseTopic | undefined): boolean {
  return topic === undefined || topic.errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
}

function described(topic: MetadataResponseTopic, name: string): TopicDescription {
  if (topic.errorCode !== KafkaErrorCode.NONE) {
    const doing = `Describing topic ${name}`
    throw brokerError(topic.errorCode, { context: 'admin', doing, right: `DESCRIBE on topic ${name}` })
  }
  const partitions = topic.partitions.map(({ partitionIndex, leaderId, replicaNodes, isrNodes }) => ({
    partition: partitionIndex,
    leader: leaderId,
    replicas: replicaNodes,
    isr: isrNodes,
  }))
  partitions.sort((a, b) => a.partition - b.partition)
  return { name, topicId: topic.topicId, partitions }
}

function creatable({
  name,
  partitions,
  replicationFactor,
  config,
}: NewTopic): Input<CreateTopicsRequestCreatableTopic> {
  return {
    name,
    numPartitions: partitions,
    replicationFactor: replicationFactor ?? -1,
    configs: Object.entries(config ?? {}).map(([key, value]) => ({ name: key, value: String(value) })),
  }
}

function some(names: readonly string[]): string {
  return names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ')
}
