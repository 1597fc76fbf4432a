/**
 * A record as Kafka's consumers know it, made only for schemas that ask for whole records. Key and value are cut out when first
 * looked at, of a copy of up to 64 KB of fetched bytes that nobody writes to: a record may be kept, and keeps that much alive.
 */
import type { RecordHeader, RecordView, TimestampType } from '../../kafka/index.ts'

const NO_HEADERS: readonly RecordHeader[] = Object.freeze([])

export class ConsumerRecord {
  readonly topic: string
  readonly partition: number
  /** Milliseconds since 1970; -1 when the record has none. */
  readonly timestamp: number
  readonly timestampType: TimestampType
  readonly leaderEpoch: number
  readonly headers: readonly RecordHeader[]
  /** -1 is null. */
  readonly serializedKeySize: number
  /** -1 is null. */
  readonly serializedValueSize: number
  readonly #offset: number
  readonly #bytes: Buffer
  readonly #keyStart: number
  readonly #valueStart: number
  #key: Buffer | undefined
  #value: Buffer | undefined

  /** Of the record that the view stands on. */
  constructor(view: RecordView) {
    this.topic = view.topic
    this.partition = view.partition
    this.timestamp = view.timestamp
    this.timestampType = view.timestampType
    this.leaderEpoch = view.leaderEpoch
    this.headers = view.headerCount === 0 ? NO_HEADERS : view.headers()
    this.serializedKeySize = view.keyLength
    this.serializedValueSize = view.valueLength
    this.#offset = view.offset
    this.#bytes = view.viewed
    this.#keyStart = view.keyStart - view.viewedStart
    this.#valueStart = view.valueStart - view.viewedStart
  }

  get offset(): bigint {
    return BigInt(this.#offset)
  }

  get key(): Buffer | null {
    if (this.serializedKeySize < 0) return null
    this.#key ??= this.#bytes.subarray(this.#keyStart, this.#keyStart + this.serializedKeySize)
    return this.#key
  }

  get value(): Buffer | null {
    if (this.serializedValueSize < 0) return null
    this.#value ??= this.#bytes.subarray(this.#valueStart, this.#valueStart + this.serializedValueSize)
    return this.#value
  }
}
