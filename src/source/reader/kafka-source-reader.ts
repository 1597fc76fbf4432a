/**
 * Reads the splits of one subtask. The fetcher fetches ahead; `poll` walks what it has in place and emits, synchronously; the
 * positions of the splits are right whenever `poll` is not running, and they are all that a snapshot holds.
 *
 * What always holds:
 * - a split's position passes a record only when all its outputs were emitted; a record that fails is not passed;
 * - a split ends by position: stop offsets may lie in markers, gaps or aborted data, where no record is; records at or
 *   behind the stop offset are never emitted. A split whose start is not before its stop ends without a fetch;
 * - finished splits stay in the snapshot at their stop, so that no restore takes them for unread ones;
 * - what goes wrong in the background surfaces from `poll` and `available`.
 */
import { assert, type Timer, toError } from '../../base/index.ts'
import {
  type CheckpointId,
  NO_TIMESTAMP,
  type PollStatus,
  type SourceReader,
  type SourceReaderContext,
} from '../../core/index.ts'
import type { FetchedPartition, PartitionTrouble } from '../../kafka/index.ts'
import { type RecordDecoder, recordDecoder } from '../deserializer/record-decoder.ts'
import { connectAs, type KafkaSourceSettings } from '../kafka-source-settings.ts'
import type { ConnectSource, SourceAdmin, SourceClient, SourceFetcher } from '../source-client.ts'
import type { KafkaPartitionSplit } from '../split/kafka-partition-split.ts'
import { partitionName } from '../topic-partition.ts'
import { KafkaReaderMetrics } from './kafka-reader-metrics.ts'
import { OffsetCommitter } from './offset-committer.ts'
import { lookUpDivergence, lookUpEarliest, lookUpReset, type PositionLookupOptions } from './position-lookup.ts'
import { SplitReading } from './split-reading.ts'

export interface KafkaSourceReaderOptions<T> {
  readonly context: SourceReaderContext<T>
  readonly settings: KafkaSourceSettings<T>
  readonly connect: ConnectSource
}

/** Data being walked, over as many calls of `poll` as it takes. */
interface Walk<T> {
  readonly reading: SplitReading<T>
  readonly reader: FetchedPartition['reader']
  inBatch: boolean
}

export class KafkaSourceReader<T> implements SourceReader<KafkaPartitionSplit> {
  readonly #context: SourceReaderContext<T>
  readonly #settings: KafkaSourceSettings<T>
  readonly #connect: ConnectSource
  readonly #decoder: RecordDecoder<T>
  readonly #metrics: KafkaReaderMetrics
  readonly #committer: OffsetCommitter | undefined
  readonly #closing = new AbortController()
  readonly #readings = new Map<string, SplitReading<T>>()
  #client: SourceClient | undefined
  #fetcher: SourceFetcher | undefined
  #walk: Walk<T> | undefined
  #unfinished = 0
  #noMoreSplits = false
  #failure: Error | undefined
  /** Something happened since the last poll that it should look at. */
  #rung = false
  #waiting:
    | { readonly promise: Promise<void>; readonly resolve: () => void; readonly reject: (error: Error) => void }
    | undefined
  #fetcherWatched = false
  #commitTimer: Timer | undefined

  constructor(options: KafkaSourceReaderOptions<T>) {
    const { context, settings } = options
    this.#context = context
    this.#settings = settings
    this.#connect = options.connect
    this.#decoder = recordDecoder(settings.deserializer)
    this.#metrics = new KafkaReaderMetrics(context.metrics, {
      pendingRecords: () => this.pendingRecords(),
      fetched: () => this.#fetcher?.metrics(),
      nullsSkipped: () => this.#decoder.nullsSkipped,
      registerConsumerMetrics: settings.properties['register.consumer.metrics'] !== 'false',
    })
    this.#committer = this.#makeCommitter()
  }

  async open(): Promise<void> {
    const { deserializer, autoCommitIntervalMs } = this.#settings
    const { jobName, operatorName, uid, subtask, parallelism, maxParallelism } = this.#context
    const metrics = this.#context.metrics.group('deserializer')
    await deserializer.open?.({ jobName, operatorName, uid, subtask, parallelism, maxParallelism, metrics })
    if (!this.#context.checkpointing && autoCommitIntervalMs !== undefined) this.#scheduleCommit(autoCommitIntervalMs)
  }

  addSplits(splits: readonly KafkaPartitionSplit[]): void {
    for (const split of splits) this.#add(split)
    this.#ring()
  }

  noMoreSplits(): void {
    this.#noMoreSplits = true
    this.#ring()
  }

  poll(budget: number): PollStatus {
    if (this.#failure !== undefined) throw this.#failure
    this.#rung = false
    let left = Math.min(budget, this.#settings.maxPollRecords)
    while (left > 0) {
      this.#walk ??= this.#nextWalk()
      const walk = this.#walk
      if (walk === undefined) {
        return this.#noMoreSplits && this.#unfinished === 0 ? 'ended' : 'waiting'
      }
      if (walk.reading.output.blocked) return 'more'
      left -= this.#walkOn(walk, left)
    }
    return 'more'
  }

  available(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#rung || this.#walk !== undefined) return Promise.resolve()
    this.#waiting ??= Promise.withResolvers<void>()
    this.#watchFetcher()
    return this.#waiting.promise
  }

  snapshotState(checkpoint: CheckpointId): readonly KafkaPartitionSplit[] {
    if (this.#settings.commitOnCheckpoint) this.#committer?.remember(checkpoint, this.#readings.values())
    return [...this.#readings.values()].map((reading) => reading.toSplit())
  }

  async checkpointCompleted(checkpoint: CheckpointId): Promise<void> {
    if (this.#settings.commitOnCheckpoint) await this.#committer?.checkpointCompleted(checkpoint)
  }

  pendingRecords(): number | undefined {
    let pending: number | undefined
    for (const { topic, partition, position, stop, finished } of this.#readings.values()) {
      const end = finished ? position : this.#fetcher?.endOffset(topic, partition)
      if (end !== undefined && position !== undefined) {
        pending = (pending ?? 0) + Math.max(0, Math.min(end, stop) - position)
      }
    }
    return pending
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    this.#commitTimer?.cancel()
    this.#walk = undefined
    this.#ring()
    if (this.#client === undefined) return
    if (this.#commitTimer !== undefined && this.#failure === undefined) await this.#lastCommit()
    await this.#client.close()
  }

  #add(split: KafkaPartitionSplit): void {
    const name = partitionName(split)
    assert(!this.#readings.has(name), `split ${name} was added twice`)
    const reading = new SplitReading(split, this.#context.output.forSplit(name))
    this.#readings.set(name, reading)
    this.#unfinished++
    this.#metrics.addSplit(reading, () => this.#fetcher)
    if (reading.atEnd) this.#finish(reading)
    else if (reading.position !== undefined) this.#fetch().add(reading.topic, reading.partition, reading.position)
    else this.#inBackground(this.#beginEarliest(reading))
  }

  async #beginEarliest(reading: SplitReading<T>): Promise<void> {
    const earliest = await lookUpEarliest(reading, this.#lookup())
    if (this.#closing.signal.aborted) return
    reading.position = earliest
    if (reading.atEnd) this.#finish(reading)
    else this.#fetch().add(reading.topic, reading.partition, earliest)
  }

  /** The next data of the fetcher; undefined when there is none now. */
  #nextWalk(): Walk<T> | undefined {
    for (;;) {
      const fetched = this.#fetcher?.next()
      if (fetched === undefined) return undefined
      const reading = this.#readings.get(partitionName(fetched))
      assert(reading !== undefined, `data of ${partitionName(fetched)}, which is not read here`)
      if (fetched.kind === 'data') return { reading, reader: fetched.reader, inBatch: false }
      this.#recover(reading, fetched)
    }
  }

  #recover(reading: SplitReading<T>, trouble: PartitionTrouble): void {
    const { code } = trouble.error
    if (code === 'KAFKA_OFFSET_OUT_OF_RANGE') {
      this.#inBackground(this.#goOn(reading, lookUpReset(reading, trouble.offset, this.#lookup())))
    } else if (code === 'KAFKA_LOG_TRUNCATED') {
      this.#inBackground(this.#goOn(reading, lookUpDivergence(reading, trouble, this.#lookup())))
    } else throw trouble.error
  }

  async #goOn(reading: SplitReading<T>, position: Promise<number>): Promise<void> {
    const target = await position
    if (this.#closing.signal.aborted) return
    reading.position = target
    if (reading.atEnd) this.#finish(reading)
    else this.#fetch().seek(reading.topic, reading.partition, target)
  }

  /** Emits up to `limit` records and returns how many; less than that when the data is at its end or the output is blocked. */
  #walkOn(walk: Walk<T>, limit: number): number {
    const { reading, reader } = walk
    const { output, stop } = reading
    const time = this.#context.time
    const decoder = this.#decoder
    // No offset is kept in a variable: what lives across a `try` is an object for V8, and so would be each offset.
    let count = 0
    let standing = false
    try {
      walking: for (;;) {
        if (!walk.inBatch) {
          if (!reader.nextBatch()) {
            this.#walk = undefined
            break
          }
          walk.inBatch = true
        }
        while (reader.next()) {
          if (reader.offset >= stop) {
            this.#walk = undefined
            break walking
          }
          standing = true
          reader.putTimestamp(time, NO_TIMESTAMP)
          decoder.decode(reader, output)
          standing = false
          reading.lastOffset = reader.offset
          if (++count === limit || output.blocked) break walking
        }
        walk.inBatch = false
      }
    } finally {
      // Also when it throws: a record that failed is not passed.
      reading.position = standing ? reader.offset : Math.min(reader.nextFetchOffset, stop)
      if (count > 0) this.#noteProgress(reading, count)
    }
    if (reading.atEnd) {
      this.#walk = undefined
      this.#finish(reading)
    }
    return count
  }

  #noteProgress(reading: SplitReading<T>, count: number): void {
    reading.fromEarliest = false
    reading.outOfRangeAt = -1
    this.#metrics.noteEmitted(count, this.#context.clock.now(), this.#context.time.timestamp)
  }

  #finish(reading: SplitReading<T>): void {
    assert(!reading.finished, `${reading.id} ended twice`)
    reading.finished = true
    this.#unfinished--
    this.#fetcher?.remove(reading.topic, reading.partition)
    this.#context.output.releaseSplit(reading.id)
  }

  #fetch(): SourceFetcher {
    if (this.#fetcher !== undefined) return this.#fetcher
    const client = this.#connected()
    const fetcher = client.createFetcher()
    this.#metrics.addClient(client.connectionMetrics, fetcher.kafkaMetrics)
    this.#fetcher = fetcher
    return fetcher
  }

  /** Connects at the first split: a subtask without any opens no connection. */
  #connected(): SourceClient {
    const { subtask, uid } = this.#context
    const rack = this.#client === undefined ? this.#settings.rackIdSupplier?.() : undefined
    this.#client ??= connectAs(this.#connect, this.#settings, {
      uid,
      suffix: String(subtask),
      ports: this.#context,
      ...(rack === undefined ? {} : { rack }),
    })
    return this.#client
  }

  #lookup(): PositionLookupOptions {
    const { clock, logger } = this.#context
    const { resetStrategy } = this.#settings
    return { admin: this.#connected().admin, clock, logger, resetStrategy, signal: this.#closing.signal }
  }

  #inBackground(work: Promise<void>): void {
    work.catch((error) => this.#fail(toError(error))).finally(() => this.#ring())
  }

  #fail(error: Error): void {
    if (this.#closing.signal.aborted) return
    this.#failure ??= error
  }

  #watchFetcher(): void {
    const fetcher = this.#fetcher
    if (fetcher === undefined || this.#fetcherWatched) return
    this.#fetcherWatched = true
    const told = (): void => {
      this.#fetcherWatched = false
    }
    this.#inBackground(fetcher.available().finally(told))
  }

  #ring(): void {
    this.#rung = true
    const waiting = this.#waiting
    this.#waiting = undefined
    if (this.#failure === undefined) waiting?.resolve()
    else waiting?.reject(this.#failure)
  }

  #makeCommitter(): OffsetCommitter | undefined {
    const { groupId } = this.#settings
    if (groupId === undefined) return undefined
    const admin = (): SourceAdmin => this.#connected().admin
    const { commitsSucceeded: succeeded, commitsFailed: failed } = this.#metrics
    return new OffsetCommitter({ groupId, admin, logger: this.#context.logger, succeeded, failed })
  }

  #scheduleCommit(intervalMs: number): void {
    const commit = async (): Promise<void> => {
      await this.#committer?.commitNow(this.#readings.values())
      if (!this.#closing.signal.aborted) this.#scheduleCommit(intervalMs)
    }
    this.#commitTimer = this.#context.clock.setTimer(intervalMs, () => this.#inBackground(commit()), {
      background: true,
    })
  }

  /** As Kafka's consumer does when it is closed; not waited for long. */
  async #lastCommit(): Promise<void> {
    const late = new AbortController()
    const tooLate = this.#context.clock.sleep(5_000, late.signal).catch(() => undefined)
    await Promise.race([this.#committer?.commitNow(this.#readings.values()), tooLate])
    late.abort()
  }
}
