/**
 * Transactions on the wire: identities, what belongs to a transaction, its end, and looking at transactions and producers.
 */
import {
  type AddPartitionsToTxnRequestTopic,
  type AddPartitionsToTxnResponseTopicResult,
  addOffsetsToTxnApi,
  addPartitionsToTxnApi,
  type DescribeTransactionsResponseTransactionState,
  describeProducersApi,
  describeTransactionsApi,
  endTxnApi,
  type InitProducerIdRequest,
  type InitProducerIdResponse,
  type Input,
  initProducerIdApi,
  KafkaErrorCode,
  listTransactionsApi,
  writeTxnMarkersApi,
  ZERO_UUID,
} from '../../kafka/index.ts'
import type { Partition } from '../cluster/topic.ts'
import type { BrokerCore } from '../request/broker-core.ts'
import type { RequestContext } from '../request/request-context.ts'
import { type Route, route } from '../request/router.ts'
import { TRANSACTION_STATES, type TransactionEntry } from '../transaction/transaction-entry.ts'
import { coordinatorError, coordinatorOf, internalPartition, OFFSETS_TOPIC } from './coordinator-place.ts'
import { ledPartition, plannedError } from './partition-place.ts'

/** EndTxn from here on says which identity comes next (KIP-890). */
const NEXT_IDENTITY_VERSION = 5
/** Older clients know a fenced producer by its epoch only. */
const FENCED_VERSIONS = { initProducerId: 4, addPartitions: 2, addOffsets: 2, endTxn: 2 } as const
const MANY_TRANSACTIONS_VERSION = 4

export function transactionRoutes(core: BrokerCore): Route[] {
  return [
    route(initProducerIdApi, (request, context) => initProducerId(core, request, context)),
    addPartitionsToTxn(core),
    addOffsetsToTxn(core),
    endTxn(core),
    writeTxnMarkers(core),
    describeTransactions(core),
    listTransactions(core),
    describeProducers(core),
  ]
}

function fencedAs(error: number, context: RequestContext, since: number): number {
  return error === KafkaErrorCode.PRODUCER_FENCED && context.version < since
    ? KafkaErrorCode.INVALID_PRODUCER_EPOCH
    : error
}

function initProducerId(
  core: BrokerCore,
  request: InitProducerIdRequest,
  context: RequestContext,
): Input<InitProducerIdResponse> {
  const { transactionalId, producerId, producerEpoch, transactionTimeoutMs } = request
  const refused = (errorCode: number): Input<InitProducerIdResponse> => ({
    errorCode: fencedAs(errorCode, context, FENCED_VERSIONS.initProducerId),
    producerId: -1,
    producerEpoch: -1,
  })
  if (transactionalId === null) {
    const planned = plannedError(core, context)
    if (planned !== KafkaErrorCode.NONE) return refused(planned)
    const { producerId: fresh, epoch } = core.transactions.newIdentity()
    return { errorCode: KafkaErrorCode.NONE, producerId: fresh, producerEpoch: epoch }
  }
  const error = coordinatorError(core, context, transactionalId)
  if (error !== KafkaErrorCode.NONE) return refused(error)
  if (transactionalId === '' || producerId < 0 !== producerEpoch < 0) return refused(KafkaErrorCode.INVALID_REQUEST)
  const expected = producerId < 0 ? undefined : { producerId, epoch: producerEpoch }
  const answered = core.transactions.init(transactionalId, transactionTimeoutMs, expected)
  if (answered.error !== KafkaErrorCode.NONE) return refused(answered.error)
  return { errorCode: answered.error, producerId: answered.producerId, producerEpoch: answered.epoch }
}

interface OneTransaction {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly verifyOnly: boolean
  readonly topics: readonly AddPartitionsToTxnRequestTopic[]
}

function addPartitionsToTxn(core: BrokerCore): Route {
  return route(addPartitionsToTxnApi, (request, context) => {
    if (context.version >= MANY_TRANSACTIONS_VERSION) {
      const resultsByTransaction = request.transactions.map((one) => ({
        transactionalId: one.transactionalId,
        topicResults: addPartitions(core, context, one),
      }))
      return { errorCode: KafkaErrorCode.NONE, resultsByTransaction }
    }
    const one = {
      transactionalId: request.v3AndBelowTransactionalId,
      producerId: request.v3AndBelowProducerId,
      producerEpoch: request.v3AndBelowProducerEpoch,
      verifyOnly: false,
      topics: request.v3AndBelowTopics,
    }
    return { resultsByTopicV3AndBelow: addPartitions(core, context, one) }
  })
}

/** All of them, or, when one does not exist, none. */
function addPartitions(
  core: BrokerCore,
  context: RequestContext,
  asked: OneTransaction,
): Input<AddPartitionsToTxnResponseTopicResult>[] {
  const { transactionalId, producerId, producerEpoch: epoch, topics, verifyOnly } = asked
  const found: Partition[] = []
  const planned = new Map<string, number>()
  let error = coordinatorError(core, context, transactionalId)
  let missing = false
  for (const { name, partitions } of topics) {
    for (const index of partitions) {
      const own = error === KafkaErrorCode.NONE ? plannedError(core, context, name, index) : KafkaErrorCode.NONE
      if (own !== KafkaErrorCode.NONE) planned.set(`${name}-${index}`, own)
      const partition = core.cluster.partition(name, index)
      if (partition === undefined) missing = true
      else found.push(partition)
    }
  }
  missing ||= planned.size > 0
  if (error === KafkaErrorCode.NONE && !missing) {
    const enlisting = { transactionalId, producerId, epoch, partitions: found, groups: [] }
    const { transactions } = core
    error = verifyOnly
      ? transactions.verify(enlisting)
      : transactions.enlist(enlisting, context.version >= NEXT_IDENTITY_VERSION ? 2 : 1)
  }
  const answer = fencedAs(error, context, FENCED_VERSIONS.addPartitions)
  return topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map((partitionIndex) => {
      const exists = core.cluster.partition(name, partitionIndex) !== undefined
      const own = planned.get(`${name}-${partitionIndex}`)
      if (own !== undefined) return { partitionIndex, partitionErrorCode: own }
      const unknown = exists ? KafkaErrorCode.OPERATION_NOT_ATTEMPTED : KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
      return { partitionIndex, partitionErrorCode: error === KafkaErrorCode.NONE && missing ? unknown : answer }
    }),
  }))
}

function addOffsetsToTxn(core: BrokerCore): Route {
  return route(addOffsetsToTxnApi, (request, context) => {
    const { transactionalId, producerId, producerEpoch: epoch, groupId } = request
    let error = coordinatorError(core, context, transactionalId)
    if (error === KafkaErrorCode.NONE) {
      error = core.transactions.enlist({ transactionalId, producerId, epoch, partitions: [], groups: [groupId] }, 1)
    }
    return { errorCode: fencedAs(error, context, FENCED_VERSIONS.addOffsets) }
  })
}

function endTxn(core: BrokerCore): Route {
  return route(endTxnApi, (request, context) => {
    const { transactionalId, producerId, producerEpoch, committed: commit } = request
    const error = coordinatorError(core, context, transactionalId)
    if (error !== KafkaErrorCode.NONE) return { errorCode: error }
    const version = context.version >= NEXT_IDENTITY_VERSION ? 2 : 1
    const answered = core.transactions.end(transactionalId, { producerId, producerEpoch, commit, version })
    const errorCode = fencedAs(answered.error, context, FENCED_VERSIONS.endTxn)
    if (version === 1 || errorCode !== KafkaErrorCode.NONE) return { errorCode }
    return { errorCode, producerId: answered.producerId, producerEpoch: answered.epoch }
  })
}

/** By hand, as the tool for hanging transactions does it; the coordinator here writes its markers without requests. */
function writeTxnMarkers(core: BrokerCore): Route {
  return route(writeTxnMarkersApi, (request, context) => ({
    markers: request.markers.map(({ producerId, producerEpoch, transactionResult, topics, coordinatorEpoch }) => ({
      producerId,
      topics: topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => {
          const { error, partition } = ledPartition(core, context, { name, id: ZERO_UUID }, partitionIndex)
          if (partition === undefined || error !== KafkaErrorCode.NONE) return { partitionIndex, errorCode: error }
          partition.log.appendMarker({
            type: transactionResult ? 'commit' : 'abort',
            producerId,
            producerEpoch,
            coordinatorEpoch,
            timestamp: core.clock.now(),
            leaderEpoch: partition.leaderEpoch,
          })
          core.cluster.touched(partition)
          return { partitionIndex, errorCode: KafkaErrorCode.NONE }
        }),
      })),
    })),
  }))
}

function describeTransactions(core: BrokerCore): Route {
  return route(describeTransactionsApi, (request, context) => ({
    transactionStates: request.transactionalIds.map((transactionalId) => {
      const error = coordinatorError(core, context, transactionalId)
      if (error !== KafkaErrorCode.NONE) return { transactionalId, errorCode: error }
      const entry = core.transactions.entries.get(transactionalId)
      if (entry === undefined) return { transactionalId, errorCode: KafkaErrorCode.TRANSACTIONAL_ID_NOT_FOUND }
      return described(entry)
    }),
  }))
}

function described(entry: TransactionEntry): Input<DescribeTransactionsResponseTransactionState> {
  const topics = new Map<string, Set<number>>()
  const add = (topic: string, partition: number): void => {
    topics.set(topic, (topics.get(topic) ?? new Set()).add(partition))
  }
  for (const { topic, index } of entry.partitions.values()) add(topic.name, index)
  for (const group of entry.groups) add(OFFSETS_TOPIC, internalPartition(group))
  return {
    errorCode: KafkaErrorCode.NONE,
    transactionalId: entry.transactionalId,
    transactionState: entry.state,
    transactionTimeoutMs: entry.timeoutMs,
    transactionStartTimeMs: entry.startMs,
    producerId: entry.producerId,
    producerEpoch: entry.epoch,
    topics: [...topics].map(([topic, partitions]) => ({ topic, partitions: [...partitions] })),
  }
}

function listTransactions(core: BrokerCore): Route {
  return route(listTransactionsApi, (request, context) => {
    const { stateFilters, producerIdFilters, durationFilter, transactionalIdPattern } = request
    const pattern = compile(transactionalIdPattern)
    if (pattern === null) return { errorCode: KafkaErrorCode.INVALID_REGULAR_EXPRESSION }
    const nowMs = core.clock.now()
    const found = [...core.transactions.entries.values()].filter(
      (entry) =>
        coordinatorOf(core, entry.transactionalId) === context.node &&
        (stateFilters.length === 0 || stateFilters.includes(entry.state)) &&
        (producerIdFilters.length === 0 || producerIdFilters.includes(entry.producerId)) &&
        (durationFilter < 0 || (entry.state === 'Ongoing' && nowMs - entry.startMs > durationFilter)) &&
        (pattern === undefined || pattern.test(entry.transactionalId)),
    )
    return {
      errorCode: plannedError(core, context),
      unknownStateFilters: stateFilters.filter((state) => !TRANSACTION_STATES.includes(state)),
      transactionStates: found.map(({ transactionalId, producerId, state }) => ({
        transactionalId,
        producerId,
        transactionState: state,
      })),
    }
  })
}

/** Undefined for no pattern, null for one that is none. Only whole ids match, as with Kafka. */
function compile(pattern: string | null): RegExp | undefined | null {
  if (pattern === null || pattern === '') return undefined
  try {
    return new RegExp(`^(?:${pattern})$`)
  } catch {
    return null
  }
}

function describeProducers(core: BrokerCore): Route {
  return route(describeProducersApi, (request, context) => ({
    topics: request.topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => {
        const { error, partition } = ledPartition(core, context, { name, id: ZERO_UUID }, partitionIndex)
        if (partition === undefined || error !== KafkaErrorCode.NONE) return { partitionIndex, errorCode: error }
        const activeProducers = [...partition.log.producers.all].map((state) => ({
          producerId: state.producerId,
          producerEpoch: state.epoch,
          lastSequence: state.batches.at(-1)?.lastSequence ?? -1,
          lastTimestamp: state.lastTimestamp,
          coordinatorEpoch: state.coordinatorEpoch,
          currentTxnStartOffset: state.transactionStart,
        }))
        return { partitionIndex, errorCode: KafkaErrorCode.NONE, activeProducers }
      }),
    })),
  }))
}
