/**
 * Acts a scenario out with this project's client, against whatever broker it is given, and gives the answers in the form in
 * which Kafka's Java client gave them (java/Recorder.java does the same steps; ../scenario.ts says what each means).
 *
 * What always holds: what is asked goes over the wire and nothing else does; every wait is bounded; errors are answers, and
 * anything that is no operating error fails the test.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '../../src/base/index.ts'
import {
  deleteRecordsApi,
  endTransaction,
  Fetcher,
  initProducerId,
  KafkaAdmin,
  type KafkaCluster,
  KafkaErrorCode,
  kafkaError,
  Producer,
  type ProducerIdentity,
  parseFetcherOptions,
  parseProducerOptions,
  type TransactionDescription,
  type TransactionHandle,
  transactionVersion,
} from '../../src/kafka/index.ts'
import type { BrokerUnderTest } from './broker-under-test.ts'
import { connect } from './connect.ts'
import { takeAll } from './read-records.ts'
import type { Answer, Step } from './scenario.ts'
import { bytesOf, type SeenRecord, shownRecords, shownTime } from './shown.ts'

/** Ends what hangs. */
const WAIT_MS = 120_000

type StepOf<Kind extends Step['do']> = Extract<Step, { readonly do: Kind }>

interface Writer {
  readonly producer: Producer
  id: string | undefined
  /** The identity for the next transaction, when the broker gave one. */
  next: ProducerIdentity | undefined
  appended: number
}

interface Reader {
  /** Of its own: on one connection, the long poll of one reader would hold up the next. */
  readonly cluster: KafkaCluster
  readonly fetcher: Fetcher
  readonly topic: string
  readonly partitions: number
  readonly isolation: 'read_committed' | 'read_uncommitted'
  readonly paused: Set<number>
  /** Partitions with trouble that was not sought away. */
  readonly resting: Map<number, MillraceError>
}

/** The broker's answer as an error, without what this client makes of it. */
class Refused extends Error {
  readonly kafkaName: string

  constructor(kafkaName: string) {
    super(kafkaName)
    this.kafkaName = kafkaName
  }
}

export class ClientUnderTest {
  readonly #broker: BrokerUnderTest
  readonly #cluster: KafkaCluster
  readonly #admin: KafkaAdmin
  readonly #prefix: string
  readonly #writers: Map<string, Writer> = new Map()
  readonly #readers: Map<string, Reader> = new Map()
  readonly #topics: Set<string> = new Set()

  constructor(broker: BrokerUnderTest, prefix: string) {
    this.#broker = broker
    this.#cluster = connect(broker)
    this.#admin = new KafkaAdmin(this.#cluster, { timeoutMs: WAIT_MS })
    this.#prefix = prefix
  }

  async act(step: Step): Promise<Answer> {
    try {
      return await this.#act(step)
    } catch (error) {
      if (error instanceof Refused) return { error: error.kafkaName }
      if (MillraceError.is(error)) return { error: error.code, message: error.message }
      throw error
    }
  }

  async close(): Promise<void> {
    for (const { producer } of this.#writers.values()) await producer.close({ discard: true })
    for (const { fetcher, cluster } of this.#readers.values()) {
      await fetcher.close()
      await cluster.close()
    }
    await this.#cluster.close()
  }

  #act(step: Step): Promise<Answer> {
    switch (step.do) {
      case 'createTopic':
        return this.#createTopic(step)
      case 'produce':
        return this.#produce(step)
      case 'begin':
        return this.#begin(step)
      case 'commit':
        return this.#end(step.producer, true)
      case 'abort':
        return this.#end(step.producer, false)
      case 'expire':
        return this.#expired(step.id)
      case 'describeTransaction':
        return this.#describeTransaction(step.id)
      case 'listTransactions':
        return this.#listTransactions(step)
      case 'read':
        return this.#read(step)
      case 'seek':
        return this.#seek(step)
      case 'pause':
      case 'resume':
        return this.#rest(step)
      case 'offsets':
        return this.#offsets(step)
      case 'deleteRecords':
        return this.#deleteRecords(step)
      case 'commitGroup':
        return this.#commitGroup(step)
      case 'groupOffsets':
        return this.#groupOffsets(step)
      case 'describeTopic':
        return this.#describeTopic(step)
      case 'describeConfigs':
        return this.#describeConfigs(step)
    }
  }

  #name(name: string): string {
    return this.#prefix + name
  }

  async #createTopic({ topic, partitions, replicationFactor, config }: StepOf<'createTopic'>): Promise<Answer> {
    const all = { ...config, 'retention.ms': -1 }
    await this.#admin.createTopics([{ name: this.#name(topic), partitions, replicationFactor, config: all }])
    this.#topics.add(this.#name(topic))
    return 'ok'
  }

  async #describeTopic({ topic }: StepOf<'describeTopic'>): Promise<Answer> {
    const [found] = await this.#admin.describeTopics([this.#name(topic)])
    return { partitions: found?.partitions.length, replicas: found?.partitions[0]?.replicas.length }
  }

  async #describeConfigs({ topic, keys }: StepOf<'describeConfigs'>): Promise<Answer> {
    const found = await this.#admin.describeConfigs({ type: 'topic', name: this.#name(topic) }, keys)
    return Object.fromEntries(keys.map((key) => [key, found.get(key)]))
  }

  async #deleteRecords({ topic, partition, before }: StepOf<'deleteRecords'>): Promise<Answer> {
    const name = this.#name(topic)
    await this.#cluster.metadata.ensure([name])
    const leader = this.#cluster.metadata.leader(name, partition)
    assert.ok(leader !== undefined)
    const connection = await this.#cluster.connection(leader.nodeId, 'control')
    const request = {
      topics: [{ name, partitions: [{ partitionIndex: partition, offset: before }] }],
      timeoutMs: WAIT_MS,
    }
    const response = await connection.send(deleteRecordsApi, request)
    const result = response.topics[0]?.partitions[0]
    assert.ok(result !== undefined)
    if (result.errorCode !== KafkaErrorCode.NONE) throw new Refused(kafkaError(result.errorCode).name)
    return { lowWatermark: result.lowWatermark }
  }

  #writer(name: string, settings: Readonly<Record<string, string | number>>): Writer {
    let writer = this.#writers.get(name)
    if (writer === undefined) {
      const producer = new Producer(this.#cluster, parseProducerOptions(settings))
      writer = { producer, id: undefined, next: undefined, appended: 0 }
      this.#writers.set(name, writer)
    }
    return writer
  }

  async #produce({ producer: name, topic, records, settings }: StepOf<'produce'>): Promise<Answer> {
    const writer = this.#writer(name, settings)
    const { producer } = writer
    const handle = await producer.topic(this.#name(topic))
    for (const { partition, timestamp, key, value, headers } of records) {
      const all = headers.map(([key, value]) => ({ key, value: bytesOf(value) }))
      handle.append(partition, timestamp, bytesOf(key), bytesOf(value), all)
      writer.appended++
    }
    const until = performance.now() + WAIT_MS
    while (producer.metrics().recordsAcknowledged < writer.appended) {
      if (producer.failure !== undefined) throw producer.failure
      assert.ok(performance.now() < until, `${name} has not written all to ${topic} in time`)
      await sleep(2)
    }
    return 'ok'
  }

  async #begin({ producer: name, id, timeoutMs, settings }: StepOf<'begin'>): Promise<Answer> {
    const writer = this.#writer(name, settings)
    const version = await transactionVersion(this.#cluster)
    writer.id = id
    const identity = writer.next ?? (await initProducerId(this.#cluster, this.#name(id), timeoutMs))
    writer.next = undefined
    writer.producer.beginTransaction(this.#name(id), version, Promise.resolve(identity))
    return 'ok'
  }

  async #end(name: string, commit: boolean): Promise<Answer> {
    const writer = this.#writers.get(name)
    assert.ok(writer?.id !== undefined)
    const { handle } = await writer.producer.seal()
    if (handle === undefined) return 'ok'
    await this.#endHandle(writer, handle, commit)
    if (await this.#isDescribed(writer.id)) return this.#settled(writer.id)
    // Where nobody tells the state (before 3.0), the same request again is answered when the markers are written.
    await this.#endHandle(writer, handle, commit)
    return 'ok'
  }

  async #endHandle(writer: Writer, handle: TransactionHandle, commit: boolean): Promise<void> {
    const outcome = await endTransaction(this.#cluster, handle, commit, { deadlineMs: WAIT_MS })
    if (outcome.kind === 'refused') throw new Refused(outcome.error)
    if (outcome.kind === 'undecided') throw outcome.error
    writer.next = outcome.next
  }

  async #isDescribed(id: string): Promise<boolean> {
    return (await this.#admin.describeTransactions([this.#name(id)])) !== undefined
  }

  async #expired(id: string): Promise<Answer> {
    if (await this.#isDescribed(id)) return this.#settled(id)
    const questions = [...this.#topics].map((topic) => ({ topic, partition: 0, at: 'latest' as const }))
    const until = performance.now() + WAIT_MS
    for (;;) {
      const stable = await this.#admin.listOffsets(questions, { isolation: 'read_committed' })
      const ends = await this.#admin.listOffsets(questions)
      if (stable.every(({ offset }, index) => offset === ends[index]?.offset)) return 'ok'
      assert.ok(performance.now() < until, `a transaction stays open though ${id} is past its time limit`)
      await sleep(50)
    }
  }

  async #settled(id: string): Promise<Answer> {
    const until = performance.now() + WAIT_MS
    for (;;) {
      const { state } = await this.#describe(id)
      if (state !== 'Ongoing' && !state.startsWith('Prepare')) return 'ok'
      assert.ok(performance.now() < until, `the transaction of ${id} stays ${state}`)
      await sleep(10)
    }
  }

  async #describe(id: string): Promise<TransactionDescription> {
    const found = await this.#admin.describeTransactions([this.#name(id)])
    assert.ok(found?.[0] !== undefined, 'the broker describes transactions')
    if (found[0].state === 'NotFound') throw new Refused('TRANSACTIONAL_ID_NOT_FOUND')
    return found[0]
  }

  async #describeTransaction(id: string): Promise<Answer> {
    const { state, timeoutMs, startTimeMs, partitions } = await this.#describe(id)
    const names = partitions.map(({ topic, partition }) => `${topic.slice(this.#prefix.length)}-${partition}`)
    return { state, timeoutMs, started: startTimeMs >= 0, partitions: names.sort() }
  }

  async #listTransactions({ states }: StepOf<'listTransactions'>): Promise<Answer> {
    const found = await this.#admin.listTransactions({ states })
    assert.ok(found !== undefined, 'the broker lists transactions')
    const own = found.filter(({ transactionalId }) => transactionalId.startsWith(this.#prefix))
    return Object.fromEntries(own.map((one) => [one.transactionalId.slice(this.#prefix.length), one.state]))
  }

  async #reader({ reader: name, topic, isolation, from, settings }: StepOf<'read'>): Promise<Reader> {
    let reader = this.#readers.get(name)
    if (reader === undefined) {
      const full = this.#name(topic)
      await this.#cluster.metadata.ensure([full])
      const partitions = this.#cluster.metadata.partitionCount(full) ?? 0
      const options = parseFetcherOptions({ ...settings, 'isolation.level': isolation })
      const cluster = connect(this.#broker)
      const fetcher = new Fetcher(cluster, options)
      reader = { cluster, fetcher, topic: full, partitions, isolation, paused: new Set(), resting: new Map() }
      this.#readers.set(name, reader)
      for (let partition = 0; partition < partitions; partition++) fetcher.add(full, partition, from)
    }
    return reader
  }

  async #read(step: StepOf<'read'>): Promise<Answer> {
    const reader = await this.#reader(step)
    const { fetcher, topic, isolation } = reader
    const active = Array.from({ length: reader.partitions }, (_, partition) => partition).filter(
      (partition) => !reader.paused.has(partition),
    )
    const questions = active.map((partition) => ({ topic, partition, at: 'latest' as const }))
    const ends = new Map(
      (await this.#admin.listOffsets(questions, { isolation })).map(({ partition, offset }) => [partition, offset]),
    )
    const seen = new Map<number, SeenRecord[]>(active.map((partition) => [partition, []]))
    const until = performance.now() + WAIT_MS
    const atEnd = (partition: number): boolean => fetcher.position(topic, partition) === ends.get(partition)
    while (!active.every(atEnd)) {
      const [trouble] = reader.resting.values()
      if (trouble !== undefined) throw trouble
      assert.ok(performance.now() < until, `${topic} was not read to its end in time`)
      const part = fetcher.next()
      if (part === undefined) await Promise.race([fetcher.available(), sleep(50)])
      else if (part.kind === 'trouble') reader.resting.set(part.partition, part.error)
      else takeAll(part.reader, seen.get(part.partition) ?? [])
    }
    return active.map((partition) => ({
      partition,
      position: fetcher.position(topic, partition),
      ...shownRecords(seen.get(partition) ?? []),
    }))
  }

  #seek({ reader: name, partition, offset }: StepOf<'seek'>): Promise<Answer> {
    const reader = this.#readers.get(name)
    assert.ok(reader !== undefined)
    reader.resting.delete(partition)
    reader.fetcher.seek(reader.topic, partition, offset)
    return Promise.resolve('ok')
  }

  #rest({ do: kind, reader: name, partition }: StepOf<'pause' | 'resume'>): Promise<Answer> {
    const reader = this.#readers.get(name)
    assert.ok(reader !== undefined)
    if (kind === 'pause') {
      reader.paused.add(partition)
      reader.fetcher.pause(reader.topic, partition)
    } else {
      reader.paused.delete(partition)
      reader.fetcher.resume(reader.topic, partition)
    }
    return Promise.resolve('ok')
  }

  async #offsets({ topic, partitions, at, isolation }: StepOf<'offsets'>): Promise<Answer> {
    const questions = Array.from({ length: partitions }, (_, partition) => ({
      topic: this.#name(topic),
      partition,
      at,
    }))
    const found = await this.#admin.listOffsets(questions, { isolation })
    return found.map(({ partition, offset, timestamp }) => ({ partition, offset, timestamp: shownTime(timestamp) }))
  }

  async #commitGroup({ group, offsets }: StepOf<'commitGroup'>): Promise<Answer> {
    const all = offsets.map((one) => ({ ...one, topic: this.#name(one.topic) }))
    await this.#admin.commitGroupOffsets(this.#name(group), all)
    return 'ok'
  }

  async #groupOffsets({ group }: StepOf<'groupOffsets'>): Promise<Answer> {
    const found = await this.#admin.groupOffsets(this.#name(group))
    const shown = found.map(({ topic, partition, offset, metadata, leaderEpoch }) => ({
      topic: topic.slice(this.#prefix.length),
      partition,
      offset,
      metadata,
      leaderEpoch,
    }))
    return shown.sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition)
  }
}
