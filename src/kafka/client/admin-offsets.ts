/**
 * Offsets for the admin client: where partitions begin and end, and what groups have committed. Partitions whose leader has
 * moved, or that failed for a passing reason, are asked for again alone; answers that came are kept.
 */
import { MillraceError } from '../../base/index.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { listOffsetsApi } from '../protocol/generated/list-offsets.ts'
import { brokerError } from './error-classes.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import { type RetryLimits, retrying } from './retrying.ts'

export type OffsetPlace = 'earliest' | 'latest' | 'maxTimestamp' | { readonly timestamp: number }

export interface ListOffsetsQuestion {
  readonly topic: string
  readonly partition: number
  readonly at: OffsetPlace
}

export interface ListedOffset {
  readonly topic: string
  readonly partition: number
  /** -1: no record has that timestamp or a later one. */
  readonly offset: number
  /** Of the record at the offset; -1 when it was not asked by time. */
  readonly timestamp: number
  /** -1 when the broker did not say. */
  readonly leaderEpoch: number
}

export interface ListOffsetsOptions {
  readonly isolation?: 'read_uncommitted' | 'read_committed'
}

/** Question `index` of those asked; equal partitions among them go into different requests, as brokers want. */
interface Pending extends ListOffsetsQuestion {
  readonly index: number
  readonly wave: number
}

const DOING = 'Listing offsets'
/** The first version that knows the record with the highest timestamp (KIP-734). */
const WITH_MAX_TIMESTAMP = 7
const WITH_ISOLATION = 2

export async function listOffsets(
  cluster: KafkaCluster,
  questions: readonly ListOffsetsQuestion[],
  options: ListOffsetsOptions,
  limits: RetryLimits,
): Promise<ListedOffset[]> {
  const answers: (ListedOffset | undefined)[] = new Array(questions.length).fill(undefined)
  let pending = inWaves(questions)
  if (pending.length === 0) return []
  const attempt = async ({ number }: { number: number }): Promise<void> => {
    await cluster.metadata.ensure(new Set(pending.map(({ topic }) => topic)), limits.signal)
    if (number > 0) await cluster.metadata.refresh()
    const { byLeader, errors } = await groupByLeader(cluster, pending)
    const asked = [...byLeader.values()].map(async (group) => {
      try {
        await askLeader(cluster, group, options, answers, errors)
      } catch (error) {
        errors.push(error)
      }
    })
    await Promise.all(asked)
    pending = pending.filter(({ index }) => answers[index] === undefined)
    // What another attempt cannot change decides; else the passing reasons are tried again.
    const fatal = errors.find((error) => !(MillraceError.is(error) && error.retriable))
    if (fatal !== undefined) throw fatal
    if (pending.length > 0) throw errors[0] ?? unanswered(pending)
  }
  await retrying(cluster, `${DOING} of ${summary(questions)}`, attempt, limits)
  return answers.filter((answer) => answer !== undefined)
}

interface LeaderGroup {
  readonly nodeId: number
  readonly pending: Pending[]
}

async function groupByLeader(
  cluster: KafkaCluster,
  pending: readonly Pending[],
): Promise<{ byLeader: Map<string, LeaderGroup>; errors: unknown[] }> {
  const { metadata } = cluster
  const isUnknown = ({ topic, partition }: Pending): boolean => partition >= (metadata.partitionCount(topic) ?? 0)
  if (pending.some(isUnknown)) await metadata.refresh()
  const byLeader = new Map<string, LeaderGroup>()
  const errors: unknown[] = []
  for (const one of pending) {
    const leader = metadata.leader(one.topic, one.partition)
    if (leader === undefined) {
      errors.push(isUnknown(one) ? unknownPartition(one, metadata.partitionCount(one.topic)) : leaderless(one))
      continue
    }
    const key = `${leader.nodeId}/${one.wave}`
    const group = byLeader.get(key)
    if (group === undefined) byLeader.set(key, { nodeId: leader.nodeId, pending: [one] })
    else group.pending.push(one)
  }
  return { byLeader, errors }
}

async function askLeader(
  cluster: KafkaCluster,
  group: LeaderGroup,
  options: ListOffsetsOptions,
  answers: (ListedOffset | undefined)[],
  errors: unknown[],
): Promise<void> {
  const connection = await cluster.connection(group.nodeId, 'control')
  const byPlace = new Map(group.pending.map((one) => [`${one.topic}/${one.partition}`, one]))
  const byTopic = Map.groupBy(group.pending, ({ topic }) => topic)
  const min = group.pending.some(({ at }) => at === 'maxTimestamp') ? WITH_MAX_TIMESTAMP : WITH_ISOLATION
  const response = await connection.send(
    listOffsetsApi,
    {
      replicaId: -1,
      isolationLevel: options.isolation === 'read_committed' ? 1 : 0,
      topics: [...byTopic].map(([name, partitions]) => ({
        name,
        partitions: partitions.map(({ partition, at }) => ({
          partitionIndex: partition,
          currentLeaderEpoch: cluster.metadata.leader(name, partition)?.leaderEpoch ?? -1,
          timestamp: wireTimestamp(at),
        })),
      })),
      timeoutMs: cluster.options.requestTimeoutMs,
    },
    { version: connection.version(listOffsetsApi, { min }) },
  )
  for (const { name: topic, partitions } of response.topics) {
    for (const { partitionIndex: partition, errorCode, offset, timestamp, leaderEpoch } of partitions) {
      const asked = byPlace.get(`${topic}/${partition}`)
      if (asked === undefined) continue
      if (errorCode === KafkaErrorCode.NONE) {
        answers[asked.index] = { topic, partition, offset, timestamp, leaderEpoch }
      } else {
        const doing = `${DOING} of ${topic}-${partition}`
        errors.push(brokerError(errorCode, { context: 'admin', doing, right: `DESCRIBE on topic ${topic}` }))
      }
    }
  }
}

function inWaves(questions: readonly ListOffsetsQuestion[]): Pending[] {
  const seen = new Map<string, number>()
  return questions.map((question, index) => {
    const place = `${question.topic}/${question.partition}`
    const wave = seen.get(place) ?? 0
    seen.set(place, wave + 1)
    return { ...question, index, wave }
  })
}

function wireTimestamp(at: OffsetPlace): number {
  switch (at) {
    case 'latest':
      return -1
    case 'earliest':
      return -2
    case 'maxTimestamp':
      return -3
    default:
      return at.timestamp
  }
}

function summary(places: readonly { readonly topic: string; readonly partition: number }[]): string {
  const names = places.slice(0, 3).map(({ topic, partition }) => `${topic}-${partition}`)
  return places.length > names.length
    ? `${names.join(', ')} and ${places.length - names.length} more`
    : names.join(', ')
}

function unknownPartition({ topic, partition }: Pending, count: number | undefined): MillraceError {
  return new MillraceError(
    'KAFKA_UNKNOWN_PARTITION',
    `The cluster does not know ${topic}-${partition}: the topic has ${count ?? 0} partitions. Nothing is lost.`,
  )
}

function leaderless({ topic, partition }: Pending): MillraceError {
  return new MillraceError(
    'KAFKA_RETRIABLE',
    `${topic}-${partition} has no leader now: none of its in-sync replicas is up. Nothing is lost.`,
    { retriable: true },
  )
}

function unanswered(pending: readonly Pending[]): MillraceError {
  return new MillraceError('KAFKA_PROTOCOL', `The broker left ${summary(pending)} out of its answer. Nothing was done.`)
}
