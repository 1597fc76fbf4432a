/**
 * What the sink needs of the brokers' transaction coordinators, and nothing else. The real one is KafkaTransactionGateway;
 * tests use a model of the coordinator, made from answers observed of a real broker. Calls retry what can be retried, within
 * their bounds, and reject with a MillraceError.
 */
import type { MillraceError } from '../../base/index.ts'

export interface ProducerIdentity {
  readonly producerId: number
  readonly epoch: number
}

/** 2: the epoch rises with every transaction and EndTxn is v5 or later (KIP-890). 1: everything before. */
export type TransactionVersion = 1 | 2

export interface TransactionHandle extends ProducerIdentity {
  readonly transactionalId: string
  readonly version: TransactionVersion
}

export type EndOutcome =
  /** `next`: under version 2 the identity of this id's next transaction. */
  | { readonly kind: 'ended'; readonly next: ProducerIdentity | undefined; readonly concurrentAnswers: number }
  /** The coordinator judged: not in this state, not with this identity. */
  | { readonly kind: 'refused'; readonly error: string }
  /** No judgement: authorization, coordinators away, time ran out. */
  | { readonly kind: 'undecided'; readonly error: MillraceError }

export interface TransactionSnapshot {
  readonly transactionalId: string
  /** Kafka's names of states, or `NotFound`. */
  readonly state: string
  readonly producerId: number
  readonly producerEpoch: number
}

export interface TransactionGateway {
  /** Empty when the cluster has none. */
  clusterId(): Promise<string>
  /** Asked anew at each call. */
  transactionVersion(): Promise<TransactionVersion>
  initProducerId(transactionalId: string, transactionTimeoutMs: number, signal?: AbortSignal): Promise<ProducerIdentity>
  /** Never rejects for what the brokers answer; retries within the time given. */
  endTransaction(
    handle: TransactionHandle,
    commit: boolean,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<EndOutcome>
  /** Undefined when the brokers lack it (before 3.0). */
  describe(transactionalIds: readonly string[]): Promise<readonly TransactionSnapshot[] | undefined>
  /** Undefined when the brokers lack it. */
  list(states: readonly string[]): Promise<readonly TransactionListing[] | undefined>
  /** Undefined when it cannot be read. */
  transactionMaxTimeoutMs(): Promise<number | undefined>
  close(): Promise<void>
}

export interface TransactionListing {
  readonly transactionalId: string
  readonly state: string
}
