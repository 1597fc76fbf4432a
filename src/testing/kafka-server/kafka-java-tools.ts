// Apache Kafka's own Java clients at the service of tests: one JVM for each server, started at the first question.
//
// Why: a test that reads back with this project's client what this project's client wrote would not notice a mistake
// made on both sides. What always holds: records and answers are those of the Java client, unchanged; every request is
// bounded in time; when the JVM ends, all that is pending is rejected and the next request starts a new one.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { KafkaServerError } from './kafka-server-error.ts'
import { type ParentGuard, unrefProcess } from './parent-guard.ts'
import { type KafkaRecord, type RecordToProduce, readRecordFile, writeRecordFile } from './record-file.ts'

const REQUEST_TIMEOUT_MS = 120_000
const PRODUCE_TIMEOUT_MS = 240_000

export interface ReadOptions {
  /** Default `read_committed`: up to the last stable offset, without the records of aborted transactions. */
  readonly isolation?: 'read_committed' | 'read_uncommitted'
  readonly timeoutMs?: number
  /** Further settings of the Java consumer. */
  readonly properties?: Readonly<Record<string, string | number | boolean>>
}

export interface ProduceOptions {
  readonly compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /** Sends in a transaction of this id, a new one unless one of this id was left open here. */
  readonly transactionalId?: string
  /**
   * How the transaction ends; `commit` and `abort` wait until its markers are written. `open` leaves it open for the next call or `endTransaction`; `abandon` drops the
   * producer without a word, so that the broker ends the transaction by its timeout. Default `commit`.
   */
  readonly end?: 'commit' | 'abort' | 'open' | 'abandon'
  readonly timeoutMs?: number
  /** Further settings of the Java producer. */
  readonly properties?: Readonly<Record<string, string | number | boolean>>
}

/** Records made in the JVM: the fast way to fill a topic. In texts, `{i}` is the number and `{i%10}` its remainder. */
export interface GeneratedRecords {
  readonly count: number
  /** The first number; default 0. */
  readonly from?: number
  readonly value: string
  /** Pads each value with spaces to this length. */
  readonly valueBytes?: number
  readonly key?: string
  /** Record i goes to partition i modulo this; without it and `partition`, Kafka's partitioner decides. */
  readonly partitions?: number
  readonly partition?: number
  readonly timestampFrom?: number
  /** Milliseconds from one record to the next; default 1. */
  readonly timestampStep?: number
}

export interface ProduceResult {
  readonly count: number
  readonly partitions: readonly {
    readonly partition: number
    readonly count: number
    readonly first: number
    readonly last: number
  }[]
}

export interface TopicPartitionOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export interface TopicDescription {
  readonly topic: string
  readonly topicId: string
  readonly partitions: readonly {
    readonly partition: number
    readonly leader: number | null
    readonly replicas: readonly number[]
    readonly isr: readonly number[]
  }[]
  readonly config: Readonly<Record<string, string>>
}

export interface TransactionListing {
  readonly transactionalId: string
  readonly producerId: number
  readonly state: string
}

export interface TransactionDescription {
  readonly state: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly timeoutMs: number
  readonly partitions: readonly { readonly topic: string; readonly partition: number }[]
}

export interface ActiveProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly lastSequence: number
  readonly lastTimestamp: number
  /** Where the open transaction of this producer begins in the partition; null when there is none. */
  readonly transactionStartOffset: number | null
}

export interface KafkaJavaToolsInput {
  readonly java: string
  readonly flags: readonly string[]
  readonly classpath: string
  readonly bootstrapServers: string
  readonly directory: string
  readonly guard: ParentGuard
}

interface Pending {
  readonly op: string
  readonly resolve: (result: unknown) => void
  readonly reject: (error: KafkaServerError) => void
  readonly deadline: NodeJS.Timeout
}

interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
  readonly message?: string
}

/**
 * Kafka's own producer, consumer and admin client, for what a test needs to prepare or to check.
 *
 * ```ts
 * await server.createTopic('in', { partitions: 4 })
 * await server.java.produceJson('in', [{ id: 1 }, { id: 2 }])
 * await server.java.produceGenerated('in', { count: 500_000, key: 'k{i%100}', value: '{"id":{i}}', partitions: 4 })
 * const records = await server.java.readAll('out', { isolation: 'read_committed' })
 * ```
 */
export class KafkaJavaTools {
  readonly #input: KafkaJavaToolsInput
  readonly #pending = new Map<number, Pending>()
  readonly #logFile: string
  #process: ChildProcess | undefined
  #lastId = 0
  #closed = false

  constructor(input: KafkaJavaToolsInput) {
    this.#input = input
    this.#logFile = join(input.directory, 'java-tools.log')
  }

  /** The process id of the JVM once it is started. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** All records between the beginning and the end that each partition has now, in the order of each partition. */
  async readAll(topic: string, options: ReadOptions = {}): Promise<KafkaRecord[]> {
    const file = this.#newFile('read')
    const timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS
    try {
      await this.request('read', { topic, file, ...options, timeoutMs }, timeoutMs + 5_000)
      return readRecordFile(file)
    } finally {
      rmSync(file, { force: true })
    }
  }

  /** Sends the records and waits until all are acknowledged. */
  async produce(
    topic: string,
    records: Iterable<RecordToProduce>,
    options: ProduceOptions = {},
  ): Promise<ProduceResult> {
    const file = this.#newFile('produce')
    try {
      writeRecordFile(file, records)
      return await this.#produce({ topic, file, ...options }, options)
    } finally {
      rmSync(file, { force: true })
    }
  }

  /** Sends each value as JSON. */
  produceJson<T>(
    topic: string,
    values: Iterable<T>,
    options: ProduceOptions & { readonly key?: (value: T) => string; readonly partition?: (value: T) => number } = {},
  ): Promise<ProduceResult> {
    const { key, partition, ...rest } = options
    return this.produce(topic, jsonRecords(values, key, partition), rest)
  }

  /** Sends records that are made in the JVM. */
  produceGenerated(topic: string, generate: GeneratedRecords, options: ProduceOptions = {}): Promise<ProduceResult> {
    return this.#produce({ topic, generate, ...options }, options)
  }

  /** Ends a transaction that `produce` left open; after `commit` and `abort` its markers are written. */
  async endTransaction(transactionalId: string, end: 'commit' | 'abort' | 'abandon'): Promise<void> {
    await this.request('endTransaction', { transactionalId, end })
  }

  /** One offset for each partition; a number asks for the first offset at or after that time (-1: none). */
  async offsets(topic: string, at: 'earliest' | 'latest' | 'last-stable' | number = 'latest'): Promise<number[]> {
    return (await this.request('offsets', { topic, at })) as number[]
  }

  async groupOffsets(group: string): Promise<(TopicPartitionOffset & { readonly metadata: string })[]> {
    return (await this.request('groupOffsets', { group })) as (TopicPartitionOffset & { readonly metadata: string })[]
  }

  async setGroupOffsets(group: string, offsets: readonly TopicPartitionOffset[]): Promise<void> {
    await this.request('setGroupOffsets', { group, offsets })
  }

  async transactions(): Promise<TransactionListing[]> {
    return (await this.request('transactions', {})) as TransactionListing[]
  }

  async describeTransaction(transactionalId: string): Promise<TransactionDescription> {
    return (await this.request('describeTransaction', { transactionalId })) as TransactionDescription
  }

  /** The producers a partition knows, with where their open transactions begin. */
  async producers(topic: string, partition: number): Promise<ActiveProducer[]> {
    return (await this.request('producers', { topic, partition })) as ActiveProducer[]
  }

  /** Aborts what is open under this id and shuts its producers out. */
  async fence(transactionalId: string): Promise<void> {
    await this.request('fence', { transactionalId })
  }

  /** The finalized features of the cluster and their levels. A feature at level 0 is not listed. */
  async features(): Promise<Readonly<Record<string, number>>> {
    return (await this.request('features', {})) as Readonly<Record<string, number>>
  }

  async listTopics(): Promise<string[]> {
    return (await this.request('listTopics', {})) as string[]
  }

  async describeTopic(topic: string): Promise<TopicDescription> {
    return (await this.request('describeTopic', { topic })) as TopicDescription
  }

  async setTopicConfig(topic: string, config: Readonly<Record<string, string | number | boolean>>): Promise<void> {
    await this.request('setTopicConfig', { topic, config })
  }

  /** Raises the number of partitions of a topic, and waits until they are led. */
  async createPartitions(topic: string, partitions: number): Promise<void> {
    await this.request('createPartitions', { topic, partitions })
  }

  /** Moves the beginning of a partition forward, as retention does. */
  async deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void> {
    await this.request('deleteRecords', { topic, partition, beforeOffset })
  }

  /** Sends one request by its name in KafkaTools.java. */
  request(
    op: string,
    args: Readonly<Record<string, unknown>>,
    timeoutMs: number = REQUEST_TIMEOUT_MS,
  ): Promise<unknown> {
    if (this.#closed) return Promise.reject(new KafkaServerError('KAFKA_FATAL', `${op}: the server is closed`))
    return new Promise((resolve, reject) => {
      const child = this.#start()
      const id = ++this.#lastId
      const deadline = setTimeout(() => {
        this.#settle(id)?.reject(this.#error('KAFKA_TIMEOUT', `${op} was not answered within ${timeoutMs} ms`))
      }, timeoutMs)
      this.#pending.set(id, { op, resolve, reject, deadline })
      child.stdin?.write(`${JSON.stringify({ id, op, args })}\n`)
    })
  }

  /** Ends the JVM. Idempotent; a later request is an error. */
  async close(): Promise<void> {
    this.#closed = true
    const child = this.#process
    if (child === undefined) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.ref()
    child.kill('SIGKILL')
    await exited
  }

  #produce(args: Readonly<Record<string, unknown>>, options: ProduceOptions): Promise<ProduceResult> {
    return this.request('produce', args, options.timeoutMs ?? PRODUCE_TIMEOUT_MS) as Promise<ProduceResult>
  }

  #newFile(purpose: string): string {
    const folder = join(this.#input.directory, 'records')
    mkdirSync(folder, { recursive: true })
    return join(folder, `${purpose}-${++this.#lastId}`)
  }

  #start(): ChildProcess {
    if (this.#process !== undefined) return this.#process
    const log = openSync(this.#logFile, 'a')
    const args = ['-cp', this.#input.classpath, 'KafkaTools', 'tools', this.#input.bootstrapServers]
    const child = spawn(this.#input.java, [...this.#input.flags, ...args], {
      stdio: ['pipe', 'pipe', log],
      detached: true,
      cwd: this.#input.directory,
    })
    closeSync(log)
    this.#process = child
    child.stdin?.on('error', () => {})
    if (child.pid !== undefined) this.#input.guard.enter(child.pid)
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => this.#take(line))
    const gone = (why: string): void => {
      if (child.pid !== undefined) this.#input.guard.takeOut(child.pid)
      if (this.#process !== child) return
      this.#process = undefined
      const error = this.#error('KAFKA_DISCONNECTED', `ended ${why}`)
      for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(error)
    }
    child.once('exit', (code, signal) => gone(`with ${signal ?? `code ${code}`}`))
    child.once('error', (error) => gone(`: ${error.message}`))
    unrefProcess(child)
    return child
  }

  #take(line: string): void {
    const answer = JSON.parse(line) as Answer
    const pending = this.#settle(answer.id)
    if (pending === undefined) return
    if (answer.error === undefined) {
      pending.resolve(answer.result)
      return
    }
    const said = `${pending.op} was refused by Kafka: ${answer.error}: ${answer.message ?? ''}`
    pending.reject(this.#error('KAFKA_FATAL', said, answer.error))
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    clearTimeout(pending?.deadline)
    return pending
  }

  #error(
    code: 'KAFKA_FATAL' | 'KAFKA_TIMEOUT' | 'KAFKA_DISCONNECTED',
    what: string,
    javaClass?: string,
  ): KafkaServerError {
    const where = `The Java tools of the Kafka at ${this.#input.bootstrapServers}`
    const options = javaClass === undefined ? {} : { javaClass }
    return new KafkaServerError(code, `${where}: ${what}`, { ...options, logs: [this.#logFile] })
  }
}

function* jsonRecords<T>(
  values: Iterable<T>,
  key: ((value: T) => string) | undefined,
  partition: ((value: T) => number) | undefined,
): Generator<RecordToProduce> {
  for (const value of values) {
    yield {
      value: JSON.stringify(value),
      ...(key === undefined ? {} : { key: key(value) }),
      ...(partition === undefined ? {} : { partition: partition(value) }),
    }
  }
}
