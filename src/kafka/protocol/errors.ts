/**
 * Kafka's error codes as its brokers send them: the name of each, whether Java's client would try again, and whether it
 * means that the metadata in hand is stale. What millrace does about an error is decided where the request was made.
 */
import { ERROR_TABLE, KafkaErrorCode } from './generated/errors.ts'

export interface KafkaError {
  readonly code: number
  /** Kafka's name, for instance NOT_LEADER_OR_FOLLOWER. */
  readonly name: string
  /** Java's RetriableException: the same request may succeed later. */
  readonly retriable: boolean
  /** Java's InvalidMetadataException: ask for fresh metadata before the next attempt. */
  readonly staleMetadata: boolean
}

const BY_CODE: ReadonlyMap<number, KafkaError> = new Map(
  ERROR_TABLE.map(([code, name, retriable, staleMetadata]) => [code, { code, name, retriable, staleMetadata }]),
)

/** Never fails: a code that newer brokers invented is an error that is not retriable, as it is to Java's client. */
export function kafkaError(code: number): KafkaError {
  return BY_CODE.get(code) ?? { code, name: `UNKNOWN_ERROR_${code}`, retriable: false, staleMetadata: false }
}

export { KafkaErrorCode }
