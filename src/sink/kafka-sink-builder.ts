/**
 * Builds a KafkaSink, from setters or from one object. Everything that can be wrong without asking a broker is refused here,
 * with the setter's (or the option's) name.
 */
import { MillraceError } from '../base/index.ts'
import type { SerializationSchema } from '../core/index.ts'
import { DeliveryGuarantee, TransactionNamingStrategy } from './delivery-guarantee.ts'
import { KafkaSink } from './kafka-sink.ts'
import { KafkaSinkConnector } from './kafka-sink-connector.ts'
import type { KafkaPartitioner } from './serializer/kafka-partitioner.ts'
import {
  type HeaderProvider,
  KafkaRecordSerializationSchema,
  type SerializationFunction,
  type TimestampProvider,
  type TopicSelector,
} from './serializer/kafka-record-serialization-schema.ts'
import type { Serializer, SerializerClass } from './serializer/kafka-serializer.ts'
import type { KafkaProperties, SinkConnector } from './sink-connector.ts'
import { PREFIX_BYTES_MAX } from './transaction/transactional-id.ts'

/** The setters' names without `set`; either a `recordSerializer` or its parts. */
export interface KafkaSinkOptions<T> {
  readonly bootstrapServers: string | readonly string[]
  readonly recordSerializer?: KafkaRecordSerializationSchema<T>
  readonly topic?: string
  readonly topicSelector?: TopicSelector<T>
  readonly keySerializationSchema?: SerializationSchema<T> | SerializationFunction<T>
  readonly valueSerializationSchema?: SerializationSchema<T> | SerializationFunction<T>
  readonly kafkaKeySerializer?: SerializerClass<T> | Serializer<T>
  readonly kafkaValueSerializer?: SerializerClass<T> | Serializer<T>
  readonly partitioner?: KafkaPartitioner<T> | KafkaPartitioner<T>['partition']
  readonly headerProvider?: HeaderProvider<T>
  readonly timestampProvider?: TimestampProvider<T>
  readonly deliveryGuarantee?: DeliveryGuarantee
  readonly transactionalIdPrefix?: string
  readonly transactionNamingStrategy?: TransactionNamingStrategy
  readonly properties?: KafkaProperties
}

/**
 * What suits a sink that flushes at every checkpoint: batches large enough that a request is worth its cost. Java's producer
 * defaults to 16 KiB and 5 ms. As long as linger.ms is not set, records outside of transactions do not wait these 10 ms
 * when the input has run dry.
 */
const SINK_DEFAULTS: KafkaProperties = { 'batch.size': 524_288, 'linger.ms': 10 }

/** @example see `KafkaSink.builder` */
export class KafkaSinkBuilder<T> {
  readonly #style: 'builder' | 'object'
  #connector: SinkConnector = new KafkaSinkConnector()
  #serializer: KafkaRecordSerializationSchema<T> | undefined
  #guarantee: DeliveryGuarantee = DeliveryGuarantee.NONE
  #prefix: string | undefined
  #naming: TransactionNamingStrategy = TransactionNamingStrategy.POOLING
  #properties: Record<string, string | number | boolean> = {}

  constructor(style: 'builder' | 'object') {
    this.#style = style
  }

  /** `host:port`, several separated by commas. */
  setBootstrapServers(servers: string | readonly string[]): this {
    const text = typeof servers === 'string' ? servers : servers.join(',')
    if (text.trim() === '') throw this.#invalid('setBootstrapServers', 'at least one host:port is needed')
    this.#properties['bootstrap.servers'] = text
    return this
  }

  setRecordSerializer(serializer: KafkaRecordSerializationSchema<T>): this {
    if (typeof serializer?.serialize !== 'function') {
      const hint = 'build' in Object(serializer) ? '; did you forget .build()?' : ''
      throw this.#invalid('setRecordSerializer', `a KafkaRecordSerializationSchema is needed${hint}`)
    }
    this.#serializer = serializer
    return this
  }

  setDeliveryGuarantee(guarantee: DeliveryGuarantee): this {
    if (!Object.values(DeliveryGuarantee).includes(guarantee)) {
      const known = Object.keys(DeliveryGuarantee).join(', ')
      throw this.#invalid('setDeliveryGuarantee', `${JSON.stringify(guarantee)} is none of ${known}`)
    }
    this.#guarantee = guarantee
    return this
  }

  /** Owned by this sink: no other job, and no other sink, may use the same prefix on the same cluster. */
  setTransactionalIdPrefix(prefix: string): this {
    if (typeof prefix !== 'string' || prefix === '') {
      throw this.#invalid('setTransactionalIdPrefix', 'a prefix of at least one character is needed')
    }
    const bytes = Buffer.byteLength(prefix)
    if (bytes > PREFIX_BYTES_MAX) {
      throw this.#invalid('setTransactionalIdPrefix', `${bytes} bytes of UTF-8 are more than ${PREFIX_BYTES_MAX}`)
    }
    this.#prefix = prefix
    return this
  }

  setTransactionNamingStrategy(strategy: TransactionNamingStrategy): this {
    if (!Object.values(TransactionNamingStrategy).includes(strategy)) {
      const known = Object.keys(TransactionNamingStrategy).join(', ')
      throw this.#invalid('setTransactionNamingStrategy', `${JSON.stringify(strategy)} is none of ${known}`)
    }
    this.#naming = strategy
    return this
  }

  /** A property of Kafka's producer, by its Java name. */
  setProperty(key: string, value: string | number | boolean): this {
    if (typeof key !== 'string' || key === '') throw this.#invalid('setProperty', 'the name of a property is needed')
    if (!['string', 'number', 'boolean'].includes(typeof value)) {
      throw this.#invalid('setProperty', `the value of "${key}" must be text, a number or a boolean`)
    }
    if (key === 'transactional.id') {
      throw this.#invalid(
        'setProperty',
        'transactional.id is made by the sink for each transaction; set their common beginning with setTransactionalIdPrefix',
      )
    }
    this.#properties[key] = value
    return this
  }

  setProperties(properties: KafkaProperties): this {
    for (const [key, value] of Object.entries(properties)) this.setProperty(key, value)
    return this
  }

  /** The name of Flink's builder for `setProperties`. */
  setKafkaProducerConfig(properties: KafkaProperties): this {
    return this.setProperties(properties)
  }

  /** @internal Tests of the protocol connect to a model instead of a cluster. */
  setConnector(connector: SinkConnector): this {
    this.#connector = connector
    return this
  }

  /** @internal */
  setAll(options: KafkaSinkOptions<T>): this {
    this.setBootstrapServers(options.bootstrapServers ?? '')
    this.setRecordSerializer(options.recordSerializer ?? this.#fromParts(options))
    if (options.deliveryGuarantee !== undefined) this.setDeliveryGuarantee(options.deliveryGuarantee)
    if (options.transactionalIdPrefix !== undefined) this.setTransactionalIdPrefix(options.transactionalIdPrefix)
    if (options.transactionNamingStrategy !== undefined) {
      this.setTransactionNamingStrategy(options.transactionNamingStrategy)
    }
    return this.setProperties(options.properties ?? {})
  }

  #fromParts(options: KafkaSinkOptions<T>): KafkaRecordSerializationSchema<T> {
    const builder = KafkaRecordSerializationSchema.builder<T>()
    if (options.topic !== undefined) builder.setTopic(options.topic)
    if (options.topicSelector !== undefined) builder.setTopicSelector(options.topicSelector)
    if (options.keySerializationSchema !== undefined) builder.setKeySerializationSchema(options.keySerializationSchema)
    if (options.kafkaKeySerializer !== undefined) builder.setKafkaKeySerializer(options.kafkaKeySerializer)
    if (options.valueSerializationSchema !== undefined) {
      builder.setValueSerializationSchema(options.valueSerializationSchema)
    }
    if (options.kafkaValueSerializer !== undefined) builder.setKafkaValueSerializer(options.kafkaValueSerializer)
    if (options.partitioner !== undefined) builder.setPartitioner(options.partitioner)
    if (options.headerProvider !== undefined) builder.setHeaderProvider(options.headerProvider)
    if (options.timestampProvider !== undefined) builder.setTimestampProvider(options.timestampProvider)
    return builder.build()
  }

  build(): KafkaSink<T> {
    if (this.#properties['bootstrap.servers'] === undefined) {
      throw this.#invalid('build', `bootstrap servers are required: ${this.#option('setBootstrapServers')}`)
    }
    if (this.#serializer === undefined) {
      throw this.#invalid('build', `a record serializer is required: ${this.#option('setRecordSerializer')}`)
    }
    if (this.#guarantee === 'EXACTLY_ONCE') this.#checkExactlyOnce()
    if (this.#guarantee === 'AT_LEAST_ONCE' && String(this.#properties.acks) === '0') {
      throw this.#invalid('setProperty', 'acks=0 cannot be AT_LEAST_ONCE: nothing is ever acknowledged')
    }
    const properties = {
      ...SINK_DEFAULTS,
      ...(this.#guarantee === 'EXACTLY_ONCE' ? { acks: 'all', 'enable.idempotence': true } : {}),
      ...this.#properties,
    }
    return new KafkaSink({
      schema: this.#serializer,
      guarantee: this.#guarantee,
      prefix: this.#prefix,
      naming: this.#naming,
      properties,
      prompt: this.#properties['linger.ms'] === undefined,
      registerProducerMetrics:
        this.#flag('register.producer.metrics', true) && !this.#flag('flink.disable-metrics', false),
      parsed: this.#connector.parse(properties),
      connector: this.#connector,
    })
  }

  #flag(key: string, fallback: boolean): boolean {
    const text = String(this.#properties[key] ?? fallback)
      .trim()
      .toLowerCase()
    if (text === 'true' || text === 'false') return text === 'true'
    throw this.#invalid('setProperty', `${key}: "${text}" is neither true nor false`)
  }

  #checkExactlyOnce(): void {
    if (this.#prefix === undefined) {
      throw this.#invalid(
        'build',
        `EXACTLY_ONCE requires ${this.#option('setTransactionalIdPrefix')}, unique on the cluster`,
      )
    }
    const acks = String(this.#properties.acks ?? 'all')
    if (acks !== 'all' && acks !== '-1') {
      throw this.#invalid('setProperty', `EXACTLY_ONCE requires acks=all, not acks=${acks}`)
    }
    if (String(this.#properties['enable.idempotence'] ?? 'true') === 'false') {
      throw this.#invalid('setProperty', 'EXACTLY_ONCE requires enable.idempotence=true')
    }
  }

  /** How the user says it: the setter, or the field of the options. */
  #option(setter: string): string {
    if (this.#style === 'builder' || !setter.startsWith('set')) return setter
    return setter === 'setProperty' ? 'properties' : setter.charAt(3).toLowerCase() + setter.slice(4)
  }

  #invalid(method: string, what: string): MillraceError {
    const path =
      this.#style === 'builder'
        ? `KafkaSink.builder().${method}`
        : method === 'build'
          ? 'KafkaSink.to(...)'
          : `KafkaSink.to({ ${this.#option(method)} })`
    return new MillraceError('OPTION_INVALID', `${path}: ${what}`)
  }
}
