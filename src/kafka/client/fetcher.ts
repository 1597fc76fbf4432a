/**
 * Reads explicit partitions from their leaders, ahead of the caller within a bound, and hands out one partition's part of a
 * response at a time. Partitions come, go, rest and jump at any moment; what was fetched for them before is then dropped.
 *
 * What always holds:
 * - records of a partition come in the order of their offsets, each once, from `position` on;
 * - `position` is right at every moment, also over markers, aborted data and gaps of compaction that gave no record;
 * - memory is bounded by two responses per broker (fetch.max.bytes each) that are not walked to their end, and is used again
 *   for the next ones, as views are of copies;
 * - nothing is allocated per record; per part of a response one small object.
 */
import { assert, MillraceError } from '../../base/index.ts'
import { FetchMetrics } from '../metrics/fetch-metrics.ts'
import type { KafkaMetrics } from '../metrics/kafka-metrics.ts'
import type { AbortedTransaction } from '../records/aborted-transaction-filter.ts'
import { BatchReader } from '../records/batch-reader.ts'
import { corruptBatch } from '../records/corrupt-batch.ts'
import { firstWrongChecksum } from './fetcher-batches.ts'
import type { HeldResponse } from './fetcher-broker.ts'
import type { FetcherCluster } from './fetcher-cluster.ts'
import { type Divergence, logTruncated } from './fetcher-errors.ts'
import { FetcherPartition } from './fetcher-partition.ts'
import { FetcherReader } from './fetcher-reader.ts'
import { FetcherSender } from './fetcher-sender.ts'
import type { FetcherOptions } from './options.ts'

export interface FetchedPartition {
  readonly kind: 'data'
  readonly topic: string
  readonly partition: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  /**
   * Stands before the first wanted record; under read_committed it passes over aborted data, always over markers. Valid until
   * the next call of `next`. Its checksums are right already; a batch malformed inside throws KAFKA_CORRUPT_BATCH from it.
   */
  readonly reader: BatchReader
}

/** What the fetcher cannot wait out. The partition rests until it is sought or removed. */
export interface PartitionTrouble {
  readonly kind: 'trouble'
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly error: MillraceError
  /** With KAFKA_LOG_TRUNCATED: where the leader's log parts from what was read, if the leader can say. */
  readonly divergence?: Divergence
}

export interface FetcherMetrics {
  readonly requests: number
  readonly failures: number
  readonly bytes: number
}

/** A part of a response that waits to be handed out, or is. */
interface Part {
  readonly state: FetcherPartition
  readonly generation: number
  readonly held: HeldResponse
  readonly records: Buffer
  readonly startOffset: number
  readonly endOffset: number
  readonly endEpoch: number
  readonly aborted: readonly AbortedTransaction[] | null
  /** Not even its first batch is one. */
  readonly unsound: boolean
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
}

type Ready = Part | PartitionTrouble

const EMPTY = Buffer.alloc(0)

/** A wrong checksum may have happened on the way: so often the batch is fetched again before it is trouble. */
const CHECKSUM_TRIES = 2

export class Fetcher {
  readonly #options: FetcherOptions
  readonly #partitions: Map<string, Map<number, FetcherPartition>> = new Map()
  readonly #sender: FetcherSender
  readonly #reader: FetcherReader
  readonly #metrics: FetchMetrics
  #ready: Ready[] = []
  /** What was handed out last, until the next call of `next`; void after a seek or removal. */
  #current: { readonly part: Part; readonly endOffset: number; readonly endEpoch: number; valid: boolean } | undefined
  #bytes = 0
  /** Of the reader's count, those that are in the metrics. */
  #recordsCounted = 0
  #waiting: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined
  #closed = false

  constructor(cluster: FetcherCluster, options: FetcherOptions) {
    this.#options = options
    this.#reader = new FetcherReader(options.isolationLevel)
    this.#metrics = new FetchMetrics(cluster.ports.clock)
    this.#sender = new FetcherSender(cluster, options, this.#metrics, {
      data: (state, part, seen, held) => {
        const records = part.records
        assert(records !== null, 'data has records')
        this.#bytes += records.length
        held.hold(records)
        this.#offer({
          state,
          generation: state.generation,
          held,
          records: seen.bytes === records.length || seen.bytes === 0 ? records : records.subarray(0, seen.bytes),
          startOffset: state.fetchOffset,
          endOffset: seen.endOffset,
          endEpoch: seen.endEpoch,
          aborted: part.abortedTransactions,
          unsound: seen.bytes === 0,
          highWatermark: part.highWatermark,
          lastStableOffset: part.lastStableOffset,
          logStartOffset: part.logStartOffset,
        })
        state.fetchOffset = seen.endOffset
        if (seen.bytes > 0) state.fetchEpoch = seen.endEpoch
      },
      truncated: (state, divergence) => this.#truncated(state, divergence),
      trouble: (state, error) => this.#trouble(state, error),
    })
  }

  /** Begins to fetch at `offset`, at once. */
  add(topic: string, partition: number, offset: number): void {
    assert(!this.#closed, 'a closed fetcher takes no partitions')
    assert(Number.isSafeInteger(offset) && offset >= 0, `${offset} is no offset to fetch ${topic}-${partition} from`)
    let partitions = this.#partitions.get(topic)
    if (partitions === undefined) this.#partitions.set(topic, (partitions = new Map()))
    assert(!partitions.has(partition), `${topic}-${partition} is fetched already`)
    const state = new FetcherPartition(topic, partition, offset, this.#options.maxPartitionFetchBytes)
    partitions.set(partition, state)
    this.#sender.changed(state)
  }

  /** Forgets the partition; what was handed out of it may still be walked until the next call of `next`. */
  remove(topic: string, partition: number): void {
    const state = this.#find(topic, partition)
    if (state === undefined) return
    state.removed = true
    this.#voidCurrent(state)
    this.#restart(state, state.position, state.positionEpoch)
    this.#sender.removed(state)
    const partitions = this.#partitions.get(topic)
    partitions?.delete(partition)
    if (partitions?.size === 0) this.#partitions.delete(topic)
  }

  /** Stops fetching it and drops what is buffered, so that it holds no memory that others need; `resume` fetches it again. */
  pause(topic: string, partition: number): void {
    const state = this.#known(topic, partition)
    if (state.paused) return
    state.paused = true
    const { endOffset, endEpoch } = this.#stand(state)
    this.#restart(state, endOffset, endEpoch)
  }

  resume(topic: string, partition: number): void {
    const state = this.#known(topic, partition)
    if (!state.paused) return
    state.paused = false
    this.#sender.changed(state)
  }

  /** Goes on at `offset`; also the way out of trouble. */
  seek(topic: string, partition: number, offset: number): void {
    assert(Number.isSafeInteger(offset) && offset >= 0, `${offset} is no offset to fetch ${topic}-${partition} from`)
    const state = this.#known(topic, partition)
    state.halted = false
    state.topicId = undefined
    state.checksumFailures = 0
    state.notBeforeMs = 0
    this.#voidCurrent(state)
    state.position = offset
    state.positionEpoch = -1
    this.#restart(state, offset, -1)
    this.#sender.changed(state)
  }

  /** The next data or trouble that is there, without waiting. What was handed out before counts as walked to its end. */
  next(): FetchedPartition | PartitionTrouble | undefined {
    this.#finish()
    for (let ready = this.#ready.shift(); ready !== undefined; ready = this.#ready.shift()) {
      const handed = 'kind' in ready ? ready : this.#handOut(ready)
      if (handed !== undefined) return handed
    }
    return undefined
  }

  /** Resolves when `next` may have something, or after `close`. */
  available(): Promise<void> {
    if (this.#ready.length > 0 || this.#closed) return Promise.resolve()
    this.#waiting ??= Promise.withResolvers<void>()
    return this.#waiting.promise
  }

  /** The offset after the last record handed out and walked; undefined for a partition that was not added. */
  position(topic: string, partition: number): number | undefined {
    const state = this.#find(topic, partition)
    if (state === undefined) return undefined
    return this.#walked(state) === undefined ? state.position : this.#reader.nextFetchOffset
  }

  /** Records between the position and the end a reader of this isolation level can see; undefined before the first answer. */
  lag(topic: string, partition: number): number | undefined {
    const state = this.#find(topic, partition)
    const end = this.endOffset(topic, partition)
    if (state === undefined || end === undefined) return undefined
    return Math.max(0, end - (this.position(topic, partition) ?? end))
  }

  /** Records between the beginning of the log and the position: how far the reader is from losing what it has not read. */
  lead(topic: string, partition: number): number | undefined {
    const start = this.#find(topic, partition)?.logStartOffset ?? -1
    return start < 0 ? undefined : Math.max(0, (this.position(topic, partition) ?? start) - start)
  }

  /** The follower that is read instead of the leader (KIP-392), -1 when it is the leader. */
  preferredReadReplica(topic: string, partition: number): number {
    return this.#find(topic, partition)?.readReplica ?? -1
  }

  /** The end that was last seen: the last stable offset under read_committed, else the high watermark. */
  endOffset(topic: string, partition: number): number | undefined {
    const state = this.#find(topic, partition)
    if (state === undefined) return undefined
    const end = this.#options.isolationLevel === 'read_committed' ? state.lastStableOffset : state.highWatermark
    return end < 0 ? undefined : end
  }

  metrics(): FetcherMetrics {
    return { ...this.#sender.counts, bytes: this.#bytes }
  }

  /** Under the names of Java's consumer. */
  get kafkaMetrics(): KafkaMetrics {
    return this.#metrics.gauges
  }

  /** Idempotent. Requests under way are answered to nobody; the connections belong to the cluster. */
  close(): Promise<void> {
    this.#closed = true
    this.#sender.close()
    this.#ready = []
    this.#current = undefined
    for (const partitions of this.#partitions.values()) for (const state of partitions.values()) state.removed = true
    this.#partitions.clear()
    this.#wake()
    return Promise.resolve()
  }

  #find(topic: string, partition: number): FetcherPartition | undefined {
    return this.#partitions.get(topic)?.get(partition)
  }

  #known(topic: string, partition: number): FetcherPartition {
    const state = this.#find(topic, partition)
    assert(state !== undefined, `${topic}-${partition} is not fetched`)
    return state
  }

  #offer(ready: Ready): void {
    this.#ready.push(ready)
    this.#wake()
  }

  #wake(): void {
    this.#waiting?.resolve()
    this.#waiting = undefined
  }

  #trouble(state: FetcherPartition, error: MillraceError, divergence?: Divergence): void {
    state.halted = true
    const { topic, partition, fetchOffset: offset } = state
    const where = divergence === undefined ? {} : { divergence }
    this.#offer({ kind: 'trouble', topic, partition, offset, error, ...where })
  }

  /** The part handed out last is done with. */
  #finish(): void {
    const current = this.#current
    if (current === undefined) return
    this.#current = undefined
    if (current.valid) {
      current.part.state.position = current.endOffset
      current.part.state.positionEpoch = current.endEpoch
    }
    this.#count(current.part.state)
    // Its memory may be used again from now on: nothing can be read through the reader any more.
    this.#reader.reset('', -1, EMPTY, 0)
    this.#sender.released(current.part.held)
  }

  #count({ topic, partition, logStartOffset, position }: FetcherPartition): void {
    const records = this.#reader.recordsReached - this.#recordsCounted
    this.#recordsCounted += records
    const end = this.endOffset(topic, partition) ?? position
    this.#metrics.walked(records, Math.max(0, end - position), Math.max(0, position - logStartOffset))
  }

  #handOut(part: Part): FetchedPartition | PartitionTrouble | undefined {
    const { state } = part
    assert(part.generation === state.generation && part.startOffset === state.position, 'parts are handed out in order')
    let { records, endOffset, endEpoch } = part
    const wrong = this.#options.checkCrcs ? firstWrongChecksum(records, part.startOffset) : undefined
    if (part.unsound || wrong?.bytes === 0) return this.#unusable(part)
    state.checksumFailures = 0
    if (wrong !== undefined) {
      // What is right is handed out; the batch is asked for again, and so is what was fetched behind it.
      records = records.subarray(0, wrong.bytes)
      endOffset = wrong.endOffset
      endEpoch = wrong.endEpoch
      this.#restart(state, endOffset, endEpoch)
      this.#sender.changed(state)
    }
    this.#current = { part, endOffset, endEpoch, valid: true }
    this.#reader.begin(state.topic, state.partition, records, part.startOffset, part.aborted)
    return {
      kind: 'data',
      topic: state.topic,
      partition: state.partition,
      highWatermark: part.highWatermark,
      lastStableOffset: part.lastStableOffset,
      logStartOffset: part.logStartOffset,
      reader: this.#reader,
    }
  }

  /** A part whose very first batch is damaged: fetched again while it may have happened on the way, then trouble. */
  #unusable(part: Part): PartitionTrouble | undefined {
    const { state } = part
    this.#restart(state, state.position, state.positionEpoch)
    const error = damage(state, part.records)
    this.#sender.released(part.held)
    if (++state.checksumFailures < CHECKSUM_TRIES) {
      this.#sender.changed(state)
      return undefined
    }
    state.halted = true
    return { kind: 'trouble', topic: state.topic, partition: state.partition, offset: state.position, error }
  }

  /** What is handed out of this partition just now. */
  #walked(state: FetcherPartition): { readonly endOffset: number; readonly endEpoch: number } | undefined {
    const current = this.#current
    return current?.valid === true && current.part.state === state ? current : undefined
  }

  /** Behind all that was handed out of this partition. */
  #stand(state: FetcherPartition): { readonly endOffset: number; readonly endEpoch: number } {
    return this.#walked(state) ?? { endOffset: state.position, endEpoch: state.positionEpoch }
  }

  #voidCurrent(state: FetcherPartition): void {
    if (this.#current?.part.state === state) this.#current.valid = false
  }

  /**
   * The leader's log is not the one that was read up to the fetch offset. What was fetched ahead is dropped and asked for again,
   * from where the caller stands; when that is beyond the divergence too, it is the caller's to decide.
   */
  #truncated(state: FetcherPartition, divergence: Divergence | undefined): void {
    const { endOffset, endEpoch } = this.#stand(state)
    if (state.fetchOffset > endOffset) {
      this.#restart(state, endOffset, endEpoch)
      this.#sender.changed(state)
    } else this.#trouble(state, logTruncated(state, divergence), divergence)
  }

  /** Drops what is buffered and under way of the partition. */
  #restart(state: FetcherPartition, fetchOffset: number, fetchEpoch: number): void {
    state.restart(fetchOffset, fetchEpoch)
    const kept: Ready[] = []
    const dropped: Part[] = []
    for (const ready of this.#ready) {
      if ('kind' in ready) {
        if (ready.topic !== state.topic || ready.partition !== state.partition) kept.push(ready)
      } else if (ready.state === state) dropped.push(ready)
      else kept.push(ready)
    }
    if (kept.length === this.#ready.length) return
    this.#ready = kept
    for (const part of dropped) this.#sender.released(part.held)
  }
}

/** What is wrong with the first batch, in the words of the reader that checks everything. */
function damage(state: FetcherPartition, records: Buffer): MillraceError {
  const reader = new BatchReader()
  reader.reset(state.topic, state.partition, records, state.position)
  try {
    reader.nextBatch()
  } catch (error) {
    if (MillraceError.is(error)) return error
    throw error
  }
  return corruptBatch(
    { topic: state.topic, partition: state.partition, offset: state.position },
    'its header is not possible',
  )
}
