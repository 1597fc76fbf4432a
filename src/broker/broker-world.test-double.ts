/**
 * For tests of the broker: a broker in this process with this project's own client on it, and short ways to write, read and
 * ask. Everything goes over the protocol; the clock is the system's unless a test brings its own.
 */
import assert from 'node:assert/strict'
import { type Clock, SeededRandom, SystemClock, silentLogger, type Timer } from '../base/index.ts'
import {
  type Api,
  BatchWriter,
  type BrokerConnection,
  type ConnectionPurpose,
  Fetcher,
  type Input,
  initProducerId,
  KafkaAdmin,
  KafkaCluster,
  type KafkaProperties,
  kafkaError,
  type ProduceResponsePartition,
  Producer,
  type ProducerIdentity,
  parseClusterOptions,
  parseFetcherOptions,
  parseProducerOptions,
  produceApi,
  type TransactionHandle,
  type TransactionVersion,
} from '../kafka/index.ts'
import { EmbeddedBroker, type EmbeddedBrokerOptions } from './embedded-broker.ts'

/** The system's clock, but for timers of one length, which wait until they are let go: what they would do is not done meanwhile. */
export class HoldingClock extends SystemClock {
  #heldMs: number | undefined
  readonly #held: Set<() => void> = new Set()

  /** From now on. */
  hold(delayMs: number): void {
    this.#heldMs = delayMs
  }

  /** Those that are held fire now, in the order in which they were set, and later ones by themselves. */
  letGo(): void {
    this.#heldMs = undefined
    const held = [...this.#held]
    this.#held.clear()
    for (const callback of held) callback()
  }

  override setTimer(delayMs: number, callback: () => void, options?: Parameters<SystemClock['setTimer']>[2]): Timer {
    if (delayMs !== this.#heldMs) return super.setTimer(delayMs, callback, options)
    // The same callback may be set twice.
    const own = (): void => callback()
    this.#held.add(own)
    return { cancel: () => void this.#held.delete(own) }
  }
}

export interface SeenValue {
  readonly offset: number
  readonly value: string | null
}

export interface BatchToSend {
  readonly values: readonly string[]
  readonly producerId?: number
  readonly epoch?: number
  readonly sequence?: number
  readonly transactionalId?: string
  readonly version?: number
  readonly timestamp?: number
}

export class BrokerWorld {
  readonly broker: EmbeddedBroker
  readonly cluster: KafkaCluster
  readonly admin: KafkaAdmin
  readonly clock: Clock
  readonly #clusters: KafkaCluster[] = []

  constructor(options: Partial<EmbeddedBrokerOptions> = {}) {
    this.clock = options.clock ?? new SystemClock()
    this.broker = new EmbeddedBroker({ random: new SeededRandom(7), ...options, clock: this.clock })
    this.cluster = this.connect()
    this.admin = new KafkaAdmin(this.cluster)
  }

  /** One more client. */
  connect(properties: KafkaProperties = {}): KafkaCluster {
    const options = parseClusterOptions({ 'bootstrap.servers': this.broker.bootstrapServers, ...properties })
    const ports = {
      network: this.broker.network,
      clock: this.clock,
      random: new SeededRandom(11),
      logger: silentLogger,
    }
    const cluster = new KafkaCluster(options, ports)
    this.#clusters.push(cluster)
    return cluster
  }

  producer(properties: KafkaProperties = {}): Producer {
    return new Producer(this.cluster, parseProducerOptions({ 'linger.ms': 0, ...properties }))
  }

  async close(): Promise<void> {
    for (const cluster of this.#clusters) await cluster.close()
    await this.broker.close()
  }

  /** Asks one node and gives its answer as it came. */
  async ask<Q, R>(
    api: Api<Q, R>,
    request: Input<Q>,
    options: { readonly version?: number; readonly node?: number; readonly purpose?: ConnectionPurpose } = {},
  ): Promise<R> {
    const connection = await this.connection(options.node, options.purpose)
    return connection.send(api, request, options.version === undefined ? {} : { version: options.version })
  }

  connection(node = 1, purpose: ConnectionPurpose = 'control'): Promise<BrokerConnection> {
    return this.cluster.connection(node, purpose)
  }

  /** One batch, as given, to its leader. */
  async send(topic: string, partition: number, batch: BatchToSend): Promise<ProduceResponsePartition> {
    const { producerId = -1, epoch = -1, sequence = -1, transactionalId, version = 12 } = batch
    const writer = new BatchWriter(1 << 20)
    for (const value of batch.values) writer.append(batch.timestamp ?? this.clock.now(), null, value)
    const transactional = transactionalId !== undefined
    const records = writer.close({ producerId, producerEpoch: epoch, baseSequence: sequence, transactional })
    const request = {
      transactionalId: transactionalId ?? null,
      acks: -1,
      timeoutMs: 60_000,
      topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
    }
    const node = this.broker.leaderOf(topic, partition)
    const response = await this.ask(produceApi, request, { version, node, purpose: 'produce' })
    const answer = response.responses[0]?.partitionResponses[0]
    assert.ok(answer !== undefined)
    return answer
  }

  /** The name of the error that a batch is answered with. */
  async sent(topic: string, partition: number, batch: BatchToSend): Promise<string> {
    return kafkaError((await this.send(topic, partition, batch)).errorCode).name
  }

  /** All values a reader sees now, from the beginning to the end of its isolation. */
  async read(
    topic: string,
    isolation: 'read_committed' | 'read_uncommitted' = 'read_committed',
  ): Promise<SeenValue[][]> {
    const [description] = await this.admin.describeTopics([topic])
    const partitions = description?.partitions.length ?? 0
    const questions = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
    const starts = await this.admin.listOffsets(questions.map((question) => ({ ...question, at: 'earliest' })))
    const ends = await this.admin.listOffsets(
      questions.map((question) => ({ ...question, at: 'latest' })),
      { isolation },
    )
    const fetcher = new Fetcher(this.cluster, parseFetcherOptions({ 'isolation.level': isolation }))
    const seen = questions.map((): SeenValue[] => [])
    for (const { partition } of questions) fetcher.add(topic, partition, starts[partition]?.offset ?? 0)
    const atEnd = (partition: number): boolean =>
      (fetcher.position(topic, partition) ?? 0) >= (ends[partition]?.offset ?? 0)
    while (!questions.every(({ partition }) => atEnd(partition))) {
      const part = fetcher.next()
      if (part === undefined) await fetcher.available()
      else if (part.kind === 'trouble') throw part.error
      else {
        while (part.reader.nextBatch()) {
          while (part.reader.next()) {
            seen[part.partition]?.push({ offset: part.reader.offset, value: part.reader.valueString() })
          }
        }
      }
    }
    await fetcher.close()
    return seen
  }

  async values(topic: string, isolation?: 'read_committed' | 'read_uncommitted'): Promise<(string | null)[]> {
    return (await this.read(topic, isolation)).flat().map(({ value }) => value)
  }

  /** An open transaction with one record in each partition, all acknowledged: as after a barrier. */
  async flushed(
    transactionalId: string,
    topic: string,
    options: {
      readonly version?: TransactionVersion
      readonly timeoutMs?: number
      readonly identity?: ProducerIdentity
    } = {},
  ): Promise<TransactionHandle> {
    const { version = 2, timeoutMs = 60_000, identity } = options
    const producer = this.producer()
    const writer = await producer.topic(topic)
    const begun = identity ?? (await initProducerId(this.cluster, transactionalId, timeoutMs))
    producer.beginTransaction(transactionalId, version, Promise.resolve(begun))
    const [description] = await this.admin.describeTopics([topic])
    for (const { partition } of description?.partitions ?? []) writer.append(partition, 1, null, `${transactionalId}`)
    const { handle } = await producer.seal()
    await producer.close()
    assert.ok(handle !== undefined)
    return handle
  }

  /** `State producerId/epoch`, as soon as it is none on the way to another. */
  async describe(transactionalId: string): Promise<string> {
    for (let round = 0; ; round++) {
      const [found] = (await this.admin.describeTransactions([transactionalId])) ?? []
      assert.ok(found !== undefined)
      const { state, producerId, producerEpoch } = found
      if (state === 'NotFound') return state
      if (!state.startsWith('Prepare') || round >= 1_000) return `${state} ${producerId}/${producerEpoch}`
      await this.clock.sleep(5)
    }
  }
}
