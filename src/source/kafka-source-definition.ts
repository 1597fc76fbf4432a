/**
 * A KafkaSource as one plain object: each field is a setter of the builder, with the same rules. Unknown fields are refused, as a
 * misspelt option must not be an ignored one.
 */
import { MillraceError } from '../base/index.ts'
import type { KafkaDeserializerClass } from './deserializer/kafka-deserializer.ts'
import type {
  KafkaRecordDeserializationSchema,
  ValueDeserializer,
} from './deserializer/kafka-record-deserialization-schema.ts'
import type { KafkaSourceBuilder } from './kafka-source-builder.ts'
import type { PropertyValue } from './kafka-source-properties.ts'
import type { KafkaSubscriber } from './kafka-subscriber.ts'
import type { OffsetsInitializer } from './offsets-initializer.ts'

interface Subscription {
  readonly topics?: string | readonly string[]
  readonly topicPattern?: RegExp | string
  readonly partitions?: Iterable<{ readonly topic: string; readonly partition: number }>
  readonly subscriber?: KafkaSubscriber
}

export interface KafkaSourceDefinition<T> extends Subscription {
  readonly bootstrapServers: string
  readonly groupId?: string
  readonly startingOffsets?: OffsetsInitializer
  readonly bounded?: OffsetsInitializer
  readonly unbounded?: OffsetsInitializer
  /** This or `valueOnlyDeserializer`. */
  readonly deserializer?: KafkaRecordDeserializationSchema<T>
  readonly valueOnlyDeserializer?: ValueDeserializer<T> | KafkaDeserializerClass<T>
  readonly clientIdPrefix?: string
  readonly rackIdSupplier?: () => string
  readonly properties?: Readonly<Record<string, PropertyValue>>
}

const FIELDS: readonly string[] = [
  'bootstrapServers',
  'topics',
  'topicPattern',
  'partitions',
  'subscriber',
  'groupId',
  'startingOffsets',
  'bounded',
  'unbounded',
  'deserializer',
  'valueOnlyDeserializer',
  'clientIdPrefix',
  'rackIdSupplier',
  'properties',
] satisfies (keyof KafkaSourceDefinition<unknown>)[]

export function buildFrom<T>(
  builder: KafkaSourceBuilder<unknown>,
  definition: KafkaSourceDefinition<T>,
): KafkaSourceBuilder<T> {
  const unknown = Object.keys(definition).filter((field) => !FIELDS.includes(field))
  if (unknown.length > 0) {
    throw invalid(`unknown ${unknown.join(', ')}; the fields are ${FIELDS.join(', ')}`)
  }
  const { deserializer, valueOnlyDeserializer, bounded, unbounded } = definition
  if (bounded !== undefined && unbounded !== undefined) throw invalid('bounded and unbounded exclude each other')
  if (deserializer !== undefined && valueOnlyDeserializer !== undefined) {
    throw invalid('deserializer and valueOnlyDeserializer exclude each other')
  }
  if (definition.properties !== undefined) builder.setProperties(definition.properties)
  if (definition.bootstrapServers !== undefined) builder.setBootstrapServers(definition.bootstrapServers)
  subscribe(builder, definition)
  if (definition.groupId !== undefined) builder.setGroupId(definition.groupId)
  if (definition.startingOffsets !== undefined) builder.setStartingOffsets(definition.startingOffsets)
  if (bounded !== undefined) builder.setBounded(bounded)
  if (unbounded !== undefined) builder.setUnbounded(unbounded)
  if (definition.clientIdPrefix !== undefined) builder.setClientIdPrefix(definition.clientIdPrefix)
  if (definition.rackIdSupplier !== undefined) builder.setRackIdSupplier(definition.rackIdSupplier)
  if (deserializer !== undefined) return builder.setDeserializer(deserializer)
  if (valueOnlyDeserializer !== undefined) {
    return builder.setValueOnlyDeserializer(valueOnlyDeserializer as ValueDeserializer<T>)
  }
  return builder as KafkaSourceBuilder<T>
}

function subscribe(builder: KafkaSourceBuilder<unknown>, definition: Subscription): void {
  const { topics, topicPattern, partitions, subscriber } = definition
  if (topics !== undefined) builder.setTopics(typeof topics === 'string' ? [topics] : topics)
  if (topicPattern !== undefined) builder.setTopicPattern(topicPattern)
  if (partitions !== undefined) builder.setPartitions(partitions)
  if (subscriber !== undefined) builder.setKafkaSubscriber(subscriber)
}

function invalid(message: string): MillraceError {
  return new MillraceError('OPTION_INVALID', `KafkaSource.from: ${message}`)
}
