/**
 * What the brokers know of transactions: of named ones from their coordinators, of all from every broker. Both are undefined
 * when the brokers are too old to say (before 3.0), so that callers fall back on repeating EndTxn.
 */
import { MillraceError } from '../../base/index.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import {
  type DescribeTransactionsResponseTransactionState,
  describeTransactionsApi,
} from '../protocol/generated/describe-transactions.ts'
import { listTransactionsApi } from '../protocol/generated/list-transactions.ts'
import { brokerError } from './error-classes.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import { type RetryLimits, retrying } from './retrying.ts'

/** Kafka's names; 'NotFound' when the coordinator never heard of the id, or forgot it. */
export type TransactionState =
  | 'Empty'
  | 'Ongoing'
  | 'PrepareCommit'
  | 'PrepareAbort'
  | 'CompleteCommit'
  | 'CompleteAbort'
  | 'Dead'
  | 'PrepareEpochFence'
  | 'NotFound'

export interface TransactionDescription {
  readonly transactionalId: string
  readonly state: TransactionState
  readonly producerId: number
  readonly producerEpoch: number
  readonly timeoutMs: number
  /** -1 when none is open. */
  readonly startTimeMs: number
  readonly partitions: readonly { readonly topic: string; readonly partition: number }[]
}

export interface TransactionListing {
  readonly transactionalId: string
  readonly producerId: number
  readonly state: TransactionState
}

/** Ids asked for at once; each may cost a look-up of its coordinator. */
const IDS_AT_ONCE = 32

/** In the order of the ids; undefined when the brokers lack the request. */
export async function describeTransactions(
  cluster: KafkaCluster,
  ids: readonly string[],
  limits: RetryLimits,
): Promise<TransactionDescription[] | undefined> {
  const descriptions: TransactionDescription[] = []
  for (let at = 0; at < ids.length; at += IDS_AT_ONCE) {
    const some = await Promise.all(
      ids.slice(at, at + IDS_AT_ONCE).map((id) => describeTransaction(cluster, id, limits)),
    )
    for (const one of some) {
      if (one === undefined) return undefined
      descriptions.push(one)
    }
  }
  return descriptions
}

function describeTransaction(
  cluster: KafkaCluster,
  transactionalId: string,
  limits: RetryLimits,
): Promise<TransactionDescription | undefined> {
  const doing = `Describing the transaction of ${transactionalId}`
  const attempt = async ({ remainingMs }: { remainingMs: number }): Promise<TransactionDescription | undefined> => {
    const connection = await cluster.coordinator('transaction', transactionalId, { ...limits, timeoutMs: remainingMs })
    if (!connection.supports(describeTransactionsApi)) return undefined
    try {
      const response = await connection.send(describeTransactionsApi, { transactionalIds: [transactionalId] })
      const [state] = response.transactionStates
      if (state === undefined) throw new MillraceError('KAFKA_PROTOCOL', `${doing} was answered without it.`)
      return description(state, doing)
    } catch (error) {
      if (MillraceError.is(error) && error.retriable) cluster.forgetCoordinator('transaction', transactionalId)
      throw error
    }
  }
  return retrying(cluster, doing, attempt, limits)
}

function description(answer: DescribeTransactionsResponseTransactionState, doing: string): TransactionDescription {
  const { errorCode, transactionalId } = answer
  const notFound = errorCode === KafkaErrorCode.TRANSACTIONAL_ID_NOT_FOUND
  if (errorCode !== KafkaErrorCode.NONE && !notFound) {
    throw brokerError(errorCode, {
      context: 'transaction',
      doing,
      right: `DESCRIBE on transactional id ${transactionalId}`,
    })
  }
  return {
    transactionalId,
    state: notFound ? 'NotFound' : (answer.transactionState as TransactionState),
    producerId: notFound ? -1 : answer.producerId,
    producerEpoch: notFound ? -1 : answer.producerEpoch,
    timeoutMs: answer.transactionTimeoutMs,
    startTimeMs: notFound ? -1 : answer.transactionStartTimeMs,
    partitions: answer.topics.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition }))),
  }
}

export interface TransactionFilter {
  readonly states?: readonly string[]
}

/** From all brokers that the cluster names: one of them away is an error, as its transactions would be missed silently. */
export function listTransactions(
  cluster: KafkaCluster,
  filter: TransactionFilter,
  limits: RetryLimits,
): Promise<TransactionListing[] | undefined> {
  const doing = 'Listing transactions'
  const stateFilters = filter.states ?? []
  const attempt = async (): Promise<TransactionListing[] | undefined> => {
    await cluster.metadata.refresh()
    const perBroker = await Promise.all(
      cluster.metadata.brokers().map(async ({ nodeId }) => {
        const connection = await cluster.connection(nodeId, 'control')
        if (!connection.supports(listTransactionsApi)) return undefined
        const response = await connection.send(listTransactionsApi, { stateFilters })
        if (response.errorCode !== KafkaErrorCode.NONE) {
          throw brokerError(response.errorCode, { context: 'transaction', doing, right: 'DESCRIBE on the cluster' })
        }
        return response.transactionStates
      }),
    )
    const listed = new Map<string, TransactionListing>()
    for (const states of perBroker) {
      if (states === undefined) return undefined
      for (const { transactionalId, producerId, transactionState } of states) {
        listed.set(transactionalId, { transactionalId, producerId, state: transactionState as TransactionState })
      }
    }
    return [...listed.values()]
  }
  return retrying(cluster, doing, attempt, limits)
}
