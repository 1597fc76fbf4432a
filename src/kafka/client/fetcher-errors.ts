/**
 * What an error code in a fetch response means for its partition. Whatever may pass is waited out inside; what needs a decision
 * (an offset outside the log, a missing right, a damaged batch) goes up as trouble and the partition rests until it is sought.
 */
import { MillraceError } from '../../base/index.ts'
import { KafkaErrorCode, kafkaError } from '../protocol/errors.ts'

/** 'elsewhere': ask the metadata who leads it now; 'later': the same broker again after a pause; 'trouble': hand it up. */
export type FetchVerdict = 'elsewhere' | 'later' | 'trouble'

export function fetchVerdict(errorCode: number): FetchVerdict {
  switch (errorCode) {
    case KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
    case KafkaErrorCode.LEADER_NOT_AVAILABLE:
    case KafkaErrorCode.NOT_LEADER_OR_FOLLOWER:
    case KafkaErrorCode.REPLICA_NOT_AVAILABLE:
    case KafkaErrorCode.KAFKA_STORAGE_ERROR:
    case KafkaErrorCode.FENCED_LEADER_EPOCH:
    case KafkaErrorCode.UNKNOWN_LEADER_EPOCH:
    case KafkaErrorCode.UNKNOWN_TOPIC_ID:
    case KafkaErrorCode.INCONSISTENT_TOPIC_ID:
      return 'elsewhere'
    case KafkaErrorCode.UNKNOWN_SERVER_ERROR:
    case KafkaErrorCode.REQUEST_TIMED_OUT:
    case KafkaErrorCode.NETWORK_EXCEPTION:
    case KafkaErrorCode.OFFSET_NOT_AVAILABLE:
    case KafkaErrorCode.THROTTLING_QUOTA_EXCEEDED:
      return 'later'
    default:
      return 'trouble'
  }
}

export interface FetchPlace {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

const RESTS = 'The partition rests until a new offset is set for it; the other partitions go on.'

export function fetchTrouble(errorCode: number, place: FetchPlace, log: { start: number; end: number }): MillraceError {
  const where = `${place.topic}-${place.partition}`
  switch (errorCode) {
    case KafkaErrorCode.OFFSET_OUT_OF_RANGE: {
      const range = log.start >= 0 && log.end >= 0 ? ` (it holds ${log.start} to ${log.end})` : ''
      return new MillraceError(
        'KAFKA_OFFSET_OUT_OF_RANGE',
        `Offset ${place.offset} of ${where} is not in the log of its leader${range}. Below the start, retention or a deletion removed records before they were read; above the end, the topic was made anew or the leader lost records.`,
        { next: RESTS },
      )
    }
    case KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED:
    case KafkaErrorCode.CLUSTER_AUTHORIZATION_FAILED:
      return new MillraceError(
        'KAFKA_AUTHORIZATION_FAILED',
        `Reading ${where} at offset ${place.offset} is not allowed: the broker wants the right READ on topic ${place.topic}. Nothing is lost.`,
        { next: RESTS },
      )
    case KafkaErrorCode.CORRUPT_MESSAGE:
      return new MillraceError(
        'KAFKA_CORRUPT_BATCH',
        `The broker found a damaged batch at or after offset ${place.offset} of ${where}. Nothing is skipped; restore that replica, or start behind the batch.`,
        { next: RESTS },
      )
    default:
      return new MillraceError(
        'KAFKA_FATAL',
        `Fetching ${where} at offset ${place.offset} was answered with ${kafkaError(errorCode).name}, which this client does not know how to live with. Nothing is lost.`,
        { next: RESTS },
      )
  }
}

/** Where a leader's log parts from what was read: its own last epoch up to the one asked about, and the end of that. */
export interface Divergence {
  readonly offset: number
  readonly epoch: number
}

/** `place` is behind what was read: the offset, and the epoch of the last batch before it. */
export function logTruncated(
  place: {
    readonly topic: string
    readonly partition: number
    readonly fetchOffset: number
    readonly fetchEpoch: number
  },
  divergence: Divergence | undefined,
): MillraceError {
  const { topic, partition, fetchOffset, fetchEpoch } = place
  const read = `${topic}-${partition} was read up to offset ${fetchOffset} (leader epoch ${fetchEpoch})`
  const known =
    divergence === undefined
      ? 'but its leader knows nothing of that epoch: its log lost its end'
      : `but the log of its leader parts from that at offset ${Math.min(divergence.offset, fetchOffset)} (leader epoch ${divergence.epoch} ends at ${divergence.offset}): it lost its end, as when a replica out of sync was made leader`
  const from = divergence === undefined ? '' : ` from offset ${Math.min(divergence.offset, fetchOffset)} on`
  return new MillraceError(
    'KAFKA_LOG_TRUNCATED',
    `${read}, ${known}. Records${from} that were read and worked on are no longer in Kafka, and others may stand in their place, which were not read.`,
    { next: RESTS },
  )
}

/** The metadata has not known the partition for a while: its topic or it was deleted, or its name is wrong. */
export function unknownPartition(
  place: FetchPlace,
  partitionCount: number | undefined,
  afterMs: number,
): MillraceError {
  const where = `${place.topic}-${place.partition}`
  return partitionCount === undefined
    ? new MillraceError(
        'KAFKA_UNKNOWN_TOPIC',
        `For ${Math.round(afterMs / 1000)} s the cluster has not known topic ${place.topic}, to be read at offset ${place.offset} of partition ${place.partition}. It was deleted, its name is wrong, or the right DESCRIBE on it is missing.`,
        { next: RESTS },
      )
    : new MillraceError(
        'KAFKA_UNKNOWN_PARTITION',
        `For ${Math.round(afterMs / 1000)} s the cluster has not known ${where}, to be read at offset ${place.offset}: the topic has ${partitionCount} partitions.`,
        { next: RESTS },
      )
}

export function topicMadeAnew(place: FetchPlace, before: string, now: string): MillraceError {
  return new MillraceError(
    'KAFKA_UNKNOWN_TOPIC',
    `Topic ${place.topic} was deleted and made anew (its id was ${before}, now it is ${now}): offset ${place.offset} of partition ${place.partition} belonged to the old one. What of that was not read is gone. To read the new topic, start without the old offsets.`,
    { next: RESTS },
  )
}

/** The exchange itself failed in a way that trying again does not change: no right to connect, versions, a bug. */
export function hopeless(error: unknown, place: FetchPlace): MillraceError {
  if (MillraceError.is(error)) return error
  return new MillraceError(
    'KAFKA_FATAL',
    `Fetching ${place.topic}-${place.partition} at offset ${place.offset} met an error that this client does not know. Nothing is lost.`,
    { next: RESTS, cause: error },
  )
}
