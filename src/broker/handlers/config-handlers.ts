/**
 * Settings of topics and brokers: described with their sources as Apache Kafka does, and changed for topics.
 */
import {
  type DescribeConfigsResponseResourceResult,
  describeConfigsApi,
  type IncrementalAlterConfigsRequestAlterConfigsResource,
  incrementalAlterConfigsApi,
  KafkaErrorCode,
} from '../../kafka/index.ts'
import type { Topic } from '../cluster/topic.ts'
import { type ConfigType, TOPIC_CONFIGS, wrongValue } from '../cluster/topic-config.ts'
import type { BrokerCore } from '../request/broker-core.ts'
import { type Route, route } from '../request/router.ts'
import { plannedError } from './partition-place.ts'

const TOPIC = 2
const BROKER = 4
const FROM_TOPIC = 1
const FROM_BROKER = 4
const FROM_DEFAULT = 5

const TYPE_NUMBERS: Readonly<Record<ConfigType, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  long: 5,
  double: 6,
  list: 7,
}

const SET = 0
const DELETE = 1
const APPEND = 2
const SUBTRACT = 3

type Described = DescribeConfigsResponseResourceResult

export function configRoutes(core: BrokerCore): Route[] {
  return [describeConfigs(core), incrementalAlterConfigs(core)]
}

export function describeTopicConfig(topic: Topic): Described[] {
  return [...TOPIC_CONFIGS].map(([name, definition]) => {
    const set = topic.config.overrides.get(name)
    const source = set === undefined ? FROM_DEFAULT : FROM_TOPIC
    const fallback = { name, value: definition.value, source: FROM_DEFAULT }
    return {
      ...described(name, set ?? definition.value, source, definition.type, false),
      synonyms: set === undefined ? [fallback] : [{ name, value: set, source: FROM_TOPIC }, fallback],
    }
  })
}

function described(name: string, value: string, source: number, type: ConfigType, readOnly: boolean): Described {
  const known = { configSource: source, configType: TYPE_NUMBERS[type], documentation: null }
  return { name, value, readOnly, isSensitive: false, synonyms: [{ name, value, source }], ...known }
}

function describeBroker(core: BrokerCore, node: number): Described[] {
  const { settings, cluster } = core
  const texts: readonly (readonly [string, string | number | boolean, ConfigType])[] = [
    ['node.id', node, 'int'],
    ['auto.create.topics.enable', settings.autoCreateTopics, 'boolean'],
    ['default.replication.factor', settings.defaultReplicationFactor, 'int'],
    ['group.initial.rebalance.delay.ms', settings.groupInitialRebalanceDelayMs, 'int'],
    ['group.max.session.timeout.ms', 1_800_000, 'int'],
    ['group.min.session.timeout.ms', 6_000, 'int'],
    ['log.retention.ms', -1, 'long'],
    ['max.connections', settings.connectionsMax, 'int'],
    ['message.max.bytes', 1_048_588, 'int'],
    ['min.insync.replicas', 1, 'int'],
    ['num.partitions', settings.numPartitions, 'int'],
    ['process.roles', 'broker,controller', 'list'],
    ['socket.request.max.bytes', settings.requestBytesMax, 'int'],
    ['transaction.max.timeout.ms', settings.transactionMaxTimeoutMs, 'int'],
    ['millrace.memory.bytes.max', cluster.budget.bytesMax, 'long'],
  ]
  return texts.map(([name, value, type]) => described(name, String(value), FROM_BROKER, type, true))
}

function describeConfigs(core: BrokerCore): Route {
  return route(describeConfigsApi, (request, context) => ({
    results: request.resources.map(({ resourceType, resourceName, configurationKeys }) => {
      const planned = plannedError(core, context, resourceType === TOPIC ? resourceName : undefined)
      const found = planned === KafkaErrorCode.NONE ? configsOf(core, resourceType, resourceName) : planned
      const named = { resourceType, resourceName }
      if (typeof found === 'number') return { ...named, errorCode: found, errorMessage: null, configs: [] }
      const wanted = configurationKeys === null ? undefined : new Set(configurationKeys)
      const configs = found
        .filter(({ name }) => wanted === undefined || wanted.has(name))
        .map((config) => (request.includeSynonyms ? config : { ...config, synonyms: [] }))
      return { ...named, errorCode: KafkaErrorCode.NONE, configs }
    }),
  }))
}

function configsOf(core: BrokerCore, type: number, name: string): Described[] | number {
  if (type === TOPIC) {
    const topic = core.cluster.topics.get(name)
    return topic === undefined ? KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION : describeTopicConfig(topic)
  }
  if (type !== BROKER) return KafkaErrorCode.INVALID_REQUEST
  if (name === '') return []
  const node = Number(name)
  return core.cluster.nodes.includes(node) ? describeBroker(core, node) : KafkaErrorCode.INVALID_REQUEST
}

function incrementalAlterConfigs(core: BrokerCore): Route {
  return route(incrementalAlterConfigsApi, (request, context) => ({
    responses: request.resources.map((resource) => {
      const { resourceType, resourceName } = resource
      const planned = plannedError(core, context, resourceType === TOPIC ? resourceName : undefined)
      if (planned !== KafkaErrorCode.NONE) {
        return { resourceType, resourceName, errorCode: planned, errorMessage: null }
      }
      const again = request.resources.some(
        (other) => other !== resource && other.resourceType === resourceType && other.resourceName === resourceName,
      )
      const refusal = again
        ? { error: KafkaErrorCode.INVALID_REQUEST, message: 'Each resource must appear at most once.' }
        : alter(core, resource, request.validateOnly)
      return {
        resourceType,
        resourceName,
        errorCode: refusal?.error ?? KafkaErrorCode.NONE,
        errorMessage: refusal?.message ?? null,
      }
    }),
  }))
}

interface Refusal {
  readonly error: number
  readonly message: string
}

/** All of a resource's changes, or none. */
function alter(
  core: BrokerCore,
  resource: IncrementalAlterConfigsRequestAlterConfigsResource,
  validateOnly: boolean,
): Refusal | undefined {
  if (resource.resourceType !== TOPIC) {
    if (resource.resourceType === BROKER && resource.configs.length === 0) return undefined
    return { error: KafkaErrorCode.INVALID_REQUEST, message: 'The embedded broker changes settings of topics only.' }
  }
  const topic = core.cluster.topics.get(resource.resourceName)
  const changed = new Map(topic?.config.overrides)
  for (const { name, configOperation, value } of resource.configs) {
    const next = changedValue(changed.get(name) ?? TOPIC_CONFIGS.get(name)?.value ?? '', configOperation, name, value)
    if (typeof next === 'object') return next
    if (next === undefined) changed.delete(name)
    else {
      const message = wrongValue(name, next)
      if (message !== undefined) return { error: KafkaErrorCode.INVALID_CONFIG, message }
      changed.set(name, next)
    }
  }
  if (topic === undefined) {
    return { error: KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message: `There is no topic ${resource.resourceName}.` }
  }
  if (validateOnly) return undefined
  topic.config.overrides.clear()
  for (const [name, value] of changed) topic.config.overrides.set(name, value)
  return undefined
}

/** The new value; undefined is the default again. */
function changedValue(
  current: string,
  operation: number,
  name: string,
  value: string | null,
): string | undefined | Refusal {
  const items = current.split(',').filter((item) => item !== '')
  const given = (value ?? '').split(',')
  const isList = TOPIC_CONFIGS.get(name)?.type === 'list'
  switch (operation) {
    case SET:
      return value ?? { error: KafkaErrorCode.INVALID_REQUEST, message: `Null value not supported for : ${name}` }
    case DELETE:
      return undefined
    case APPEND:
    case SUBTRACT:
      if (!isList) return { error: KafkaErrorCode.INVALID_CONFIG, message: `${name} is no list` }
      return (
        operation === APPEND
          ? [...items, ...given.filter((item) => !items.includes(item))]
          : items.filter((item) => !given.includes(item))
      ).join(',')
    default:
      return { error: KafkaErrorCode.INVALID_REQUEST, message: `there is no operation ${operation}` }
  }
}
