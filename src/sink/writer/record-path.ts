/**
 * From an element to bytes in the producer's batch: the sink's part of the record path. For a schema made by the builder
 * the parts are called directly and nothing is allocated for a record; an object with `serialize` costs its own record.
 *
 * `append` answers false when the partitions of the record's topic are not known yet. Nothing has happened to the element
 * then; `missing` names the topic, `learn` brings it, and the element is appended again.
 */
import { type Clock, MillraceError } from '../../base/index.ts'
import { type Counter, NO_TIMESTAMP, type RuntimeContext } from '../../core/index.ts'
import type { KafkaPartitioner } from '../serializer/kafka-partitioner.ts'
import {
  BuiltRecordSerializationSchema,
  type FieldSerializer,
  type HeaderProvider,
  type KafkaRecordSerializationSchema,
  type KafkaSinkContext,
  type ProducerRecord,
  type RecordParts,
  type TimestampProvider,
  type TopicSelector,
} from '../serializer/kafka-record-serialization-schema.ts'
import type { RecordTopic } from './record-producer.ts'

type Field = Uint8Array | string | null

/** Whether there is a transaction to append to; records outside of transactions find it open always. */
export interface TransactionGate {
  readonly isOpen: boolean
  begin(): void
}

export interface RecordPathOptions {
  readonly gate: TransactionGate
  readonly clock: Clock
  readonly context: RuntimeContext
  readonly sent: Counter
  readonly skipped: Counter
}

export interface RecordPath<T> {
  /** Topics to ask for before the first record. */
  readonly topics: readonly string[]
  open(): Promise<void>
  append(element: T, timestamp: number): boolean
  readonly missing: string
  learn(topic: RecordTopic): void
  close(): Promise<void>
}

export function createRecordPath<T>(
  schema: KafkaRecordSerializationSchema<T>,
  options: RecordPathOptions,
): RecordPath<T> {
  if (schema instanceof BuiltRecordSerializationSchema) return new BuiltRecordPath<T>(schema.parts, options)
  return new CustomRecordPath(schema, options)
}

/** A topic with the list of its partitions, made again when their number grows. */
class Route {
  readonly topic: RecordTopic
  #partitions: readonly number[] = []

  constructor(topic: RecordTopic) {
    this.topic = topic
  }

  get partitions(): readonly number[] {
    const { partitionCount } = this.topic
    if (this.#partitions.length !== partitionCount) {
      this.#partitions = Object.freeze(Array.from({ length: partitionCount }, (_, index) => index))
    }
    return this.#partitions
  }
}

/** One maker of keys or values in one subtask. */
interface FieldMaker<T> {
  serialize(element: T, topic: string): Field
}

class BuiltRecordPath<T> implements RecordPath<T> {
  readonly topics: readonly string[]
  missing = ''
  readonly #options: RecordPathOptions
  readonly #parts: RecordParts<T>
  readonly #gate: TransactionGate
  readonly #sent: Counter
  readonly #fixedTopic: string
  readonly #topicSelector: TopicSelector<T> | undefined
  readonly #key: FieldMaker<T> | undefined
  readonly #value: FieldMaker<T>
  readonly #partitioner: KafkaPartitioner<T> | undefined
  readonly #headers: HeaderProvider<T> | undefined
  readonly #timestamp: TimestampProvider<T> | undefined
  readonly #closers: (() => void | Promise<void>)[] = []
  readonly #routes = new Map<string, Route>()
  #lastName = ''
  #last: Route | undefined

  constructor(parts: RecordParts<T>, options: RecordPathOptions) {
    this.#options = options
    this.#parts = parts
    this.#gate = options.gate
    this.#sent = options.sent
    this.#fixedTopic = typeof parts.topic === 'string' ? parts.topic : ''
    this.#topicSelector = typeof parts.topic === 'string' ? undefined : parts.topic
    this.topics = typeof parts.topic === 'string' ? [parts.topic] : []
    this.#key = parts.key === undefined ? undefined : this.#maker(parts.key, true)
    this.#value = this.#maker(parts.value, false)
    this.#partitioner = parts.partitioner?.copy?.() ?? parts.partitioner
    this.#headers = parts.headers
    this.#timestamp = parts.timestamp
  }

  async open(): Promise<void> {
    const { context } = this.#options
    const { key, value } = this.#parts
    if (key?.kind === 'schema') await key.schema.open?.(context)
    if (value.kind === 'schema') await value.schema.open?.(context)
    this.#partitioner?.open?.(context.subtask, context.parallelism)
  }

  append(element: T, timestamp: number): boolean {
    const name = this.#topicSelector === undefined ? this.#fixedTopic : this.#topicSelector(element)
    const route = name === this.#lastName ? this.#last : this.#find(name)
    if (route === undefined) return false
    const key = this.#key === undefined ? null : (this.#key.serialize(element, name) ?? null)
    const value = this.#value.serialize(element, name) ?? null
    if (typeof value !== 'string') checkField(value, 'value', name)
    if (typeof key !== 'string') checkField(key, 'key', name)
    let partition = -1
    if (this.#partitioner !== undefined) {
      partition = this.#partitioner.partition(element, key, value, name, route.partitions)
      checkPartition(partition, route.topic)
    }
    const headers = this.#headers === undefined ? undefined : (this.#headers(element) ?? undefined)
    if (this.#timestamp !== undefined) timestamp = provided(this.#timestamp(element, known(timestamp)))
    if (!(timestamp >= 0)) timestamp = this.#options.clock.now()
    if (!this.#gate.isOpen) this.#gate.begin()
    route.topic.append(partition, timestamp, key, value, headers)
    this.#sent.value++
    return true
  }

  #find(name: string): Route | undefined {
    const route = this.#routes.get(name)
    if (route === undefined) {
      checkTopicName(name)
      this.missing = name
    } else {
      this.#lastName = name
      this.#last = route
    }
    return route
  }

  learn(topic: RecordTopic): void {
    this.#routes.set(topic.name, new Route(topic))
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0)) await close()
  }

  #maker(field: FieldSerializer<T>, isKey: boolean): FieldMaker<T> {
    if (field.kind === 'schema') return field.schema
    const serializer = field.make()
    serializer.configure(field.config, isKey)
    this.#closers.push(() => serializer.close())
    return { serialize: (element, topic) => serializer.serialize(topic, element) }
  }
}

/** What `partitionsForTopic` throws for a topic not known yet; it never leaves the path. */
class TopicNotKnown extends Error {}

class CustomRecordPath<T> implements RecordPath<T>, KafkaSinkContext {
  readonly topics: readonly string[] = []
  missing = ''
  readonly parallelInstanceId: number
  readonly numberOfParallelInstances: number
  readonly #schema: KafkaRecordSerializationSchema<T>
  readonly #options: RecordPathOptions
  readonly #routes = new Map<string, Route>()

  constructor(schema: KafkaRecordSerializationSchema<T>, options: RecordPathOptions) {
    this.#schema = schema
    this.#options = options
    this.parallelInstanceId = options.context.subtask
    this.numberOfParallelInstances = options.context.parallelism
  }

  async open(): Promise<void> {
    await this.#schema.open?.(this.#options.context, this)
  }

  partitionsForTopic(topic: string): readonly number[] {
    const route = this.#routes.get(topic)
    if (route !== undefined) return route.partitions
    checkTopicName(topic)
    this.missing = topic
    throw new TopicNotKnown(`the partitions of "${topic}" are being asked for`)
  }

  append(element: T, timestamp: number): boolean {
    let record: ProducerRecord | null
    try {
      record = this.#schema.serialize(element, this, known(timestamp))
    } catch (error) {
      if (error instanceof TopicNotKnown) return false
      throw error
    }
    if (record === null) {
      this.#options.skipped.value++
      return true
    }
    return this.#appendRecord(record)
  }

  #appendRecord(record: ProducerRecord): boolean {
    const { gate, clock, sent } = this.#options
    const route = this.#routes.get(record.topic)
    if (route === undefined) {
      checkTopicName(record.topic)
      this.missing = record.topic
      return false
    }
    const key = record.key ?? null
    const value = record.value ?? null
    checkField(key, 'key', record.topic)
    checkField(value, 'value', record.topic)
    const partition = record.partition ?? -1
    if (record.partition !== undefined) checkPartition(partition, route.topic)
    let timestamp = provided(record.timestamp)
    if (!(timestamp >= 0)) timestamp = clock.now()
    if (!gate.isOpen) gate.begin()
    route.topic.append(partition, timestamp, key, value, record.headers)
    sent.value++
    return true
  }

  learn(topic: RecordTopic): void {
    this.#routes.set(topic.name, new Route(topic))
  }

  async close(): Promise<void> {}
}

/** An element's timestamp as users see it: null when it has none. */
function known(timestamp: number): number | null {
  return timestamp === NO_TIMESTAMP ? null : timestamp
}

/** A timestamp that users gave; negative when they gave none. */
function provided(timestamp: number | null | undefined): number {
  return timestamp === null || timestamp === undefined ? -1 : timestamp
}

function checkField(field: Field, what: string, topic: string): void {
  if (field === null || typeof field === 'string' || field instanceof Uint8Array) return
  const given: unknown = field
  if (given instanceof Promise) {
    given.catch(() => undefined)
    throw new MillraceError(
      'USER_FUNCTION_ASYNC',
      `the ${what} serializer for topic "${topic}" answers with a promise; serializing is synchronous: do asynchronous work in asyncMap before the sink`,
    )
  }
  throw new MillraceError(
    'SERIALIZATION_FAILED',
    `the ${what} serializer for topic "${topic}" must answer with bytes, text or null, not ${typeof given}`,
  )
}

function checkTopicName(topic: string): void {
  if (typeof topic === 'string' && topic !== '') return
  throw new MillraceError('SERIALIZATION_FAILED', `the name of a topic is needed, not ${JSON.stringify(topic)}`)
}

function checkPartition(partition: number, topic: RecordTopic): void {
  if (Number.isInteger(partition) && partition >= 0 && partition < topic.partitionCount) return
  throw new MillraceError(
    'KAFKA_UNKNOWN_PARTITION',
    `a record was meant for partition ${partition} of topic "${topic.name}", which has partitions 0 to ${topic.partitionCount - 1}`,
  )
}
