/**
 * A produce request of one broker: at most one batch per partition, all under the same identity and transactional id, by topic.
 *
 * The version decides what it means: from 12 on the broker adds the partitions to the transaction by itself, which is version 2
 * of the transaction protocol and forbidden under version 1 (KIP-890); from 13 on topics go by id.
 */
import { type Input, ZERO_UUID } from '../protocol/api.ts'
import { type ProduceRequest, type ProduceResponse, produceApi } from '../protocol/generated/produce.ts'
import type { ProducerOptions } from './options.ts'
import type { ProducerBatch } from './producer-batch.ts'
import type { ProducerCluster, ProducerConnection } from './producer-cluster.ts'
import type { ProducerScope } from './producer-scope.ts'

const VERSION_MIN = 3
/** zstd came with this one. */
const VERSION_ZSTD = 7
const VERSION_BEFORE_IMPLICIT_ADD = 11
const VERSION_IMPLICIT_ADD = 12
const VERSION_BEFORE_TOPIC_IDS = 12

export interface ProduceExchange {
  readonly version: number
  readonly request: Input<ProduceRequest>
}

export function produceRequest(
  cluster: ProducerCluster,
  connection: ProducerConnection,
  options: ProducerOptions,
  scope: ProducerScope,
  batches: readonly ProducerBatch[],
): ProduceExchange {
  const idOf = (topic: string): string => cluster.metadata.topicId(topic) ?? ZERO_UUID
  const allHaveIds = batches.every((batch) => idOf(batch.lane.topic) !== ZERO_UUID)
  const max = scope.version === 1 ? VERSION_BEFORE_IMPLICIT_ADD : allHaveIds ? undefined : VERSION_BEFORE_TOPIC_IDS
  const min =
    scope.version === 2 ? VERSION_IMPLICIT_ADD : options.compressionType === 'zstd' ? VERSION_ZSTD : VERSION_MIN
  const version = connection.version(produceApi, { min, ...(max === undefined ? {} : { max }) })
  const topics = new Map<
    string,
    { name: string; topicId: string; partitionData: { index: number; records: Buffer }[] }
  >()
  for (const batch of batches) {
    const { topic, partition } = batch.lane
    let entry = topics.get(topic)
    if (entry === undefined) topics.set(topic, (entry = { name: topic, topicId: idOf(topic), partitionData: [] }))
    entry.partitionData.push({ index: partition, records: batch.stamped(options.compressionType) })
  }
  const byId = version > VERSION_BEFORE_TOPIC_IDS
  return {
    version,
    request: {
      transactionalId: scope.transactionalId ?? null,
      acks: options.acks,
      timeoutMs: options.requestTimeoutMs,
      topicData: [...topics.values()].map(({ name, topicId, partitionData }) =>
        byId ? { topicId, partitionData } : { name, partitionData },
      ),
    },
  }
}

export interface PartitionAnswer {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly baseOffset: number
  readonly logStartOffset: number
}

/** The answer for each batch, in the order of the batches; undefined for one the broker left out. */
export function answers(
  exchange: ProduceExchange,
  batches: readonly ProducerBatch[],
  response: ProduceResponse,
): (PartitionAnswer | undefined)[] {
  const byId = exchange.version > VERSION_BEFORE_TOPIC_IDS
  const found = new Map<string, PartitionAnswer>()
  for (const topic of response.responses) {
    for (const partition of topic.partitionResponses) {
      found.set(`${byId ? topic.topicId : topic.name}/${partition.index}`, partition)
    }
  }
  const idOf = new Map<string, string>()
  if (byId) {
    // In the request the topics stand in the order in which the batches first name them.
    const names = [...new Set(batches.map((batch) => batch.lane.topic))]
    for (const [index, name] of names.entries()) idOf.set(name, exchange.request.topicData?.[index]?.topicId ?? '')
  }
  return batches.map(({ lane }) => found.get(`${byId ? (idOf.get(lane.topic) ?? '') : lane.topic}/${lane.partition}`))
}
