/**
 * Key and value of a record, both JSON, as one object; with metadata on demand (Flink: JSONKeyValueDeserializationSchema). A
 * null key or value is left out of the object, so that a tombstone comes through as one.
 */
import { type Collector, parseJson } from '../../core/index.ts'
import type { ConsumerRecord } from './consumer-record.ts'
import type { KafkaRecordDeserializationSchema } from './kafka-record-deserialization-schema.ts'

export interface JsonKeyValue<K = unknown, V = unknown> {
  readonly key?: K
  readonly value?: V
  readonly metadata?: { readonly offset: number; readonly topic: string; readonly partition: number }
}

export class JsonKeyValueDeserializationSchema<K = unknown, V = unknown>
  implements KafkaRecordDeserializationSchema<JsonKeyValue<K, V>>
{
  readonly #includeMetadata: boolean

  constructor(includeMetadata = false) {
    this.#includeMetadata = includeMetadata
  }

  deserialize(record: ConsumerRecord, out: Collector<JsonKeyValue<K, V>>): void {
    const { key, value, topic, partition } = record
    out.collect({
      ...(key === null ? {} : { key: parseJson(key.toString('utf8')) as K }),
      ...(value === null ? {} : { value: parseJson(value.toString('utf8')) as V }),
      ...(this.#includeMetadata ? { metadata: { offset: Number(record.offset), topic, partition } } : {}),
    })
  }

  toString(): string {
    return `JsonKeyValueDeserializationSchema(${this.#includeMetadata})`
  }
}
