/**
 * For tests of the producer: a cluster in memory that keeps logs as Kafka's brokers do (leaders, producer epochs, sequences,
 * the last five batches remembered, partitions of a version 1 transaction, a limit for the size of a batch) and does what a
 * script says: answer an error before or after appending, break a connection before or after, hold an answer back.
 *
 * It reads the bytes of a batch when it serves the request, not when it is sent, so that a buffer used again too early shows.
 */
import { MillraceError, SeededRandom, silentLogger } from '../../base/index.ts'
import type { AnyApi, Api, Input } from '../protocol/api.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import type { AddPartitionsToTxnRequest } from '../protocol/generated/add-partitions-to-txn.ts'
import type { ProduceRequest } from '../protocol/generated/produce.ts'
import { BatchReader } from '../records/batch-reader.ts'
import { ManualClock, settle } from './manual-clock.test-double.ts'
import type { KafkaPorts } from './options.ts'
import type { ProducerCluster, ProducerConnection, ProducerMetadata } from './producer-cluster.ts'

/** What happens to one produce request. */
export type Fate =
  | 'served'
  /** Every partition is refused with this code, nothing appended. */
  | { readonly refuse: number }
  /** Appended, and answered with this code all the same. */
  | { readonly appendAndAnswer: number }
  | 'break before serving'
  | 'break after serving'
  /** Answered so much later; what follows on the connection waits too. */
  | { readonly delayMs: number }

interface Appended {
  readonly producerId: number
  readonly epoch: number
  readonly values: string[]
}

interface ProducerState {
  epoch: number
  lastSequence: number
  recent: { readonly first: number; readonly last: number }[]
}

export class DoubleLog {
  leader: number
  /** max.message.bytes; checked before anything is known of the producer, as Kafka does. */
  bytesMax: number = Number.POSITIVE_INFINITY
  /** How many batches were refused for their size that stood in the log already. */
  refusedThoughWritten = 0
  /** Bytes of each batch appended. */
  readonly sizes: number[] = []
  readonly batches: Appended[] = []
  readonly producers: Map<number, ProducerState> = new Map()
  logStartOffset = 0
  /** As before 2.5: a producer is forgotten with its last record, and then only a beginning is taken from it. */
  forgets = false

  constructor(leader: number) {
    this.leader = leader
  }

  /** All records are deleted; what was written can still be seen in `values`. */
  deleteRecords(): void {
    this.logStartOffset = this.values.length
    this.forgets = true
    this.producers.clear()
  }

  get values(): string[] {
    return this.batches.flatMap((batch) => batch.values)
  }
}

export class DoubleCluster implements ProducerCluster {
  readonly clock: ManualClock = new ManualClock()
  readonly ports: KafkaPorts
  readonly options = { retryBackoffMs: 100, retryBackoffMaxMs: 1000 }
  readonly metadata: ProducerMetadata
  readonly logs: Map<string, DoubleLog> = new Map()
  /** Partitions by `transactionalId/producerId/epoch`. */
  readonly enlisted: Map<string, Set<string>> = new Map()
  readonly produceRequests: { version: number; transactionalId: string | null; partitions: string[]; node: number }[] =
    []
  readonly enlistRequests: { transactionalId: string; partitions: string[] }[] = []
  /** Says what happens to the next produce request. */
  fate: (request: number, node: number) => Fate = () => 'served'
  /** The code for the next AddPartitionsToTxn. */
  enlistCode: (request: number) => number = () => 0
  connectFails: (node: number) => boolean = () => false
  readonly topicIds: Map<string, string> = new Map()
  /** What the answers to produce requests ask the client to wait. */
  throttleMs = 0
  refreshes = 0
  producerIds = 0
  /** What clients believe; follows the leaders at each refresh. */
  readonly #known: Map<string, number> = new Map()
  readonly #counts: Map<string, number> = new Map()
  readonly #grown: Map<string, number> = new Map()
  readonly #connections: Map<string, DoubleConnection> = new Map()

  constructor(topics: Readonly<Record<string, number>>, nodes = 2, seed = 1) {
    this.ports = { clock: this.clock, random: new SeededRandom(seed), logger: silentLogger, network: noNetwork }
    for (const [topic, partitions] of Object.entries(topics)) {
      this.#counts.set(topic, partitions)
      for (let p = 0; p < partitions; p++) this.logs.set(`${topic}/${p}`, new DoubleLog(p % nodes))
    }
    this.#learn()
    this.metadata = {
      leader: (topic, partition) => {
        const nodeId = this.#known.get(`${topic}/${partition}`)
        return nodeId === undefined ? undefined : { nodeId, leaderEpoch: 0 }
      },
      partitionCount: (topic) => this.#counts.get(topic),
      topicId: (topic) => this.topicIds.get(topic),
      ensure: (names) => {
        for (const name of names)
          if (!this.#counts.has(name)) return Promise.reject(new MillraceError('KAFKA_UNKNOWN_TOPIC', name))
        return Promise.resolve()
      },
      refresh: async () => {
        this.refreshes++
        await settle()
        this.#learn()
      },
    }
  }

  /** The topic has so many partitions from now on; clients know it after `metadata.refresh`. */
  grow(topic: string, partitions: number): void {
    for (let p = this.#counts.get(topic) ?? 0; p < partitions; p++) this.logs.set(`${topic}/${p}`, new DoubleLog(0))
    this.#grown.set(topic, partitions)
  }

  log(name: string): DoubleLog {
    const log = this.logs.get(name)
    if (log === undefined) throw new Error(`no log ${name}`)
    return log
  }

  async connection(nodeId: number): Promise<ProducerConnection> {
    await settle()
    if (this.connectFails(nodeId)) throw new MillraceError('KAFKA_UNREACHABLE', `node ${nodeId}`, { retriable: true })
    return this.#connection(`produce ${nodeId}`, nodeId)
  }

  anyConnection(): Promise<ProducerConnection> {
    return Promise.resolve(this.#connection('control', 0))
  }

  coordinator(): Promise<ProducerConnection> {
    return Promise.resolve(this.#connection('control', 0))
  }

  forgetCoordinator(): void {}

  #connection(key: string, node: number): DoubleConnection {
    let connection = this.#connections.get(key)
    if (connection === undefined || connection.closed) {
      connection = new DoubleConnection(this, node)
      this.#connections.set(key, connection)
    }
    return connection
  }

  #learn(): void {
    for (const [topic, count] of this.#grown) this.#counts.set(topic, count)
    for (const [name, log] of this.logs) {
      if (log.leader < 0) this.#known.delete(name)
      else this.#known.set(name, log.leader)
    }
  }

  append(name: string, bytes: Buffer, node: number, transactional: string | null, version: number): number {
    const log = this.logs.get(name)
    if (log === undefined) return KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if (log.leader !== node) return KafkaErrorCode.NOT_LEADER_OR_FOLLOWER
    const reader = new BatchReader()
    reader.reset(name, 0, bytes, 0)
    if (!reader.nextBatch()) throw new Error('a produce request without a batch')
    const { producerId, producerEpoch, baseSequence, recordCount } = reader
    if (reader.isTransactional !== (transactional !== null))
      throw new Error('batch and request differ about the transaction')
    if (transactional !== null && version < 12) {
      const known = this.enlisted.get(`${transactional}/${producerId}/${producerEpoch}`)
      if (known?.has(name) !== true) return KafkaErrorCode.INVALID_TXN_STATE
    }
    if (bytes.length > log.bytesMax) {
      if (isWritten(log, producerId, producerEpoch, baseSequence)) log.refusedThoughWritten++
      return KafkaErrorCode.MESSAGE_TOO_LARGE
    }
    if (producerId >= 0) {
      const code = sequence(log, producerId, producerEpoch, baseSequence, recordCount)
      if (code !== undefined) return code
    }
    const values: string[] = []
    while (reader.next()) values.push(reader.valueString() ?? '')
    log.batches.push({ producerId, epoch: producerEpoch, values })
    log.sizes.push(bytes.length)
    return KafkaErrorCode.NONE
  }
}

/** What Kafka's ProducerStateManager says; undefined: append it. */
function sequence(
  log: DoubleLog,
  producerId: number,
  epoch: number,
  first: number,
  records: number,
): number | undefined {
  const last = first + records - 1
  const state = log.producers.get(producerId)
  if (state === undefined || epoch > state.epoch) {
    // A broker that knows nothing of a producer takes whatever comes first: it might have forgotten the beginning.
    if (first !== 0 && state === undefined && log.forgets) return KafkaErrorCode.UNKNOWN_PRODUCER_ID
    if (first !== 0 && state !== undefined) return KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    log.producers.set(producerId, { epoch, lastSequence: last, recent: [{ first, last }] })
    return undefined
  }
  if (epoch < state.epoch) return KafkaErrorCode.INVALID_PRODUCER_EPOCH
  if (state.recent.some((batch) => batch.first === first && batch.last === last)) return KafkaErrorCode.NONE
  // Also for a part of a batch that is there: only whole batches are recognised (seen with Kafka 3.9 and 4.3).
  if (first !== state.lastSequence + 1) return KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
  state.lastSequence = last
  state.recent = [...state.recent, { first, last }].slice(-5)
  return undefined
}

function isWritten(log: DoubleLog, producerId: number, epoch: number, baseSequence: number): boolean {
  const state = log.producers.get(producerId)
  return state !== undefined && state.epoch === epoch && baseSequence <= state.lastSequence
}

class DoubleConnection implements ProducerConnection {
  closed = false
  readonly #cluster: DoubleCluster
  readonly #node: number
  readonly #waiting: Set<(error: Error) => void> = new Set()
  readonly #unserved: Set<object> = new Set()
  #turn: Promise<void> = Promise.resolve()

  constructor(cluster: DoubleCluster, node: number) {
    this.#cluster = cluster
    this.#node = node
  }

  version(api: AnyApi, range: { min?: number; max?: number } = {}): number {
    return Math.min(api.maxVersion, range.max ?? api.maxVersion)
  }

  send<Q, R>(api: Api<Q, R>, request: Input<Q>, options: { version?: number } = {}): Promise<R> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    if (this.closed) {
      reject(disconnected())
      return promise as Promise<R>
    }
    this.#waiting.add(reject)
    const unserved = request as object
    this.#unserved.add(unserved)
    this.#turn = this.#turn.then(async () => {
      await settle()
      this.#unserved.delete(unserved)
      const response = await this.#serve(api.name, request, options.version ?? 0)
      if (response !== undefined && this.#waiting.delete(reject)) resolve(response)
    })
    return promise as Promise<R>
  }

  async #serve(name: string, request: unknown, version: number): Promise<unknown> {
    const cluster = this.#cluster
    if (name === 'InitProducerId') {
      return { errorCode: 0, producerId: 1000 + cluster.producerIds++, producerEpoch: 0, throttleTimeMs: 0 }
    }
    if (name === 'AddPartitionsToTxn') return this.#enlist(request as AddPartitionsToTxnRequest)
    const produce = request as ProduceRequest
    const nameOf = (topic: { name?: string; topicId?: string }): string =>
      topic.name ?? [...cluster.topicIds].find(([, id]) => id === topic.topicId)?.[0] ?? '?'
    const number = cluster.produceRequests.length
    cluster.produceRequests.push({
      version,
      transactionalId: produce.transactionalId,
      partitions: produce.topicData.flatMap((topic) => topic.partitionData.map((p) => `${nameOf(topic)}/${p.index}`)),
      node: this.#node,
    })
    const fate = cluster.fate(number, this.#node)
    if (fate === 'break before serving') return this.#break()
    const refused = typeof fate === 'object' && 'refuse' in fate ? fate.refuse : undefined
    const answered = typeof fate === 'object' && 'appendAndAnswer' in fate ? fate.appendAndAnswer : undefined
    if (typeof fate === 'object' && 'delayMs' in fate) await cluster.clock.sleep(fate.delayMs)
    const responses = produce.topicData.map((topic) => ({
      name: version > 12 ? '' : nameOf(topic),
      topicId: topic.topicId,
      partitionResponses: topic.partitionData.map((p) => {
        const append = (): number =>
          cluster.append(
            `${nameOf(topic)}/${p.index}`,
            p.records as Buffer,
            this.#node,
            produce.transactionalId,
            version,
          )
        const log = cluster.logs.get(`${nameOf(topic)}/${p.index}`)
        const baseOffset = log?.values.length ?? -1
        const code = refused ?? append()
        const errorCode = code === 0 ? (answered ?? 0) : code
        return { index: p.index, errorCode, errorMessage: null, baseOffset, logStartOffset: log?.logStartOffset ?? -1 }
      }),
    }))
    if (fate === 'break after serving') return this.#break()
    return { responses, throttleTimeMs: cluster.throttleMs }
  }

  #enlist(request: AddPartitionsToTxnRequest): unknown {
    const code = this.#cluster.enlistCode(this.#cluster.enlistRequests.length)
    const { v3AndBelowTransactionalId: id, v3AndBelowProducerId: pid, v3AndBelowProducerEpoch: epoch } = request
    const names = request.v3AndBelowTopics.flatMap((topic) => topic.partitions.map((p) => `${topic.name}/${p}`))
    this.#cluster.enlistRequests.push({ transactionalId: id, partitions: names })
    const key = `${id}/${pid}/${epoch}`
    if (code === 0) this.#cluster.enlisted.set(key, new Set([...(this.#cluster.enlisted.get(key) ?? []), ...names]))
    return {
      resultsByTopicV3AndBelow: request.v3AndBelowTopics.map((topic) => ({
        name: topic.name,
        resultsByPartition: topic.partitions.map((p) => ({ partitionIndex: p, partitionErrorCode: code })),
      })),
    }
  }

  /** Requests behind this one are served all the same, as the broker has their bytes already, but nobody hears the answers. */
  #break(): undefined {
    this.closed = true
    for (const request of this.#unserved) {
      for (const topic of (request as ProduceRequest).topicData ?? []) {
        for (const part of topic.partitionData) Object.assign(part, { records: Buffer.from(part.records as Buffer) })
      }
    }
    for (const reject of this.#waiting) reject(disconnected())
    this.#waiting.clear()
    return undefined
  }
}

function disconnected(): MillraceError {
  return new MillraceError('KAFKA_DISCONNECTED', 'the connection broke', { retriable: true })
}

const noNetwork: KafkaPorts['network'] = { connect: () => Promise.reject(new Error('no network')) }
