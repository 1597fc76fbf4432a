/**
 * How records become values of the stream: from the whole record, any number of values for each. Value-only forms are made with
 * `valueOnly` and are the fast ones. What a schema throws fails the task; to leave a record out, collect nothing.
 */
import { MillraceError } from '../../base/index.ts'
import type { Collector, DeserializationSchema, RuntimeContext } from '../../core/index.ts'
import type { ConsumerRecord } from './consumer-record.ts'
import {
  type DeserializerConfig,
  KafkaDeserializer,
  type KafkaDeserializerClass,
  StringDeserializer,
} from './kafka-deserializer.ts'
import { FunctionSchema, refusePromise, ValueOnlySchema } from './value-only-schema.ts'

export interface KafkaRecordDeserializationSchema<T> {
  open?(context: RuntimeContext): void | Promise<void>
  deserialize(record: ConsumerRecord, out: Collector<T>): void
  /** For messages and for the graph's hash. */
  toString(): string
}

/** A value-only form: a schema, or a plain function of the value's bytes. */
export type ValueDeserializer<T> = DeserializationSchema<T> | ((bytes: Buffer | null) => T | undefined)

export const KafkaRecordDeserializationSchema: {
  valueOnly<T>(schema: ValueDeserializer<T>): KafkaRecordDeserializationSchema<T>
  /** Kafka-style: the class is configured with `config` and given the values. */
  valueOnly<T>(
    deserializer: KafkaDeserializerClass<T>,
    config?: DeserializerConfig,
  ): KafkaRecordDeserializationSchema<T>
  /** One value for each record; `undefined` leaves it out. */
  of<T>(read: (record: ConsumerRecord) => T | undefined): KafkaRecordDeserializationSchema<T>
} = {
  valueOnly<T>(
    given: KafkaDeserializerClass<T> | ValueDeserializer<T>,
    config: DeserializerConfig = {},
  ): KafkaRecordDeserializationSchema<T> {
    if (isDeserializerClass(given)) return kafkaStyle(given, config)
    if (typeof given === 'function' && isOtherClass(given)) {
      throw new MillraceError(
        'OPTION_INVALID',
        `valueOnly(${given.name}): this class does not extend KafkaDeserializer`,
      )
    }
    if (typeof given === 'function') return new ValueOnlySchema(new FunctionSchema(given), given.name || 'function')
    if (typeof given?.deserialize !== 'function') {
      throw new MillraceError(
        'OPTION_INVALID',
        'valueOnly(schema): give a DeserializationSchema, a class that extends KafkaDeserializer, or a function of the bytes',
      )
    }
    return new ValueOnlySchema(given, given.constructor.name)
  },

  of<T>(read: (record: ConsumerRecord) => T | undefined): KafkaRecordDeserializationSchema<T> {
    let checked = false
    return {
      deserialize: (record, out) => {
        const value = read(record)
        if (!checked) {
          refusePromise(value)
          checked = true
        }
        if (value !== undefined) out.collect(value)
      },
      toString: () => `of(${read.name || 'function'})`,
    }
  },
}

function isDeserializerClass<T>(given: unknown): given is KafkaDeserializerClass<T> {
  return typeof given === 'function' && given.prototype instanceof KafkaDeserializer
}

/** A class is a function too, but one that cannot be called with the bytes. */
function isOtherClass(given: (...args: never) => unknown): boolean {
  return /^class\b/.test(Function.prototype.toString.call(given))
}

/** Left out is what is null, as null has no place in `T`; a class that knows a value for null gives it. */
function kafkaStyle<T>(
  type: KafkaDeserializerClass<T>,
  config: DeserializerConfig,
): KafkaRecordDeserializationSchema<T> {
  const deserializer = new type()
  deserializer.configure?.(config, false)
  if (type === (StringDeserializer as unknown) && (deserializer as unknown as StringDeserializer).isUtf8) {
    const schema: DeserializationSchema<T> = {
      skipsNull: true,
      deserialize: (bytes) => deserializer.deserialize('', bytes, []) ?? undefined,
      deserializeText: (text) => text as T,
    }
    return new ValueOnlySchema(schema, type.name)
  }
  return {
    deserialize: (record, out) => {
      const value = deserializer.deserialize(record.topic, record.value, record.headers)
      if (value !== null && value !== undefined) out.collect(value)
    },
    toString: () => `valueOnly(${type.name})`,
  }
}
