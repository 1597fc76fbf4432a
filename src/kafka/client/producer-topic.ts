/**
 * The handle through which records are appended to a topic: a record costs no look-up by name, no object and no promise, only
 * its partition and the bytes written into that partition's open batch (90-130 ns, producer.bench.ts).
 *
 * Records without key and partition stick to one partition for a while, as with Kafka's own producer, so that batches fill
 * instead of many small ones being sent (sticky-partition.ts).
 *
 * The partitions that a topic gets later are used as soon as the metadata has them, seen whenever a batch is begun; there are
 * never fewer than before, as a handle that was given out keeps its lanes.
 */
import { MillraceError, type Random } from '../../base/index.ts'
import type { RecordHeaderInput } from '../records/record-headers.ts'
import { varintSize } from '../records/varint.ts'
import { partitionOfKey } from './partitioner.ts'
import { ProducerLane } from './producer-lane.ts'
import { StickyPartition } from './sticky-partition.ts'

/** Headers of a record as a producer takes them. */
export type RecordHeader = RecordHeaderInput

/** What a topic needs of its producer. */
export interface LaneWriter {
  /** Brings a batch with room for a record into `lane.open`; throws the producer's failure. */
  openBatch(lane: ProducerLane): void
  /** The open batch is full. */
  closeFull(lane: ProducerLane): void
  /** The open batch needs more memory than it was counted for. */
  grown(lane: ProducerLane): void
}

export interface TopicSettings {
  readonly batchBytes: number
  readonly requestBytesMax: number
  readonly random: Random
  /** partitioner.adaptive.partitioning.enable and partitioner.ignore.keys. */
  readonly adaptive: boolean
  readonly ignoreKeys: boolean
  readonly hasLeader: (topic: string, partition: number) => boolean
  /** As the metadata has it now; undefined while it does not know the topic. */
  readonly partitionCount: (topic: string) => number | undefined
}

const NO_HEADERS: readonly RecordHeader[] = []
/** What a record takes beside key, value and headers at most: Java's MAX_RECORD_OVERHEAD and the batch's header. */
const RECORD_OVERHEAD = 21 + 61
/** The lengths of key and value and the number of headers, at most. */
const LENGTHS_OVERHEAD = 5 + 5 + 1

export class ProducerTopic {
  readonly name: string
  readonly #lanes: ProducerLane[]
  readonly #writer: LaneWriter
  readonly #settings: TopicSettings
  /** Up to this many units of text or bytes a record fits whatever its characters are. */
  readonly #surelyFits: number
  readonly #sticky: StickyPartition
  readonly #ignoreKeys: boolean

  constructor(name: string, partitionCount: number, writer: LaneWriter, settings: TopicSettings) {
    this.name = name
    this.#lanes = Array.from({ length: partitionCount }, (_, partition) => new ProducerLane(name, partition))
    this.#writer = writer
    this.#settings = settings
    this.#sticky = new StickyPartition(settings)
    this.#ignoreKeys = settings.ignoreKeys
    this.#surelyFits = Math.floor((settings.requestBytesMax - RECORD_OVERHEAD - LENGTHS_OVERHEAD) / 3)
  }

  get partitionCount(): number {
    return this.#lanes.length
  }

  get lanes(): readonly ProducerLane[] {
    return this.#lanes
  }

  /**
   * Appends a record; text is written as UTF-8. Partition -1: by the key as Java does, without a key where batches fill.
   * Throws KAFKA_RECORD_TOO_LARGE, with nothing appended, or the failure of the producer.
   */
  append(
    partition: number,
    timestamp: number,
    key: Uint8Array | string | null,
    value: Uint8Array | string | null,
    headers: readonly RecordHeader[] = NO_HEADERS,
  ): void {
    const units = (key === null ? 0 : key.length) + (value === null ? 0 : value.length)
    if (units > this.#surelyFits || headers.length > 0) this.#checkSize(key, value, headers)
    const sticks = partition < 0 && (key === null || this.#ignoreKeys)
    const to =
      partition >= 0 ? partition : sticks || key === null ? this.#stuckTo() : partitionOfKey(key, this.partitionCount)
    const lane = this.#lanes[to] ?? this.#grown()[to]
    if (lane === undefined) throw this.#noSuchPartition(to)
    let open = lane.open
    let bytesBefore = sticks && open !== undefined ? open.writer.sizeBytes : 0
    if (open === undefined || !open.writer.append(timestamp, key, value, headers)) {
      if (open !== undefined) this.#writer.closeFull(lane)
      this.#grown()
      this.#writer.openBatch(lane)
      open = lane.open
      bytesBefore = 0
      // The first record of a batch always fits.
      open?.writer.append(timestamp, key, value, headers)
    }
    if (open === undefined) return
    if (sticks) this.#sticky.took(open.writer.sizeBytes - bytesBefore)
    if (open.writer.sizeBytes > open.capacity) this.#writer.grown(lane)
  }

  /** The lanes, also of partitions that came meanwhile. */
  #grown(): readonly ProducerLane[] {
    const count = this.#settings.partitionCount(this.name) ?? 0
    while (this.#lanes.length < count) this.#lanes.push(new ProducerLane(this.name, this.#lanes.length))
    return this.#lanes
  }

  #stuckTo(): number {
    const { current } = this.#sticky
    return this.#sticky.isOver(this.#lanes[current]?.open !== undefined) ? this.#another() : current
  }

  /** Apart from the above: what holds functions makes an object for them whenever it is entered (40 bytes a record there). */
  #another(): number {
    return this.#sticky.choose({
      count: this.partitionCount,
      hasLeader: (partition) => this.#settings.hasLeader(this.name, partition),
      queued: (partition) => this.#lanes[partition]?.queued ?? 0,
    })
  }

  #checkSize(
    key: Uint8Array | string | null,
    value: Uint8Array | string | null,
    headers: readonly RecordHeader[],
  ): void {
    // To the byte as Java counts, so that what one of them takes the other does not refuse.
    let bytes = RECORD_OVERHEAD + sizeWithLength(key) + sizeWithLength(value) + varintSize(headers.length)
    for (const header of headers) bytes += sizeWithLength(header.key) + sizeWithLength(header.value)
    if (bytes <= this.#settings.requestBytesMax) return
    throw new MillraceError(
      'KAFKA_RECORD_TOO_LARGE',
      `A record of ${bytes} bytes for topic ${this.name} is larger than max.request.size (${this.#settings.requestBytesMax}). It was not written, nothing else is affected. Raise max.request.size, and max.message.bytes of the topic, or write smaller records.`,
      { next: 'The writer fails with this record.' },
    )
  }

  #noSuchPartition(partition: number): MillraceError {
    return new MillraceError(
      'KAFKA_UNKNOWN_PARTITION',
      `A record was to go to partition ${partition} of topic ${this.name}, which has ${this.partitionCount} (0 to ${this.partitionCount - 1}). It was not written. Look at the partitioner.`,
    )
  }
}

function sizeWithLength(part: Uint8Array | string | null): number {
  if (part === null) return varintSize(-1)
  const length = typeof part === 'string' ? Buffer.byteLength(part) : part.length
  return varintSize(length) + length
}
