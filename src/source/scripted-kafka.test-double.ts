/**
 * A Kafka cluster in memory for this room's tests: logs made of real batches, group offsets, and failures on demand. It answers
 * as the client's admin and fetcher do; time stands still in it, so tests decide what happens when.
 */
import { assert, MillraceError } from '../base/index.ts'
import {
  BatchReader,
  BatchWriter,
  type FetchedPartition,
  type KafkaMetrics,
  type KafkaProperties,
  type PartitionTrouble,
  stampBatch,
  transactionMarkerBatch,
} from '../kafka/index.ts'
import { KafkaSource } from './kafka-source.ts'
import { KafkaSourceBuilder } from './kafka-source-builder.ts'
import type { ConnectSource, SourceAdmin, SourceClient, SourceFetcher } from './source-client.ts'
import { partitionName } from './topic-partition.ts'

interface Stored {
  readonly lastOffset: number
  readonly bytes: Buffer
}

interface Record {
  readonly key?: string | null
  readonly value: string | Buffer | null
  readonly timestamp?: number
  readonly headers?: readonly { readonly key: string; readonly value: Buffer | null }[]
}

/** The log of one partition. */
export class ScriptedLog {
  logStart = 0
  end = 0
  batches: Stored[] = []
  /** Set: the next look at the log finds that it lost its end there. */
  divergence: { readonly offset: number; readonly epoch: number } | undefined
  readonly #changed: () => void

  constructor(changed: () => void) {
    this.#changed = changed
  }

  /** One batch. */
  append(...records: readonly (Record | string)[]): this {
    const writer = new BatchWriter(1024 * 1024)
    for (const record of records) {
      const {
        key = null,
        value,
        timestamp = 1_000 + this.end,
        headers = [],
      } = typeof record === 'string' ? { value: record } : record
      writer.append(timestamp, key, value, headers)
    }
    return this.#store(
      writer.close({ producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false }),
      records.length,
    )
  }

  /** The end of a transaction: takes an offset and holds no record. */
  marker(): this {
    const marker = { type: 'commit', producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1 } as const
    return this.#store(transactionMarkerBatch(marker), 1)
  }

  /** Offsets that compaction left empty; a batch must follow. */
  gap(offsets: number): this {
    this.end += offsets
    return this
  }

  /** Retention: everything below is gone. */
  deleteTo(offset: number): this {
    this.logStart = offset
    this.end = Math.max(this.end, offset)
    return this
  }

  /** An unclean election: what is at and behind the offset is gone. */
  truncateTo(offset: number): this {
    this.batches = this.batches.filter(({ lastOffset }) => lastOffset < offset)
    this.end = offset
    this.divergence = { offset, epoch: 0 }
    return this
  }

  #store(bytes: Buffer, count: number): this {
    const copy = Buffer.from(bytes)
    stampBatch(copy, { baseOffset: this.end, leaderEpoch: 0 })
    this.end += count
    this.batches.push({ lastOffset: this.end - 1, bytes: copy })
    this.#changed()
    return this
  }
}

export class ScriptedKafka {
  readonly logs: Map<string, { readonly topic: string; readonly partition: number; readonly log: ScriptedLog }> =
    new Map()
  /** By group, then by partition. */
  readonly groups: Map<string, Map<string, number>> = new Map()
  /** Every question asked, in order. */
  readonly calls: string[] = []
  readonly clients: KafkaProperties[] = []
  openClients = 0
  /** What a call throws instead of answering. */
  failure: (call: string) => Error | undefined = () => undefined
  /** What a call waits for before it answers. */
  delay: (call: string) => Promise<void> | undefined = () => undefined
  #watchers: (() => void)[] = []

  /** Adds a topic, or partitions to it. */
  topic(topic: string, partitions: number): this {
    for (let partition = 0; partition < partitions; partition++) {
      const name = partitionName({ topic, partition })
      if (!this.logs.has(name)) this.logs.set(name, { topic, partition, log: new ScriptedLog(() => this.#changed()) })
    }
    return this
  }

  /** A builder whose sources read from here. */
  sourceBuilder(): KafkaSourceBuilder<unknown> {
    const builder = new KafkaSourceBuilder<unknown>((settings) => new KafkaSource(settings, this.connect))
    return builder.setBootstrapServers('broker:9092')
  }

  log(topic: string, partition: number): ScriptedLog {
    const found = this.logs.get(partitionName({ topic, partition }))
    assert(found !== undefined, `no ${topic}-${partition}`)
    return found.log
  }

  deleteTopic(topic: string): void {
    for (const [name, entry] of this.logs) if (entry.topic === topic) this.logs.delete(name)
  }

  readonly connect: ConnectSource = (properties): SourceClient => {
    this.clients.push(properties)
    this.openClients++
    let open = true
    const admin: SourceAdmin = {
      listTopics: async () => {
        await this.#asked('listTopics')
        return this.#topics()
      },
      describeTopics: async (names) => {
        await this.#asked(`describeTopics ${names.join(',')}`)
        return names.map((name) => this.#describe(name))
      },
      listOffsets: async (request) => {
        await this.#asked(
          `listOffsets ${request.map((each) => `${partitionName(each)}@${JSON.stringify(each.at)}`).join(',')}`,
        )
        return request.map(({ topic, partition, at }) => ({
          topic,
          partition,
          timestamp: -1,
          leaderEpoch: 0,
          offset: this.#offsetAt(this.log(topic, partition), at),
        }))
      },
      groupOffsets: async (group) => {
        await this.#asked(`groupOffsets ${group}`)
        const offsets = [...(this.groups.get(group) ?? [])]
        return offsets.map(([name, offset]) => ({ ...splitName(name), offset, metadata: '', leaderEpoch: -1 }))
      },
      commitGroupOffsets: async (group, offsets) => {
        await this.#asked(`commit ${offsets.map((each) => `${partitionName(each)}:${each.offset}`).join(',')}`)
        const stored = this.groups.get(group) ?? new Map<string, number>()
        for (const each of offsets) stored.set(partitionName(each), each.offset)
        this.groups.set(group, stored)
      },
    }
    const fetcher = new ScriptedFetcher(this, (watcher) => this.#watchers.push(watcher))
    return {
      admin,
      createFetcher: () => fetcher,
      connectionMetrics: new Map([['connection-count', () => 1]]),
      close: async () => {
        if (open) this.openClients--
        open = false
        await fetcher.close()
      },
    }
  }

  async #asked(call: string): Promise<void> {
    this.calls.push(call)
    await this.delay(call)
    const failure = this.failure(call)
    if (failure !== undefined) throw failure
  }

  #topics(): string[] {
    return [...new Set([...this.logs.values()].map(({ topic }) => topic))]
  }

  #describe(name: string): {
    name: string
    topicId: string
    partitions: { partition: number; leader: number; replicas: number[]; isr: number[] }[]
  } {
    const partitions = [...this.logs.values()].filter(({ topic }) => topic === name)
    if (partitions.length === 0) throw new MillraceError('KAFKA_UNKNOWN_TOPIC', `there is no topic ${name}`)
    return {
      name,
      topicId: '',
      partitions: partitions.map(({ partition }) => ({ partition, leader: 1, replicas: [1], isr: [1] })),
    }
  }

  #offsetAt(log: ScriptedLog, at: 'earliest' | 'latest' | 'maxTimestamp' | { timestamp: number }): number {
    if (at === 'earliest') return log.logStart
    if (at === 'latest') return log.end
    if (at === 'maxTimestamp') return -1
    const reader = new BatchReader()
    reader.reset('', 0, Buffer.concat(log.batches.map(({ bytes }) => bytes)), log.logStart)
    while (reader.nextBatch()) while (reader.next()) if (reader.timestamp >= at.timestamp) return reader.offset
    return -1
  }

  #changed(): void {
    const watchers = this.#watchers
    this.#watchers = []
    for (const watcher of watchers) watcher()
  }
}

interface Fetching {
  readonly topic: string
  readonly partition: number
  readonly log: ScriptedLog
  position: number
  halted: boolean
}

class ScriptedFetcher implements SourceFetcher {
  readonly #kafka: ScriptedKafka
  readonly #watch: (watcher: () => void) => void
  readonly #fetching = new Map<string, Fetching>()
  readonly #reader = new BatchReader()

  constructor(kafka: ScriptedKafka, watch: (watcher: () => void) => void) {
    this.#kafka = kafka
    this.#watch = watch
  }

  add(topic: string, partition: number, offset: number): void {
    const name = partitionName({ topic, partition })
    assert(!this.#fetching.has(name), `${name} is fetched already`)
    this.#fetching.set(name, {
      topic,
      partition,
      log: this.#kafka.log(topic, partition),
      position: offset,
      halted: false,
    })
  }

  remove(topic: string, partition: number): void {
    this.#fetching.delete(partitionName({ topic, partition }))
  }

  seek(topic: string, partition: number, offset: number): void {
    const fetching = this.#fetching.get(partitionName({ topic, partition }))
    assert(fetching !== undefined, 'only what is fetched can be sought')
    fetching.position = offset
    fetching.halted = false
  }

  next(): FetchedPartition | PartitionTrouble | undefined {
    for (const fetching of this.#fetching.values()) {
      const { topic, partition, log, position, halted } = fetching
      if (halted) continue
      if (log.divergence !== undefined) {
        const { divergence } = log
        log.divergence = undefined
        fetching.halted = true
        const error = new MillraceError('KAFKA_LOG_TRUNCATED', `${topic}-${partition} was read up to ${position}.`)
        return { kind: 'trouble', topic, partition, offset: position, error, divergence }
      }
      if (position < log.logStart || position > log.end) {
        fetching.halted = true
        const error = new MillraceError('KAFKA_OFFSET_OUT_OF_RANGE', 'out of range')
        return { kind: 'trouble', topic, partition, offset: position, error }
      }
      const wanted = log.batches.filter(({ lastOffset }) => lastOffset >= position)
      if (wanted.length === 0) continue
      fetching.position = log.end
      this.#reader.reset(topic, partition, Buffer.concat(wanted.map(({ bytes }) => bytes)), position)
      const { end, logStart } = log
      return {
        kind: 'data',
        topic,
        partition,
        highWatermark: end,
        lastStableOffset: end,
        logStartOffset: logStart,
        reader: this.#reader,
      }
    }
    return undefined
  }

  available(): Promise<void> {
    return new Promise((resolve) => this.#watch(resolve))
  }

  endOffset(topic: string, partition: number): number | undefined {
    return this.#fetching.get(partitionName({ topic, partition }))?.log.end
  }

  lag(topic: string, partition: number): number | undefined {
    const fetching = this.#fetching.get(partitionName({ topic, partition }))
    return fetching === undefined ? undefined : fetching.log.end - fetching.position
  }

  lead(topic: string, partition: number): number | undefined {
    const fetching = this.#fetching.get(partitionName({ topic, partition }))
    return fetching === undefined ? undefined : fetching.position - fetching.log.logStart
  }

  preferredReadReplica(): number {
    return -1
  }

  get kafkaMetrics(): KafkaMetrics {
    return new Map([['records-consumed-total', () => 0]])
  }

  metrics(): { requests: number; failures: number; bytes: number } {
    return { requests: 0, failures: 0, bytes: 0 }
  }

  close(): Promise<void> {
    this.#fetching.clear()
    return Promise.resolve()
  }
}

function splitName(name: string): { topic: string; partition: number } {
  const dash = name.lastIndexOf('-')
  return { topic: name.slice(0, dash), partition: Number(name.slice(dash + 1)) }
}
