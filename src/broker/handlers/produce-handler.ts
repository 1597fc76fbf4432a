/**
 * Produce: each partition's batch is checked, its transaction looked at, and stored. Partitions answer for themselves; one
 * that is refused harms no other.
 */
import {
  type Input,
  KafkaErrorCode,
  type ProduceRequest,
  type ProduceResponse,
  type ProduceResponsePartition,
  produceApi,
} from '../../kafka/index.ts'
import type { Partition } from '../cluster/topic.ts'
import { type IncomingBatch, IncomingBatches } from '../log/incoming-batch.ts'
import type { BrokerCore } from '../request/broker-core.ts'
import type { RequestContext } from '../request/request-context.ts'
import { type Route, route } from '../request/router.ts'
import { coordinatorOf } from './coordinator-place.ts'
import { leaderHints, ledPartition, type TopicName } from './partition-place.ts'

/** From here on partitions join a transaction by being written to (KIP-890). */
const ENLISTING_VERSION = 12
const ZSTD_VERSION = 7
const ABORTABLE_VERSION = 11
const LEADER_HINT_VERSION = 10
const MESSAGE_VERSION = 8

export function produceRoutes(core: BrokerCore): Route[] {
  const handler = new ProduceHandler(core)
  return [route(produceApi, (request, context) => handler.handle(request, context))]
}

type PartitionAnswer = Input<ProduceResponsePartition>

class ProduceHandler {
  readonly #core: BrokerCore
  readonly #batches: IncomingBatches = new IncomingBatches()

  constructor(core: BrokerCore) {
    this.#core = core
  }

  handle(request: ProduceRequest, context: RequestContext): Input<ProduceResponse> | null {
    const { acks } = request
    const valid = acks === -1 || acks === 0 || acks === 1
    const elsewhere: Partition[] = []
    const responses = request.topicData.map(({ name, topicId, partitionData }) => ({
      name,
      topicId,
      partitionResponses: partitionData.map(({ index, records }): PartitionAnswer => {
        if (!valid) return refused(context, index, KafkaErrorCode.INVALID_REQUIRED_ACKS, 'acks is -1, 0 or 1')
        return this.#partition(request, context, { name, id: topicId }, index, records, elsewhere)
      }),
    }))
    if (acks === 0) return null
    const hints = context.version >= LEADER_HINT_VERSION && elsewhere.length > 0
    return { responses, ...(hints ? { nodeEndpoints: leaderHints(context, elsewhere) } : {}) }
  }

  #partition(
    request: ProduceRequest,
    context: RequestContext,
    topic: TopicName,
    index: number,
    records: Buffer | null,
    elsewhere: Partition[],
  ): PartitionAnswer {
    const { clock } = this.#core
    const { error, partition } = ledPartition(this.#core, context, topic, index)
    if (partition === undefined || error !== KafkaErrorCode.NONE) {
      const answer = refused(context, index, error, null)
      if (error !== KafkaErrorCode.NOT_LEADER_OR_FOLLOWER || partition === undefined) return answer
      elsewhere.push(partition)
      const currentLeader = { leaderId: partition.leader, leaderEpoch: partition.leaderEpoch }
      return context.version >= LEADER_HINT_VERSION ? { ...answer, currentLeader } : answer
    }
    const { config } = partition.topic
    const nowMs = clock.now()
    const batch = this.#batches.check(partition.topic.name, index, records, {
      bytesMax: config.number('max.message.bytes'),
      zstdAllowed: context.version >= ZSTD_VERSION,
      timestampMin: config.logAppendTime ? -1 : nowMs - config.number('message.timestamp.before.max.ms'),
      timestampMax: config.logAppendTime ? Infinity : nowMs + config.number('message.timestamp.after.max.ms'),
      keyNeeded: config.compacts,
    })
    if ('error' in batch) return refused(context, index, batch.error, batch.message)
    const outside = this.#transactionError(request, context, partition, batch)
    if (outside !== KafkaErrorCode.NONE) return refused(context, index, outside, null)
    return this.#store(context, partition, batch)
  }

  #store(context: RequestContext, partition: Partition, batch: IncomingBatch): PartitionAnswer {
    const { log } = partition
    const options = {
      leaderEpoch: partition.leaderEpoch,
      nowMs: this.#core.clock.now(),
      logAppendTime: partition.topic.config.logAppendTime,
      bumpsEpochs: batch.transactional && context.version >= ENLISTING_VERSION,
    }
    const appended = log.append(batch, options)
    if (appended.kind === 'refused') return refused(context, partition.index, appended.error, appended.message)
    this.#core.cluster.touched(partition)
    return {
      index: partition.index,
      errorCode: KafkaErrorCode.NONE,
      baseOffset: appended.baseOffset,
      logAppendTimeMs: appended.logAppendTime,
      logStartOffset: log.startOffset,
    }
  }

  /** Whether the batch may be part of its transaction; older clients enlisted the partition beforehand. */
  #transactionError(
    request: ProduceRequest,
    context: RequestContext,
    partition: Partition,
    batch: IncomingBatch,
  ): number {
    const { producerId, producerEpoch: epoch } = batch
    if (!batch.transactional) return KafkaErrorCode.NONE
    const { transactionalId } = request
    if (transactionalId === null) return KafkaErrorCode.INVALID_TXN_STATE
    if (partition.log.producers.hasOpenTransaction(producerId, epoch)) return KafkaErrorCode.NONE
    if (coordinatorOf(this.#core, transactionalId) < 0) return KafkaErrorCode.NOT_ENOUGH_REPLICAS
    const asked = { transactionalId, producerId, epoch, partitions: [partition], groups: [] }
    const enlists = context.version >= ENLISTING_VERSION
    const { transactions } = this.#core
    const error = enlists ? transactions.enlist(asked, 2) : transactions.verify(asked)
    switch (error) {
      case KafkaErrorCode.PRODUCER_FENCED:
        return KafkaErrorCode.INVALID_PRODUCER_EPOCH
      case KafkaErrorCode.CONCURRENT_TRANSACTIONS:
        // Older clients would not try this one again.
        return enlists ? error : KafkaErrorCode.NOT_ENOUGH_REPLICAS
      case KafkaErrorCode.TRANSACTION_ABORTABLE:
        return context.version >= ABORTABLE_VERSION ? error : KafkaErrorCode.INVALID_TXN_STATE
      default:
        return error
    }
  }
}

function refused(context: RequestContext, index: number, errorCode: number, message: string | null): PartitionAnswer {
  const errorMessage = context.version >= MESSAGE_VERSION ? message : null
  return { index, errorCode, baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1, errorMessage }
}
