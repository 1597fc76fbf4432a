/**
 * What a broker's error code means, by what was being done: one row for each code that the requests of this client can be
 * answered with. `retriable`: the same again, perhaps elsewhere, may succeed and nothing happened yet. `abortable`: this
 * transaction cannot be committed, the next one can. `fenced`: somebody else owns the producer identity now. `fatal`: the same
 * will be answered for ever, until a person changes something. A code without a row is as Kafka's own table says, else fatal.
 */
import { type ErrorCode, MillraceError } from '../../base/index.ts'
import { KafkaErrorCode, kafkaError } from '../protocol/errors.ts'

export type ErrorContext = 'produce' | 'transaction' | 'fetch' | 'admin'
export type ErrorClass = 'retriable' | 'abortable' | 'fenced' | 'fatal'

export interface KafkaErrorClass {
  readonly name: keyof typeof KafkaErrorCode
  /** The class in every context, except where `in` says another. */
  readonly class: ErrorClass
  readonly in?: { readonly [Context in ErrorContext]?: ErrorClass }
  /** The code of the MillraceError that it becomes. */
  readonly code: ErrorCode
  /** What it means for the data. */
  readonly meaning: string
}

const LATER = 'nothing was done; the same again succeeds once the broker is ready'
const MOVED = 'nothing was done here; the broker in charge is another one now'
const RIGHT = 'nothing was done; the right is missing'

function row(
  name: keyof typeof KafkaErrorCode,
  errorClass: ErrorClass,
  code: ErrorCode,
  meaning: string,
  exceptions?: KafkaErrorClass['in'],
): KafkaErrorClass {
  return { name, class: errorClass, code, meaning, ...(exceptions === undefined ? {} : { in: exceptions }) }
}

export const KAFKA_ERROR_CLASSES: readonly KafkaErrorClass[] = [
  row(
    'UNKNOWN_SERVER_ERROR',
    'fatal',
    'KAFKA_FATAL',
    'the broker failed inside; its log says how, and what was done is unknown',
    {
      fetch: 'retriable',
    },
  ),
  row(
    'OFFSET_OUT_OF_RANGE',
    'fatal',
    'KAFKA_OFFSET_OUT_OF_RANGE',
    'records before the log start are gone, or the log is shorter than it was',
  ),
  row(
    'CORRUPT_MESSAGE',
    'retriable',
    'KAFKA_CORRUPT_BATCH',
    'a batch was damaged on its way or on disk; nothing of it was written',
    {
      fetch: 'fatal',
    },
  ),
  row(
    'UNKNOWN_TOPIC_OR_PARTITION',
    'retriable',
    'KAFKA_UNKNOWN_TOPIC',
    'this broker does not know the partition: not yet, not any more, or never',
  ),
  row(
    'UNKNOWN_TOPIC_ID',
    'retriable',
    'KAFKA_UNKNOWN_TOPIC',
    'this broker does not know the topic: not yet, or it was made anew',
  ),
  row(
    'INCONSISTENT_TOPIC_ID',
    'retriable',
    'KAFKA_UNKNOWN_TOPIC',
    'the topic was made anew; offsets of the old one mean nothing',
  ),
  row('INVALID_TOPIC_EXCEPTION', 'fatal', 'KAFKA_UNKNOWN_TOPIC', 'no topic can have this name'),
  row('TOPIC_ALREADY_EXISTS', 'fatal', 'KAFKA_FATAL', 'nothing was done; the topic is there already'),
  row('INVALID_PARTITIONS', 'fatal', 'OPTION_INVALID', 'nothing was done; the number of partitions is impossible'),
  row(
    'INVALID_REPLICATION_FACTOR',
    'fatal',
    'OPTION_INVALID',
    'nothing was done; there are fewer brokers than replicas wanted',
  ),
  row(
    'INVALID_CONFIG',
    'fatal',
    'OPTION_INVALID',
    'nothing was done; a topic property is unknown or has an impossible value',
  ),
  row('POLICY_VIOLATION', 'fatal', 'KAFKA_FATAL', 'nothing was done; a policy of the cluster forbids it'),
  row(
    'LEADER_NOT_AVAILABLE',
    'retriable',
    'KAFKA_RETRIABLE',
    'the partition has no leader now; its records are not lost, but out of reach',
  ),
  row('NOT_LEADER_OR_FOLLOWER', 'retriable', 'KAFKA_RETRIABLE', MOVED),
  row('FENCED_LEADER_EPOCH', 'retriable', 'KAFKA_RETRIABLE', 'this client knows an older leadership; nothing was done'),
  row(
    'UNKNOWN_LEADER_EPOCH',
    'retriable',
    'KAFKA_RETRIABLE',
    'this broker knows an older leadership than the client; nothing was done',
  ),
  row('OFFSET_NOT_AVAILABLE', 'retriable', 'KAFKA_RETRIABLE', 'a new leader does not know its high watermark yet'),
  row('PREFERRED_LEADER_NOT_AVAILABLE', 'retriable', 'KAFKA_RETRIABLE', LATER),
  row(
    'LISTENER_NOT_FOUND',
    'retriable',
    'KAFKA_RETRIABLE',
    'the leader has no listener of the kind this client came by',
  ),
  row('REPLICA_NOT_AVAILABLE', 'retriable', 'KAFKA_RETRIABLE', MOVED),
  row('BROKER_NOT_AVAILABLE', 'retriable', 'KAFKA_RETRIABLE', LATER),
  row('KAFKA_STORAGE_ERROR', 'retriable', 'KAFKA_RETRIABLE', 'a disk of the leader failed; another replica takes over'),
  row(
    'REQUEST_TIMED_OUT',
    'retriable',
    'KAFKA_RETRIABLE',
    'the broker waited for others in vain; whether it was done is unknown',
  ),
  row(
    'NETWORK_EXCEPTION',
    'retriable',
    'KAFKA_RETRIABLE',
    'the broker lost its connection to another; whether it was done is unknown',
  ),
  row(
    'NOT_ENOUGH_REPLICAS',
    'retriable',
    'KAFKA_RETRIABLE',
    'fewer in-sync replicas than min.insync.replicas; nothing was written',
  ),
  row(
    'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
    'retriable',
    'KAFKA_RETRIABLE',
    'written, but to fewer replicas than wanted; a repeat is recognised by its sequence',
  ),
  row('THROTTLING_QUOTA_EXCEEDED', 'retriable', 'KAFKA_RETRIABLE', LATER),
  row('NOT_CONTROLLER', 'retriable', 'KAFKA_RETRIABLE', MOVED),
  row('COORDINATOR_LOAD_IN_PROGRESS', 'retriable', 'KAFKA_RETRIABLE', LATER),
  row('COORDINATOR_NOT_AVAILABLE', 'retriable', 'KAFKA_RETRIABLE', LATER),
  row('NOT_COORDINATOR', 'retriable', 'KAFKA_RETRIABLE', MOVED),
  row(
    'UNSTABLE_OFFSET_COMMIT',
    'retriable',
    'KAFKA_RETRIABLE',
    'a transaction that commits offsets of the group is still open',
  ),
  row(
    'REBALANCE_IN_PROGRESS',
    'retriable',
    'KAFKA_RETRIABLE',
    'the group is taking members in; no offset was committed',
  ),
  row(
    'CONCURRENT_TRANSACTIONS',
    'retriable',
    'KAFKA_RETRIABLE',
    'the transaction before is still being ended; soon over',
  ),
  row(
    'INVALID_PRODUCER_EPOCH',
    'fenced',
    'KAFKA_FENCED',
    'a later epoch exists: the transaction was ended by somebody else or by its time limit',
  ),
  row(
    'PRODUCER_FENCED',
    'fenced',
    'KAFKA_FENCED',
    'a later epoch exists: the transaction was ended by somebody else or by its time limit',
  ),
  row(
    'INVALID_PRODUCER_ID_MAPPING',
    'fenced',
    'KAFKA_FENCED',
    'the transactional id belongs to another producer id, or has expired',
  ),
  row(
    'TRANSACTION_COORDINATOR_FENCED',
    'fenced',
    'KAFKA_FENCED',
    'a marker came from a coordinator that is no longer in charge',
  ),
  row(
    'INVALID_TXN_STATE',
    'abortable',
    'KAFKA_TRANSACTION_ABORTED',
    'the transaction is not in a state for this: ended already, or empty',
    {
      transaction: 'fenced',
    },
  ),
  row(
    'TRANSACTION_ABORTABLE',
    'abortable',
    'KAFKA_TRANSACTION_ABORTED',
    'this transaction cannot be committed; its records stay invisible',
  ),
  row(
    'UNKNOWN_PRODUCER_ID',
    'abortable',
    'KAFKA_TRANSACTION_ABORTED',
    'the leader forgot this producer, as all its records were deleted',
  ),
  row(
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
    'abortable',
    'KAFKA_PRODUCE_FAILED',
    'a batch before this one is missing from the log',
    {
      produce: 'retriable',
    },
  ),
  row(
    'DUPLICATE_SEQUENCE_NUMBER',
    'retriable',
    'KAFKA_RETRIABLE',
    'the batch is in the log already: it counts as acknowledged',
  ),
  row(
    'INVALID_TRANSACTION_TIMEOUT',
    'fatal',
    'OPTION_INVALID',
    "transaction.timeout.ms is above the broker's transaction.max.timeout.ms; no transaction was begun",
  ),
  row(
    'TRANSACTIONAL_ID_NOT_FOUND',
    'fatal',
    'KAFKA_FATAL',
    'the coordinator never heard of the transactional id, or has forgotten it',
  ),
  row(
    'MESSAGE_TOO_LARGE',
    'fatal',
    'KAFKA_RECORD_TOO_LARGE',
    'nothing of the batch was written: it is larger than max.message.bytes of the topic',
  ),
  row(
    'RECORD_LIST_TOO_LARGE',
    'fatal',
    'KAFKA_RECORD_TOO_LARGE',
    'nothing of the batch was written: it is larger than a segment of the log',
  ),
  row(
    'INVALID_RECORD',
    'fatal',
    'KAFKA_PRODUCE_FAILED',
    'nothing of the batch was written: the topic refuses such records (a compacted topic wants keys)',
  ),
  row(
    'INVALID_TIMESTAMP',
    'fatal',
    'KAFKA_PRODUCE_FAILED',
    'nothing of the batch was written: a timestamp is too far from the time of the broker',
  ),
  row('INVALID_REQUIRED_ACKS', 'fatal', 'KAFKA_PRODUCE_FAILED', 'nothing was written: acks has an impossible value'),
  row(
    'UNSUPPORTED_COMPRESSION_TYPE',
    'fatal',
    'KAFKA_PRODUCE_FAILED',
    'nothing was written: the topic or the request version has no such compression',
  ),
  row(
    'UNSUPPORTED_FOR_MESSAGE_FORMAT',
    'fatal',
    'KAFKA_MESSAGE_FORMAT_UNSUPPORTED',
    'the log is in a format from before 0.11',
  ),
  row('OFFSET_METADATA_TOO_LARGE', 'fatal', 'KAFKA_FATAL', 'no offset was committed: the metadata text is too long'),
  row('INVALID_COMMIT_OFFSET_SIZE', 'fatal', 'KAFKA_FATAL', 'no offset was committed: the commit is too large'),
  row(
    'UNKNOWN_MEMBER_ID',
    'fatal',
    'KAFKA_FATAL',
    'no offset was committed: the group has live members of its own; use another group.id',
  ),
  row(
    'ILLEGAL_GENERATION',
    'fatal',
    'KAFKA_FATAL',
    'no offset was committed: the group has live members of its own; use another group.id',
  ),
  row('INVALID_GROUP_ID', 'fatal', 'OPTION_INVALID', 'nothing was done; no group can have this name'),
  row('GROUP_ID_NOT_FOUND', 'fatal', 'KAFKA_NO_OFFSET', 'the group does not exist'),
  row('TOPIC_AUTHORIZATION_FAILED', 'fatal', 'KAFKA_AUTHORIZATION_FAILED', RIGHT),
  row('GROUP_AUTHORIZATION_FAILED', 'fatal', 'KAFKA_AUTHORIZATION_FAILED', RIGHT),
  row('CLUSTER_AUTHORIZATION_FAILED', 'fatal', 'KAFKA_AUTHORIZATION_FAILED', RIGHT),
  row(
    'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    'fatal',
    'KAFKA_AUTHORIZATION_FAILED',
    `${RIGHT}; an open transaction stays open until its time limit`,
  ),
  row(
    'SASL_AUTHENTICATION_FAILED',
    'fatal',
    'KAFKA_AUTHENTICATION_FAILED',
    'nothing was done; the broker does not believe who this is',
  ),
  row('SECURITY_DISABLED', 'fatal', 'NOT_SUPPORTED', 'nothing was done; the cluster has no such security'),
  row(
    'UNSUPPORTED_VERSION',
    'fatal',
    'KAFKA_VERSION_UNSUPPORTED',
    'nothing was done; the broker lacks this request or version',
  ),
  row('INVALID_REQUEST', 'fatal', 'KAFKA_FATAL', 'nothing was done; the broker finds the request impossible'),
]

const BY_CODE: ReadonlyMap<number, KafkaErrorClass> = new Map(
  KAFKA_ERROR_CLASSES.map((one) => [KafkaErrorCode[one.name], one]),
)

export interface Classified {
  readonly class: ErrorClass
  readonly code: ErrorCode
  readonly name: string
  readonly meaning: string
}

/** Never fails: what newer brokers invent is fatal, as doing the same again would be guessing. */
export function classify(errorCode: number, context: ErrorContext): Classified {
  const { name, retriable } = kafkaError(errorCode)
  const known = BY_CODE.get(errorCode)
  if (known !== undefined) {
    return { class: known.in?.[context] ?? known.class, code: known.code, name, meaning: known.meaning }
  }
  return retriable
    ? { class: 'retriable', code: 'KAFKA_RETRIABLE', name, meaning: LATER }
    : { class: 'fatal', code: 'KAFKA_FATAL', name, meaning: 'what it means for the data is unknown to this client' }
}

export interface BrokerErrorPlace {
  readonly context: ErrorContext
  /** What was being done, as "Committing offsets of group g". */
  readonly doing: string
  /** The right it takes, as "READ on group g"; named when it is missing. */
  readonly right?: string
  /** What the broker says about it. */
  readonly message?: string | null
  /** Set when the caller knows better than the class, as when it has waited long enough. */
  readonly retriable?: boolean
}

/** An answer with an error code as an error; retriable when its class is, unless the place says otherwise. */
export function brokerError(errorCode: number, place: BrokerErrorPlace): MillraceError {
  const { class: errorClass, code, name, meaning } = classify(errorCode, place.context)
  const said =
    place.message === undefined || place.message === null || place.message === '' ? '' : ` (${place.message})`
  const missing = code === 'KAFKA_AUTHORIZATION_FAILED' && place.right !== undefined ? ` (${place.right})` : ''
  const retriable = place.retriable ?? errorClass === 'retriable'
  return new MillraceError(code, `${place.doing} was answered ${name}${said}: ${meaning}${missing}.`, {
    retriable,
    next: retriable ? 'It is tried again until the time limit.' : 'It is not tried again.',
  })
}
