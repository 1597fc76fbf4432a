/**
 * How an element becomes a Kafka record. Either built from parts (topic, key, value, partitioner, headers, timestamp), which
 * is the fast way: the writer calls the parts directly and no record object is made; or any object with `serialize`, which
 * may look at everything and answer null for an element that is to be skipped.
 *
 * Subtasks that share a thread share what is given here; what keeps state for each subtask is therefore a class
 * (Kafka-style serializers) or offers `copy` (partitioners).
 */
import { MillraceError } from '../../base/index.ts'
import type { RuntimeContext, SerializationSchema } from '../../core/index.ts'
import type { KafkaPartitioner } from './kafka-partitioner.ts'
import { Serializer, type SerializerClass } from './kafka-serializer.ts'

export interface ProducerRecordHeader {
  readonly key: string
  readonly value: Uint8Array | null
}

export interface ProducerRecord {
  readonly topic: string
  /** Absent: Java's default partitioner decides by the key. */
  readonly partition?: number | undefined
  /** Milliseconds since 1970; absent, null or negative: the time of writing. */
  readonly timestamp?: number | null | undefined
  readonly key?: Uint8Array | string | null | undefined
  readonly value: Uint8Array | string | null
  readonly headers?: readonly ProducerRecordHeader[] | undefined
}

/** What `serialize` may ask. */
export interface KafkaSinkContext {
  readonly parallelInstanceId: number
  readonly numberOfParallelInstances: number
  /**
   * The partitions of a topic. For a topic seen for the first time the call throws what the sink itself catches; the same
   * element is then serialized again when the brokers have answered.
   */
  partitionsForTopic(topic: string): readonly number[]
}

export interface KafkaRecordSerializationSchema<T> {
  open?(context: RuntimeContext, sinkContext: KafkaSinkContext): void | Promise<void>
  /** `timestamp`: the element's, in milliseconds, or null when it has none. Null skips the element and counts it. */
  serialize(element: T, context: KafkaSinkContext, timestamp: number | null): ProducerRecord | null
}

export type SerializationFunction<T> = (element: T) => Uint8Array | string | null
export type TopicSelector<T> = (element: T) => string
export type HeaderProvider<T> = (element: T) => readonly ProducerRecordHeader[] | null | undefined
export type TimestampProvider<T> = (element: T, timestamp: number | null) => number | null | undefined

/** A key or value maker: exactly one of the two forms. */
export type FieldSerializer<T> =
  | { readonly kind: 'schema'; readonly schema: SerializationSchema<T> }
  | { readonly kind: 'kafka'; readonly make: () => Serializer<T>; readonly config: Readonly<Record<string, unknown>> }

export interface RecordParts<T> {
  readonly topic: string | TopicSelector<T>
  readonly key: FieldSerializer<T> | undefined
  readonly value: FieldSerializer<T>
  readonly partitioner: KafkaPartitioner<T> | undefined
  readonly headers: HeaderProvider<T> | undefined
  readonly timestamp: TimestampProvider<T> | undefined
}

/** What the builder makes. The writer takes its parts; nobody else needs to. */
export class BuiltRecordSerializationSchema<T> implements KafkaRecordSerializationSchema<T> {
  readonly parts: RecordParts<T>

  constructor(parts: RecordParts<T>) {
    this.parts = parts
  }

  /** For tests of a job's schema, outside a sink: what would be written. Kafka-style serializers are made on each call. */
  serialize(element: T, context: KafkaSinkContext, timestamp: number | null): ProducerRecord {
    const { parts } = this
    const topic = typeof parts.topic === 'string' ? parts.topic : parts.topic(element)
    const key = parts.key === undefined ? null : bytesOf(parts.key, true, element, topic)
    const value = bytesOf(parts.value, false, element, topic)
    const chosen = parts.timestamp === undefined ? timestamp : parts.timestamp(element, timestamp)
    const partition = parts.partitioner?.partition(element, key, value, topic, context.partitionsForTopic(topic))
    const headers = parts.headers?.(element) ?? undefined
    return { topic, key, value, timestamp: chosen ?? null, partition, headers }
  }
}

function bytesOf<T>(field: FieldSerializer<T>, isKey: boolean, element: T, topic: string): Uint8Array | string | null {
  if (field.kind === 'schema') return field.schema.serialize(element)
  const serializer = field.make()
  serializer.configure(field.config, isKey)
  return serializer.serialize(topic, element)
}

function invalid(method: string, what: string): MillraceError {
  return new MillraceError('OPTION_INVALID', `KafkaRecordSerializationSchema.builder().${method}: ${what}`)
}

/**
 * @example
 * KafkaRecordSerializationSchema.builder<Order>()
 *   .setTopic('large-orders')
 *   .setKeySerializationSchema((order) => order.user)
 *   .setValueSerializationSchema(new JsonSchema<Order>())
 *   .build()
 */
export class KafkaRecordSerializationSchemaBuilder<T> {
  #topic: string | TopicSelector<T> | undefined
  #key: FieldSerializer<T> | undefined
  #value: FieldSerializer<T> | undefined
  #partitioner: KafkaPartitioner<T> | undefined
  #headers: HeaderProvider<T> | undefined
  #timestamp: TimestampProvider<T> | undefined

  setTopic(topic: string): this {
    this.#refuseSecond('setTopic', 'a topic', this.#topic)
    if (typeof topic !== 'string' || topic === '') throw invalid('setTopic', 'the name of a topic is needed')
    this.#topic = topic
    return this
  }

  setTopicSelector(selector: TopicSelector<T>): this {
    this.#refuseSecond('setTopicSelector', 'a topic', this.#topic)
    if (typeof selector !== 'function') throw invalid('setTopicSelector', 'a function from element to topic is needed')
    this.#topic = selector
    return this
  }

  setKeySerializationSchema(schema: SerializationSchema<T> | SerializationFunction<T>): this {
    this.#refuseSecond('setKeySerializationSchema', 'a key serializer', this.#key)
    this.#key = schemaField('setKeySerializationSchema', schema)
    return this
  }

  setValueSerializationSchema(schema: SerializationSchema<T> | SerializationFunction<T>): this {
    this.#refuseSecond('setValueSerializationSchema', 'a value serializer', this.#value)
    this.#value = schemaField('setValueSerializationSchema', schema)
    return this
  }

  /** A class, of which each subtask gets an instance, or an instance, which the subtasks of a thread share. */
  setKafkaKeySerializer(
    serializer: SerializerClass<T> | Serializer<T>,
    config: Readonly<Record<string, unknown>> = {},
  ): this {
    this.#refuseSecond('setKafkaKeySerializer', 'a key serializer', this.#key)
    this.#key = kafkaField('setKafkaKeySerializer', serializer, config)
    return this
  }

  /** A class, of which each subtask gets an instance, or an instance, which the subtasks of a thread share. */
  setKafkaValueSerializer(
    serializer: SerializerClass<T> | Serializer<T>,
    config: Readonly<Record<string, unknown>> = {},
  ): this {
    this.#refuseSecond('setKafkaValueSerializer', 'a value serializer', this.#value)
    this.#value = kafkaField('setKafkaValueSerializer', serializer, config)
    return this
  }

  setPartitioner(partitioner: KafkaPartitioner<T> | KafkaPartitioner<T>['partition']): this {
    this.#refuseSecond('setPartitioner', 'a partitioner', this.#partitioner)
    const asObject = typeof partitioner === 'function' ? { partition: partitioner } : partitioner
    if (typeof asObject?.partition !== 'function')
      throw invalid('setPartitioner', 'an object with `partition` is needed')
    this.#partitioner = asObject
    return this
  }

  setHeaderProvider(provider: HeaderProvider<T>): this {
    this.#refuseSecond('setHeaderProvider', 'a header provider', this.#headers)
    if (typeof provider !== 'function')
      throw invalid('setHeaderProvider', 'a function from element to headers is needed')
    this.#headers = provider
    return this
  }

  /** Without one, a record carries its element's timestamp. */
  setTimestampProvider(provider: TimestampProvider<T>): this {
    this.#refuseSecond('setTimestampProvider', 'a timestamp provider', this.#timestamp)
    if (typeof provider !== 'function') throw invalid('setTimestampProvider', 'a function to milliseconds is needed')
    this.#timestamp = provider
    return this
  }

  /** Always fails: the guarantee is the sink's. (The reference's page shows it here by mistake.) */
  setDeliveryGuarantee(_guarantee: unknown): never {
    throw invalid(
      'setDeliveryGuarantee',
      'the delivery guarantee belongs to the sink: call KafkaSink.builder().setDeliveryGuarantee(...) instead',
    )
  }

  build(): KafkaRecordSerializationSchema<T> {
    if (this.#topic === undefined) {
      throw invalid('build', 'no topic; call setTopic(name) or setTopicSelector(function)')
    }
    if (this.#value === undefined) {
      throw invalid('build', 'no value serializer; call setValueSerializationSchema or setKafkaValueSerializer')
    }
    return new BuiltRecordSerializationSchema({
      topic: this.#topic,
      key: this.#key,
      value: this.#value,
      partitioner: this.#partitioner,
      headers: this.#headers,
      timestamp: this.#timestamp,
    })
  }

  #refuseSecond(method: string, what: string, present: unknown): void {
    if (present !== undefined) throw invalid(method, `${what} is already set`)
  }
}

export const KafkaRecordSerializationSchema: {
  builder<T>(): KafkaRecordSerializationSchemaBuilder<T>
} = { builder: () => new KafkaRecordSerializationSchemaBuilder() }

function schemaField<T>(method: string, schema: SerializationSchema<T> | SerializationFunction<T>): FieldSerializer<T> {
  if (typeof schema === 'function') return { kind: 'schema', schema: { serialize: schema } }
  if (typeof schema?.serialize === 'function') return { kind: 'schema', schema }
  throw invalid(method, 'an object with `serialize(element)` or a function is needed')
}

function kafkaField<T>(
  method: string,
  serializer: SerializerClass<T> | Serializer<T>,
  config: Readonly<Record<string, unknown>>,
): FieldSerializer<T> {
  if (serializer instanceof Serializer) return { kind: 'kafka', make: () => serializer, config }
  if (typeof serializer === 'function' && typeof serializer.prototype?.serialize === 'function') {
    return { kind: 'kafka', make: () => new serializer(), config }
  }
  throw invalid(method, 'a class that extends Serializer, or an instance of one, is needed')
}
