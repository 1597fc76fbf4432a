/**
 * Transaction version 1: the coordinator must know a partition before records of the transaction are written to it
 * (AddPartitionsToTxn, up to version 3). Partitions that turn up while a request is under way go together into the next one;
 * each is named once per transaction. Nothing is sent before the identity is known.
 */
import { MillraceError } from '../../base/index.ts'
import { KafkaErrorCode, kafkaError } from '../protocol/errors.ts'
import { type AddPartitionsToTxnResponse, addPartitionsToTxnApi } from '../protocol/generated/add-partitions-to-txn.ts'
import type { ProducerOptions } from './options.ts'
import type { ProducerCluster } from './producer-cluster.ts'
import { CONCURRENT_TRANSACTIONS_MS, describeScope, refused } from './producer-errors.ts'
import type { ProducerLane } from './producer-lane.ts'
import type { ProducerScope } from './producer-scope.ts'
import { backoffMs } from './retrying.ts'

/** The last version for clients; later ones are between brokers. */
const VERSION_MAX = 3

export interface EnlistmentEvents {
  /** The coordinator knows these partitions of the scope. */
  enlisted(lanes: readonly ProducerLane[]): void
  failed(error: MillraceError): void
}

type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'again'; readonly delayMs: number | undefined; readonly cause?: unknown }

export class ProducerEnlistment {
  readonly #cluster: ProducerCluster
  readonly #options: ProducerOptions
  readonly #events: EnlistmentEvents
  #stopped = false
  requests = 0

  constructor(cluster: ProducerCluster, options: ProducerOptions, events: EnlistmentEvents) {
    this.#cluster = cluster
    this.#options = options
    this.#events = events
  }

  /** The scope has partitions to add, or its identity came. */
  changed(scope: ProducerScope): void {
    if (scope.adding || scope.identity === undefined || scope.toAdd.size === 0 || this.#stopped) return
    scope.adding = true
    void this.#run(scope)
  }

  stop(): void {
    this.#stopped = true
  }

  async #run(scope: ProducerScope): Promise<void> {
    const clock = this.#cluster.ports.clock
    try {
      // What this turn still appends to travels in the same request.
      await Promise.resolve()
      while (scope.toAdd.size > 0 && !this.#stopped) {
        const lanes = [...scope.toAdd]
        scope.toAdd.clear()
        const deadline = clock.monotonic() + this.#options.deliveryTimeoutMs
        let failures = 0
        for (;;) {
          const outcome = await this.#attempt(scope, lanes)
          if (this.#stopped) return
          if (outcome.kind === 'done') break
          if (clock.monotonic() >= deadline) throw this.#timedOut(scope, lanes, outcome.cause)
          await clock.sleep(outcome.delayMs ?? backoffMs(this.#cluster.options, this.#cluster.ports.random, failures++))
        }
        for (const lane of lanes) scope.added.add(lane)
        this.#events.enlisted(lanes)
      }
    } catch (error) {
      if (this.#stopped) return
      const wrapped = MillraceError.is(error)
        ? error
        : new MillraceError('KAFKA_FATAL', `Adding partitions to ${describeScope(scope)} failed.`, { cause: error })
      this.#events.failed(wrapped)
    } finally {
      scope.adding = false
    }
  }

  async #attempt(scope: ProducerScope, lanes: readonly ProducerLane[]): Promise<Outcome> {
    const { transactionalId, identity } = scope
    if (transactionalId === undefined || identity === undefined) return { kind: 'done' }
    let response: AddPartitionsToTxnResponse
    try {
      const connection = await this.#cluster.coordinator('transaction', transactionalId)
      this.requests++
      response = await connection.send(
        addPartitionsToTxnApi,
        {
          v3AndBelowTransactionalId: transactionalId,
          v3AndBelowProducerId: identity.producerId,
          v3AndBelowProducerEpoch: identity.epoch,
          v3AndBelowTopics: byTopic(lanes),
        },
        { version: connection.version(addPartitionsToTxnApi, { max: VERSION_MAX }) },
      )
    } catch (error) {
      if (!MillraceError.is(error) || !error.retriable) throw error
      this.#cluster.forgetCoordinator('transaction', transactionalId)
      return { kind: 'again', delayMs: undefined, cause: error }
    }
    return this.#judge(scope, response)
  }

  /** One error means that nothing was added, so that the whole request is repeated; adding twice changes nothing. */
  #judge(scope: ProducerScope, response: AddPartitionsToTxnResponse): Outcome {
    let outcome: Outcome = { kind: 'done' }
    for (const topic of response.resultsByTopicV3AndBelow) {
      for (const { partitionIndex, partitionErrorCode: code } of topic.resultsByPartition) {
        if (code === KafkaErrorCode.NONE) continue
        if (code === KafkaErrorCode.OPERATION_NOT_ATTEMPTED) {
          if (outcome.kind === 'done') outcome = { kind: 'again', delayMs: undefined }
        } else if (code === KafkaErrorCode.CONCURRENT_TRANSACTIONS) {
          outcome = { kind: 'again', delayMs: CONCURRENT_TRANSACTIONS_MS }
        } else if (kafkaError(code).retriable) {
          if (code === KafkaErrorCode.NOT_COORDINATOR || code === KafkaErrorCode.COORDINATOR_NOT_AVAILABLE) {
            this.#cluster.forgetCoordinator('transaction', scope.transactionalId ?? '')
          }
          outcome = { kind: 'again', delayMs: undefined }
        } else throw refused(code, placeOf(scope, topic.name, partitionIndex))
      }
    }
    return outcome
  }

  #timedOut(scope: ProducerScope, lanes: readonly ProducerLane[], cause: unknown): MillraceError {
    const names = lanes.slice(0, 5).map((lane) => `${lane.topic}-${lane.partition}`)
    return new MillraceError(
      'KAFKA_TIMEOUT',
      `Within delivery.timeout.ms (${this.#options.deliveryTimeoutMs}) the coordinator did not add ${names.join(', ')}${lanes.length > 5 ? ', ...' : ''} to ${describeScope(scope)}. No record of them was sent.`,
      { next: 'The writer fails and the job goes back to its last completed checkpoint.', retriable: true, cause },
    )
  }
}

function placeOf(scope: ProducerScope, topic: string, partition: number): Parameters<typeof refused>[1] {
  return {
    topic,
    partition,
    scope,
    records: 0,
    bytes: 0,
    plainBytes: 0,
    doubtful: false,
    baseSequence: -1,
    first: true,
    logStartOffset: -1,
    allDeleted: false,
    message: null,
  }
}

function byTopic(lanes: readonly ProducerLane[]): { name: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>()
  for (const lane of lanes) {
    const partitions = topics.get(lane.topic)
    if (partitions === undefined) topics.set(lane.topic, [lane.partition])
    else partitions.push(lane.partition)
  }
  return [...topics].map(([name, partitions]) => ({ name, partitions }))
}
