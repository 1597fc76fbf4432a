/**
 * What the fetcher keeps of one partition: where it stands, which broker serves it, and why it may be resting.
 *
 * Two offsets, because data is fetched ahead: `position` is the next one to hand out, `fetchOffset` the next one to ask for,
 * behind all that is buffered. What always holds: position <= fetchOffset, and they are equal when nothing is buffered or
 * handed out. Each goes with the leader epoch of the batch before it (-1: not known, as after a seek), by which a leader can say
 * whether its log is still the one that was read. `generation` moves whenever buffered and requested data lose their meaning
 * (seek, pause, remove); a response is taken for a partition only under the generation it was asked under.
 */
import type { FetcherBroker } from './fetcher-broker.ts'

export class FetcherPartition {
  readonly topic: string
  readonly partition: number
  position: number
  positionEpoch = -1
  fetchOffset: number
  fetchEpoch = -1
  generation = 0
  removed = false
  paused = false
  /** Trouble was handed up: nothing happens until the next seek. */
  halted = false

  /** The id of the topic that the offsets belong to, once known. */
  topicId: string | undefined = undefined
  broker: FetcherBroker | undefined = undefined
  leaderEpoch = -1
  /** The leadership has changed: whether the new leader's log goes on where this partition stands is asked first (KIP-320). */
  doubtful = false
  /** KIP-392: the follower that the leader recommended, until when; -1 is none. */
  readReplica = -1
  readReplicaUntilMs = 0

  /** The request number of its broker under which it was asked last, its generation and offset then. */
  askedIn = -1
  askedGeneration = -1
  askedOffset = -1

  /** Monotonic time before which it is left alone. */
  notBeforeMs = 0
  failures = 0
  /** Monotonic time since which no leader was found; -1: it has one. */
  lostSinceMs = -1
  /** Tries of the batch at `position` whose checksum was wrong. */
  checksumFailures = 0
  /** Raised when a batch did not fit in max.partition.fetch.bytes. */
  bytesMax: number

  highWatermark = -1
  lastStableOffset = -1
  logStartOffset = -1

  constructor(topic: string, partition: number, offset: number, bytesMax: number) {
    this.topic = topic
    this.partition = partition
    this.position = offset
    this.fetchOffset = offset
    this.bytesMax = bytesMax
  }

  get active(): boolean {
    return !this.removed && !this.paused && !this.halted
  }

  /** Everything buffered or under way is void; the fetch offset is behind `position` only by what is being walked. */
  restart(fetchOffset: number, fetchEpoch: number): void {
    this.generation++
    this.fetchOffset = fetchOffset
    this.fetchEpoch = fetchEpoch
    if (fetchEpoch < 0) this.doubtful = false
  }

  /** What an answer says about the log holds whether or not its records are taken. */
  takeEnds(ends: {
    readonly highWatermark: number
    readonly lastStableOffset: number
    readonly logStartOffset: number
  }): void {
    this.highWatermark = ends.highWatermark
    this.lastStableOffset = ends.lastStableOffset
    this.logStartOffset = ends.logStartOffset
  }
}
