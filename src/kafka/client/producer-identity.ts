/**
 * The identity of a plain producer: with idempotence an id from any broker (InitProducerId without a transactional id), once,
 * when the first batch is closed; without idempotence none.
 */
import { MillraceError } from '../../base/index.ts'
import { KafkaErrorCode, kafkaError } from '../protocol/errors.ts'
import { initProducerIdApi } from '../protocol/generated/init-producer-id.ts'
import type { ProducerOptions } from './options.ts'
import type { ProducerCluster } from './producer-cluster.ts'
import { backoffMs } from './retrying.ts'
import type { ProducerIdentity } from './transactions.ts'

export const NO_IDENTITY: ProducerIdentity = { producerId: -1, epoch: -1 }

export async function plainIdentity(cluster: ProducerCluster, options: ProducerOptions): Promise<ProducerIdentity> {
  if (!options.enableIdempotence) return NO_IDENTITY
  const { clock } = cluster.ports
  const deadline = clock.monotonic() + options.deliveryTimeoutMs
  for (let failures = 0; ; failures++) {
    let cause: unknown
    try {
      const connection = await cluster.anyConnection()
      const version = connection.version(initProducerIdApi)
      const request = { transactionalId: null, transactionTimeoutMs: 0x7fff_ffff, producerId: -1, producerEpoch: -1 }
      const answer = await connection.send(initProducerIdApi, request, { version })
      if (answer.errorCode === KafkaErrorCode.NONE)
        return { producerId: answer.producerId, epoch: answer.producerEpoch }
      const { name, retriable } = kafkaError(answer.errorCode)
      cause = new MillraceError(
        'KAFKA_PRODUCE_FAILED',
        `A broker answered ${name} when asked for a producer id. Nothing was written. (The right IDEMPOTENT_WRITE may be missing.)`,
        { retriable },
      )
      if (!retriable) throw cause
    } catch (error) {
      if (!MillraceError.is(error) || !error.retriable) throw error
      cause = error
    }
    if (clock.monotonic() >= deadline) {
      throw new MillraceError(
        'KAFKA_TIMEOUT',
        `Within delivery.timeout.ms (${options.deliveryTimeoutMs}) no broker gave a producer id. Nothing was written.`,
        { retriable: true, cause },
      )
    }
    await clock.sleep(backoffMs(cluster.options, cluster.ports.random, failures))
  }
}
