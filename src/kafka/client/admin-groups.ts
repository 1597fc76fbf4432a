/**
 * Committed offsets of consumer groups, read and written as Java's `assign`ing consumers do: without being a member of the
 * group. The group's coordinator is looked up again when it has moved.
 */
import { MillraceError } from '../../base/index.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { offsetCommitApi } from '../protocol/generated/offset-commit.ts'
import { type OffsetFetchResponsePartition, offsetFetchApi } from '../protocol/generated/offset-fetch.ts'
import { brokerError } from './error-classes.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import { type RetryLimits, retrying } from './retrying.ts'
import { unknownTopicGrace } from './unknown-topic-grace.ts'

export interface TopicPartitionPlace {
  readonly topic: string
  readonly partition: number
}

export interface GroupOffset extends TopicPartitionPlace {
  /** The next one to be read. */
  readonly offset: number
  readonly metadata: string
  /** -1 when the committer did not say. */
  readonly leaderEpoch: number
}

export interface GroupOffsetToCommit extends TopicPartitionPlace {
  readonly offset: number
  readonly leaderEpoch?: number
  readonly metadata?: string
}

/** From version 10 on topics go by their ids; names are enough here. */
const OFFSETS_BY_NAME_MAX = 9
const OFFSET_FETCH_OF_GROUPS = 8
const OFFSET_FETCH_OF_ALL = 2

/** Only those that exist. */
export function groupOffsets(
  cluster: KafkaCluster,
  groupId: string,
  places: readonly TopicPartitionPlace[] | undefined,
  limits: RetryLimits,
): Promise<GroupOffset[]> {
  const doing = `Reading the offsets of group ${groupId}`
  const right = `DESCRIBE on group ${groupId}`
  const topics =
    places === undefined
      ? null
      : [...Map.groupBy(places, ({ topic }) => topic)].map(([name, partitions]) => ({
          name,
          partitionIndexes: [...new Set(partitions.map(({ partition }) => partition))],
        }))
  return withGroupCoordinator(cluster, groupId, doing, limits, async (connection) => {
    const version = connection.version(offsetFetchApi, { min: OFFSET_FETCH_OF_ALL, max: OFFSETS_BY_NAME_MAX })
    const grouped = version >= OFFSET_FETCH_OF_GROUPS
    const request = grouped ? { groups: [{ groupId, topics }] } : { groupId, topics }
    const response = await connection.send(offsetFetchApi, request, { version })
    const answer = grouped ? response.groups[0] : response
    if (answer === undefined) throw new MillraceError('KAFKA_PROTOCOL', `${doing} was answered without the group.`)
    if (answer.errorCode === KafkaErrorCode.GROUP_ID_NOT_FOUND) return []
    if (answer.errorCode !== KafkaErrorCode.NONE) {
      throw brokerError(answer.errorCode, { context: 'admin', doing, right })
    }
    const found: GroupOffset[] = []
    for (const { name, partitions } of answer.topics) {
      for (const partition of partitions) {
        const offset = existing(name, partition, doing)
        if (offset !== undefined) found.push(offset)
      }
    }
    return found
  })
}

function existing(topic: string, answer: OffsetFetchResponsePartition, doing: string): GroupOffset | undefined {
  const { errorCode, partitionIndex, committedOffset, committedLeaderEpoch, metadata } = answer
  // A topic that is gone has no offset any more; brokers differ in how they say so.
  if (errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION) return undefined
  if (errorCode !== KafkaErrorCode.NONE) {
    throw brokerError(errorCode, { context: 'admin', doing, right: `DESCRIBE on topic ${topic}` })
  }
  if (committedOffset < 0) return undefined
  return {
    topic,
    partition: partitionIndex,
    offset: committedOffset,
    metadata: metadata ?? '',
    leaderEpoch: committedLeaderEpoch,
  }
}

/** Partitions that fail for a passing reason are tried again alone. */
export async function commitGroupOffsets(
  cluster: KafkaCluster,
  groupId: string,
  offsets: readonly GroupOffsetToCommit[],
  limits: RetryLimits,
): Promise<void> {
  const pending = new Map(offsets.map((offset) => [`${offset.topic}/${offset.partition}`, offset]))
  if (pending.size === 0) return
  const doing = `Committing offsets of group ${groupId}`
  const mayStillCome = unknownTopicGrace(cluster.ports.clock)
  await withGroupCoordinator(cluster, groupId, doing, limits, async (connection) => {
    const byTopic = Map.groupBy(pending.values(), ({ topic }) => topic)
    const request = {
      groupId,
      generationIdOrMemberEpoch: -1,
      memberId: '',
      topics: [...byTopic].map(([name, partitions]) => ({
        name,
        partitions: partitions.map(({ partition, offset, leaderEpoch, metadata }) => ({
          partitionIndex: partition,
          committedOffset: offset,
          committedLeaderEpoch: leaderEpoch ?? -1,
          committedMetadata: metadata ?? '',
        })),
      })),
    }
    const version = connection.version(offsetCommitApi, { min: 2, max: OFFSETS_BY_NAME_MAX })
    const response = await connection.send(offsetCommitApi, request, { version })
    const errors: MillraceError[] = []
    for (const { name, partitions } of response.topics) {
      for (const { partitionIndex, errorCode } of partitions) {
        if (errorCode === KafkaErrorCode.NONE) pending.delete(`${name}/${partitionIndex}`)
        else {
          const offset = pending.get(`${name}/${partitionIndex}`)?.offset ?? -1
          const place = { topic: name, partition: partitionIndex, offset }
          errors.push(commitError(errorCode, groupId, place, mayStillCome()))
        }
      }
    }
    const decisive = errors.find((error) => !error.retriable) ?? errors[0]
    if (decisive !== undefined) throw decisive
    if (pending.size > 0) throw new MillraceError('KAFKA_PROTOCOL', `${doing} was answered without all partitions.`)
  })
}

function commitError(
  errorCode: number,
  groupId: string,
  { topic, partition, offset }: GroupOffsetToCommit,
  topicMayAppear: boolean,
): MillraceError {
  const missesTopic = errorCode === KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED
  const deleted = errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION && !topicMayAppear
  return brokerError(errorCode, {
    context: 'admin',
    doing: `Committing offset ${offset} of ${topic}-${partition} for group ${groupId}`,
    right: missesTopic ? `READ on topic ${topic}` : `READ on group ${groupId}`,
    ...(deleted ? { retriable: false } : {}),
  })
}

function withGroupCoordinator<T>(
  cluster: KafkaCluster,
  groupId: string,
  doing: string,
  limits: RetryLimits,
  ask: (connection: Awaited<ReturnType<KafkaCluster['coordinator']>>) => Promise<T>,
): Promise<T> {
  const attempt = async ({ remainingMs }: { remainingMs: number }): Promise<T> => {
    const connection = await cluster.coordinator('group', groupId, { ...limits, timeoutMs: remainingMs })
    try {
      return await ask(connection)
    } catch (error) {
      if (MillraceError.is(error) && error.retriable) cluster.forgetCoordinator('group', groupId)
      throw error
    }
  }
  return retrying(cluster, doing, attempt, limits)
}
