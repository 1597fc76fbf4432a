/**
 * Makes topics larger. An attempt whose answer was lost may have succeeded: a refusal is then held against what the topic has.
 */
import { MillraceError } from '../../base/index.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { createPartitionsApi } from '../protocol/generated/create-partitions.ts'
import { brokerError } from './error-classes.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import { type RetryLimits, retrying } from './retrying.ts'

export interface NewPartitions {
  readonly name: string
  /** How many the topic has afterwards. */
  readonly total: number
}

/** Resolves when the controller has done it; each broker learns it a moment later. */
export async function createPartitions(
  cluster: KafkaCluster,
  topics: readonly NewPartitions[],
  limits: RetryLimits,
): Promise<void> {
  let pending = [...topics]
  let unsure = false
  const attempt = async ({ remainingMs }: { remainingMs: number }): Promise<void> => {
    const { controllerId, topics: known } = await cluster.askMetadata(unsure ? pending.map(({ name }) => name) : [])
    const counts = new Map(known.map(({ name, partitions }) => [name, partitions.length]))
    pending = pending.filter(({ name, total }) => counts.get(name) !== total)
    if (pending.length === 0) return
    const connection = await (controllerId >= 0
      ? cluster.connection(controllerId, 'control')
      : cluster.anyConnection({ ...limits, timeoutMs: remainingMs }))
    unsure = true
    const response = await connection.send(createPartitionsApi, {
      topics: pending.map(({ name, total }) => ({ name, count: total, assignments: null })),
      timeoutMs: cluster.options.requestTimeoutMs,
      validateOnly: false,
    })
    unsure = false
    const errors: MillraceError[] = []
    for (const { name, errorCode, errorMessage: message } of response.results) {
      if (errorCode === KafkaErrorCode.NONE) pending = pending.filter((topic) => topic.name !== name)
      else {
        const doing = `Adding partitions to topic ${name}`
        errors.push(brokerError(errorCode, { context: 'admin', doing, right: `ALTER on topic ${name}`, message }))
      }
    }
    const decisive = errors.find((error) => !error.retriable) ?? errors[0]
    if (decisive !== undefined) throw decisive
    const [left] = pending
    if (left !== undefined) {
      throw new MillraceError('KAFKA_PROTOCOL', `Adding partitions was answered without topic ${left.name}.`)
    }
  }
  await retrying(cluster, `Adding partitions to ${topics.map(({ name }) => name).join(', ')}`, attempt, limits)
}
