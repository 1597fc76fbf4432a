/**
 * What clients ask before anything else: which versions are spoken, where topics and coordinators are, what the cluster is.
 */
import {
  type AnyApi,
  apiVersionsApi,
  describeClusterApi,
  findCoordinatorApi,
  type Input,
  KafkaErrorCode,
  type MetadataRequestTopic,
  type MetadataResponseTopic,
  metadataApi,
  produceApi,
  saslAuthenticateApi,
  saslHandshakeApi,
  updateFeaturesApi,
  ZERO_UUID,
} from '../../kafka/index.ts'
import { TRANSACTION_VERSION } from '../cluster/features.ts'
import type { Partition, Topic } from '../cluster/topic.ts'
import type { BrokerCore } from '../request/broker-core.ts'
import type { RequestContext } from '../request/request-context.ts'
import { type Route, route } from '../request/router.ts'
import { coordinatorOf } from './coordinator-place.ts'
import { plannedError } from './partition-place.ts'
import { createByName, wrongTopicName } from './topic-creation.ts'

const GROUP_KEY = 0
const TRANSACTION_KEY = 1
const TOPIC_IDS_ALONE_VERSION = 12

export function clusterRoutes(core: BrokerCore, routes: () => Iterable<Route>): Route[] {
  return [
    apiVersions(core, routes),
    metadata(core),
    findCoordinator(core),
    describeCluster(core),
    updateFeatures(core),
    // There is no security here: whoever begins to authenticate is told as by a listener without it.
    route(saslHandshakeApi, (_, context) => ({ errorCode: noSecurity(core, context), mechanisms: [] })),
    route(saslAuthenticateApi, (_, context) => ({ errorCode: noSecurity(core, context) })),
  ]
}

function noSecurity(core: BrokerCore, context: RequestContext): number {
  return plannedError(core, context) || KafkaErrorCode.ILLEGAL_SASL_STATE
}

function apiVersions(core: BrokerCore, routes: () => Iterable<Route>): Route {
  return route(apiVersionsApi, (request, context) => {
    const { features } = core
    const software = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/
    const named =
      context.version < 3 || (software.test(request.clientSoftwareName) && software.test(request.clientSoftwareVersion))
    if (!named) return { errorCode: KafkaErrorCode.INVALID_REQUEST }
    return {
      errorCode: plannedError(core, context),
      apiKeys: [...routes()]
        .map(({ api, maxVersion }) => ({ apiKey: api.key, minVersion: offeredFrom(api), maxVersion }))
        .sort((a, b) => a.apiKey - b.apiKey),
      // A feature whose lowest level is 0 is told only to those who know that level (version 4).
      supportedFeatures: features.all
        .filter(({ minVersion }) => minVersion > 0 || context.version >= 4)
        .map(({ name, minVersion, maxVersion }) => ({ name, minVersion, maxVersion })),
      finalizedFeaturesEpoch: features.epoch,
      finalizedFeatures: features.all
        .filter(({ level }) => level > 0)
        .map(({ name, level }) => ({ name, maxVersionLevel: level, minVersionLevel: level })),
    }
  })
}

/** As Apache Kafka 4 does: librdkafka sends compressed batches only to brokers that say they know the first Produce. */
function offeredFrom(api: AnyApi): number {
  return api.key === produceApi.key ? 0 : api.minVersion
}

function metadata(core: BrokerCore): Route {
  const { cluster } = core
  return route(metadataApi, (request, context) => {
    // Before version 1 an empty list meant all.
    const all = request.topics === null || (context.version === 0 && request.topics.length === 0)
    const topics = all
      ? [...cluster.topics.values()].map((topic) => describeTopic(core, context, topic))
      : (request.topics ?? []).map((asked) => lookUp(core, context, asked, request.allowAutoTopicCreation))
    return {
      brokers: cluster.nodesUp.map((nodeId) => ({ nodeId, ...context.endpoints.of(nodeId) })),
      clusterId: cluster.id,
      controllerId: cluster.controller,
      topics,
    }
  })
}

function lookUp(
  core: BrokerCore,
  context: RequestContext,
  asked: MetadataRequestTopic,
  mayCreate: boolean,
): Input<MetadataResponseTopic> {
  const { name, topicId } = asked
  const { cluster, faults, settings } = core
  const scene = { api: context.api, node: context.node, clientId: context.clientId }
  const fail = (errorCode: number): Input<MetadataResponseTopic> => ({
    errorCode,
    name: name ?? (context.version >= TOPIC_IDS_ALONE_VERSION ? null : ''),
    topicId,
  })
  const known = topicId !== ZERO_UUID ? cluster.topicById(topicId) : cluster.topics.get(name ?? '')
  const planned = faults.errorFor(scene, known?.name ?? name ?? undefined)
  if (planned !== KafkaErrorCode.NONE) return fail(planned)
  if (known !== undefined) return describeTopic(core, context, known)
  if (topicId !== ZERO_UUID) return fail(KafkaErrorCode.UNKNOWN_TOPIC_ID)
  if (name === null || wrongTopicName(name) !== undefined) return fail(KafkaErrorCode.INVALID_TOPIC_EXCEPTION)
  if (!mayCreate || !settings.autoCreateTopics) return fail(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  const created = createByName(core, name)
  return created === undefined ? fail(KafkaErrorCode.POLICY_VIOLATION) : describeTopic(core, context, created)
}

function describeTopic(core: BrokerCore, _context: RequestContext, topic: Topic): Input<MetadataResponseTopic> {
  const { cluster } = core
  const described = (partition: Partition): Input<MetadataResponseTopic['partitions'][number]> => ({
    errorCode: partition.leader < 0 ? KafkaErrorCode.LEADER_NOT_AVAILABLE : KafkaErrorCode.NONE,
    partitionIndex: partition.index,
    leaderId: partition.leader,
    leaderEpoch: partition.leaderEpoch,
    replicaNodes: partition.replicas,
    isrNodes: partition.replicas.filter((node) => cluster.isUp(node)),
    offlineReplicas: partition.replicas.filter((node) => !cluster.isUp(node)),
  })
  return {
    errorCode: KafkaErrorCode.NONE,
    name: topic.name,
    topicId: topic.id,
    partitions: topic.partitions.map(described),
  }
}

function findCoordinator(core: BrokerCore): Route {
  return route(findCoordinatorApi, (request, context) => {
    const keys = context.version >= 4 ? request.coordinatorKeys : [request.key]
    const found = keys.map((key) => {
      const planned = plannedError(core, context)
      const known = request.keyType === GROUP_KEY || request.keyType === TRANSACTION_KEY
      const nodeId = coordinatorOf(core, key)
      const here =
        planned !== KafkaErrorCode.NONE ? planned : known ? KafkaErrorCode.NONE : KafkaErrorCode.INVALID_REQUEST
      const errorCode = here === KafkaErrorCode.NONE && nodeId < 0 ? KafkaErrorCode.COORDINATOR_NOT_AVAILABLE : here
      return errorCode === KafkaErrorCode.NONE
        ? { errorCode, nodeId, key, ...context.endpoints.of(nodeId) }
        : { errorCode, nodeId: -1, key, host: '', port: -1 }
    })
    if (context.version >= 4) return { coordinators: found }
    const [{ key: _key, ...only } = { key: '' }] = found
    return only
  })
}

function describeCluster(core: BrokerCore): Route {
  const { cluster } = core
  return route(describeClusterApi, (request, context) => {
    const controllers = context.version >= 1 && request.endpointType === 2
    if (controllers) {
      return { errorCode: KafkaErrorCode.MISMATCHED_ENDPOINT_TYPE, errorMessage: 'The nodes here are brokers.' }
    }
    return {
      errorCode: plannedError(core, context),
      clusterId: cluster.id,
      controllerId: cluster.controller,
      brokers: cluster.nodesUp.map((brokerId) => ({ brokerId, ...context.endpoints.of(brokerId) })),
    }
  })
}

function updateFeatures(core: BrokerCore): Route {
  const { features } = core
  return route(updateFeaturesApi, (request, context) => {
    const planned = plannedError(core, context)
    if (planned !== KafkaErrorCode.NONE) return { errorCode: planned }
    const results = request.featureUpdates.map(({ feature, maxVersionLevel }) => {
      const known = features.find(feature)
      const possible =
        feature === TRANSACTION_VERSION &&
        known !== undefined &&
        maxVersionLevel >= known.minVersion &&
        maxVersionLevel <= known.maxVersion
      const errorMessage = possible ? null : `${feature} cannot be set to ${maxVersionLevel} here`
      return {
        feature,
        errorMessage,
        errorCode: possible ? KafkaErrorCode.NONE : KafkaErrorCode.INVALID_UPDATE_VERSION,
      }
    })
    const refused = results.find(({ errorCode }) => errorCode !== KafkaErrorCode.NONE)
    if (refused === undefined && !request.validateOnly) {
      for (const { feature, maxVersionLevel } of request.featureUpdates) features.set(feature, maxVersionLevel)
    }
    const { errorCode = KafkaErrorCode.NONE, errorMessage = null } = refused ?? {}
    return context.version <= 1 && refused === undefined ? { results } : { errorCode, errorMessage }
  })
}
