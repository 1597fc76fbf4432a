/**
 * The transactions of one writer: at most one open, any number flushed and waiting for a checkpoint that completes. A
 * transaction begins with its first record, so that an idle writer asks nothing of the brokers. What is flushed is never
 * forgotten, aborted or given up here: only a commit takes it off the list (exactly-once, rules 1 to 4).
 *
 * Beginning, sealing and releasing are synchronous; between them nothing else can happen. What a begin needs from the
 * brokers (version, identity) travels to the producer as a promise, and no record leaves before it resolves.
 */
import { assert, type Clock, joint, MillraceError, toError } from '../../base/index.ts'
import type { CheckpointId } from '../../core/index.ts'
import type { KafkaCommittable } from '../committer/kafka-committable.ts'
import { lostTransaction } from '../committer/lost-transaction.ts'
import type { TransactionGateway, TransactionHandle } from '../transaction/transaction-gateway.ts'
import { nextPhase, type TransactionEvent, type TransactionPhase } from '../transaction/transaction-phase.ts'
import { type CommitVerdict, commitTransaction } from '../transaction/transaction-verdict.ts'
import type { RecordProducer, SealedRecords } from './record-producer.ts'
import type { TransactionName, TransactionNames } from './transaction-names.ts'
import type { WriterMetrics } from './writer-metrics.ts'

/** How long a closing writer tries to abort its open transaction; it expires by itself otherwise. */
const ABORT_ON_CLOSE_MS = 2_000

interface WriterTransaction {
  readonly name: TransactionName
  readonly begin: Promise<TransactionHandle>
  phase: TransactionPhase
  /** Known from the barrier on. */
  barrier: number
  committable: KafkaCommittable | undefined
  loss: MillraceError | undefined
}

export interface WriterTransactionsOptions {
  readonly producer: RecordProducer
  readonly gateway: TransactionGateway
  readonly names: TransactionNames
  readonly metrics: WriterMetrics
  readonly clock: Clock
  readonly sinkUid: string
  readonly nextCheckpoint: number
  readonly transactionTimeoutMs: number
  readonly commitTimeoutMs: number
  /** Told of a begin that failed, so that an idle task fails too. */
  readonly fail: (error: Error) => void
}

export class WriterTransactions {
  /** Read for every record: whether there is a transaction to append to. */
  isOpen = false
  readonly #options: WriterTransactionsOptions
  readonly #abort = new AbortController()
  #nextCheckpoint: number
  #open: WriterTransaction | undefined
  /** Oldest first: sealed and flushed ones, then those ended or lost until they are settled. */
  #unsettled: WriterTransaction[] = []
  #clusterId = ''
  /** Resolves when all seals so far are acknowledged; the chain of commits likewise. */
  #acknowledged: Promise<void> = Promise.resolve()
  #commits: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: WriterTransactionsOptions) {
    this.#options = options
    this.#nextCheckpoint = options.nextCheckpoint
  }

  async prepare(): Promise<void> {
    this.#clusterId = await this.#options.gateway.clusterId()
  }

  /** Flushed and not known to be ended. */
  get pending(): number {
    return this.#unsettled.filter((one) => one.phase === 'flushed').length
  }

  begin(): void {
    assert(this.#open === undefined && !this.#closed, 'a transaction is open already, or the writer is closed')
    const name = this.#options.names.take(this.#nextCheckpoint)
    const begin = this.#beginning(name)
    begin.catch((error: unknown) => {
      if (!this.#closed) this.#options.fail(toError(error))
    })
    this.#options.producer.beginTransaction(name.transactionalId, begin)
    this.#open = { name, begin, phase: 'open', barrier: -1, committable: undefined, loss: undefined }
    this.isOpen = true
  }

  /** The version is what the cluster says now (rule 4); version 1 always begins with InitProducerId. */
  async #beginning(name: TransactionName): Promise<TransactionHandle> {
    const { gateway, transactionTimeoutMs } = this.#options
    const { transactionalId, next } = name
    name.next = undefined
    const version = await gateway.transactionVersion()
    if (version === 2 && next !== undefined) return { transactionalId, version, ...next }
    const identity = await gateway.initProducerId(transactionalId, transactionTimeoutMs, this.#abort.signal)
    return { transactionalId, version, producerId: identity.producerId, epoch: identity.epoch }
  }

  /**
   * Barrier N. Synchronous up to here: records that follow belong to the next transaction. Resolves with every flushed
   * transaction of barriers up to N that is not known to be ended, oldest first.
   */
  seal(checkpoint: CheckpointId): Promise<readonly KafkaCommittable[]> {
    const transaction = this.#open
    if (transaction !== undefined) {
      this.#step(transaction, 'barrier')
      transaction.barrier = checkpoint
      this.#unsettled.push(transaction)
      const sealed = this.#options.producer.seal()
      this.#acknowledged = both(
        this.#acknowledged,
        sealed.then((records) => this.#flushed(transaction, records)),
      )
      this.#acknowledged.catch(() => undefined)
      this.#open = undefined
      this.isOpen = false
    }
    this.#nextCheckpoint = checkpoint + 1
    return this.#listed(checkpoint, this.#acknowledged)
  }

  async #listed(checkpoint: CheckpointId, acknowledged: Promise<void>): Promise<readonly KafkaCommittable[]> {
    await acknowledged
    this.#refuseWhenClosed()
    const listed: KafkaCommittable[] = []
    for (const { phase, barrier, committable } of this.#unsettled) {
      if (barrier > checkpoint || (phase !== 'flushed' && phase !== 'lost')) continue
      assert(committable !== undefined, 'a flushed transaction has its committable')
      listed.push(committable)
    }
    return listed
  }

  #flushed(transaction: WriterTransaction, sealed: SealedRecords): void {
    this.#refuseWhenClosed()
    const { handle, records, beganAtMs } = sealed
    const counts: Record<string, number> = {}
    let total = 0
    for (const [topic, count] of records) {
      if (count > 0) counts[topic] = count
      total += count
    }
    if (total === 0) {
      // Begun, and then its only record was refused: the broker knows of no transaction, so there is nothing to end.
      this.#step(transaction, 'empty')
      this.#settle(transaction)
      return
    }
    assert(handle !== undefined, 'records of an exactly-once writer lie in a transaction')
    this.#step(transaction, 'acknowledged')
    transaction.committable = {
      sinkUid: this.#options.sinkUid,
      clusterId: this.#clusterId,
      transactionalId: handle.transactionalId,
      producerId: handle.producerId,
      epoch: handle.epoch,
      version: handle.version,
      barrier: transaction.barrier,
      records: counts,
      beganAtMs: Math.trunc(beganAtMs),
    }
    this.#options.metrics.totalCommittables.value++
  }

  /** `completed N` is durable. Commits run one after the other, oldest first, and stop at the first that cannot be ended. */
  commit(checkpoint: CheckpointId): Promise<void> {
    const run = this.#commits.then(() => this.#commitUpTo(checkpoint))
    this.#commits = run.catch(() => undefined)
    return run
  }

  async #commitUpTo(checkpoint: CheckpointId): Promise<void> {
    for (const transaction of [...this.#unsettled]) {
      if (transaction.barrier > checkpoint) break
      assert(transaction.phase !== 'sealed', `checkpoint ${checkpoint} completed before its records were acknowledged`)
      if (transaction.loss !== undefined) throw transaction.loss
      if (transaction.phase === 'flushed') await this.#commitOne(transaction, checkpoint)
    }
  }

  async #commitOne(transaction: WriterTransaction, checkpoint: CheckpointId): Promise<void> {
    this.#refuseWhenClosed()
    const { committable } = transaction
    assert(committable !== undefined, 'a flushed transaction has its committable')
    const { gateway, commitTimeoutMs, metrics } = this.#options
    let verdict: CommitVerdict
    try {
      verdict = await commitTransaction(gateway, committable, commitTimeoutMs, this.#abort.signal)
    } catch (error) {
      this.#step(transaction, 'commit-unresolved')
      metrics.failedCommittables.value++
      throw error
    }
    if (verdict.fate !== 'committed') {
      this.#step(transaction, 'commit-refused')
      metrics.failedCommittables.value++
      transaction.loss = lostTransaction(verdict.fate, committable, checkpoint, verdict.answer)
      throw transaction.loss
    }
    this.#step(transaction, 'commit-ended')
    transaction.name.next = verdict.next
    metrics.successfulCommittables.value++
    metrics.retriedCommittables.value += verdict.retries
    if (verdict.already) metrics.alreadyCommittedCommittables.value++
    joint('transaction-ended', { transactionalId: committable.transactionalId, checkpoint })
  }

  /** `committed N` is durable: what it covers will not be asked for again, and its ids are free. */
  committed(checkpoint: CheckpointId): void {
    for (const transaction of [...this.#unsettled]) {
      if (transaction.barrier > checkpoint) continue
      this.#step(transaction, 'committed-durable')
      this.#settle(transaction)
    }
  }

  /**
   * Aborts the transaction that no checkpoint can list: it is this attempt's own and its records come again. Flushed ones
   * stay as they are, and so does everything when the job is abandoned to another owner (rule 9). Initialising the id aborts
   * and fences in one step, while an EndTxn could be overtaken by a batch. Bounded; failing leaves it to the next attempt.
   */
  async close(stopProducer: () => Promise<void>, abandon: boolean): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const abandoned = this.#unsettled.filter((one) => one.phase === 'sealed')
    if (this.#open !== undefined) abandoned.push(this.#open)
    for (const transaction of abandoned) this.#step(transaction, 'close')
    this.#open = undefined
    this.isOpen = false
    // Nothing more is sent; what is on its way arrives under an epoch that the abort below has fenced.
    const stopped = stopProducer()
    const { clock, gateway, transactionTimeoutMs } = this.#options
    const deadline = clock.sleep(ABORT_ON_CLOSE_MS, this.#abort.signal).catch(() => undefined)
    const aborts = (abandon ? [] : abandoned).map(async ({ begin, name }) => {
      await begin
      await stopped
      await gateway.initProducerId(name.transactionalId, transactionTimeoutMs, this.#abort.signal)
    })
    await Promise.race([Promise.allSettled(aborts), deadline])
    this.#abort.abort(closedError())
    await stopped
  }

  #settle(transaction: WriterTransaction): void {
    this.#unsettled = this.#unsettled.filter((one) => one !== transaction)
    this.#options.names.release(transaction.name)
  }

  #step(transaction: WriterTransaction, event: TransactionEvent): void {
    transaction.phase = nextPhase(transaction.phase, event, transaction.name.transactionalId)
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw closedError()
  }
}

function closedError(): MillraceError {
  return new MillraceError('CANCELLED', 'the sink writer was closed while a checkpoint was under way', {
    next: 'What was flushed stays as it is and belongs to the checkpoint that lists it.',
  })
}

async function both(first: Promise<void>, second: Promise<void>): Promise<void> {
  await Promise.all([first, second])
}
