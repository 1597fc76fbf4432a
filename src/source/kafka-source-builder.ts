/**
 * Collects what a KafkaSource is made of and checks it when it is built, so that a mistake is told where it was made and before
 * anything runs. Every message names the method or the property. The names and the rules are Flink's.
 */
import { MillraceError } from '../base/index.ts'
import type { Boundedness } from '../core/index.ts'
import { parseClusterOptions, parseFetcherOptions } from '../kafka/index.ts'
import type { DeserializerConfig, KafkaDeserializerClass } from './deserializer/kafka-deserializer.ts'
import {
  KafkaRecordDeserializationSchema,
  type ValueDeserializer,
} from './deserializer/kafka-record-deserialization-schema.ts'
import type { KafkaSource } from './kafka-source.ts'
import {
  autoCommitIntervalMs,
  discoveryIntervalMs,
  maxPollRecords,
  type PropertyValue,
  readFlag,
  requireBytes,
} from './kafka-source-properties.ts'
import type { KafkaSourceSettings } from './kafka-source-settings.ts'
import {
  type KafkaSubscriber,
  PartitionSetSubscriber,
  TopicListSubscriber,
  TopicPatternSubscriber,
} from './kafka-subscriber.ts'
import { parseOffsetResetStrategy } from './offset-reset-strategy.ts'
import { OffsetsInitializer } from './offsets-initializer.ts'
import { TopicPartition } from './topic-partition.ts'

export class KafkaSourceBuilder<T> {
  readonly #make: <U>(settings: KafkaSourceSettings<U>) => KafkaSource<U>
  readonly #properties: Record<string, string> = {}
  #subscriber: { readonly method: string; readonly subscriber: KafkaSubscriber } | undefined
  #startingOffsets: OffsetsInitializer = OffsetsInitializer.earliest()
  #stoppingOffsets: OffsetsInitializer | undefined
  #boundedness: Boundedness = 'continuous'
  #deserializer: KafkaRecordDeserializationSchema<T> | undefined
  #rackIdSupplier: (() => string) | undefined

  /** For KafkaSource.builder. */
  constructor(make: <U>(settings: KafkaSourceSettings<U>) => KafkaSource<U>) {
    this.#make = make
  }

  /** Required: `host:port`, several separated by commas. */
  setBootstrapServers(bootstrapServers: string): this {
    return this.setProperty('bootstrap.servers', bootstrapServers)
  }

  /** Reads every partition of these topics. One of setTopics, setTopicPattern, setPartitions, setKafkaSubscriber is required. */
  setTopics(...topics: readonly string[] | [readonly string[]]): this {
    const names = topics.flat()
    if (names.length === 0) throw invalid('setTopics: no topic is given')
    const wrong = names.find((name) => typeof name !== 'string' || name === '')
    if (wrong !== undefined) throw invalid(`setTopics: ${JSON.stringify(wrong)} is not the name of a topic`)
    return this.#subscribe('setTopics', new TopicListSubscriber([...new Set(names)]))
  }

  /** Reads every topic whose whole name matches, and those that appear later. */
  setTopicPattern(pattern: RegExp | string): this {
    return this.#subscribe('setTopicPattern', new TopicPatternSubscriber(toPattern(pattern)))
  }

  setPartitions(partitions: Iterable<{ readonly topic: string; readonly partition: number }>): this {
    const given = [...partitions].map(({ topic, partition }) => {
      if (typeof topic !== 'string' || topic === '' || !Number.isSafeInteger(partition) || partition < 0) {
        throw invalid(`setPartitions: ${JSON.stringify({ topic, partition })} is not a topic and a partition number`)
      }
      return new TopicPartition(topic, partition)
    })
    if (given.length === 0) throw invalid('setPartitions: no partition is given')
    return this.#subscribe('setPartitions', new PartitionSetSubscriber(given))
  }

  setKafkaSubscriber(subscriber: KafkaSubscriber): this {
    if (typeof subscriber?.getSubscribedTopicPartitions !== 'function') {
      throw invalid('setKafkaSubscriber: it needs a method getSubscribedTopicPartitions')
    }
    return this.#subscribe('setKafkaSubscriber', subscriber)
  }

  /** The group that offsets are committed for; needed for that and for starting at committed offsets. */
  setGroupId(groupId: string): this {
    return this.setProperty('group.id', groupId)
  }

  /** Where a job without a checkpoint begins; the earliest offset by default. */
  setStartingOffsets(startingOffsets: OffsetsInitializer): this {
    this.#startingOffsets = checked(startingOffsets, 'setStartingOffsets')
    return this
  }

  /** Reads up to these offsets (exclusive), as they are at the job's first start, and ends. */
  setBounded(stoppingOffsets: OffsetsInitializer): this {
    this.#stoppingOffsets = checked(stoppingOffsets, 'setBounded')
    this.#boundedness = 'bounded'
    return this
  }

  /** Runs as a stream, and stops at these offsets (exclusive) all the same. */
  setUnbounded(stoppingOffsets: OffsetsInitializer): this {
    this.#stoppingOffsets = checked(stoppingOffsets, 'setUnbounded')
    this.#boundedness = 'continuous'
    return this
  }

  /** From whole records. This or setValueOnlyDeserializer is required; the later call wins. */
  setDeserializer<U>(deserializer: KafkaRecordDeserializationSchema<U>): KafkaSourceBuilder<U> {
    if (typeof deserializer?.deserialize !== 'function') {
      throw invalid('setDeserializer: it needs a method deserialize(record, out)')
    }
    const typed = this as unknown as KafkaSourceBuilder<U>
    typed.#deserializer = deserializer
    return typed
  }

  /** From the values alone: a schema, a Kafka-style class, or a function of the bytes. */
  setValueOnlyDeserializer<U>(deserializer: ValueDeserializer<U>): KafkaSourceBuilder<U>
  setValueOnlyDeserializer<U>(
    deserializer: KafkaDeserializerClass<U>,
    config?: DeserializerConfig,
  ): KafkaSourceBuilder<U>
  setValueOnlyDeserializer<U>(
    deserializer: KafkaDeserializerClass<U> | ValueDeserializer<U>,
    config?: DeserializerConfig,
  ): KafkaSourceBuilder<U> {
    return this.setDeserializer(
      KafkaRecordDeserializationSchema.valueOnly(deserializer as KafkaDeserializerClass<U>, config),
    )
  }

  /** Of the client ids that brokers see; by default the group id. */
  setClientIdPrefix(prefix: string): this {
    return this.setProperty('client.id.prefix', prefix)
  }

  /** The rack to fetch from where a replica is near; asked in the reader when it gets its first split. */
  setRackIdSupplier(supplier: () => string): this {
    this.#rackIdSupplier = supplier
    return this
  }

  /** A property of Kafka's consumer or of the connector, by its Java name. */
  setProperty(key: string, value: PropertyValue): this {
    if (!['string', 'number', 'boolean'].includes(typeof value)) {
      throw invalid(`setProperty("${key}"): the value must be a string, a number or a boolean`)
    }
    this.#properties[key] = String(value)
    return this
  }

  setProperties(properties: Readonly<Record<string, PropertyValue>>): this {
    for (const [key, value] of Object.entries(properties)) this.setProperty(key, value)
    return this
  }

  /** Throws MillraceError OPTION_INVALID when something is missing or does not fit together. */
  build(): KafkaSource<T> {
    const given = this.#properties
    if (!given['bootstrap.servers']) throw invalid('bootstrap.servers is missing: call setBootstrapServers')
    const subscriber = this.#subscriber?.subscriber
    if (subscriber === undefined) {
      throw invalid(
        'nothing to read is named: call one of setTopics, setTopicPattern, setPartitions, setKafkaSubscriber',
      )
    }
    const deserializer = this.#deserializer
    if (deserializer === undefined) {
      throw invalid('the deserializer is missing: call setDeserializer or setValueOnlyDeserializer')
    }
    requireBytes(given)
    const groupId = given['group.id'] || undefined
    requireGroupForCommits(given, groupId)
    this.#startingOffsets.validate?.(given)
    this.#stoppingOffsets?.validate?.(given)
    const { properties, resetStrategy, intervalMs } = this.#derive()
    parseClusterOptions(properties)
    parseFetcherOptions(properties)
    readFlag(properties, 'register.consumer.metrics')
    const settings: KafkaSourceSettings<T> = {
      properties,
      subscriber,
      startingOffsets: this.#startingOffsets,
      stoppingOffsets: this.#stoppingOffsets,
      boundedness: this.#boundedness,
      discoveryIntervalMs: intervalMs,
      deserializer,
      groupId,
      clientIdPrefix: given['client.id.prefix'],
      rackIdSupplier: this.#rackIdSupplier,
      commitOnCheckpoint: groupId !== undefined && readFlag(given, 'commit.offsets.on.checkpoint') !== false,
      autoCommitIntervalMs: autoCommitIntervalMs(given),
      maxPollRecords: maxPollRecords(given),
      resetStrategy,
    }
    return this.#make(settings)
  }

  /** What the builder overrides: the interval where the input is fixed, the reset strategy where the user gave none. */
  #derive(): Pick<KafkaSourceSettings<T>, 'properties' | 'resetStrategy'> & {
    readonly intervalMs: number | undefined
  } {
    const properties: Record<string, string> = { ...this.#properties }
    const interval = 'partition.discovery.interval.ms'
    const asked = discoveryIntervalMs(properties)
    const stopsByDefault = this.#stoppingOffsets !== undefined && properties[interval] === undefined
    const once = this.#boundedness === 'bounded' || stopsByDefault
    if (once) properties[interval] = '-1'
    const intervalMs = once ? undefined : asked
    const explicit = properties['auto.offset.reset']
    const resetStrategy = parseOffsetResetStrategy(
      explicit ?? this.#startingOffsets.autoOffsetResetStrategy,
      explicit === undefined
        ? 'KafkaSource: setStartingOffsets: autoOffsetResetStrategy'
        : 'KafkaSource: auto.offset.reset',
    )
    properties['auto.offset.reset'] = resetStrategy.toLowerCase()
    return { properties, resetStrategy, intervalMs }
  }

  #subscribe(method: string, subscriber: KafkaSubscriber): this {
    if (this.#subscriber !== undefined) {
      throw invalid(
        `${method}: what to read was named by ${this.#subscriber.method} already (${this.#subscriber.subscriber})`,
      )
    }
    this.#subscriber = { method, subscriber }
    return this
  }
}

function toPattern(pattern: RegExp | string): RegExp {
  if (pattern instanceof RegExp) return pattern
  try {
    return new RegExp(pattern)
  } catch (error) {
    throw invalid(`setTopicPattern: ${error instanceof Error ? error.message : pattern}`)
  }
}

function checked(initializer: OffsetsInitializer, method: string): OffsetsInitializer {
  if (typeof initializer?.getPartitionOffsets === 'function') return initializer
  throw invalid(`${method}: give OffsetsInitializer.earliest() or the like, or an object with getPartitionOffsets`)
}

function requireGroupForCommits(properties: Readonly<Record<string, string>>, groupId: string | undefined): void {
  if (groupId !== undefined) {
    readFlag(properties, 'enable.auto.commit')
    return
  }
  for (const key of ['enable.auto.commit', 'commit.offsets.on.checkpoint']) {
    if (readFlag(properties, key) === true) {
      throw invalid(`${key} is true, and offsets can only be committed for a group: call setGroupId`)
    }
  }
}

function invalid(message: string): MillraceError {
  return new MillraceError('OPTION_INVALID', `KafkaSource: ${message}`)
}
