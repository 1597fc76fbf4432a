/**
 * A model of Kafka's transaction coordinator and of what readers see, for tests of the sink's protocol: it answers as a real
 * broker was observed to, for both transaction versions, in one place and without a network. What it claims is checked
 * against Apache Kafka by the same questions (transaction-model.kafka-test.ts).
 */
import { assert, MillraceError } from '../../base/index.ts'
import type { RuntimePorts } from '../../core/index.ts'
import type { KafkaProperties, ParsedSinkProperties, SinkConnection, SinkConnector } from '../sink-connector.ts'
import type { RecordProducer, RecordTopic, SealedRecords } from '../writer/record-producer.ts'
import type {
  EndOutcome,
  ProducerIdentity,
  TransactionGateway,
  TransactionHandle,
  TransactionListing,
  TransactionSnapshot,
  TransactionVersion,
} from './transaction-gateway.ts'

const EPOCH_LAST = 32_766

type ModelState = 'Empty' | 'Ongoing' | 'CompleteCommit' | 'CompleteAbort'

interface ModelTransaction {
  producerId: number
  epoch: number
  state: ModelState
  /** Under version 2 a repeat of the last end is known by this, also after the producer id rolled over. */
  last: ProducerIdentity | undefined
  records: ModelRecord[]
}

export interface ModelRecord {
  readonly topic: string
  readonly partition: number
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
}

export type ModelCall = 'clusterId' | 'version' | 'init' | 'end' | 'describe' | 'list' | 'topic' | 'produce'

export class TransactionModel {
  version: TransactionVersion = 2
  clusterId = 'model-cluster'
  maxTimeoutMs: number | undefined = 900_000
  canDescribe = true
  canList = true
  readonly topics: Map<string, number> = new Map()
  /** What read_committed readers see, in the order of the commits. */
  readonly visible: ModelRecord[] = []
  /** Every request with the id it names, in order. */
  readonly calls: string[] = []
  /** Awaited before each call is answered: tests hold calls back, or make them fail by rejecting. */
  before: (call: ModelCall, id: string) => void | Promise<void> = () => undefined
  readonly #ids = new Map<string, ModelTransaction>()
  #nextProducerId = 1000

  async called(call: ModelCall, id: string): Promise<void> {
    this.calls.push(id === '' ? call : `${call} ${id}`)
    await this.before(call, id)
  }

  init(id: string): ProducerIdentity {
    let found = this.#ids.get(id)
    if (found === undefined) {
      found = { producerId: this.#nextProducerId++, epoch: -1, state: 'Empty', last: undefined, records: [] }
      this.#ids.set(id, found)
    }
    if (found.state === 'Ongoing') this.#bump(found)
    found.state = 'Empty'
    found.last = undefined
    found.records = []
    this.#bump(found)
    return { producerId: found.producerId, epoch: found.epoch }
  }

  /** The first records of a transaction open it. */
  produce(handle: TransactionHandle, records: readonly ModelRecord[]): void {
    const found = this.#ids.get(handle.transactionalId)
    if (found === undefined || found.producerId !== handle.producerId || found.epoch !== handle.epoch) {
      throw new MillraceError('KAFKA_FENCED', `"${handle.transactionalId}" is another's`)
    }
    if (found.state !== 'Ongoing') found.records = []
    found.state = 'Ongoing'
    found.records.push(...records)
  }

  end(handle: TransactionHandle, commit: boolean): EndOutcome {
    const refused = (error: string): EndOutcome => ({ kind: 'refused', error })
    const found = this.#ids.get(handle.transactionalId)
    if (found === undefined) return refused('INVALID_PRODUCER_ID_MAPPING')
    const wanted: ModelState = commit ? 'CompleteCommit' : 'CompleteAbort'
    const ended = { kind: 'ended', concurrentAnswers: 0 } as const
    if (found.producerId === handle.producerId && found.epoch === handle.epoch) {
      if (found.state === 'Ongoing') {
        this.#finish(found, wanted)
        if (handle.version === 1) return { ...ended, next: undefined }
        found.last = { producerId: handle.producerId, epoch: handle.epoch }
        this.#bump(found)
        return { ...ended, next: { producerId: found.producerId, epoch: found.epoch } }
      }
      if (handle.version === 1 && found.state === wanted) return { ...ended, next: undefined }
      return refused('INVALID_TXN_STATE')
    }
    const repeat = found.last?.producerId === handle.producerId && found.last.epoch === handle.epoch
    if (handle.version === 2 && repeat && found.state !== 'Ongoing' && found.state !== 'Empty') {
      if (found.state !== wanted) return refused('INVALID_TXN_STATE')
      return { ...ended, next: { producerId: found.producerId, epoch: found.epoch } }
    }
    return refused(found.producerId === handle.producerId ? 'PRODUCER_FENCED' : 'INVALID_PRODUCER_ID_MAPPING')
  }

  /** The broker aborts what was open too long. */
  expire(id: string): void {
    const found = this.#ids.get(id)
    assert(found?.state === 'Ongoing', `"${id}" is not open`)
    found.last = { producerId: found.producerId, epoch: found.epoch }
    this.#finish(found, 'CompleteAbort')
    this.#bump(found)
  }

  /** transactional.id.expiration.ms has passed. */
  forget(id: string): void {
    this.#ids.delete(id)
  }

  setEpoch(id: string, epoch: number): void {
    const found = this.#ids.get(id)
    assert(found !== undefined, `"${id}" is not known`)
    found.epoch = epoch
  }

  describe(id: string): TransactionSnapshot {
    const found = this.#ids.get(id)
    if (found === undefined) return { transactionalId: id, state: 'NotFound', producerId: -1, producerEpoch: -1 }
    return { transactionalId: id, state: found.state, producerId: found.producerId, producerEpoch: found.epoch }
  }

  open(): string[] {
    return [...this.#ids].filter(([, one]) => one.state === 'Ongoing').map(([id]) => id)
  }

  ids(): string[] {
    return [...this.#ids.keys()]
  }

  #finish(found: ModelTransaction, state: ModelState): void {
    if (state === 'CompleteCommit') this.visible.push(...found.records)
    found.state = state
    found.records = []
  }

  #bump(found: ModelTransaction): void {
    if (found.epoch >= EPOCH_LAST) {
      found.producerId = this.#nextProducerId++
      found.epoch = 0
    } else found.epoch++
  }
}

export class ModelGateway implements TransactionGateway {
  readonly #model: TransactionModel

  constructor(model: TransactionModel) {
    this.#model = model
  }

  async clusterId(): Promise<string> {
    await this.#model.called('clusterId', '')
    return this.#model.clusterId
  }

  async transactionVersion(): Promise<TransactionVersion> {
    await this.#model.called('version', '')
    return this.#model.version
  }

  async initProducerId(transactionalId: string): Promise<ProducerIdentity> {
    await this.#model.called('init', transactionalId)
    return this.#model.init(transactionalId)
  }

  async endTransaction(handle: TransactionHandle, commit: boolean): Promise<EndOutcome> {
    try {
      await this.#model.called('end', `${handle.transactionalId} ${commit ? 'commit' : 'abort'}`)
    } catch (error) {
      if (MillraceError.is(error)) return { kind: 'undecided', error }
      throw error
    }
    return this.#model.end(handle, commit)
  }

  async describe(ids: readonly string[]): Promise<readonly TransactionSnapshot[] | undefined> {
    await this.#model.called('describe', '')
    return this.#model.canDescribe ? ids.map((id) => this.#model.describe(id)) : undefined
  }

  async list(states: readonly string[]): Promise<readonly TransactionListing[] | undefined> {
    await this.#model.called('list', '')
    if (!this.#model.canList) return undefined
    return this.#model
      .ids()
      .map((id) => this.#model.describe(id))
      .filter(({ state }) => states.includes(state))
  }

  async transactionMaxTimeoutMs(): Promise<number | undefined> {
    return this.#model.maxTimeoutMs
  }

  async close(): Promise<void> {}
}

interface Scope {
  readonly begin: Promise<TransactionHandle> | undefined
  readonly records: ModelRecord[]
}

/** Sends everything at the seal. */
export class ModelProducer implements RecordProducer {
  blocked = false
  failure: MillraceError | undefined
  readonly #model: TransactionModel
  #scope: Scope = { begin: undefined, records: [] }
  #closed = false

  constructor(model: TransactionModel) {
    this.#model = model
  }

  async topic(name: string): Promise<RecordTopic> {
    await this.#model.called('topic', name)
    const model = this.#model
    if (!model.topics.has(name)) throw new MillraceError('KAFKA_UNKNOWN_TOPIC', `topic "${name}" does not exist`)
    return {
      name,
      get partitionCount() {
        return model.topics.get(name) ?? 0
      },
      append: (partition, timestamp, key, value) => this.#append({ topic: name, partition, timestamp }, key, value),
    }
  }

  #append(
    where: Pick<ModelRecord, 'topic' | 'partition' | 'timestamp'>,
    key: Uint8Array | string | null,
    value: Uint8Array | string | null,
  ): void {
    if (this.failure !== undefined) throw this.failure
    this.#scope.records.push({ ...where, key: textOf(key), value: textOf(value) })
  }

  async writable(): Promise<void> {}

  nudges = 0

  nudge(): void {
    this.nudges++
  }

  beginTransaction(_transactionalId: string, begin: Promise<TransactionHandle>): void {
    this.#scope = { begin, records: [] }
  }

  async seal(): Promise<SealedRecords> {
    const scope = this.#scope
    this.#scope = { begin: undefined, records: [] }
    const counts = new Map<string, number>()
    for (const { topic } of scope.records) counts.set(topic, (counts.get(topic) ?? 0) + 1)
    const handle = await scope.begin
    await this.#send(handle, scope.records)
    return { handle: counts.size === 0 ? undefined : handle, records: counts, beganAtMs: 1_700_000_000_000 }
  }

  /** Sends what was appended so far without sealing, as a linger timer would. */
  async flush(): Promise<void> {
    const { begin, records } = this.#scope
    await this.#send(await begin, records.splice(0))
  }

  async #send(handle: TransactionHandle | undefined, records: readonly ModelRecord[]): Promise<void> {
    if (records.length === 0) return
    await this.#model.called('produce', handle?.transactionalId ?? '')
    if (this.#closed) throw new MillraceError('CANCELLED', 'closed')
    if (handle === undefined) this.#model.visible.push(...records)
    else this.#model.produce(handle, records)
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  readonly kafkaMetrics: RecordProducer['kafkaMetrics'] = new Map([['record-send-total', () => 7]])

  metrics(): ReturnType<RecordProducer['metrics']> {
    return { bytesSent: 0, recordErrors: 0, sendTimeMs: -1 }
  }
}

export class ModelConnector implements SinkConnector {
  readonly model: TransactionModel
  /** The last producer made. */
  producer: ModelProducer | undefined

  constructor(model: TransactionModel) {
    this.model = model
  }

  parse(properties: KafkaProperties): ParsedSinkProperties {
    const timeout = properties['transaction.timeout.ms']
    return { transactionTimeoutMs: timeout === undefined ? undefined : Number(timeout), apiTimeoutMs: 60_000 }
  }

  connect(_properties: KafkaProperties, _ports: RuntimePorts): SinkConnection {
    return {
      gateway: new ModelGateway(this.model),
      createProducer: () => {
        this.producer = new ModelProducer(this.model)
        return this.producer
      },
      close: async () => undefined,
    }
  }
}

function textOf(field: Uint8Array | string | null): string | null {
  return field === null || typeof field === 'string' ? field : Buffer.from(field).toString('utf8')
}
