/**
 * Making topics, deleting them, and giving them more partitions.
 */
import {
  type CreatePartitionsRequestTopic,
  type CreateTopicsRequestCreatableTopic,
  type CreateTopicsResponseCreatableTopicResult,
  createPartitionsApi,
  createTopicsApi,
  deleteTopicsApi,
  type Input,
  KafkaErrorCode,
  ZERO_UUID,
} from '../../kafka/index.ts'
import type { BrokerCore } from '../request/broker-core.ts'
import type { RequestContext } from '../request/request-context.ts'
import { type Route, route } from '../request/router.ts'
import { describeTopicConfig } from './config-handlers.ts'
import { findTopic, plannedError } from './partition-place.ts'
import { createTopic, isReplicaList, planTopic, type TopicRefusal, tooManyPartitions } from './topic-creation.ts'

export function topicRoutes(core: BrokerCore): Route[] {
  return [createTopics(core), deleteTopics(core), createPartitions(core)]
}

function createTopics(core: BrokerCore): Route {
  return route(createTopicsApi, (request, context) => {
    const names = request.topics.map(({ name }) => name)
    return {
      topics: request.topics.map((topic) => {
        const twice = names.indexOf(topic.name) !== names.lastIndexOf(topic.name)
        const message = 'The topic is named twice in the request.'
        if (twice) return { name: topic.name, errorCode: KafkaErrorCode.INVALID_REQUEST, errorMessage: message }
        return create(core, context, topic, request.validateOnly)
      }),
    }
  })
}

function create(
  core: BrokerCore,
  context: RequestContext,
  wish: CreateTopicsRequestCreatableTopic,
  validateOnly: boolean,
): Input<CreateTopicsResponseCreatableTopicResult> {
  const { name, numPartitions, replicationFactor, assignments, configs } = wish
  const planned = core.faults.errorFor({ api: context.api, node: context.node, clientId: context.clientId }, name)
  if (planned !== KafkaErrorCode.NONE) return { name, errorCode: planned }
  const plan = planTopic(core, { name, partitions: numPartitions, replicationFactor, assignments, config: configs })
  if ('error' in plan) return { name, errorCode: plan.error, errorMessage: plan.message }
  const described = { name, errorCode: KafkaErrorCode.NONE, errorMessage: null, numPartitions: plan.replicas.length }
  const factor = plan.replicas[0]?.length ?? 0
  if (validateOnly) return { ...described, replicationFactor: factor }
  const topic = createTopic(core, plan)
  const config = describeTopicConfig(topic).map(({ name: key, value, readOnly, configSource, isSensitive }) => {
    return { name: key, value, readOnly, configSource, isSensitive }
  })
  return { ...described, topicId: topic.id, replicationFactor: factor, configs: config }
}

function deleteTopics(core: BrokerCore): Route {
  return route(deleteTopicsApi, (request, context) => {
    const asked =
      context.version >= 6
        ? request.topics.map(({ name, topicId }) => ({ name: name ?? '', id: topicId }))
        : request.topicNames.map((name) => ({ name, id: ZERO_UUID }))
    return {
      responses: asked.map((one) => {
        const topic = findTopic(core, one)
        const name = topic?.name ?? (one.id === ZERO_UUID ? one.name : null)
        const scene = { api: context.api, node: context.node, clientId: context.clientId }
        const planned = core.faults.errorFor(scene, topic?.name ?? one.name)
        if (planned !== KafkaErrorCode.NONE) return { name, topicId: one.id, errorCode: planned }
        if (topic === undefined) {
          const byId = one.id !== ZERO_UUID
          const errorCode = byId ? KafkaErrorCode.UNKNOWN_TOPIC_ID : KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
          return { name, topicId: one.id, errorCode }
        }
        core.cluster.deleteTopic(topic)
        core.groups.forgetTopic(topic.name)
        return { name, topicId: topic.id, errorCode: KafkaErrorCode.NONE }
      }),
    }
  })
}

function createPartitions(core: BrokerCore): Route {
  return route(createPartitionsApi, (request, context) => ({
    results: request.topics.map((topic) => {
      const planned = plannedError(core, context, topic.name)
      if (planned !== KafkaErrorCode.NONE) return { name: topic.name, errorCode: planned, errorMessage: null }
      const refusal = addPartitions(core, topic, request.validateOnly)
      return {
        name: topic.name,
        errorCode: refusal?.error ?? KafkaErrorCode.NONE,
        errorMessage: refusal?.message ?? null,
      }
    }),
  }))
}

function addPartitions(
  core: BrokerCore,
  asked: CreatePartitionsRequestTopic,
  validateOnly: boolean,
): TopicRefusal | undefined {
  const topic = core.cluster.topics.get(asked.name)
  if (topic === undefined) {
    return {
      error: KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      message: 'This server does not host this topic-partition.',
    }
  }
  const added = asked.count - topic.partitions.length
  if (added <= 0) {
    const message = `The topic ${topic.name} currently has ${topic.partitions.length} partition(s); ${asked.count} would not be an increase.`
    return { error: KafkaErrorCode.INVALID_PARTITIONS, message }
  }
  const tooMany = tooManyPartitions(core, added)
  if (tooMany !== undefined) return tooMany
  const given = asked.assignments?.map(({ brokerIds }) => brokerIds)
  if (given !== undefined && (given.length !== added || !given.every((nodes) => isReplicaList(core, nodes)))) {
    return { error: KafkaErrorCode.INVALID_REPLICA_ASSIGNMENT, message: `${added} lists of known nodes are needed.` }
  }
  if (validateOnly) return undefined
  const factor = Math.min(topic.partitions[0]?.replicas.length ?? 1, core.cluster.nodesUp.length)
  core.cluster.addPartitions(topic, given ?? core.cluster.assign(added, factor))
  return undefined
}
