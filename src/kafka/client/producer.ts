/**
 * Writes records to their partitions in batches, plainly or in transactions, for one sink writer. Appends are synchronous; what
 * happens afterwards is written down in producer-SPEC.md, states by events, with its invariants.
 *
 * What always holds:
 * - a seal resolves only when every record appended before it was acknowledged, and rejects when one failed for good;
 * - records of a partition are in the log in the order of their appends, once, also over retries and leader changes;
 * - nothing is sent for a transaction without records, and nothing before its identity is known;
 * - the first failure is the last: appends throw it, seals reject with it, nothing more is sent.
 */
import { assert, MillraceError, type Timer } from '../../base/index.ts'
import type { KafkaMetrics } from '../metrics/kafka-metrics.ts'
import { ProduceMetrics } from '../metrics/produce-metrics.ts'
import type { ProducerOptions } from './options.ts'
import { ProducerBatch } from './producer-batch.ts'
import type { ProducerCluster } from './producer-cluster.ts'
import { ProducerEnlistment } from './producer-enlistment.ts'
import { plainIdentity } from './producer-identity.ts'
import type { ProducerLane } from './producer-lane.ts'
import { ProducerMemory } from './producer-memory.ts'
import { ProducerScope, type SealedTransaction } from './producer-scope.ts'
import { ProducerSender } from './producer-sender.ts'
import { splitBatch } from './producer-split.ts'
import { type LaneWriter, ProducerTopic } from './producer-topic.ts'
import type { ProducerIdentity, TransactionVersion } from './transactions.ts'

/** Transactional ids whose last epoch is remembered; with names that are used once, older ones do not come again. */
const IDENTITIES_REMEMBERED = 1024

export interface ProducerMetrics {
  /** Records acknowledged, and all appended. */
  readonly recordsAcknowledged: number
  readonly recordsClosed: number
  readonly batches: number
  readonly requests: number
  readonly retries: number
  /** Batches that were too large for their topic and sent in parts. */
  readonly splits: number
  readonly bytesSent: number
  /** From the first append to a batch to its acknowledgement, for the last batch acknowledged; -1 before that. */
  readonly sendTimeMs: number
  readonly bufferBytesUsed: number
  readonly bufferBytesLimit: number
}

export class Producer {
  readonly #cluster: ProducerCluster
  readonly #failed: ((error: MillraceError) => void) | undefined
  readonly #options: ProducerOptions
  readonly #memory: ProducerMemory
  readonly #sender: ProducerSender
  readonly #kafkaMetrics: ProduceMetrics
  readonly #enlistment: ProducerEnlistment
  readonly #writer: LaneWriter
  readonly #topics: Map<string, ProducerTopic> = new Map()
  /** Open batches, the oldest first. */
  readonly #open: Set<ProducerBatch> = new Set()
  /** Scopes with batches that are not acknowledged, or waiting for their seal. */
  readonly #unsettled: Set<ProducerScope> = new Set()
  /** The row of sequences of all plain scopes, with its identity once asked for. */
  readonly #plainSequences: object = {}
  #plainIdentity: Promise<ProducerIdentity> | undefined
  #plainSealed: Promise<SealedTransaction> | undefined
  readonly #lastEpochs: Map<string, ProducerIdentity> = new Map()
  #transactional = false
  #scope: ProducerScope | undefined
  #lingerTimer: Timer | undefined
  #failure: MillraceError | undefined
  #batches = 0
  /** An open batch wants to leave. */
  #nudged = false
  #recordsClosed = 0
  #recordsAcknowledged = 0
  #sendTimeMs = -1

  /** `failed` is told once of what made the producer fail, also while nobody appends; not of closing. */
  constructor(cluster: ProducerCluster, options: ProducerOptions, failed?: (error: MillraceError) => void) {
    this.#failed = failed
    this.#cluster = cluster
    this.#options = options
    this.#memory = new ProducerMemory(options.bufferMemory, options.batchSize)
    this.#kafkaMetrics = new ProduceMetrics(cluster.ports.clock, {
      requestsInFlight: () => this.#sender.requestsInFlight,
      bufferBytesLimit: () => this.#memory.limitBytes,
      bufferBytesUsed: () => this.#memory.usedBytes,
    })
    this.#sender = new ProducerSender(cluster, options, this.#kafkaMetrics, {
      acknowledged: (batch) => this.#acknowledged(batch),
      split: (batch) => this.#split(batch),
      failed: (error) => this.#fail(error),
    })
    this.#enlistment = new ProducerEnlistment(cluster, options, {
      enlisted: (lanes) => {
        for (const lane of lanes) this.#sender.ready(lane)
      },
      failed: (error) => this.#fail(error),
    })
    this.#writer = {
      openBatch: (lane) => this.#openBatch(lane),
      closeFull: (lane) => this.#closeBatch(lane),
      grown: (lane) => this.#grown(lane),
    }
  }

  /** The handle of a topic; it takes in partitions that the topic gets later. */
  async topic(name: string): Promise<ProducerTopic> {
    const known = this.#topics.get(name)
    if (known !== undefined) return known
    await this.#cluster.metadata.ensure([name])
    const count = this.#cluster.metadata.partitionCount(name)
    if (count === undefined || count === 0) {
      throw new MillraceError('KAFKA_UNKNOWN_TOPIC', `The cluster does not know topic ${name}. Nothing was written.`)
    }
    const again = this.#topics.get(name)
    if (again !== undefined) return again
    const topic = new ProducerTopic(name, count, this.#writer, {
      batchBytes: this.#options.batchSize,
      requestBytesMax: this.#options.maxRequestSize,
      random: this.#cluster.ports.random,
      adaptive: this.#options.partitionerAdaptive,
      ignoreKeys: this.#options.partitionerIgnoreKeys,
      partitionCount: (of) => this.#cluster.metadata.partitionCount(of),
      hasLeader: (of, partition) => (this.#cluster.metadata.leader(of, partition)?.nodeId ?? -1) >= 0,
    })
    this.#topics.set(name, topic)
    return topic
  }

  /** buffer.memory is used up: appends still work, but one should wait for `writable` first. */
  get blocked(): boolean {
    return this.#memory.blocked
  }

  /** Resolves when there is memory again, or the producer failed. */
  writable(): Promise<void> {
    if (this.#failure !== undefined || !this.#memory.blocked) return Promise.resolve()
    // What lies in open batches is freed by nothing but sending them.
    let openBytes = 0
    for (const batch of this.#open) openBytes += batch.capacity
    if (openBytes * 2 >= this.#memory.usedBytes) this.#closeAll()
    return this.#memory.writable()
  }

  /**
   * Closes batches that wait for more records, where nothing is on its way to their leader: for callers that have no more
   * records now. What gathers while a request is under way leaves when that is acknowledged, for all partitions together (as Nagle's
   * algorithm has it), so that many calls do not make many small requests: on a busy machine that, not the waiting, is what latency
   * comes from. `linger.ms` stays the longest wait.
   */
  nudge(): void {
    for (const batch of this.#open) {
      if (this.#sender.isIdle(batch.lane)) this.#closeBatch(batch.lane)
      else batch.nudged = this.#nudged = true
    }
  }

  get failure(): MillraceError | undefined {
    return this.#failure
  }

  /**
   * Records appended from now on belong to this transaction. The identity may still be on its way, and so may the version: when
   * it is undefined, it comes with the identity.
   */
  beginTransaction(
    transactionalId: string,
    version: TransactionVersion | undefined,
    identity: Promise<ProducerIdentity & { readonly version?: TransactionVersion }>,
  ): void {
    assert(this.#options.acks === -1 && this.#options.enableIdempotence, 'transactions need acks=all and idempotence')
    const current = this.#scope
    assert(
      current === undefined || (!this.#transactional && current.outstanding === 0),
      'the scope before is not sealed',
    )
    this.#transactional = true
    const scope = new ProducerScope({ transactionalId, beganAtMs: this.#cluster.ports.clock.now() })
    scope.version = version
    this.#scope = scope
    identity
      .then((known) => {
        scope.version ??= known.version
        this.#identified(scope, known)
      })
      .catch((error: unknown) => this.#fail(error))
  }

  /**
   * No more records into the current transaction (or plain stretch); resolves when all of this transaction, or all plain
   * records so far, are acknowledged.
   */
  seal(): Promise<SealedTransaction> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const scope = this.#scope ?? (this.#transactional ? undefined : this.#beginPlain())
    assert(scope !== undefined, 'seal needs beginTransaction before it')
    this.#closeAll()
    this.#scope = undefined
    this.#unsettled.add(scope)
    const sealed = scope.seal()
    if (scope.outstanding === 0) this.#unsettled.delete(scope)
    if (scope.transactionalId !== undefined) return sealed
    // A plain record belongs to no committable of its own: a seal answers for all before it, also for those of earlier seals.
    const earlier = this.#plainSealed
    const both = earlier === undefined ? sealed : earlier.then(() => sealed)
    both.catch(() => undefined)
    this.#plainSealed = both
    return both
  }

  /**
   * Idempotent. Plain records are sent and waited for, and transactions sealed before; records of a transaction that is not sealed
   * are dropped, as all are with `discard`. Afterwards appends throw and seals reject.
   */
  async close(options: { readonly discard?: boolean } = {}): Promise<void> {
    if (this.#failure === undefined && options.discard !== true) {
      if (!this.#transactional && this.#scope !== undefined) void this.seal()
      const sealed = [...this.#unsettled].filter((scope) => scope.sealed)
      await Promise.allSettled(sealed.map((scope) => scope.settled))
      // What failed before was seen in `failure`; what fails now would go unnoticed.
      if (this.#failure !== undefined) throw this.#failure
    }
    this.#fail(new MillraceError('CANCELLED', 'The producer is closed.'))
  }

  metrics(): ProducerMetrics {
    const { requests, retries, splits, bytes } = this.#sender.counts
    return {
      recordsAcknowledged: this.#recordsAcknowledged,
      recordsClosed: this.#recordsClosed,
      batches: this.#batches,
      requests,
      retries,
      splits,
      bytesSent: bytes,
      sendTimeMs: this.#sendTimeMs,
      bufferBytesUsed: this.#memory.usedBytes,
      bufferBytesLimit: this.#memory.limitBytes,
    }
  }

  /** Under the names of Java's producer. */
  get kafkaMetrics(): KafkaMetrics {
    return this.#kafkaMetrics.gauges
  }

  #beginPlain(): ProducerScope {
    const scope = new ProducerScope({ sequences: this.#plainSequences, beganAtMs: this.#cluster.ports.clock.now() })
    this.#scope = scope
    return scope
  }

  /** Called at the first batch, so that a producer without records asks nobody. */
  #identifyPlain(scope: ProducerScope): void {
    this.#plainIdentity ??= plainIdentity(this.#cluster, this.#options)
    this.#plainIdentity
      .then((identity) => this.#identified(scope, identity))
      .catch((error: unknown) => this.#fail(error))
  }

  /** Under an epoch used before, sequences would begin at 0 a second time, and records be taken for repetitions. */
  #checkIsNew({ transactionalId, identity, lanes }: ProducerScope): void {
    // A transaction without records used nothing: its identity may serve the next one.
    if (transactionalId === undefined || identity === undefined || lanes.size === 0) return
    const last = this.#lastEpochs.get(transactionalId)
    assert(
      last === undefined || last.producerId !== identity.producerId || last.epoch < identity.epoch,
      `transactional id ${transactionalId} begins a second transaction under producer id ${identity.producerId}, epoch ${identity.epoch}`,
    )
    this.#lastEpochs.delete(transactionalId)
    this.#lastEpochs.set(transactionalId, identity)
    const [oldest] = this.#lastEpochs.keys()
    if (this.#lastEpochs.size > IDENTITIES_REMEMBERED && oldest !== undefined) this.#lastEpochs.delete(oldest)
  }

  #identified(scope: ProducerScope, identity: ProducerIdentity): void {
    if (this.#failure !== undefined || scope.identity !== undefined) return
    assert(scope.transactionalId === undefined || scope.version !== undefined, 'a transaction has a version')
    scope.identity = identity
    this.#checkIsNew(scope)
    // Until the version was known, partitions were noted for the coordinator; version 2 does not ask it.
    if (scope.version === 2) scope.toAdd.clear()
    this.#enlistment.changed(scope)
    for (const lane of scope.lanes) this.#sender.ready(lane)
    // A sealed scope without records settled already; one with records cannot have.
    scope.settleIfDone()
  }

  #openBatch(lane: ProducerLane): void {
    if (this.#failure !== undefined) throw this.#failure
    const scope = this.#scope ?? (this.#transactional ? undefined : this.#beginPlain())
    assert(scope !== undefined, 'an append needs beginTransaction before it')
    const now = this.#cluster.ports.clock.monotonic()
    const { writer, capacity } = this.#memory.take(lane.lastBytes)
    writer.limitTo(lane.bytesMax(now))
    const batch = new ProducerBatch(lane, scope, writer, capacity, now)
    lane.open = batch
    scope.outstanding++
    if (!scope.lanes.has(lane)) this.#enter(scope, lane)
    this.#open.add(batch)
    if (this.#open.size === 1) this.#linger(this.#options.lingerMs)
  }

  #enter(scope: ProducerScope, lane: ProducerLane): void {
    if (scope.lanes.size === 0) {
      this.#unsettled.add(scope)
      if (scope.transactionalId === undefined) this.#identifyPlain(scope)
    }
    scope.lanes.add(lane)
    if (scope.lanes.size === 1) this.#checkIsNew(scope)
    if (scope.transactionalId === undefined || scope.version === 2) return
    scope.toAdd.add(lane)
    this.#enlistment.changed(scope)
  }

  #grown(lane: ProducerLane): void {
    const batch = lane.open
    if (batch === undefined) return
    const capacity = this.#memory.capacityOf(batch.writer.sizeBytes)
    this.#memory.grown(capacity - batch.capacity)
    batch.capacity = capacity
  }

  #closeBatch(lane: ProducerLane): void {
    const batch = lane.open
    if (batch === undefined) return
    lane.open = undefined
    this.#open.delete(batch)
    lane.lastBytes = batch.writer.sizeBytes
    const records = batch.writer.recordCount
    batch.scope.count(lane.topic, records)
    this.#batches++
    this.#recordsClosed += records
    lane.pending.push(batch)
    this.#sender.closed(batch)
  }

  #closeAll(): void {
    for (const batch of this.#open) this.#closeBatch(batch.lane)
  }

  /** One timer for all open batches: each is closed linger.ms after its first record. */
  #linger(delayMs: number): void {
    this.#lingerTimer?.cancel()
    this.#lingerTimer = this.#cluster.ports.clock.setTimer(Math.max(0, Math.ceil(delayMs)), () => {
      this.#lingerTimer = undefined
      const oldest = this.#cluster.ports.clock.monotonic() - this.#options.lingerMs
      for (const batch of this.#open) {
        if (batch.openedAtMs > oldest) {
          this.#linger(batch.openedAtMs - oldest)
          return
        }
        this.#closeBatch(batch.lane)
      }
    })
  }

  #acknowledged(batch: ProducerBatch): void {
    this.#recordsAcknowledged += batch.writer.recordCount
    this.#sendTimeMs = this.#cluster.ports.clock.monotonic() - batch.openedAtMs
    // The broker has read the whole request, so nobody reads these bytes any more.
    this.#memory.give(batch.writer, batch.capacity, this.#options.acks !== 0)
    const { scope } = batch
    if (this.#nudged) this.#closeNudged()
    scope.outstanding--
    if (scope.outstanding > 0 || !scope.sealed) return
    this.#unsettled.delete(scope)
    scope.settleIfDone()
  }

  #closeNudged(): void {
    let left = false
    for (const { nudged, lane } of this.#open) {
      if (!nudged) continue
      if (this.#sender.isIdle(lane)) this.#closeBatch(lane)
      else left = true
    }
    this.#nudged = left
  }

  #split(batch: ProducerBatch): readonly ProducerBatch[] {
    const { lane, scope, writer, capacity, plainBytes } = batch
    const partBytes = lane.refusedAsTooLarge(plainBytes, this.#cluster.ports.clock.monotonic())
    const parts = splitBatch(batch, partBytes, this.#memory, this.#options.compressionType)
    scope.outstanding += parts.length - 1
    this.#batches += parts.length - 1
    // The broker has answered, so nobody reads these bytes any more.
    this.#memory.give(writer, capacity, true)
    return parts
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    const failure = MillraceError.is(error)
      ? error
      : new MillraceError('KAFKA_FATAL', 'The producer met an error that it does not know. The writer fails.', {
          cause: error,
        })
    this.#failure = failure
    this.#lingerTimer?.cancel()
    this.#sender.stop()
    this.#enlistment.stop()
    this.#open.clear()
    for (const topic of this.#topics.values()) {
      for (const lane of topic.lanes) {
        lane.open = undefined
        lane.pending.length = 0
      }
    }
    for (const scope of this.#unsettled) scope.reject(failure)
    this.#unsettled.clear()
    this.#memory.wake()
    if (failure.code !== 'CANCELLED') this.#failed?.(failure)
  }
}
