/**
 * The asking half of the fetcher: finds each partition's leader, keeps one fetch request in flight per broker, takes the
 * responses apart and waits out whatever may pass (leader moves, brokers away, quotas), for the partitions concerned alone.
 *
 * What always holds:
 * - a partition is asked at its `fetchOffset` and nowhere else, by one request at a time, under its leader's known epoch;
 * - data is taken for it only from the request it was last asked by, under the same generation;
 * - after a change of its leader it is fetched on only from where the new leader's log is the one that was read (KIP-320);
 * - a failure costs only the partitions it names (those of the request when the connection fails) a pause.
 */
import { MillraceError, type Timer } from '../../base/index.ts'
import type { FetchMetrics } from '../metrics/fetch-metrics.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { type FetchResponse, type FetchResponsePartitionData, fetchApi } from '../protocol/generated/fetch.ts'
import { type BatchesSeen, seeBatches } from './fetcher-batches.ts'
import { FetcherBroker, HeldResponse, RESPONSES_MAX } from './fetcher-broker.ts'
import type { FetcherCluster, FetcherConnection } from './fetcher-cluster.ts'
import { askEpochs, diverges, type EpochAnswer } from './fetcher-epochs.ts'
import {
  type Divergence,
  fetchTrouble,
  fetchVerdict,
  hopeless,
  topicMadeAnew,
  unknownPartition,
} from './fetcher-errors.ts'
import type { FetcherPartition } from './fetcher-partition.ts'
import { fetchRequest } from './fetcher-request.ts'
import type { FetcherOptions } from './options.ts'
import { backoffMs } from './retrying.ts'

/** How long an unknown topic or partition is looked for before it is trouble. */
const UNKNOWN_MS = 60_000

/** Where a response's data and a partition's troubles go. */
export interface FetchedData {
  data(state: FetcherPartition, part: FetchResponsePartitionData, seen: BatchesSeen, held: HeldResponse): void
  trouble(state: FetcherPartition, error: MillraceError): void
  /** The leader's log is another one than that which was read up to the fetch offset. */
  truncated(state: FetcherPartition, divergence: Divergence | undefined): void
}

export class FetcherSender {
  readonly #cluster: FetcherCluster
  readonly #options: FetcherOptions
  readonly #out: FetchedData
  readonly #brokers: Map<number, FetcherBroker> = new Map()
  readonly #unrouted: Set<FetcherPartition> = new Set()
  readonly counts: { requests: number; failures: number } = { requests: 0, failures: 0 }
  readonly #metrics: FetchMetrics
  #scheduled = false
  #asking = false
  #closed = false
  #timer: Timer | undefined
  #timerAtMs = 0

  constructor(cluster: FetcherCluster, options: FetcherOptions, metrics: FetchMetrics, out: FetchedData) {
    this.#metrics = metrics
    this.#cluster = cluster
    this.#options = options
    this.#out = out
  }

  /** The partition is new, has moved or may be asked again; many calls in one turn make one request. */
  changed(state: FetcherPartition): void {
    if (state.broker === undefined && !state.removed) this.#unrouted.add(state)
    this.#schedule()
  }

  removed(state: FetcherPartition): void {
    this.#unrouted.delete(state)
    state.broker?.partitions.delete(state)
    state.broker = undefined
  }

  /** Part of a response was walked or dropped. */
  released(held: HeldResponse): void {
    const broker = held.release()
    if (broker !== undefined) this.#ask(broker)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#run()
    })
  }

  #run(): void {
    if (this.#closed) return
    for (const state of this.#unrouted) this.#route(state)
    if (this.#unrouted.size > 0) void this.#learnLeaders()
    for (const broker of this.#brokers.values()) this.#ask(broker)
  }

  /** Gives the partition to the broker that serves it, if that is known. */
  #route(state: FetcherPartition): void {
    const now = this.#now()
    if (!state.active) {
      this.#unrouted.delete(state)
      return
    }
    if (state.notBeforeMs > now) {
      this.#wakeAt(state.notBeforeMs)
      return
    }
    const leader = this.#cluster.metadata.leader(state.topic, state.partition)
    if (leader === undefined || leader.nodeId < 0) {
      if (state.lostSinceMs < 0) state.lostSinceMs = now
      return
    }
    state.lostSinceMs = -1
    if (leader.leaderEpoch !== state.leaderEpoch) {
      // Only the leader knows whether its log is still the one that was read; it names a follower again afterwards.
      state.readReplica = -1
      state.doubtful = state.leaderEpoch >= 0 && leader.leaderEpoch >= 0 && state.fetchEpoch >= 0
      state.leaderEpoch = leader.leaderEpoch
    }
    if (state.readReplica >= 0 && state.readReplicaUntilMs <= now) state.readReplica = -1
    const nodeId = state.readReplica >= 0 ? state.readReplica : leader.nodeId
    let broker = this.#brokers.get(nodeId)
    if (broker === undefined) this.#brokers.set(nodeId, (broker = new FetcherBroker(nodeId)))
    state.broker = broker
    broker.partitions.add(state)
    this.#unrouted.delete(state)
  }

  #unroute(state: FetcherPartition): void {
    state.broker?.partitions.delete(state)
    state.broker = undefined
    this.#unrouted.add(state)
  }

  /** One look-up at a time for all partitions without a leader. */
  async #learnLeaders(): Promise<void> {
    const now = this.#now()
    const due = [...this.#unrouted].filter((state) => state.notBeforeMs <= now)
    if (this.#asking || due.length === 0) return
    this.#asking = true
    try {
      const metadata = this.#cluster.metadata
      const unknown = new Set(
        due.map((state) => state.topic).filter((name) => metadata.partitionCount(name) === undefined),
      )
      // `ensure` fails as a whole when one topic is missing; the others are known afterwards all the same, or asked again.
      if (unknown.size > 0)
        await Promise.all([...unknown].map((name) => metadata.ensure([name]).catch(() => undefined)))
      if (due.some((state) => !unknown.has(state.topic))) await metadata.refresh()
    } catch (error) {
      this.#cluster.ports.logger.debug({ error: String(error) }, 'no metadata for the fetcher yet')
    } finally {
      this.#asking = false
    }
    for (const state of due) if (this.#unrouted.has(state)) this.#stillLost(state)
    this.#schedule()
  }

  #stillLost(state: FetcherPartition): void {
    this.#route(state)
    if (state.lostSinceMs < 0) return
    const now = this.#now()
    const count = this.#cluster.metadata.partitionCount(state.topic)
    const known = count !== undefined && state.partition < count
    if (!known && now - state.lostSinceMs >= UNKNOWN_MS) {
      this.#unrouted.delete(state)
      const place = { topic: state.topic, partition: state.partition, offset: state.position }
      this.#out.trouble(state, unknownPartition(place, count, now - state.lostSinceMs))
    } else this.#pause(state)
  }

  /** Sends the broker's next request if none is under way and its unwalked data allows. */
  #ask(broker: FetcherBroker): void {
    if (this.#closed || broker.inFlight || broker.responsesHeld >= RESPONSES_MAX || broker.partitions.size === 0) return
    const now = this.#now()
    if (broker.notBeforeMs > now) {
      this.#wakeAt(broker.notBeforeMs)
      return
    }
    if (!this.#anyDue(broker, now)) return
    broker.inFlight = true
    void this.#fetch(broker)
  }

  #anyDue(broker: FetcherBroker, now: number): boolean {
    let due = false
    for (const state of broker.partitions) {
      if (!state.active) continue
      if (state.notBeforeMs > now) this.#wakeAt(state.notBeforeMs)
      else due = true
    }
    return due
  }

  async #fetch(broker: FetcherBroker): Promise<void> {
    let asked: FetcherPartition[] = [...broker.partitions]
    try {
      const connection = await this.#cluster.connection(broker.nodeId, 'fetch')
      // What is due may have changed while the connection was made.
      const now = this.#now()
      for (const state of broker.partitions) {
        if (state.readReplica >= 0 && state.readReplicaUntilMs <= now) this.#backToLeader(state)
      }
      asked = [...broker.partitions].filter(
        (state) => state.active && state.notBeforeMs <= now && this.#isSameTopic(state),
      )
      if (asked.length === 0 || this.#closed) return
      const doubtful = asked.filter((state) => state.doubtful)
      if (doubtful.length > 0) {
        asked = doubtful
        await this.#validate(broker, connection, doubtful)
      } else await this.#exchange(broker, connection, asked)
    } catch (error) {
      this.#failed(broker, asked, error)
    } finally {
      broker.inFlight = false
      // Before anybody walks what just came: the broker works while we do.
      this.#ask(broker)
      if (this.#unrouted.size > 0) this.#schedule()
    }
  }

  /** Offsets mean nothing in a topic that was deleted and made anew under the same name. */
  #isSameTopic(state: FetcherPartition): boolean {
    const topicId = this.#cluster.metadata.topicId(state.topic)
    if (topicId === undefined || topicId === state.topicId) return true
    if (state.topicId === undefined) {
      state.topicId = topicId
      return true
    }
    const place = { topic: state.topic, partition: state.partition, offset: state.fetchOffset }
    this.#out.trouble(state, topicMadeAnew(place, state.topicId, topicId))
    return false
  }

  async #exchange(broker: FetcherBroker, connection: FetcherConnection, asked: FetcherPartition[]): Promise<void> {
    broker.requestNumber++
    this.counts.requests++
    const { session } = broker
    const { request, version } = fetchRequest(this.#cluster, connection, this.#options, broker, asked)
    const askedMs = this.#now()
    const response = await connection.send(fetchApi, request, { version })
    if (this.#closed) return
    this.#metrics.fetched(recordBytes(response), this.#now() - askedMs, response.throttleTimeMs)
    if (response.throttleTimeMs > 0) broker.notBeforeMs = this.#now() + response.throttleTimeMs
    if (response.errorCode === KafkaErrorCode.NONE) {
      session.answered(response)
      this.#takeApart(broker, connection, response)
      return
    }
    const wasFull = session.isFull
    if (response.errorCode === KafkaErrorCode.FETCH_SESSION_ID_NOT_FOUND) session.unknown()
    else session.end()
    // What is wrong with a session alone is over with the next request, which is a full one and leaves at once.
    if (!wasFull) return
    for (const state of asked) if (this.#isCurrent(state, broker)) this.#refused(state, response.errorCode, undefined)
  }

  #takeApart(broker: FetcherBroker, connection: FetcherConnection, response: FetchResponse): void {
    const held = new HeldResponse(broker, connection)
    for (const topic of response.responses) {
      for (const part of topic.partitions) {
        const state = broker.session.find(topic, part.partitionIndex)
        if (state === undefined) continue
        // Also when its records are not wanted any more: within a session the broker does not say it again.
        if (part.errorCode === KafkaErrorCode.NONE) state.takeEnds(part)
        if (!this.#isCurrent(state, broker)) continue
        if (part.errorCode === KafkaErrorCode.NONE) this.#accept(state, part, held)
        else this.#refused(state, part.errorCode, part)
      }
    }
  }

  /** Whether what this broker answers now is what the partition waits for. */
  #isCurrent(state: FetcherPartition, broker: FetcherBroker): boolean {
    return (
      state.broker === broker &&
      state.askedIn === broker.requestNumber &&
      state.askedGeneration === state.generation &&
      state.askedOffset === state.fetchOffset
    )
  }

  #accept(state: FetcherPartition, part: FetchResponsePartitionData, held: HeldResponse): void {
    state.failures = 0
    const { epoch, endOffset } = part.divergingEpoch
    if (endOffset >= 0) {
      if (state.readReplica >= 0) {
        this.#backToLeader(state)
        this.#pause(state)
      } else this.#out.truncated(state, { offset: endOffset, epoch })
      return
    }
    if (part.preferredReadReplica >= 0) this.#readFrom(state, part.preferredReadReplica)
    const records = part.records
    if (records === null || records.length === 0) return
    const seen = seeBatches(records, state.fetchOffset)
    if (seen.bytes > 0) {
      state.bytesMax = this.#options.maxPartitionFetchBytes
      state.broker?.toTheEnd(state)
    } else if (seen.tail === 'part of a batch') {
      // A broker sends its first batch whole, but not those of the partitions behind it; some proxies not even that one.
      state.bytesMax = Math.max(state.bytesMax, Math.min(Math.max(seen.tailBytes, 2 * records.length), 0x7fff_ffff))
      return
    }
    this.#out.data(state, part, seen, held)
  }

  /** KIP-392: the leader names a follower in the reader's rack. */
  #readFrom(state: FetcherPartition, nodeId: number): void {
    if (nodeId === state.broker?.nodeId) return
    state.readReplica = nodeId
    state.readReplicaUntilMs = this.#now() + this.#cluster.options.metadataMaxAgeMs
    this.#unroute(state)
  }

  #backToLeader(state: FetcherPartition): void {
    state.readReplica = -1
    this.#unroute(state)
  }

  /** Asks the new leader of these partitions whether its log is the one that was read. */
  async #validate(
    broker: FetcherBroker,
    connection: FetcherConnection,
    doubtful: readonly FetcherPartition[],
  ): Promise<void> {
    const answers = await askEpochs(connection, doubtful)
    if (this.#closed) return
    if (answers === undefined) for (const state of doubtful) state.doubtful = false
    else for (const answer of answers) this.#validated(broker, answer)
  }

  #validated(broker: FetcherBroker, { state, generation, errorCode, end }: EpochAnswer): void {
    if (state.broker !== broker || state.generation !== generation || !state.doubtful) return
    if (errorCode !== KafkaErrorCode.NONE) this.#refused(state, errorCode, undefined)
    else if (!diverges(state, end)) state.doubtful = false
    else this.#out.truncated(state, end.offset < 0 || end.epoch < 0 ? undefined : end)
  }

  #refused(state: FetcherPartition, errorCode: number, part: FetchResponsePartitionData | undefined): void {
    if (state.readReplica >= 0) {
      // A follower may be behind or gone; the leader decides what is wrong.
      this.#backToLeader(state)
      this.#pause(state)
      return
    }
    const verdict = fetchVerdict(errorCode)
    if (verdict === 'trouble') {
      const place = { topic: state.topic, partition: state.partition, offset: state.fetchOffset }
      const log = { start: part?.logStartOffset ?? -1, end: part?.highWatermark ?? -1 }
      this.#out.trouble(state, fetchTrouble(errorCode, place, log))
      return
    }
    this.counts.failures++
    this.#pause(state)
    if (verdict === 'elsewhere') this.#forgetLeader(state)
  }

  /** The connection failed: each partition that was asked looks for its leader again. */
  #failed(broker: FetcherBroker, asked: readonly FetcherPartition[], error: unknown): void {
    if (this.#closed) return
    // Whether the broker took the request in is not known.
    broker.session.end()
    this.counts.failures++
    this.#cluster.ports.logger.debug({ broker: broker.nodeId, error: String(error) }, 'a fetch failed')
    for (const state of asked) {
      if (state.broker !== broker) continue
      if (!MillraceError.is(error) || !error.retriable) {
        this.#out.trouble(
          state,
          hopeless(error, { topic: state.topic, partition: state.partition, offset: state.fetchOffset }),
        )
        continue
      }
      state.readReplica = -1
      this.#pause(state)
      this.#forgetLeader(state)
    }
  }

  /** What the metadata says now is out of date: it is asked again before the partition is. */
  #forgetLeader(state: FetcherPartition): void {
    this.#unroute(state)
    void this.#cluster.metadata.refresh().then(
      () => this.#schedule(),
      () => this.#schedule(),
    )
  }

  #pause(state: FetcherPartition): void {
    state.notBeforeMs = this.#now() + backoffMs(this.#cluster.options, this.#cluster.ports.random, state.failures++)
    this.#wakeAt(state.notBeforeMs)
  }

  /** One timer, for whoever may go on first. */
  #wakeAt(atMs: number): void {
    if (this.#closed || (this.#timer !== undefined && this.#timerAtMs <= atMs)) return
    this.#timer?.cancel()
    this.#timerAtMs = atMs
    this.#timer = this.#cluster.ports.clock.setTimer(Math.max(1, Math.ceil(atMs - this.#now())), () => {
      this.#timer = undefined
      this.#run()
    })
  }

  #now(): number {
    return this.#cluster.ports.clock.monotonic()
  }
}

function recordBytes(response: FetchResponse): number {
  let bytes = 0
  for (const { partitions } of response.responses) for (const { records } of partitions) bytes += records?.length ?? 0
  return bytes
}
