/**
 * Records that belong together: one transaction, or the plain records between two seals. A scope counts its batches, so that
 * its seal knows when all are acknowledged, and under transaction version 1 which partitions the coordinator knows.
 */
import type { ProducerLane } from './producer-lane.ts'
import type { ProducerIdentity, TransactionHandle, TransactionVersion } from './transactions.ts'

/** What is sealed: everything appended to it is acknowledged. */
export interface SealedTransaction {
  /** Undefined for plain records, and when nothing was appended: then there is nothing to end. */
  readonly handle: TransactionHandle | undefined
  /** Records by topic; a topic without any is not named. */
  readonly records: ReadonlyMap<string, number>
  /** Epoch milliseconds of `beginTransaction` (of the first append, for plain records). */
  readonly beganAtMs: number
}

export class ProducerScope {
  readonly transactionalId: string | undefined
  /** Of a transaction: known at the latest with its identity. */
  version: TransactionVersion | undefined
  /** Scopes with the same object share one row of sequences: those of the plain stream. */
  readonly sequences: object
  readonly beganAtMs: number
  identity: ProducerIdentity | undefined = undefined
  /** Lanes that have, or had, a batch of this scope. */
  readonly lanes: Set<ProducerLane> = new Set()
  /** Version 1: partitions that the coordinator has confirmed, and those it has not been asked about. */
  readonly added: Set<ProducerLane> = new Set()
  readonly toAdd: Set<ProducerLane> = new Set()
  adding = false
  sealed = false
  /** Batches that are not acknowledged, open ones included. */
  outstanding = 0
  readonly records: Map<string, number> = new Map()
  readonly #settled: PromiseWithResolvers<SealedTransaction> = Promise.withResolvers()

  constructor(options: {
    readonly transactionalId?: string
    readonly version?: TransactionVersion
    readonly sequences?: object
    readonly beganAtMs: number
  }) {
    this.transactionalId = options.transactionalId
    this.version = options.version
    this.sequences = options.sequences ?? this
    this.beganAtMs = options.beganAtMs
    // A rejection is also the producer's `failure`; a scope that is never sealed has nobody to hear it here.
    this.settled.catch(() => undefined)
  }

  /** Whether batches of this partition may be sent: identity known, and under version 1 the partition confirmed. */
  admits(lane: ProducerLane): boolean {
    return this.identity !== undefined && (this.version !== 1 || this.added.has(lane))
  }

  count(topic: string, records: number): void {
    this.records.set(topic, (this.records.get(topic) ?? 0) + records)
  }

  /** No more records; resolves when all are acknowledged. */
  seal(): Promise<SealedTransaction> {
    this.sealed = true
    this.settleIfDone()
    return this.settled
  }

  /** What `seal` gave. */
  get settled(): Promise<SealedTransaction> {
    return this.#settled.promise
  }

  settleIfDone(): void {
    if (!this.sealed || this.outstanding > 0) return
    const { transactionalId, version, identity } = this
    const used = this.records.size > 0
    const handle =
      used && transactionalId !== undefined && version !== undefined && identity !== undefined
        ? { transactionalId, version, producerId: identity.producerId, epoch: identity.epoch }
        : undefined
    this.#settled.resolve({ handle, records: this.records, beganAtMs: this.beganAtMs })
  }

  reject(error: unknown): void {
    this.#settled.reject(error)
  }
}
