/**
 * The producers that partitions know, asked of their leaders: who wrote last, and where the open transaction of each begins.
 * Undefined when a leader is too old to say (before 3.0). Partitions whose leader has moved are asked for again alone.
 */
import { MillraceError } from '../../base/index.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import {
  type DescribeProducersResponsePartition,
  describeProducersApi,
} from '../protocol/generated/describe-producers.ts'
import type { TopicPartitionPlace } from './admin-groups.ts'
import { brokerError } from './error-classes.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import { type RetryLimits, retrying } from './retrying.ts'

export interface ActiveProducer {
  readonly producerId: number
  readonly producerEpoch: number
  /** -1: none yet. */
  readonly lastSequence: number
  readonly lastTimestamp: number
  /** -1 when no transaction of it is open in the partition. */
  readonly transactionStartOffset: number
}

export interface PartitionProducers extends TopicPartitionPlace {
  readonly producers: readonly ActiveProducer[]
}

const DOING = 'Describing the producers'

/** In the order of the places. */
export async function describeProducers(
  cluster: KafkaCluster,
  places: readonly TopicPartitionPlace[],
  limits: RetryLimits,
): Promise<PartitionProducers[] | undefined> {
  const found = new Map<string, PartitionProducers>()
  const attempt = async ({ number }: { number: number }): Promise<boolean> => {
    const pending = places.filter((place) => !found.has(nameOf(place)))
    if (pending.length === 0) return true
    await cluster.metadata.ensure(new Set(pending.map(({ topic }) => topic)), limits.signal)
    if (number > 0) await cluster.metadata.refresh()
    const byLeader = Map.groupBy(pending, ({ topic, partition }) => cluster.metadata.leader(topic, partition)?.nodeId)
    const told = await Promise.all([...byLeader].map(([nodeId, led]) => askLeader(cluster, nodeId, led, found)))
    return !told.includes(false)
  }
  if (!(await retrying(cluster, DOING, attempt, limits))) return undefined
  return places.flatMap((place) => found.get(nameOf(place)) ?? [])
}

/** False when the leader is too old. */
async function askLeader(
  cluster: KafkaCluster,
  nodeId: number | undefined,
  places: readonly TopicPartitionPlace[],
  found: Map<string, PartitionProducers>,
): Promise<boolean> {
  if (nodeId === undefined) throw leaderless(places)
  const connection = await cluster.connection(nodeId, 'control')
  if (!connection.supports(describeProducersApi)) return false
  const byTopic = Map.groupBy(places, ({ topic }) => topic)
  const topics = [...byTopic].map(([name, led]) => ({ name, partitionIndexes: led.map(({ partition }) => partition) }))
  let refused: MillraceError | undefined
  for (const { name: topic, partitions } of (await connection.send(describeProducersApi, { topics })).topics) {
    for (const answer of partitions) {
      const place = { topic, partition: answer.partitionIndex }
      if (answer.errorCode === KafkaErrorCode.NONE) found.set(nameOf(place), { ...place, producers: known(answer) })
      else {
        refused = brokerError(answer.errorCode, {
          context: 'admin',
          doing: `${DOING} of ${nameOf(place)}`,
          right: `READ on topic ${topic}`,
          message: answer.errorMessage,
        })
      }
    }
  }
  const missing = places.find((place) => !found.has(nameOf(place)))
  if (missing !== undefined) {
    throw refused ?? new MillraceError('KAFKA_PROTOCOL', `${DOING} was answered without ${nameOf(missing)}.`)
  }
  return true
}

function known({ activeProducers }: DescribeProducersResponsePartition): ActiveProducer[] {
  return activeProducers.map(({ producerId, producerEpoch, lastSequence, lastTimestamp, currentTxnStartOffset }) => ({
    producerId,
    producerEpoch,
    lastSequence,
    lastTimestamp,
    transactionStartOffset: currentTxnStartOffset,
  }))
}

function nameOf({ topic, partition }: TopicPartitionPlace): string {
  return `${topic}-${partition}`
}

function leaderless(places: readonly TopicPartitionPlace[]): MillraceError {
  const names = places.slice(0, 3).map(nameOf).join(', ')
  return new MillraceError(
    'KAFKA_RETRIABLE',
    `${DOING} of ${names} needs their leader, and none is known now. Nothing is lost.`,
    { retriable: true },
  )
}
