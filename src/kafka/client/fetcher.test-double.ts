/**
 * For tests of the fetcher: a cluster in memory whose brokers keep real batches and answer fetch requests as Kafka's do (leaders
 * and epochs, high watermark and last stable offset, aborted transactions, the long poll, the limits in bytes), and do what a
 * script says instead when a test gives one.
 */
import { MillraceError, SeededRandom, silentLogger } from '../../base/index.ts'
import type { AnyApi, Api, Input } from '../protocol/api.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { type FetchRequest, type FetchRequestPartition, fetchApi } from '../protocol/generated/fetch.ts'
import type { OffsetForLeaderEpochRequest } from '../protocol/generated/offset-for-leader-epoch.ts'
import { LEADER_EPOCH, stampBatch } from '../records/batch-layout.ts'
import { BatchWriter } from '../records/batch-writer.ts'
import { transactionMarkerBatch } from '../records/control-batch.ts'
import { FetchSessionsDouble } from './fetch-sessions.test-double.ts'
import type { FetcherCluster, FetcherConnection, FetcherMetadata } from './fetcher-cluster.ts'
import { ManualClock, settle } from './manual-clock.test-double.ts'
import type { KafkaPorts } from './options.ts'

export class StoredLog {
  leader: number
  leaderEpoch = 0
  start = 0
  end = 0
  batches: { readonly base: number; readonly last: number; bytes: Buffer }[] = []
  /** Open transactions: the first offset by producer id. */
  readonly open: Map<number, number> = new Map()
  readonly aborted: { readonly producerId: number; readonly firstOffset: number; readonly lastOffset: number }[] = []

  constructor(leader: number) {
    this.leader = leader
  }

  get lastStableOffset(): number {
    return Math.min(this.end, ...this.open.values())
  }

  append(values: readonly string[], producerId = -1): void {
    const writer = new BatchWriter(1 << 20)
    for (const value of values) writer.append(1000, null, value)
    const identity = { producerId, producerEpoch: producerId < 0 ? -1 : 0, baseSequence: producerId < 0 ? -1 : 0 }
    if (producerId >= 0 && !this.open.has(producerId)) this.open.set(producerId, this.end)
    this.#store(writer.close({ ...identity, transactional: producerId >= 0 }), values.length)
  }

  finish(producerId: number, type: 'commit' | 'abort'): void {
    const firstOffset = this.open.get(producerId)
    if (firstOffset === undefined) throw new Error(`producer ${producerId} has no transaction here`)
    this.open.delete(producerId)
    if (type === 'abort') this.aborted.push({ producerId, firstOffset, lastOffset: this.end })
    this.#store(transactionMarkerBatch({ type, producerId, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1000 }), 1)
  }

  /** An unclean election: a replica that has nothing from `end` on becomes the leader. */
  truncate(end: number, leader: number = this.leader): void {
    this.batches = this.batches.filter((batch) => batch.base < end)
    this.end = end
    this.leader = leader
    this.leaderEpoch++
  }

  /** Where the last epoch up to this one ends. */
  endOf(epoch: number): { epoch: number; endOffset: number } {
    const after = this.batches.find((batch) => epochOf(batch.bytes) > epoch)
    const last = this.batches.findLast((batch) => epochOf(batch.bytes) <= epoch)
    if (last === undefined) return { epoch, endOffset: after?.base ?? this.end }
    const found = epoch === this.leaderEpoch ? epoch : epochOf(last.bytes)
    return { epoch: found, endOffset: after?.base ?? this.end }
  }

  /** As compaction leaves it: offsets without records. */
  skip(offsets: number): void {
    this.end += offsets
  }

  #store(bytes: Buffer, count: number): void {
    stampBatch(bytes, { baseOffset: this.end, leaderEpoch: this.leaderEpoch })
    this.batches.push({ base: this.end, last: this.end + count - 1, bytes })
    this.end += count
  }
}

export type FetchFate =
  | 'served'
  | 'break'
  | { readonly refuse: number }
  | { readonly damage: (records: Buffer) => void }

interface Answer {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  readonly divergingEpoch: { readonly epoch: number; readonly endOffset: number }
  readonly preferredReadReplica: number
  readonly abortedTransactions: { readonly producerId: number; readonly firstOffset: number }[] | null
  readonly records: Buffer | null
}

export interface SeenRequest {
  readonly node: number
  readonly version: number
  /** Everything the broker is to answer for, as `topic/partition@offset`: what it remembers and what the request names. */
  readonly asked: readonly string[]
  readonly named: readonly string[]
  /** By topic id where topics go by id. */
  readonly forgotten: readonly string[]
  readonly sessionId: number
  readonly sessionEpoch: number
}

export class FetchDoubleCluster implements FetcherCluster {
  readonly clock: ManualClock = new ManualClock()
  readonly ports: KafkaPorts
  readonly options = { retryBackoffMs: 100, retryBackoffMaxMs: 1000, metadataMaxAgeMs: 300_000, clientRack: '' }
  readonly metadata: FetcherMetadata
  readonly logs: Map<string, StoredLog> = new Map()
  readonly requests: SeenRequest[] = []
  /** What each answer without an error of its own named. */
  readonly told: string[][] = []
  /** Where fetches stood, with the epoch they named. */
  readonly epochs: { readonly offset: number; readonly epoch: number }[] = []
  /** This node says that its log is another one. */
  divergesAt = -1
  /** What was asked by OffsetForLeaderEpoch. */
  readonly validations: string[] = []
  /** The version of Fetch that brokers here speak; 0: they do not know OffsetForLeaderEpoch. */
  versions: { fetch?: number; epochs?: 0 } = {}
  readonly topicIds: Map<string, string> = new Map()
  fate: (request: number, node: number) => FetchFate = () => 'served'
  down: Set<number> = new Set()
  /** A follower that leaders recommend, and that serves what they do. */
  follower = -1
  inFlight = 0
  inFlightMax = 0
  readonly #known: Map<string, { readonly nodeId: number; readonly leaderEpoch: number }> = new Map()
  readonly #counts: Map<string, number> = new Map()
  readonly #connections: Map<number, FetcherConnection> = new Map()
  readonly #sessions: Map<number, FetchSessionsDouble> = new Map()

  constructor(topics: Readonly<Record<string, number>>, nodes = 1) {
    const network: KafkaPorts['network'] = { connect: () => Promise.reject(new Error('no network')) }
    this.ports = { clock: this.clock, random: new SeededRandom(1), logger: silentLogger, network }
    for (const [topic, count] of Object.entries(topics)) this.create(topic, count, nodes)
    this.learn()
    this.metadata = {
      leader: (topic, partition) => this.#known.get(`${topic}/${partition}`),
      partitionCount: (topic) => (this.#known.has(`${topic}/0`) ? this.#counts.get(topic) : undefined),
      topicId: (topic) => this.topicIds.get(topic),
      ensure: async (names) => {
        await settle()
        this.learn()
        for (const name of names) if (!this.#counts.has(name)) throw new MillraceError('KAFKA_UNKNOWN_TOPIC', name)
      },
      refresh: async () => {
        await settle()
        this.learn()
      },
    }
  }

  create(topic: string, partitions: number, nodes = 1): void {
    this.#counts.set(topic, partitions)
    for (let p = 0; p < partitions; p++) this.logs.set(`${topic}/${p}`, new StoredLog(p % nodes))
  }

  log(name: string): StoredLog {
    const log = this.logs.get(name)
    if (log === undefined) throw new Error(`no log ${name}`)
    return log
  }

  learn(): void {
    for (const [name, log] of this.logs) this.#known.set(name, { nodeId: log.leader, leaderEpoch: log.leaderEpoch })
  }

  async connection(nodeId: number): Promise<FetcherConnection> {
    await settle()
    if (this.down.has(nodeId)) throw new MillraceError('KAFKA_UNREACHABLE', `node ${nodeId}`, { retriable: true })
    const standing = this.#connections.get(nodeId)
    if (standing !== undefined) return standing
    const connection: FetcherConnection = {
      giveBack: (memory) => {
        this.givenBack++
        // Whoever still looks at it sees nonsense.
        Buffer.from(memory).fill(0xee)
      },
      version: (api: AnyApi, range?: { min?: number; max?: number }) => {
        const isFetch = api.key === fetchApi.key
        if (!isFetch && this.versions.epochs === 0) throw new MillraceError('KAFKA_VERSION_UNSUPPORTED', 'too old')
        const own = isFetch ? (this.versions.fetch ?? api.maxVersion) : api.maxVersion
        return Math.min(own, range?.max ?? own)
      },
      send: <Q, R>(api: Api<Q, R>, request: Input<Q>, options?: { version?: number }) =>
        (api.key === fetchApi.key
          ? this.#serve(nodeId, request as FetchRequest, options?.version ?? 0)
          : this.#epochEnds(nodeId, request as OffsetForLeaderEpochRequest)) as Promise<R>,
    }
    this.#connections.set(nodeId, connection)
    return connection
  }

  async #serve(node: number, request: FetchRequest, version: number): Promise<unknown> {
    const nameOf = (topic: { topic?: string; topicId?: string }): string =>
      (version < 13 ? topic.topic : [...this.topicIds].find(([, id]) => id === topic.topicId)?.[0]) ?? '?'
    const number = this.requests.length
    const named = request.topics.flatMap((topic) => topic.partitions.map((p) => `${nameOf(topic)}/${p.partition}`))
    const forgotten = (request.forgottenTopicsData ?? []).flatMap((topic) =>
      topic.partitions.map((partition) => `${version < 13 ? topic.topic : topic.topicId}/${partition}`),
    )
    const { sessionId = 0, sessionEpoch = -1 } = request
    const sessions = this.sessions(node)
    const scope = sessions.scope(
      { ...request, sessionId, sessionEpoch, forgottenTopicsData: request.forgottenTopicsData ?? [] },
      version,
      nameOf,
    )
    const asked = scope.partitions.map(({ name, asked: { fetchOffset } }) => `${name}@${fetchOffset}`)
    this.requests.push({ node, version, asked, named, forgotten, sessionId, sessionEpoch })
    this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight)
    try {
      const fate = this.fate(number, node)
      const waitUntil = this.clock.monotonic() + request.maxWaitMs
      for (;;) {
        await settle()
        if (this.down.has(node) || fate === 'break') {
          this.#connections.delete(node)
          throw new MillraceError('KAFKA_DISCONNECTED', 'broken', { retriable: true })
        }
        if (scope.error !== 0) return { throttleTimeMs: 0, errorCode: scope.error, sessionId: 0, responses: [] }
        let left = request.maxBytes
        let bytes = 0
        let urgent = false
        const answers = scope.partitions.map((one) => {
          const name = `${nameOf(one)}/${one.asked.partition}`
          const answer = this.#answer(name, node, one.asked, request.isolationLevel, left, fate)
          left -= answer.records?.length ?? 0
          bytes += answer.records?.length ?? 0
          urgent ||= answer.errorCode !== 0 || answer.divergingEpoch.endOffset >= 0
          return { one, answer }
        })
        if (bytes > 0 || urgent || this.clock.monotonic() >= waitUntil) {
          const told = answers.filter(({ one, answer }) => sessions.tells(one, scope, answer))
          const responses = told.map(({ one, answer }) => ({
            topic: version >= 13 ? '' : one.topic,
            topicId: one.topicId,
            partitions: [answer],
          }))
          this.told.push(told.map(({ one }) => one.name))
          return {
            throttleTimeMs: 0,
            errorCode: 0,
            sessionId: scope.session?.id ?? 0,
            responses: inOneMemory(responses),
          }
        }
        await this.clock.sleep(5)
      }
    } finally {
      this.inFlight--
    }
  }

  /** OffsetForLeaderEpoch. */
  async #epochEnds(node: number, request: OffsetForLeaderEpochRequest): Promise<unknown> {
    await settle()
    if (this.down.has(node)) throw new MillraceError('KAFKA_DISCONNECTED', 'broken', { retriable: true })
    return {
      throttleTimeMs: 0,
      topics: request.topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(({ partition, leaderEpoch, currentLeaderEpoch }) => {
          this.validations.push(`${topic}/${partition} of ${leaderEpoch} at ${node}`)
          const log = this.log(`${topic}/${partition}`)
          const none = { partition, leaderEpoch: -1, endOffset: -1 }
          if (log.leader !== node) return { ...none, errorCode: KafkaErrorCode.NOT_LEADER_OR_FOLLOWER }
          if (currentLeaderEpoch !== log.leaderEpoch) return { ...none, errorCode: KafkaErrorCode.FENCED_LEADER_EPOCH }
          const end = log.endOf(leaderEpoch)
          return { partition, errorCode: 0, leaderEpoch: end.epoch, endOffset: end.endOffset }
        }),
      })),
    }
  }

  sessions(node: number): FetchSessionsDouble {
    let sessions = this.#sessions.get(node)
    if (sessions === undefined) this.#sessions.set(node, (sessions = new FetchSessionsDouble()))
    return sessions
  }

  #answer(
    name: string,
    node: number,
    asked: FetchRequestPartition,
    isolation: number,
    left: number,
    fate: FetchFate,
  ): Answer {
    const log = this.logs.get(name)
    const base = {
      partitionIndex: asked.partition,
      highWatermark: log?.end ?? -1,
      lastStableOffset: log?.lastStableOffset ?? -1,
      logStartOffset: log?.start ?? -1,
      divergingEpoch: { epoch: -1, endOffset: -1 },
      preferredReadReplica: node === this.follower ? -1 : this.follower,
      abortedTransactions: null,
      records: null,
    }
    if (typeof fate === 'object' && 'refuse' in fate) return { ...base, errorCode: fate.refuse }
    if (log === undefined) return { ...base, errorCode: KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION }
    if (log.leader !== node && node !== this.follower)
      return { ...base, errorCode: KafkaErrorCode.NOT_LEADER_OR_FOLLOWER }
    if (node === log.leader && this.follower >= 0) return { ...base, errorCode: 0 }
    if (asked.currentLeaderEpoch < log.leaderEpoch) return { ...base, errorCode: KafkaErrorCode.FENCED_LEADER_EPOCH }
    if (asked.currentLeaderEpoch > log.leaderEpoch) return { ...base, errorCode: KafkaErrorCode.UNKNOWN_LEADER_EPOCH }
    this.epochs.push({ offset: asked.fetchOffset, epoch: asked.lastFetchedEpoch })
    if (node === this.divergesAt) return { ...base, errorCode: 0, divergingEpoch: { epoch: 0, endOffset: 3 } }
    if ((asked.lastFetchedEpoch ?? -1) >= 0 && asked.fetchOffset >= log.start) {
      const end = log.endOf(asked.lastFetchedEpoch)
      if (end.epoch < asked.lastFetchedEpoch || end.endOffset < asked.fetchOffset) {
        return { ...base, errorCode: 0, divergingEpoch: end }
      }
    }
    if (asked.fetchOffset < log.start || asked.fetchOffset > log.end) {
      return { ...base, errorCode: KafkaErrorCode.OFFSET_OUT_OF_RANGE }
    }
    const end = isolation === 1 ? log.lastStableOffset : log.end
    const wanted = log.batches.filter((batch) => batch.last >= asked.fetchOffset && batch.base < end)
    const all = Buffer.concat(wanted.map((batch) => batch.bytes))
    const first = wanted[0]?.bytes.length ?? 0
    // The first batch comes whole, if brokers here do that; everything else is cut where the limit is.
    const limit = left <= 0 ? 0 : Math.max(this.firstWhole ? first : 0, Math.min(asked.partitionMaxBytes, left))
    const records = Buffer.from(all.subarray(0, Math.min(all.length, limit)))
    if (typeof fate === 'object' && 'damage' in fate && records.length > 0) fate.damage(records)
    const upper = wanted.reduce((most, batch) => Math.max(most, batch.last), -1)
    const aborted = log.aborted.filter((a) => a.lastOffset >= asked.fetchOffset && a.firstOffset <= upper)
    return { ...base, errorCode: 0, records, abortedTransactions: isolation === 1 ? aborted : null }
  }

  /** Responses whose memory the fetcher gave back. */
  givenBack = 0

  /** Whether brokers here send a first batch whole that is larger than the limits. */
  firstWhole = true
}

function epochOf(batch: Buffer): number {
  return batch.readInt32BE(LEADER_EPOCH)
}

/** All records of a response stand in one memory, as they do when it was read from a connection. */
function inOneMemory<T extends { readonly partitions: readonly Answer[] }>(topics: readonly T[]): T[] {
  const memory = Buffer.concat(
    topics.flatMap((topic) => topic.partitions.map((part) => part.records ?? Buffer.alloc(0))),
  )
  const own = Buffer.allocUnsafeSlow(memory.length)
  memory.copy(own)
  let at = 0
  const take = (part: Answer): Answer => {
    if (part.records === null || part.records === undefined) return part
    const from = at
    at += part.records.length
    return { ...part, records: own.subarray(from, at) }
  }
  return topics.map((topic) => ({ ...topic, partitions: topic.partitions.map(take) }))
}
