/**
 * What an error code in a produce (or AddPartitionsToTxn) response means for a batch: it is there, it is sent again, or the
 * producer has failed for good. The table follows Kafka's Sender and TransactionManager, with one difference: where Java gives
 * a plain producer a new epoch after a gap in its sequence and goes on, this producer fails, because a gap means that a broker
 * lost records that it had acknowledged.
 */
import { describeError, MillraceError } from '../../base/index.ts'
import { KafkaErrorCode, kafkaError } from '../protocol/errors.ts'
import { classify } from './error-classes.ts'
import type { ProducerScope } from './producer-scope.ts'

export type ProduceVerdict =
  | { readonly kind: 'acknowledged' }
  | { readonly kind: 'again'; readonly metadata: boolean; readonly delayMs: number | undefined }
  /** The broker does not know the plain producer any more: its sequences begin anew. */
  | { readonly kind: 'forgotten' }
  /** Too large as one batch; its parts may not be. */
  | { readonly kind: 'split' }
  | { readonly kind: 'failed'; readonly error: MillraceError }

export interface ProducePlace {
  readonly topic: string
  readonly partition: number
  readonly scope: ProducerScope
  readonly records: number
  readonly bytes: number
  /** Without compression. */
  readonly plainBytes: number
  readonly baseSequence: number
  /** Whether it is the first batch of its partition that is not acknowledged. */
  readonly first: boolean
  /** See ProducerBatch. */
  readonly doubtful: boolean
  readonly logStartOffset: number
  /** Whether the log begins behind all records of the partition that were acknowledged. */
  readonly allDeleted: boolean
  /** What the broker says about it. */
  readonly message: string | null
}

/** A transaction before this one is still being ended: soon over (KIP-447 and Java's client use 20 ms too). */
export const CONCURRENT_TRANSACTIONS_MS = 20

const FORGOTTEN: ProduceVerdict = { kind: 'forgotten' }
const SPLIT: ProduceVerdict = { kind: 'split' }
const ACKNOWLEDGED: ProduceVerdict = { kind: 'acknowledged' }
const AGAIN: ProduceVerdict = { kind: 'again', metadata: false, delayMs: undefined }
const AGAIN_ELSEWHERE: ProduceVerdict = { kind: 'again', metadata: true, delayMs: undefined }

export function produceVerdict(errorCode: number, place: ProducePlace): ProduceVerdict {
  switch (errorCode) {
    case KafkaErrorCode.NONE:
    case KafkaErrorCode.DUPLICATE_SEQUENCE_NUMBER:
      return ACKNOWLEDGED
    case KafkaErrorCode.CONCURRENT_TRANSACTIONS:
      return { kind: 'again', metadata: false, delayMs: CONCURRENT_TRANSACTIONS_MS }
    case KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
      // The batch before it failed and is sent again first. The first one itself finds a gap: acknowledged records are gone.
      return place.first ? { kind: 'failed', error: gap(errorCode, place) } : AGAIN
    case KafkaErrorCode.UNKNOWN_PRODUCER_ID:
      if (place.logStartOffset === -1 || !place.first) return AGAIN
      // Brokers before 2.5 forget a producer with its last record. In a transaction that would be a record nobody may delete yet.
      if (place.allDeleted && place.scope.transactionalId === undefined) return FORGOTTEN
      return { kind: 'failed', error: gap(errorCode, place) }
    case KafkaErrorCode.MESSAGE_TOO_LARGE:
    case KafkaErrorCode.RECORD_LIST_TOO_LARGE:
      return place.records > 1 ? SPLIT : { kind: 'failed', error: tooLarge(errorCode, place) }
    default: {
      const { retriable, staleMetadata } = kafkaError(errorCode)
      if (!retriable) return { kind: 'failed', error: refused(errorCode, place) }
      return staleMetadata ? AGAIN_ELSEWHERE : AGAIN
    }
  }
}

/** Who writes, for messages. */
export function describeScope(scope: ProducerScope): string {
  const { transactionalId, identity } = scope
  const who = identity === undefined ? '' : `producer id ${identity.producerId}, epoch ${identity.epoch}`
  if (transactionalId === undefined) return who === '' ? 'no transaction' : `no transaction (${who})`
  return `transactional id ${transactionalId}${who === '' ? '' : ` (${who})`}`
}

function where(place: ProducePlace): string {
  const sequence = place.baseSequence < 0 ? '' : ` from sequence ${place.baseSequence}`
  return `a batch of ${place.records} records${sequence} to ${place.topic}-${place.partition}, ${describeScope(place.scope)},`
}

const STOPS =
  'The producer takes no more records; the writer fails and the job goes back to its last completed checkpoint.'
const NOTHING_COMMITTED =
  'Records of this transaction are not visible to read_committed readers and come again after recovery.'

function gap(errorCode: number, place: ProducePlace): MillraceError {
  if (place.doubtful) return splitTooLate(errorCode, place)
  const consequence =
    place.scope.transactionalId === undefined
      ? 'Records acknowledged since the last checkpoint may be missing from the topic; they come again after recovery.'
      : NOTHING_COMMITTED
  return new MillraceError(
    'KAFKA_PRODUCE_FAILED',
    `The leader answered ${kafkaError(errorCode).name} for ${where(place)} though all before it was acknowledged: the partition lost its last records, by an unclean election or a damaged log. ${consequence}`,
    { next: STOPS },
  )
}

/** The error for an answer that another attempt cannot change. */
export function refused(errorCode: number, place: ProducePlace): MillraceError {
  const { code, name, meaning } = classify(errorCode, 'produce')
  const said = place.message === null || place.message === '' ? '' : ` (${place.message})`
  const lost = place.scope.transactionalId === undefined ? 'Nothing after it is written.' : NOTHING_COMMITTED
  const right = missingRight(errorCode, place)
  return new MillraceError(code, `Writing ${where(place)} was answered ${name}${said}: ${meaning}${right}. ${lost}`, {
    next: STOPS,
  })
}

function missingRight(errorCode: number, { topic, scope }: ProducePlace): string {
  switch (errorCode) {
    case KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED:
      return ` (WRITE on topic ${topic})`
    case KafkaErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
      return ` (WRITE on transactional id ${scope.transactionalId})`
    case KafkaErrorCode.CLUSTER_AUTHORIZATION_FAILED:
      return ' (IDEMPOTENT_WRITE on the cluster)'
    default:
      return ''
  }
}

/** A batch of one record, which cannot be split. */
function tooLarge(errorCode: number, place: ProducePlace): MillraceError {
  const { code, name } = classify(errorCode, 'produce')
  const said = place.message === null || place.message === '' ? '' : ` (${place.message})`
  const lost = place.scope.transactionalId === undefined ? 'Nothing after it is written.' : NOTHING_COMMITTED
  const plain = place.bytes === place.plainBytes ? '' : ` (${place.plainBytes} before compression)`
  const limit =
    errorCode === KafkaErrorCode.MESSAGE_TOO_LARGE
      ? 'max.message.bytes of the topic (of the broker: message.max.bytes)'
      : 'segment.bytes of the topic'
  return new MillraceError(
    code,
    `A single record for ${place.topic}-${place.partition}, ${describeScope(place.scope)}, was answered ${name}${said}: alone in its batch it takes ${place.bytes} bytes${plain}, more than the topic allows. It was not written. ${lost} Raise ${limit} above that, set compression.type, or write smaller records; a restart meets it again.`,
    { next: STOPS },
  )
}

/**
 * The parts of a batch do not continue the sequence: an attempt whose answer was lost had written the whole of it, then the limit
 * of the topic was lowered, and the repetition was refused for its size before the broker looked whether it has it.
 */
function splitTooLate(errorCode: number, place: ProducePlace): MillraceError {
  const consequence =
    place.scope.transactionalId === undefined
      ? 'Its records are most likely in the topic, and come again after recovery: twice then.'
      : NOTHING_COMMITTED
  return new MillraceError(
    'KAFKA_PRODUCE_FAILED',
    `The leader answered ${kafkaError(errorCode).name} for ${where(place)} which is part of a larger one that was refused for its size after an attempt without an answer: max.message.bytes of the topic was lowered between the two, and whether the larger one had been written is not known. ${consequence}`,
    { next: STOPS },
  )
}

/** Nothing came of it within delivery.timeout.ms. */
export function deliveryTimedOut(
  place: ProducePlace,
  timeoutMs: number,
  attempts: number,
  cause: unknown,
): MillraceError {
  const tried = attempts === 0 ? 'it was never sent' : `it was sent ${attempts} times without an answer that settles it`
  const doubt =
    place.scope.transactionalId === undefined
      ? 'Whether its records are in the topic is not known; they come again after recovery.'
      : NOTHING_COMMITTED
  return new MillraceError(
    'KAFKA_TIMEOUT',
    `Within delivery.timeout.ms (${timeoutMs}) ${where(place)} was not acknowledged: ${tried}. ${doubt} Look at the leader of the partition and at min.insync.replicas.`,
    { next: STOPS, retriable: true, cause },
  )
}

/** Another attempt might have succeeded, but `retries` allows none; `cause` is an error code or an error. */
export function retriesUsedUp(place: ProducePlace, retries: number, cause: unknown): MillraceError {
  const last = typeof cause === 'number' ? kafkaError(cause).name : describeError(cause)
  const doubt =
    place.scope.transactionalId === undefined
      ? 'Whether its records are in the topic is not known; they come again after recovery.'
      : NOTHING_COMMITTED
  return new MillraceError(
    'KAFKA_PRODUCE_FAILED',
    `Writing ${where(place)} failed ${retries + 1} times, and retries is ${retries}. The last answer: ${last}. ${doubt} Leave retries unset: delivery.timeout.ms is the bound to choose.`,
    { next: STOPS, retriable: true, cause: typeof cause === 'number' ? undefined : cause },
  )
}
