/**
 * Transactions by identity: begun and ended from any process that knows transactional id, producer id and epoch. What the
 * broker answers in each situation was observed (a table in docs of the project's reference holds it), and the tests beside
 * this file hold a real broker to it.
 *
 * What always holds: an answer is called a verdict (`refused`) only if it says that this identity's transaction is not open;
 * whatever else goes wrong leaves it undecided; a transaction is ended in the version it was begun in, even if the cluster's
 * feature has changed since, because the two versions move the epoch differently.
 */
import { joint, MillraceError } from '../../base/index.ts'
import type { BrokerConnection } from '../connection/broker-connection.ts'
import { KafkaErrorCode, kafkaError } from '../protocol/errors.ts'
import { endTxnApi } from '../protocol/generated/end-txn.ts'
import { initProducerIdApi } from '../protocol/generated/init-producer-id.ts'
import { brokerError } from './error-classes.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import { type RetryLimits, retrying } from './retrying.ts'

export interface ProducerIdentity {
  readonly producerId: number
  readonly epoch: number
}

export type TransactionVersion = 1 | 2

export interface TransactionHandle extends ProducerIdentity {
  readonly transactionalId: string
  readonly version: TransactionVersion
}

export type EndOutcome =
  | {
      readonly kind: 'ended'
      /** Version 2: the identity for the next transaction of this id. */
      readonly next: ProducerIdentity | undefined
      /** How often the broker was still busy with the transaction before, or with this one's markers. */
      readonly concurrentAnswers: number
    }
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'undecided'; readonly error: MillraceError }

/** A transaction whose markers are being written is done within moments; Java's client waits as long. */
export const CONCURRENT_TRANSACTIONS_PAUSE_MS = 20

/** The first version of EndTxn that moves the epoch on (KIP-890, transaction.version 2). */
const END_WITH_NEXT_EPOCH = 5

/** The answers that say: this identity has no open transaction. Only the log or the broker's description can say why. */
const VERDICTS: ReadonlySet<number> = new Set([
  KafkaErrorCode.PRODUCER_FENCED,
  KafkaErrorCode.INVALID_PRODUCER_EPOCH,
  KafkaErrorCode.INVALID_TXN_STATE,
  KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING,
])

/** In which version transactions are to be begun now. */
export async function transactionVersion(cluster: KafkaCluster): Promise<TransactionVersion> {
  return (await cluster.finalizedFeature('transaction.version')) >= 2 ? 2 : 1
}

/**
 * A fresh epoch of this id. Whoever used the id before is fenced, and what it had open is aborted: even when it was flushed
 * and is about to be committed.
 */
export async function initProducerId(
  cluster: KafkaCluster,
  transactionalId: string,
  transactionTimeoutMs: number,
  signal?: AbortSignal,
): Promise<ProducerIdentity> {
  const doing = `Initializing transactional id ${transactionalId}`
  const request = { transactionalId, transactionTimeoutMs, producerId: -1, producerEpoch: -1 }
  const answer = await askingCoordinator(cluster, transactionalId, doing, { signal }, (connection) => {
    const version = connection.version(initProducerIdApi)
    joint('before-init-producer-id', { transactionalId })
    return connection.send(initProducerIdApi, request, { version })
  })
  if (answer.errorCode === KafkaErrorCode.NONE) return { producerId: answer.producerId, epoch: answer.producerEpoch }
  throw brokerError(answer.errorCode, {
    context: 'transaction',
    doing: `${doing} (transaction.timeout.ms ${transactionTimeoutMs})`,
    right: `WRITE on transactional id ${transactionalId}`,
  })
}

export interface EndTransactionOptions {
  /** How long to try, from now. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal
}

/** Commits or aborts. Throws only when the signal is aborted or the client closed; every other outcome is returned. */
export async function endTransaction(
  cluster: KafkaCluster,
  handle: TransactionHandle,
  commit: boolean,
  options: EndTransactionOptions,
): Promise<EndOutcome> {
  const { transactionalId, producerId, epoch, version } = handle
  const doing = `${commit ? 'Committing' : 'Aborting'} the transaction of ${transactionalId} (producer id ${producerId}, epoch ${epoch})`
  const range = version === 1 ? { max: END_WITH_NEXT_EPOCH - 1 } : { min: END_WITH_NEXT_EPOCH }
  const request = { transactionalId, producerId, producerEpoch: epoch, committed: commit }
  const limits = { timeoutMs: options.deadlineMs, signal: options.signal }
  let concurrentAnswers = 0
  try {
    const answer = await askingCoordinator(cluster, transactionalId, doing, limits, async (connection) => {
      const wireVersion = connection.version(endTxnApi, range)
      const ended = await connection.send(endTxnApi, request, { version: wireVersion })
      if (ended.errorCode === KafkaErrorCode.CONCURRENT_TRANSACTIONS) concurrentAnswers++
      return ended
    })
    if (answer.errorCode === KafkaErrorCode.NONE) {
      const hasNext = version === 2 && answer.producerId >= 0
      const next = hasNext ? { producerId: answer.producerId, epoch: answer.producerEpoch } : undefined
      return { kind: 'ended', next, concurrentAnswers }
    }
    if (VERDICTS.has(answer.errorCode)) return { kind: 'refused', error: kafkaError(answer.errorCode).name }
    throw brokerError(answer.errorCode, {
      context: 'transaction',
      doing,
      right: `WRITE on transactional id ${transactionalId}`,
    })
  } catch (error) {
    options.signal?.throwIfAborted()
    if (!MillraceError.is(error) || error.code === 'CANCELLED') throw error
    return { kind: 'undecided', error }
  }
}

/**
 * Asks the coordinator of a transactional id until it gives an answer that another attempt would not change. It is looked up
 * again when it moved, is loading, or the connection broke; while it is busy with the transaction before, it is asked again
 * soon.
 */
async function askingCoordinator<Answer extends { readonly errorCode: number }>(
  cluster: KafkaCluster,
  transactionalId: string,
  doing: string,
  limits: RetryLimits,
  ask: (connection: BrokerConnection) => Promise<Answer>,
): Promise<Answer> {
  const { clock } = cluster.ports
  const attempt = async ({ remainingMs }: { remainingMs: number }): Promise<Answer> => {
    const until = clock.monotonic() + remainingMs
    const connection = await cluster.coordinator('transaction', transactionalId, { ...limits, timeoutMs: remainingMs })
    for (;;) {
      let answer: Answer
      try {
        answer = await ask(connection)
      } catch (error) {
        if (MillraceError.is(error) && error.retriable) cluster.forgetCoordinator('transaction', transactionalId)
        throw error
      }
      if (answer.errorCode !== KafkaErrorCode.CONCURRENT_TRANSACTIONS)
        return settled(cluster, transactionalId, doing, answer)
      if (clock.monotonic() + CONCURRENT_TRANSACTIONS_PAUSE_MS >= until) {
        throw brokerError(answer.errorCode, { context: 'transaction', doing })
      }
      await clock.sleep(CONCURRENT_TRANSACTIONS_PAUSE_MS, limits.signal)
    }
  }
  return retrying(cluster, doing, attempt, limits)
}

function settled<Answer extends { readonly errorCode: number }>(
  cluster: KafkaCluster,
  transactionalId: string,
  doing: string,
  answer: Answer,
): Answer {
  if (answer.errorCode === KafkaErrorCode.NONE || VERDICTS.has(answer.errorCode)) return answer
  const error = brokerError(answer.errorCode, { context: 'transaction', doing })
  if (!error.retriable) return answer
  cluster.forgetCoordinator('transaction', transactionalId)
  throw error
}
