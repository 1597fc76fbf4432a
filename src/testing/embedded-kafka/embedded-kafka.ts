/**
 * A Kafka in this process, for tests of jobs: there in milliseconds, gone with `close`, no Docker and no Java. Programs reach
 * it over TCP at `bootstrapServers`; jobs in this process may take `network` for shorter ways, at the same address or at
 * the one it has without TCP. It runs on real time, or on the clock it is given. What it does not do as Apache Kafka does, docs/embedded-broker.md says.
 *
 * What always holds: what `produce` resolved for is there for readers; nothing is shared between two of them.
 */
import {
  type Clock,
  MillraceError,
  type Network,
  SystemClock,
  SystemRandom,
  silentLogger,
  TcpNetwork,
} from '../../base/index.ts'
import {
  type BrokerListener,
  type BrokerSettings,
  EmbeddedBroker,
  type EmbeddedTopicOptions,
} from '../../broker/index.ts'
import {
  endTransaction,
  Fetcher,
  initProducerId,
  KafkaAdmin,
  KafkaCluster,
  Producer,
  type ProducerTopic,
  parseClusterOptions,
  parseFetcherOptions,
  parseProducerOptions,
  transactionVersion,
} from '../../kafka/index.ts'
import type { KafkaRecord, RecordToProduce } from '../kafka-server/record-file.ts'

export interface EmbeddedKafkaOptions {
  /** Topics to begin with, by name. */
  readonly topics?: Readonly<Record<string, EmbeddedTopicOptions>>
  /** Default true, without a clock of its own. Without it the broker is reached through `network` only. */
  readonly tcp?: boolean
  /** Virtual nodes; default 1. */
  readonly nodes?: number
  /** Bytes of records in all; default 1 GiB. More are refused. */
  readonly memoryBytesMax?: number
  readonly settings?: Partial<BrokerSettings>
  /** Default real time. On a SimulatedClock, which cannot wait for sockets, without TCP. */
  readonly clock?: Clock
  /** How transactions are ended; default 2, as in a new Kafka 4 cluster. */
  readonly transactionVersion?: 1 | 2
}

export interface EmbeddedProduceOptions {
  /** Writes in a transaction of this id. */
  readonly transactionalId?: string
  /** How the transaction ends: default `commit`; `open` leaves it open, as a program that died does. */
  readonly end?: 'commit' | 'abort' | 'open'
}

export interface EmbeddedReadOptions {
  /** Default `read_committed`: up to the last stable offset, without the records of aborted transactions. */
  readonly isolation?: 'read_committed' | 'read_uncommitted'
}

const TRANSACTION_TIMEOUT_MS = 60_000
const SETTLE_PAUSE_MS = 2
const SETTLE_TRIES = 2_500

export class EmbeddedKafka implements AsyncDisposable {
  /** For `bootstrap.servers`. */
  readonly bootstrapServers: string
  /** Reaches this broker without sockets, and everything else over TCP. */
  readonly network: Network
  /** The broker itself: faults, nodes that stop, leaders that move, transactions that expire. */
  readonly broker: EmbeddedBroker
  readonly #cluster: KafkaCluster
  readonly #admin: KafkaAdmin

  private constructor(broker: EmbeddedBroker, listener: BrokerListener | undefined, clock: Clock) {
    this.broker = broker
    this.bootstrapServers = listener?.bootstrapServers ?? broker.bootstrapServers
    this.network = listener === undefined ? broker.network : new TcpNetwork()
    const ports = {
      network: broker.network,
      clock,
      random: new SystemRandom(),
      logger: silentLogger,
    }
    this.#cluster = new KafkaCluster(parseClusterOptions({ 'bootstrap.servers': broker.bootstrapServers }), ports)
    this.#admin = new KafkaAdmin(this.#cluster)
  }

  static async start(options: EmbeddedKafkaOptions = {}): Promise<EmbeddedKafka> {
    const { tcp = options.clock === undefined, clock = new SystemClock(), ...settings } = options
    const broker = new EmbeddedBroker({ ...settings, clock, random: new SystemRandom() })
    return new EmbeddedKafka(broker, tcp ? await broker.listen() : undefined, clock)
  }

  createTopic(name: string, options: EmbeddedTopicOptions = {}): void {
    this.broker.createTopic(name, options)
  }

  /** Writes records; a plain text is a record of that value. Resolves when all are acknowledged, and the transaction ended. */
  async produce(
    topic: string,
    records: Iterable<RecordToProduce | string>,
    options: EmbeddedProduceOptions = {},
  ): Promise<void> {
    const producer = new Producer(this.#cluster, parseProducerOptions({ 'linger.ms': 0 }))
    try {
      const writer = await producer.topic(topic)
      const { transactionalId } = options
      if (transactionalId !== undefined) {
        const version = await transactionVersion(this.#cluster)
        const identity = initProducerId(this.#cluster, transactionalId, TRANSACTION_TIMEOUT_MS)
        producer.beginTransaction(transactionalId, version, identity)
      }
      const nowMs = this.#cluster.ports.clock.now()
      for (const record of records) {
        if (producer.blocked) await producer.writable()
        append(writer, typeof record === 'string' ? { value: record } : record, nowMs)
      }
      const { handle } = await producer.seal()
      if (handle === undefined || options.end === 'open') return
      const outcome = await endTransaction(this.#cluster, handle, options.end !== 'abort', { deadlineMs: 10_000 })
      if (outcome.kind === 'ended') return await this.#settled(handle.transactionalId)
      throw new MillraceError('KAFKA_TRANSACTION_ABORTED', `the transaction of ${transactionalId}: ${outcome.error}`)
    } finally {
      await producer.close({ discard: true })
    }
  }

  /** Writes each value as JSON. */
  async produceJson<T>(
    topic: string,
    values: Iterable<T>,
    options: EmbeddedProduceOptions & { readonly key?: (value: T) => string } = {},
  ): Promise<void> {
    const { key, ...rest } = options
    const records = Array.from(values, (value) => ({ key: key?.(value) ?? null, value: JSON.stringify(value) }))
    await this.produce(topic, records, rest)
  }

  /** All records that a reader sees at this moment, by partition and offset. */
  async readAll(topic: string, options: EmbeddedReadOptions = {}): Promise<KafkaRecord[]> {
    const isolation = options.isolation ?? 'read_committed'
    const [description] = await this.#admin.describeTopics([topic])
    const places = (description?.partitions ?? []).map((_, partition) => ({ topic, partition }))
    const begins = await this.#admin.listOffsets(places.map((place) => ({ ...place, at: 'earliest' })))
    const ends = await this.#admin.listOffsets(
      places.map((place) => ({ ...place, at: 'latest' })),
      { isolation },
    )
    const fetcher = new Fetcher(this.#cluster, parseFetcherOptions({ 'isolation.level': isolation }))
    try {
      for (const { partition } of places) fetcher.add(topic, partition, begins[partition]?.offset ?? 0)
      const records = await readTo(
        fetcher,
        topic,
        ends.map(({ offset }) => offset),
      )
      return records.flat()
    } finally {
      await fetcher.close()
    }
  }

  /** A broker answers before it writes the markers that readers wait for. */
  async #settled(transactionalId: string): Promise<void> {
    for (let tries = 0; tries < SETTLE_TRIES; tries++) {
      const [found] = (await this.#admin.describeTransactions([transactionalId])) ?? []
      if (found === undefined || !found.state.startsWith('Prepare')) return
      await this.#cluster.ports.clock.sleep(SETTLE_PAUSE_MS)
    }
    throw new MillraceError('KAFKA_TIMEOUT', `the markers of the transaction of ${transactionalId} were not written`)
  }

  async close(): Promise<void> {
    await this.#cluster.close()
    await this.broker.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function append(writer: ProducerTopic, record: RecordToProduce, nowMs: number): void {
  const headers = record.headers?.map(({ key, value }) => ({
    key,
    value: typeof value === 'string' ? Buffer.from(value) : value,
  }))
  writer.append(record.partition ?? -1, record.timestamp ?? nowMs, record.key ?? null, record.value, headers)
}

/** The records of each partition below its end. */
async function readTo(fetcher: Fetcher, topic: string, ends: readonly number[]): Promise<KafkaRecord[][]> {
  const records = ends.map((): KafkaRecord[] => [])
  const atEnds = (): boolean => ends.every((end, partition) => (fetcher.position(topic, partition) ?? 0) >= end)
  for (;;) {
    const part = fetcher.next()
    if (part === undefined) {
      if (atEnds()) return records
      await fetcher.available()
      continue
    }
    if (part.kind === 'trouble') throw part.error
    const { partition, reader } = part
    while (reader.nextBatch()) {
      while (reader.next()) {
        // Later ones came while this was reading; the answer is that of one moment.
        if (reader.offset >= (ends[partition] ?? 0)) continue
        records[partition]?.push({
          partition,
          offset: reader.offset,
          timestamp: reader.timestamp,
          timestampType: 'CreateTime',
          key: reader.key(),
          value: reader.value(),
          headers: reader.headerCount === 0 ? [] : reader.headers(),
        })
      }
    }
  }
}
