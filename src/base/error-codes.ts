/**
 * The closed list of error codes. Each has a section in docs/errors.md (a test holds the two together): what it means,
 * whether anything may be lost, what to do. A code names a condition, not the place that noticed it.
 */
export const ERROR_CODES = [
  // What the user wrote or asked for.
  'OPTION_INVALID',
  'GRAPH_INVALID',
  'JOB_FILE_INVALID',
  'USAGE',
  'NOT_SUPPORTED',
  // The user's code at run time.
  'DESERIALIZATION_FAILED',
  'SERIALIZATION_FAILED',
  'RECORD_NOT_SERIALIZABLE',
  'USER_FUNCTION_FAILED',
  'USER_FUNCTION_ASYNC',
  // The network and the brokers.
  'KAFKA_UNREACHABLE',
  'KAFKA_TIMEOUT',
  'KAFKA_DISCONNECTED',
  'KAFKA_PROTOCOL',
  'KAFKA_VERSION_UNSUPPORTED',
  'KAFKA_UNKNOWN_TOPIC',
  'KAFKA_UNKNOWN_PARTITION',
  'KAFKA_OFFSET_OUT_OF_RANGE',
  'KAFKA_LOG_TRUNCATED',
  'KAFKA_NO_OFFSET',
  'KAFKA_CORRUPT_BATCH',
  'KAFKA_MESSAGE_FORMAT_UNSUPPORTED',
  'KAFKA_RECORD_TOO_LARGE',
  'KAFKA_AUTHORIZATION_FAILED',
  'KAFKA_AUTHENTICATION_FAILED',
  'KAFKA_FENCED',
  'KAFKA_TRANSACTION_ABORTED',
  'KAFKA_PRODUCE_FAILED',
  'KAFKA_RETRIABLE',
  'KAFKA_FATAL',
  // Checkpoints, recovery, the job directory.
  'CHECKPOINT_FAILED',
  'CHECKPOINT_DAMAGED',
  'LOG_DAMAGED',
  'STORAGE_FAILED',
  'STATE_INCOMPATIBLE',
  'STATE_NOT_RESTORED',
  'SUPERSEDED',
  'ALREADY_RUNNING',
  'JOB_NOT_RUNNING',
  'TRANSACTIONS_LOST',
  'TRANSACTIONS_UNDECIDED',
  'COMMIT_UNRESOLVED',
  'FOREIGN_TRANSACTIONS',
  'TASKS_LINGER',
  'WORKER_DIED',
  'CANCELLED',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]
