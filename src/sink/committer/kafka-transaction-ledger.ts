/**
 * The job's side of an exactly-once sink: decides what the attempt's transactions may be and, at recovery, settles those of
 * attempts before it, one step for the whole job in the runtime's order (exactly-once, rule 8). It knows transactions by
 * what a checkpoint stored, never by what a process remembers.
 */
import { MillraceError } from '../../base/index.ts'
import type {
  AttemptId,
  AttemptIds,
  RuntimePorts,
  SinkAttempt,
  SinkAttemptSettings,
  TransactionLedger,
  TransactionPlan,
  TransactionState,
} from '../../core/index.ts'
import type { TransactionNamingStrategy } from '../delivery-guarantee.ts'
import type { TransactionGateway } from '../transaction/transaction-gateway.ts'
import { abortTransaction, commitTransaction, inspectTransactions, nameOf } from '../transaction/transaction-verdict.ts'
import { partsWithPrefix } from '../transaction/transactional-id.ts'
import { Fence, OPEN_STATES } from './fence.ts'
import { describeRecords, type KafkaCommittable } from './kafka-committable.ts'
import { decideTransactionTimeout } from './transaction-timeout.ts'

export interface KafkaTransactionLedgerOptions {
  readonly gateway: TransactionGateway
  readonly logger: RuntimePorts['logger']
  readonly prefix: string
  readonly naming: TransactionNamingStrategy
  /** transaction.timeout.ms as the user set it. */
  readonly transactionTimeoutMs: number | undefined
  /** How long a call tries to reach a verdict. */
  readonly commitTimeoutMs: number
}

export class KafkaTransactionLedger implements TransactionLedger<KafkaCommittable> {
  readonly #options: KafkaTransactionLedgerOptions
  readonly #gateway: TransactionGateway
  readonly #fence: Fence

  constructor(options: KafkaTransactionLedgerOptions) {
    this.#options = options
    this.#gateway = options.gateway
    this.#fence = new Fence(options.gateway)
  }

  async plan(
    plan: TransactionPlan,
  ): Promise<{ readonly attempt: SinkAttempt; readonly settings: SinkAttemptSettings }> {
    const { prefix, naming, logger, transactionTimeoutMs: explicitMs } = this.#options
    const [clusterId, brokerMaxMs] = await Promise.all([
      this.#gateway.clusterId(),
      this.#gateway.transactionMaxTimeoutMs(),
    ])
    const transactionTimeoutMs = decideTransactionTimeout({ explicitMs, brokerMaxMs, prefix }, plan, logger)
    const { parallelism, poolBound } = plan
    return {
      attempt: { clusterId, prefix, naming, parallelism, poolBound },
      settings: { poolBound, transactionTimeoutMs },
    }
  }

  async inspect(committables: readonly KafkaCommittable[]): Promise<readonly TransactionState[]> {
    await this.#refuseOtherClusters(committables)
    return inspectTransactions(this.#gateway, committables, this.#options.commitTimeoutMs)
  }

  async commit(committable: KafkaCommittable): Promise<'committed' | 'gone' | 'unknown'> {
    await this.#refuseOtherClusters([committable])
    return (await commitTransaction(this.#gateway, committable, this.#options.commitTimeoutMs)).fate
  }

  async abort(committable: KafkaCommittable): Promise<void> {
    await this.#refuseOtherClusters([committable])
    await abortTransaction(this.#gateway, committable, this.#options.commitTimeoutMs)
  }

  /**
   * The repeat of a commit is told CONCURRENT_TRANSACTIONS while the markers are being written. A refusal means that the id
   * went on since, which its coordinator allows only afterwards.
   */
  async settled(committable: KafkaCommittable): Promise<void> {
    await this.#refuseOtherClusters([committable])
    const outcome = await this.#gateway.endTransaction(committable, true, this.#options.commitTimeoutMs)
    if (outcome.kind !== 'undecided') return
    throw new MillraceError(
      'COMMIT_UNRESOLVED',
      `transaction ${nameOf(committable)} is committed, but its coordinator does not say that the markers are written; ${describeRecords(committable.records)} may not be visible yet`,
      { retriable: true, cause: outcome.error, next: 'Nothing is lost: the brokers finish it by themselves.' },
    )
  }

  async fence(attempts: readonly AttemptIds[]): Promise<number> {
    const clusterId = await this.#gateway.clusterId()
    const here = attempts.filter((attempt) => sameCluster(attempt.clusterId, clusterId))
    for (const attempt of attempts) {
      if (here.includes(attempt)) continue
      this.#options.logger.warn(
        { attempt: attempt.attempt, prefix: attempt.prefix, clusterId: attempt.clusterId, now: clusterId },
        'an earlier attempt wrote to another Kafka cluster; what it left open there is not aborted, but expires by its transaction.timeout.ms',
      )
    }
    return this.#fence.sweep(here)
  }

  async openTransactions(
    below: AttemptId,
  ): Promise<readonly { readonly transactionalId: string; readonly state: string }[] | undefined> {
    const listed = await this.#gateway.list(OPEN_STATES)
    return listed?.filter(({ transactionalId, state }) => {
      const parts = partsWithPrefix(transactionalId, this.#options.prefix)
      return parts !== undefined && parts.attempt < below && OPEN_STATES.includes(state)
    })
  }

  async abortById(transactionalId: string): Promise<void> {
    if (partsWithPrefix(transactionalId, this.#options.prefix) === undefined) {
      throw new MillraceError(
        'USAGE',
        `"${transactionalId}" is not a transactional id of the prefix "${this.#options.prefix}"`,
      )
    }
    await this.#fence.one(transactionalId)
  }

  close(): Promise<void> {
    return this.#gateway.close()
  }

  /** A transaction cannot be ended through another cluster, which might answer all the same. */
  async #refuseOtherClusters(committables: readonly KafkaCommittable[]): Promise<void> {
    const clusterId = await this.#gateway.clusterId()
    const foreign = committables.find((committable) => !sameCluster(committable.clusterId, clusterId))
    if (foreign === undefined) return
    throw new MillraceError(
      'COMMIT_UNRESOLVED',
      `transaction ${nameOf(foreign)} belongs to the Kafka cluster ${foreign.clusterId}, but the sink "${foreign.sinkUid}" is now connected to ${clusterId}; it holds ${describeRecords(foreign.records)}`,
      {
        next: 'Nothing was ended or aborted. Point bootstrap.servers at that cluster until this checkpoint is committed.',
      },
    )
  }
}

/** A cluster without an id cannot be told from another. */
function sameCluster(stored: string, now: string): boolean {
  return stored === '' || now === '' || stored === now
}
