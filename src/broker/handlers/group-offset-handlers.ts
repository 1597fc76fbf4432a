/**
 * Offsets of groups: committed, committed as part of a transaction, and read back.
 */
import {
  type Input,
  KafkaErrorCode,
  type OffsetCommitRequestPartition,
  type OffsetFetchResponsePartitions,
  offsetCommitApi,
  offsetFetchApi,
  type TxnOffsetCommitRequest,
  txnOffsetCommitApi,
  ZERO_UUID,
} from '../../kafka/index.ts'
import type { Topic } from '../cluster/topic.ts'
import type { ClassicGroup } from '../group/classic-group.ts'
import type { CommittedOffset } from '../group/group-offsets.ts'
import type { BrokerCore } from '../request/broker-core.ts'
import type { RequestContext } from '../request/request-context.ts'
import { type Route, route } from '../request/router.ts'
import { coordinatorOf } from './coordinator-place.ts'
import { groupError } from './group-handlers.ts'
import { anyPartition, findTopic, plannedError, type TopicName } from './partition-place.ts'

const METADATA_LENGTH_MAX = 4_096
const MANY_GROUPS_VERSION = 8
const TOPIC_ID_VERSION = 10
/** From here on a group joins a transaction by its offsets being committed in it (KIP-890). */
const ENLISTING_VERSION = 5
const ABORTABLE_VERSION = 4

export function groupOffsetRoutes(core: BrokerCore): Route[] {
  return [offsetCommit(core), txnOffsetCommit(core), offsetFetch(core)]
}

interface CommitTopic extends TopicName {
  readonly partitions: readonly OffsetCommitRequestPartition[]
}

interface CommitAnswer {
  readonly name: string
  readonly topicId: string
  readonly partitions: { readonly partitionIndex: number; readonly errorCode: number }[]
}

/** Each partition for itself, once the request as a whole may be taken. */
function commitEach(
  core: BrokerCore,
  context: RequestContext,
  topics: readonly CommitTopic[],
  refused: number,
  take: (offset: CommittedOffset) => void,
): CommitAnswer[] {
  return topics.map((asked) => {
    const topic = findTopic(core, asked)
    return {
      name: asked.name,
      topicId: asked.id,
      partitions: asked.partitions.map((one) => {
        const { partitionIndex } = one
        const place = anyPartition(core, context, asked, partitionIndex)
        const error = refused !== KafkaErrorCode.NONE ? refused : place.error
        if (error !== KafkaErrorCode.NONE || topic === undefined) return { partitionIndex, errorCode: error }
        return { partitionIndex, errorCode: commitOne(topic, one, take) }
      }),
    }
  })
}

function commitOne(topic: Topic, one: OffsetCommitRequestPartition, take: (offset: CommittedOffset) => void): number {
  const { partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: leaderEpoch } = one
  const metadata = one.committedMetadata ?? ''
  if (metadata.length > METADATA_LENGTH_MAX) return KafkaErrorCode.OFFSET_METADATA_TOO_LARGE
  take({ topic: topic.name, partition, offset, leaderEpoch, metadata })
  return KafkaErrorCode.NONE
}

function offsetCommit(core: BrokerCore): Route {
  return route(offsetCommitApi, (request, context) => {
    const { groupId, memberId, groupInstanceId, generationIdOrMemberEpoch: generation } = request
    let error = groupError(core, context, groupId)
    // Whoever has a generation is a member of a group that exists.
    const known = core.groups.get(groupId)
    if (error === KafkaErrorCode.NONE && known === undefined && generation >= 0)
      error = KafkaErrorCode.ILLEGAL_GENERATION
    const group = error === KafkaErrorCode.NONE ? core.groups.getOrCreate(groupId) : undefined
    if (error === KafkaErrorCode.NONE) {
      error = group?.wrongCommitter(memberId, groupInstanceId, generation) ?? KafkaErrorCode.POLICY_VIOLATION
    }
    const topics = request.topics.map(({ name, topicId, partitions }) => ({ name, id: topicId, partitions }))
    return { topics: commitEach(core, context, topics, error, (offset) => group?.offsets.commit(offset)) }
  })
}

function txnOffsetCommit(core: BrokerCore): Route {
  return route(txnOffsetCommitApi, (request, context) => {
    const topics = request.topics.map(({ name, partitions }) => ({ name, id: ZERO_UUID, partitions }))
    const { group, error } = transactionalGroup(core, context, request)
    const take = (offset: CommittedOffset): void => group?.offsets.hold(request.producerId, offset)
    return {
      topics: commitEach(core, context, topics, error, take).map(({ name, partitions }) => ({ name, partitions })),
    }
  })
}

/** The group, when its offsets may become part of this transaction. */
function transactionalGroup(
  core: BrokerCore,
  context: RequestContext,
  request: TxnOffsetCommitRequest,
): { readonly group: ClassicGroup | undefined; readonly error: number } {
  const { groupId, transactionalId, producerId, producerEpoch: epoch } = request
  const refused = (error: number): { group: undefined; error: number } => ({ group: undefined, error })
  const error = groupError(core, context, groupId)
  if (error !== KafkaErrorCode.NONE) return refused(error)
  const group = core.groups.getOrCreate(groupId)
  if (group === undefined) return refused(KafkaErrorCode.POLICY_VIOLATION)
  const { memberId, groupInstanceId, generationId } = request
  if (memberId !== '' || generationId >= 0) {
    const wrong = group.wrongGeneration(memberId, groupInstanceId, generationId)
    if (wrong !== KafkaErrorCode.NONE) return refused(wrong)
  }
  if (coordinatorOf(core, transactionalId) < 0) return refused(KafkaErrorCode.COORDINATOR_NOT_AVAILABLE)
  const asked = { transactionalId, producerId, epoch, partitions: [], groups: [groupId] }
  const enlists = context.version >= ENLISTING_VERSION
  const taken = enlists ? core.transactions.enlist(asked, 2) : core.transactions.verify(asked)
  switch (taken) {
    case KafkaErrorCode.NONE:
      return { group, error: taken }
    case KafkaErrorCode.PRODUCER_FENCED:
      return refused(KafkaErrorCode.INVALID_PRODUCER_EPOCH)
    case KafkaErrorCode.CONCURRENT_TRANSACTIONS:
      // Older clients would not try this one again.
      return refused(enlists ? taken : KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    case KafkaErrorCode.TRANSACTION_ABORTABLE:
      return refused(context.version >= ABORTABLE_VERSION ? taken : KafkaErrorCode.INVALID_TXN_STATE)
    default:
      return refused(taken)
  }
}

function offsetFetch(core: BrokerCore): Route {
  return route(offsetFetchApi, (request, context) => {
    const { requireStable } = request
    if (context.version < MANY_GROUPS_VERSION) {
      const topics = request.topics?.map(({ name, partitionIndexes }) => ({ name, id: ZERO_UUID, partitionIndexes }))
      const { error, found } = readOffsets(core, context, request.groupId, topics, requireStable)
      return { errorCode: error, topics: found.map(({ name, partitions }) => ({ name, partitions })) }
    }
    return {
      groups: request.groups.map(({ groupId, topics }) => {
        const asked = topics?.map(({ name, topicId, partitionIndexes }) => ({ name, id: topicId, partitionIndexes }))
        const { error, found } = readOffsets(core, context, groupId, asked, requireStable)
        return { groupId, errorCode: error, topics: found }
      }),
    }
  })
}

interface FoundTopic {
  readonly name: string
  readonly topicId: string
  readonly partitions: Input<OffsetFetchResponsePartitions>[]
}

/** Of the asked partitions, or of all that have offsets. */
function readOffsets(
  core: BrokerCore,
  context: RequestContext,
  groupId: string,
  topics: readonly (TopicName & { readonly partitionIndexes: readonly number[] })[] | undefined,
  requireStable: boolean,
): { readonly error: number; readonly found: FoundTopic[] } {
  const error = groupError(core, context, groupId)
  if (error !== KafkaErrorCode.NONE) return { error, found: [] }
  const group = core.groups.get(groupId)
  const asked = topics ?? everyOffset(core, context, group)
  const found = asked.map(({ name, id, partitionIndexes }) => {
    const topic = findTopic(core, { name, id })
    const partitions = partitionIndexes.map((index) => {
      if (id !== ZERO_UUID && topic === undefined) return noOffset(index, KafkaErrorCode.UNKNOWN_TOPIC_ID)
      const planned = plannedError(core, context, topic?.name ?? name, index)
      if (planned !== KafkaErrorCode.NONE) return noOffset(index, planned)
      return offsetOf(group, topic?.name ?? name, index, requireStable)
    })
    return { name, topicId: id, partitions }
  })
  return { error, found }
}

function everyOffset(
  core: BrokerCore,
  context: RequestContext,
  group: ClassicGroup | undefined,
): (TopicName & { partitionIndexes: number[] })[] {
  const byTopic = new Map<string, number[]>()
  for (const { topic, partition } of group?.offsets.all ?? []) {
    byTopic.set(topic, [...(byTopic.get(topic) ?? []), partition])
  }
  return [...byTopic].map(([name, partitionIndexes]) => {
    const id = context.version >= TOPIC_ID_VERSION ? (core.cluster.topics.get(name)?.id ?? ZERO_UUID) : ZERO_UUID
    return { name, id, partitionIndexes }
  })
}

function offsetOf(
  group: ClassicGroup | undefined,
  topic: string,
  partitionIndex: number,
  requireStable: boolean,
): Input<OffsetFetchResponsePartitions> {
  if (requireStable && group?.offsets.isUnstable(topic, partitionIndex) === true) {
    return noOffset(partitionIndex, KafkaErrorCode.UNSTABLE_OFFSET_COMMIT)
  }
  const found = group?.offsets.get(topic, partitionIndex)
  if (found === undefined) return noOffset(partitionIndex, KafkaErrorCode.NONE)
  const { offset: committedOffset, leaderEpoch: committedLeaderEpoch, metadata } = found
  return { partitionIndex, committedOffset, committedLeaderEpoch, metadata, errorCode: KafkaErrorCode.NONE }
}

function noOffset(partitionIndex: number, errorCode: number): Input<OffsetFetchResponsePartitions> {
  return { partitionIndex, committedOffset: -1, committedLeaderEpoch: -1, metadata: '', errorCode }
}
