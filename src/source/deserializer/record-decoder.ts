/**
 * From the record a reader stands on to the output: one class for each way, so that the call in the reader's loop stays
 * monomorphic for a job and nothing is made per record that the way does not need. What the schema throws becomes
 * DESERIALIZATION_FAILED with the record's place; what the chain behind the output throws passes through untouched.
 */
import { assert, MillraceError } from '../../base/index.ts'
import type { AsciiText, Collector, DeserializationSchema, SplitOutput } from '../../core/index.ts'
import type { RecordView } from '../../kafka/index.ts'
import { partitionName } from '../topic-partition.ts'
import { ConsumerRecord } from './consumer-record.ts'
import type { KafkaRecordDeserializationSchema } from './kafka-record-deserialization-schema.ts'
import { ValueOnlySchema } from './value-only-schema.ts'

export interface RecordDecoder<T> {
  /** Null values left out so far. */
  readonly nullsSkipped: number
  decode(record: RecordView, output: SplitOutput<T>): void
}

export function recordDecoder<T>(schema: KafkaRecordDeserializationSchema<T>): RecordDecoder<T> {
  if (!(schema instanceof ValueOnlySchema)) return new WholeRecordDecoder(schema)
  const value: DeserializationSchema<T> = schema.schema
  if (value.deserializeText === undefined) return new BytesDecoder(value)
  return value.deserializeAscii === undefined ? new TextValueDecoder(value) : new AsciiValueDecoder(value)
}

/** The value as a string, without a view of its bytes. */
class TextValueDecoder<T> implements RecordDecoder<T> {
  nullsSkipped = 0
  readonly #schema: DeserializationSchema<T>
  readonly #transient: boolean

  constructor(schema: DeserializationSchema<T>) {
    this.#schema = schema
    this.#transient = schema.textIsTransient === true
  }

  decode(record: RecordView, output: SplitOutput<T>): void {
    const text = this.#transient ? record.transientValueString() : record.valueString()
    const value = text === null ? this.#decodeNull(record) : this.#decodeText(text, record)
    if (value !== undefined) output.emit(value)
  }

  #decodeText(text: string, record: RecordView): T | undefined {
    try {
      return this.#schema.deserializeText?.(text)
    } catch (error) {
      throw deserializationFailed(record, error)
    }
  }

  #decodeNull(record: RecordView): T | undefined {
    if (this.#schema.skipsNull === true) {
      this.nullsSkipped++
      return undefined
    }
    try {
      return this.#schema.deserialize(null)
    } catch (error) {
      throw deserializationFailed(record, error)
    }
  }
}

/** The value where it lies in a text that is ASCII; else as a string. */
class AsciiValueDecoder<T> implements RecordDecoder<T> {
  readonly #schema: DeserializationSchema<T>
  readonly #otherwise: TextValueDecoder<T>

  constructor(schema: DeserializationSchema<T>) {
    this.#schema = schema
    this.#otherwise = new TextValueDecoder(schema)
  }

  get nullsSkipped(): number {
    return this.#otherwise.nullsSkipped
  }

  decode(record: RecordView, output: SplitOutput<T>): void {
    const ascii = record.asciiText
    const length = record.valueLength
    if (ascii === null || length < 0) {
      this.#otherwise.decode(record, output)
      return
    }
    const from = record.valueStart
    const value = this.#decodeAscii(ascii, from, from + length, record)
    if (value !== undefined) output.emit(value)
  }

  #decodeAscii(ascii: AsciiText, from: number, to: number, record: RecordView): T | undefined {
    try {
      return this.#schema.deserializeAscii?.(ascii, from, to)
    } catch (error) {
      throw deserializationFailed(record, error)
    }
  }
}

/** The value as a view of its bytes. */
class BytesDecoder<T> implements RecordDecoder<T> {
  nullsSkipped = 0
  readonly #schema: DeserializationSchema<T>

  constructor(schema: DeserializationSchema<T>) {
    this.#schema = schema
  }

  decode(record: RecordView, output: SplitOutput<T>): void {
    const bytes = record.value()
    if (bytes === null && this.#schema.skipsNull === true) {
      this.nullsSkipped++
      return
    }
    const value = this.#decodeBytes(bytes, record)
    if (value !== undefined) output.emit(value)
  }

  #decodeBytes(bytes: Buffer | null, record: RecordView): T | undefined {
    try {
      return this.#schema.deserialize(bytes)
    } catch (error) {
      throw deserializationFailed(record, error)
    }
  }
}

/** Record schemas: a ConsumerRecord for each record, and a collector that stands for the output. */
class WholeRecordDecoder<T> implements RecordDecoder<T> {
  readonly nullsSkipped = 0
  readonly #schema: KafkaRecordDeserializationSchema<T>
  readonly #collector = new OutputCollector<T>()

  constructor(schema: KafkaRecordDeserializationSchema<T>) {
    this.#schema = schema
  }

  decode(record: RecordView, output: SplitOutput<T>): void {
    const collector = this.#collector
    collector.output = output
    try {
      this.#schema.deserialize(new ConsumerRecord(record), collector)
    } catch (error) {
      throw collector.emitting ? error : deserializationFailed(record, error)
    }
    assert(
      !collector.emitting,
      'a record schema swallowed a failure of the operators behind it: do not catch what collect throws',
    )
  }
}

class OutputCollector<T> implements Collector<T> {
  output: SplitOutput<T> | undefined
  /** Stays true when the chain threw. */
  emitting = false

  collect(value: T): void {
    this.emitting = true
    this.output?.emit(value)
    this.emitting = false
  }
}

function deserializationFailed(record: RecordView, cause: unknown): MillraceError {
  const { topic, partition, offset, timestamp, keyLength, valueLength } = record
  const place = `${partitionName({ topic, partition })} at offset ${offset}`
  const sizes = `timestamp ${timestamp}, key ${size(keyLength)}, value ${size(valueLength)}`
  const quotes = cause instanceof SyntaxError
  const why = MillraceError.is(cause)
    ? `: ${cause.message}`
    : quotes
      ? ': it is malformed (SyntaxError; its message may quote the record and is left out)'
      : ''
  return new MillraceError(
    MillraceError.is(cause) && cause.code === 'USER_FUNCTION_ASYNC' ? cause.code : 'DESERIALIZATION_FAILED',
    `the record of ${place} (${sizes}) cannot be deserialized${why}. It was not passed over and nothing is lost; correct the deserializer, or let it leave such records out`,
    {
      ...(MillraceError.is(cause) || quotes ? {} : { cause }),
      next: 'The task fails and the restart strategy decides; the record is read again.',
    },
  )
}

function size(length: number): string {
  return length < 0 ? 'null' : `${length} bytes`
}
