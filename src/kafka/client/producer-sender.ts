/**
 * The sending half of the producer: gathers closed batches by leader into requests, keeps several in flight per broker, and
 * settles what comes back. What may pass is waited out and sent again in order; what cannot fails the producer.
 *
 * What always holds (numbers of producer-SPEC.md): a partition's batches leave in order (1), under one identity at a time (2),
 * again only when all of the partition in flight are answered (3); a batch is acknowledged by its own answer only (5).
 */
import type { Timer } from '../../base/index.ts'
import { MillraceError } from '../../base/index.ts'
import type { ProduceMetrics } from '../metrics/produce-metrics.ts'
import { type ProduceResponse, produceApi } from '../protocol/generated/produce.ts'
import type { ProducerOptions } from './options.ts'
import type { ProducerBatch } from './producer-batch.ts'
import type { ProducerCluster, ProducerConnection } from './producer-cluster.ts'
import { deliveryTimedOut, type ProducePlace, produceVerdict, retriesUsedUp } from './producer-errors.ts'
import type { ProducerLane } from './producer-lane.ts'
import { answers, type PartitionAnswer, type ProduceExchange, produceRequest } from './producer-request.ts'
import { backoffMs } from './retrying.ts'

/** Kafka's brokers remember the last five batches of a producer in a partition: more in flight could not be told apart. */
const IN_FLIGHT_PER_PARTITION = 5
/** When so many bytes are ready they are sent at once; less waits for the end of the turn, to travel together. */
const SEND_NOW_BYTES = 256 * 1024
/** How often it is looked whether a batch is past its time. */
const SWEEP_MS = 1000

class ProducerBroker {
  readonly nodeId: number
  readonly ready: Set<ProducerLane> = new Set()
  inFlight = 0
  connection: ProducerConnection | undefined = undefined
  connecting = false
  notBeforeMs = 0
  failures = 0

  constructor(nodeId: number) {
    this.nodeId = nodeId
  }
}

export interface SenderEvents {
  acknowledged(batch: ProducerBatch): void
  /** The batch is too large: its parts, which count instead of it. */
  split(batch: ProducerBatch): readonly ProducerBatch[]
  failed(error: MillraceError): void
}

export class ProducerSender {
  readonly #cluster: ProducerCluster
  readonly #options: ProducerOptions
  readonly #events: SenderEvents
  readonly #inFlightPerLane: number
  readonly #brokers: Map<number, ProducerBroker> = new Map()
  /** Lanes with closed batches; those that may be sent are in the `ready` of their leader, those without one here. */
  readonly #active: Set<ProducerLane> = new Set()
  readonly #leaderless: Set<ProducerLane> = new Set()
  readonly counts: { requests: number; retries: number; splits: number; bytes: number } = {
    requests: 0,
    retries: 0,
    splits: 0,
    bytes: 0,
  }
  readonly #metrics: ProduceMetrics
  #readyBytes = 0
  #scheduled = false
  #refreshing = false
  #wake: { readonly timer: Timer; readonly atMs: number } | undefined
  #sweep: Timer | undefined
  #lastCause: unknown
  #stopped = false

  constructor(cluster: ProducerCluster, options: ProducerOptions, metrics: ProduceMetrics, events: SenderEvents) {
    this.#metrics = metrics
    this.#cluster = cluster
    this.#options = options
    this.#events = events
    // Without idempotence nothing but being alone keeps a batch that is sent again in its place.
    this.#inFlightPerLane = options.enableIdempotence ? IN_FLIGHT_PER_PARTITION : 1
  }

  get requestsInFlight(): number {
    let count = 0
    for (const { inFlight } of this.#brokers.values()) count += inFlight
    return count
  }

  /** Nothing waits in this lane, and nothing is on its way to its leader. */
  isIdle(lane: ProducerLane): boolean {
    if (lane.pending.length > 0) return false
    const leader = this.#cluster.metadata.leader(lane.topic, lane.partition)
    return leader === undefined || (this.#brokers.get(leader.nodeId)?.inFlight ?? 0) === 0
  }

  /** A batch was closed and stands in its lane. */
  closed(batch: ProducerBatch): void {
    this.#readyBytes += batch.sizeBytes
    this.#active.add(batch.lane)
    this.ready(batch.lane)
    if (this.#readyBytes >= SEND_NOW_BYTES) this.#pump()
    this.#sweep ??= this.#startSweep()
  }

  /** Something that held the lane back is gone. */
  ready(lane: ProducerLane): void {
    if (this.#stopped || lane.pending.length === 0) return
    const leader = this.#cluster.metadata.leader(lane.topic, lane.partition)
    if (leader === undefined || leader.nodeId < 0) {
      this.#leaderless.add(lane)
      void this.#learnLeaders()
      return
    }
    let broker = this.#brokers.get(leader.nodeId)
    if (broker === undefined) this.#brokers.set(leader.nodeId, (broker = new ProducerBroker(leader.nodeId)))
    broker.ready.add(lane)
    this.#schedule()
  }

  stop(): void {
    this.#stopped = true
    this.#wake?.timer.cancel()
    this.#sweep?.cancel()
    this.#brokers.clear()
    this.#active.clear()
    this.#leaderless.clear()
  }

  #schedule(): void {
    if (this.#scheduled || this.#stopped) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      try {
        this.#pump()
      } catch (error) {
        this.#fail(error)
      }
    })
  }

  #pump(): void {
    this.#readyBytes = 0
    if (this.#stopped) return
    for (const broker of this.#brokers.values()) if (broker.ready.size > 0) this.#send(broker)
  }

  #send(broker: ProducerBroker): void {
    const now = this.#now()
    if (broker.notBeforeMs > now) {
      this.#wakeAt(broker.notBeforeMs)
      return
    }
    const connection = broker.connection
    if (connection === undefined || connection.closed) {
      void this.#connect(broker)
      return
    }
    while (broker.inFlight < this.#options.maxInFlightRequestsPerConnection && !this.#stopped) {
      const batches = this.#gather(broker, now)
      if (batches.length === 0) return
      this.#exchange(broker, connection, batches)
    }
  }

  async #connect(broker: ProducerBroker): Promise<void> {
    if (broker.connecting) return
    broker.connecting = true
    try {
      broker.connection = await this.#cluster.connection(broker.nodeId, 'produce')
      broker.failures = 0
    } catch (error) {
      if (!MillraceError.is(error) || !error.retriable) {
        this.#fail(error)
        return
      }
      this.#lastCause = error
      broker.connection = undefined
      broker.notBeforeMs = this.#now() + backoffMs(this.#cluster.options, this.#cluster.ports.random, broker.failures++)
      this.#move(broker)
    } finally {
      broker.connecting = false
      this.#schedule()
    }
  }

  /** The broker cannot be reached: its partitions may have other leaders by now. */
  #move(broker: ProducerBroker): void {
    for (const lane of broker.ready) this.#leaderless.add(lane)
    broker.ready.clear()
    void this.#learnLeaders()
  }

  /** Batches for one request: the oldest of each lane in turn, one identity, up to max.request.size. */
  #gather(broker: ProducerBroker, now: number): ProducerBatch[] {
    const batches: ProducerBatch[] = []
    let bytes = 0
    for (const lane of [...broker.ready]) {
      const batch = lane.sendable(now, this.#inFlightPerLane)
      if (batch === undefined) {
        broker.ready.delete(lane)
        if (lane.notBeforeMs > now) this.#wakeAt(lane.notBeforeMs)
        continue
      }
      if (this.#cluster.metadata.leader(lane.topic, lane.partition)?.nodeId !== broker.nodeId) {
        broker.ready.delete(lane)
        this.ready(lane)
        continue
      }
      const first = batches[0]
      if (first !== undefined && first.scope.sequences !== batch.scope.sequences) continue
      if (bytes > 0 && bytes + batch.sizeBytes > this.#options.maxRequestSize) break
      bytes += batch.sizeBytes
      batches.push(batch)
      lane.sent(batch)
      // To the end of the row, so that the next request begins with the others.
      broker.ready.delete(lane)
      if (lane.pending.length > lane.inFlight) broker.ready.add(lane)
    }
    return batches
  }

  #exchange(broker: ProducerBroker, connection: ProducerConnection, batches: readonly ProducerBatch[]): void {
    const scope = batches[0]?.scope
    if (scope === undefined) return
    broker.inFlight++
    this.counts.requests++
    let exchange: ProduceExchange
    try {
      exchange = produceRequest(this.#cluster, connection, this.#options, scope, batches)
    } catch (error) {
      broker.inFlight--
      this.#fail(error)
      return
    }
    const sentMs = this.#now()
    for (const { writer, plainBytes, sizeBytes, openedAtMs } of batches) {
      this.counts.bytes += sizeBytes
      this.#metrics.sent(writer.recordCount, plainBytes, sizeBytes, sentMs - openedAtMs)
    }
    const noResponse = this.#options.acks === 0
    connection
      .send(produceApi, exchange.request, { version: exchange.version, expectNoResponse: noResponse })
      .then(
        (response) => {
          broker.inFlight--
          this.#metrics.answered(this.#now() - sentMs, response?.throttleTimeMs ?? 0)
          if (noResponse) for (const batch of batches) this.#acknowledged(batch, -1)
          else this.#answered(broker, batches, exchange, response)
          this.#schedule()
        },
        (error: unknown) => {
          broker.inFlight--
          this.#broken(broker, connection, batches, error)
        },
      )
      .catch((error: unknown) => this.#fail(error))
  }

  #answered(
    broker: ProducerBroker,
    batches: readonly ProducerBatch[],
    exchange: ProduceExchange,
    response: ProduceResponse,
  ): void {
    if (response.throttleTimeMs > 0) broker.notBeforeMs = this.#now() + response.throttleTimeMs
    const found = answers(exchange, batches, response)
    let moved = false
    for (const [index, batch] of batches.entries()) {
      if (this.#stopped) return
      const answer = found[index]
      if (answer === undefined) {
        const { topic, partition } = batch.lane
        this.#fail(
          new MillraceError(
            'KAFKA_PROTOCOL',
            `broker ${broker.nodeId} answered a produce request without ${topic}-${partition}`,
          ),
        )
        return
      }
      moved = this.#settle(batch, answer) || moved
    }
    if (moved) void this.#learnLeaders()
  }

  /** True when the metadata is to be asked again. */
  #settle(batch: ProducerBatch, answer: PartitionAnswer): boolean {
    const verdict = produceVerdict(answer.errorCode, this.#place(batch, answer))
    switch (verdict.kind) {
      case 'acknowledged':
        this.#acknowledged(batch, answer.baseOffset < 0 ? -1 : answer.baseOffset + batch.writer.recordCount - 1)
        return false
      case 'failed':
        this.#metrics.failed(batch.writer.recordCount)
        this.#fail(verdict.error)
        return false
      case 'forgotten':
        this.#again(batch, 0, answer.errorCode, true)
        return false
      case 'split':
        this.#split(batch)
        return false
      case 'again': {
        const { lane } = batch
        const delay = verdict.delayMs ?? backoffMs(this.#cluster.options, this.#cluster.ports.random, lane.failures++)
        this.#again(batch, delay, answer.errorCode)
        if (verdict.metadata) this.#leaderless.add(lane)
        return verdict.metadata
      }
    }
  }

  #acknowledged(batch: ProducerBatch, lastOffset: number): void {
    if (this.#stopped) return
    const { lane } = batch
    lane.acknowledged(batch, this.#now(), lastOffset)
    if (lane.pending.length === 0) this.#active.delete(lane)
    else if (!this.#leaderless.has(lane)) this.ready(lane)
    this.#events.acknowledged(batch)
  }

  #split(batch: ProducerBatch): void {
    const { lane } = batch
    const parts = this.#events.split(batch)
    this.counts.splits++
    this.#metrics.split()
    const { topic, partition } = lane
    const fields = { topic, partition, bytes: batch.sizeBytes, parts: parts.length }
    this.#cluster.ports.logger.debug(fields, 'a batch was too large for its topic and is sent in parts')
    lane.split(batch, parts)
    if (!this.#leaderless.has(lane)) this.ready(lane)
  }

  #again(batch: ProducerBatch, delayMs: number, cause?: unknown, forgotten = false): void {
    const { lane } = batch
    if (batch.attempts > this.#options.retries) {
      this.#fail(retriesUsedUp(this.#place(batch, undefined), this.#options.retries, cause))
      return
    }
    this.counts.retries++
    this.#metrics.retried(batch.writer.recordCount)
    if (forgotten) lane.forgotten(batch)
    else lane.failed(batch)
    lane.notBeforeMs = Math.max(lane.notBeforeMs, this.#now() + delayMs)
    this.#wakeAt(lane.notBeforeMs)
  }

  /** The connection failed under a request: whether the batches were written is not known; the sequence will tell. */
  #broken(
    broker: ProducerBroker,
    connection: ProducerConnection,
    batches: readonly ProducerBatch[],
    error: unknown,
  ): void {
    if (this.#stopped) return
    if (!MillraceError.is(error) || !error.retriable) {
      this.#fail(error)
      return
    }
    this.#lastCause = error
    if (broker.connection === connection) broker.connection = undefined
    for (const batch of batches) {
      if (this.#stopped) return
      const delay = backoffMs(this.#cluster.options, this.#cluster.ports.random, batch.lane.failures++)
      this.#again(batch, delay, error)
      this.#leaderless.add(batch.lane)
    }
    this.#move(broker)
  }

  /** One look-up at a time; lanes whose leader is known afterwards are ready. */
  async #learnLeaders(): Promise<void> {
    if (this.#refreshing || this.#stopped) return
    this.#refreshing = true
    let failures = 0
    try {
      while (this.#leaderless.size > 0 && !this.#stopped) {
        const asked = [...this.#leaderless]
        try {
          await this.#cluster.metadata.refresh()
        } catch (error) {
          if (!MillraceError.is(error) || !error.retriable) {
            this.#fail(error)
            return
          }
          this.#lastCause = error
        }
        for (const lane of asked) {
          const leader = this.#cluster.metadata.leader(lane.topic, lane.partition)
          if (leader === undefined || leader.nodeId < 0) continue
          this.#leaderless.delete(lane)
          this.ready(lane)
        }
        if (this.#leaderless.size > 0)
          await this.#cluster.ports.clock.sleep(
            backoffMs(this.#cluster.options, this.#cluster.ports.random, failures++),
          )
      }
    } finally {
      this.#refreshing = false
    }
  }

  /** One timer, for whoever may go on first. */
  #wakeAt(atMs: number): void {
    if (this.#stopped || (this.#wake !== undefined && this.#wake.atMs <= atMs)) return
    this.#wake?.timer.cancel()
    const delay = Math.max(1, Math.ceil(atMs - this.#now()))
    const timer = this.#cluster.ports.clock.setTimer(delay, () => {
      this.#wake = undefined
      for (const lane of this.#active) if (!this.#leaderless.has(lane)) this.ready(lane)
      this.#pump()
    })
    this.#wake = { timer, atMs }
  }

  #startSweep(): Timer {
    const everyMs = Math.max(1, Math.min(SWEEP_MS, this.#options.deliveryTimeoutMs / 4))
    return this.#cluster.ports.clock.setTimer(everyMs, () => {
      this.#sweep = undefined
      const oldest = this.#now() - this.#options.deliveryTimeoutMs
      for (const lane of this.#active) {
        const batch = lane.pending[0]
        if (batch !== undefined && batch.openedAtMs <= oldest) {
          this.#timedOut(batch)
          return
        }
      }
      if (this.#active.size > 0 && !this.#stopped) this.#sweep = this.#startSweep()
    })
  }

  #timedOut(batch: ProducerBatch): void {
    const place = this.#place(batch, undefined)
    this.#fail(deliveryTimedOut(place, this.#options.deliveryTimeoutMs, batch.attempts, this.#lastCause))
  }

  #place(batch: ProducerBatch, answer: PartitionAnswer | undefined): ProducePlace {
    return {
      topic: batch.lane.topic,
      partition: batch.lane.partition,
      scope: batch.scope,
      records: batch.writer.recordCount,
      bytes: batch.sizeBytes,
      plainBytes: batch.plainBytes,
      baseSequence: batch.baseSequence,
      first: batch.lane.pending[0] === batch,
      doubtful: batch.doubtful,
      logStartOffset: answer?.logStartOffset ?? -1,
      allDeleted: batch.lane.allIsBefore(answer?.logStartOffset ?? -1),
      message: answer?.errorMessage ?? null,
    }
  }

  #fail(error: unknown): void {
    if (this.#stopped) return
    this.#events.failed(
      MillraceError.is(error)
        ? error
        : new MillraceError('KAFKA_FATAL', 'The producer met an error that it does not know. The writer fails.', {
            cause: error,
          }),
    )
  }

  #now(): number {
    return this.#cluster.ports.clock.monotonic()
  }
}
