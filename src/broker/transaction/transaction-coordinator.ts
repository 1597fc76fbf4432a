/**
 * The transactions of the cluster. One coordinator stands behind all nodes; which node answers for an id is decided outside.
 * States and events stand in SPEC.md.
 *
 * What always holds: an id has one open transaction at most; what was asked to end in one way never ends in the other;
 * markers are written after the answer, in a later turn of the clock, and until all are written every request for the id is
 * told to come again; a transaction that outlives its timeout is aborted and its producer fenced.
 */
import type { Clock } from '../../base/index.ts'
import { KafkaErrorCode } from '../../kafka/index.ts'
import type { BrokerSettings } from '../broker-settings.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Partition } from '../cluster/topic.ts'
import { type EndRequest, endVerdict } from './end-verdict.ts'
import { EPOCH_MAX, epochsUsedUp, newEntry, type ProtocolVersion, type TransactionEntry } from './transaction-entry.ts'

export interface Identity {
  readonly producerId: number
  readonly epoch: number
}

export type Answered = { readonly error: number } & Identity

/** What part of a transaction is asked about. */
export interface Enlisting extends Identity {
  readonly transactionalId: string
  readonly partitions: readonly Partition[]
  readonly groups: readonly string[]
}

export interface TransactionCoordinatorInput {
  readonly clock: Clock
  readonly cluster: Cluster
  readonly settings: BrokerSettings
  /** Offsets of a group become visible, or are dropped. */
  readonly groupEnded: (groupId: string, producerId: number, commit: boolean) => void
  /** Something was written outside of any request. */
  readonly written: () => void
}

const FIRST_PRODUCER_ID = 1_000
/** A partition without a leader gets its marker when it has one again. */
const MARKER_RETRY_MS = 20
const NOBODY: Identity = { producerId: -1, epoch: -1 }

export class TransactionCoordinator {
  readonly entries: Map<string, TransactionEntry> = new Map()
  readonly #input: TransactionCoordinatorInput
  #nextProducerId = FIRST_PRODUCER_ID

  constructor(input: TransactionCoordinatorInput) {
    this.#input = input
  }

  /** For a producer that is idempotent only. */
  newIdentity(): Identity {
    return { producerId: this.#nextProducerId++, epoch: 0 }
  }

  /** The next epoch of an id; whatever it had open is aborted first, and the caller told to come again. */
  init(transactionalId: string, timeoutMs: number, expected: Identity | undefined): Answered {
    if (timeoutMs <= 0 || timeoutMs > this.#input.settings.transactionMaxTimeoutMs) {
      return refused(KafkaErrorCode.INVALID_TRANSACTION_TIMEOUT)
    }
    const nowMs = this.#input.clock.now()
    let entry = this.entries.get(transactionalId)
    if (entry === undefined) {
      if (this.entries.size >= this.#input.settings.coordinatedMax) return refused(KafkaErrorCode.POLICY_VIOLATION)
      entry = newEntry(transactionalId, this.#nextProducerId++, nowMs)
      this.entries.set(transactionalId, entry)
    }
    if (expected !== undefined && !isKnown(entry, expected)) return refused(KafkaErrorCode.PRODUCER_FENCED)
    switch (entry.state) {
      case 'PrepareCommit':
      case 'PrepareAbort':
        return refused(KafkaErrorCode.CONCURRENT_TRANSACTIONS)
      case 'Ongoing':
        this.#fence(entry)
        return refused(KafkaErrorCode.CONCURRENT_TRANSACTIONS)
      case 'Empty':
      case 'CompleteCommit':
      case 'CompleteAbort': {
        const error = this.#raiseEpoch(entry, expected)
        if (error !== KafkaErrorCode.NONE) return refused(error)
        entry.state = 'Empty'
        entry.timeoutMs = timeoutMs
        entry.startMs = -1
        entry.updatedMs = nowMs
        return { error, producerId: entry.producerId, epoch: entry.epoch }
      }
    }
  }

  /** Takes partitions and groups into the transaction, beginning it with the first. */
  enlist(asked: Enlisting, version: ProtocolVersion): number {
    const entry = this.entries.get(asked.transactionalId)
    const error = wrongOwner(entry, asked)
    if (entry === undefined || error !== KafkaErrorCode.NONE) return error
    if (entry.state === 'PrepareCommit' || entry.state === 'PrepareAbort') return KafkaErrorCode.CONCURRENT_TRANSACTIONS
    if (entry.state !== 'Ongoing') this.#begin(entry)
    entry.version = version
    for (const partition of asked.partitions) entry.partitions.set(partition.toString(), partition)
    for (const group of asked.groups) entry.groups.add(group)
    return KafkaErrorCode.NONE
  }

  /** Whether all of it is part of the transaction now. */
  verify(asked: Enlisting): number {
    const entry = this.entries.get(asked.transactionalId)
    const error = wrongOwner(entry, asked)
    if (entry === undefined || error !== KafkaErrorCode.NONE) return error
    if (entry.state === 'PrepareCommit' || entry.state === 'PrepareAbort') return KafkaErrorCode.CONCURRENT_TRANSACTIONS
    const known =
      entry.state === 'Ongoing' &&
      asked.partitions.every((partition) => entry.partitions.get(partition.toString()) === partition) &&
      asked.groups.every((group) => entry.groups.has(group))
    return known ? KafkaErrorCode.NONE : KafkaErrorCode.TRANSACTION_ABORTABLE
  }

  /** The identity in the answer is that of the next transaction, for version 2. */
  end(transactionalId: string, request: EndRequest): Answered {
    const entry = this.entries.get(transactionalId)
    const verdict = endVerdict(entry, request)
    if (verdict.kind === 'refused' || entry === undefined) {
      return refused(verdict.kind === 'refused' ? verdict.error : KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING)
    }
    if (verdict.kind === 'begin') {
      entry.version = request.version
      if (request.version === 2) this.#bump(entry)
      this.#prepare(entry, request.commit)
    }
    const next = entry.nextProducerId
    return {
      error: KafkaErrorCode.NONE,
      producerId: next ?? entry.producerId,
      epoch: next === undefined ? entry.epoch : 0,
    }
  }

  /** Aborts an open transaction as if its time were over. False when none is open. */
  expire(transactionalId: string): boolean {
    const entry = this.entries.get(transactionalId)
    if (entry?.state !== 'Ongoing') return false
    this.#fence(entry)
    return true
  }

  /** Forgets ids that were not used since then. */
  forgetIdleSince(timestamp: number): void {
    for (const [id, entry] of this.entries) {
      const idle = entry.state === 'Empty' || entry.state.startsWith('Complete')
      if (idle && entry.updatedMs < timestamp) this.entries.delete(id)
    }
  }

  close(): void {
    for (const entry of this.entries.values()) entry.expiry?.cancel()
  }

  /** The next epoch, or another producer id when there is none; an error for an epoch that is not the caller's to go on from. */
  #raiseEpoch(entry: TransactionEntry, expected: Identity | undefined): number {
    if (epochsUsedUp(entry) && (expected === undefined || expected.epoch === entry.epoch)) {
      entry.previousProducerId = entry.producerId
      entry.producerId = this.#nextProducerId++
      entry.lastEpoch = expected === undefined ? -1 : entry.epoch
      entry.epoch = 0
      return KafkaErrorCode.NONE
    }
    if (expected === undefined) {
      entry.lastEpoch = -1
      entry.epoch++
    } else if (entry.epoch === -1 || expected.epoch === entry.epoch) {
      entry.lastEpoch = entry.epoch
      entry.epoch++
    } else if (expected.epoch !== entry.lastEpoch) return KafkaErrorCode.PRODUCER_FENCED
    // Else it repeats a request whose answer was lost: the epoch it got then stands.
    return KafkaErrorCode.NONE
  }

  #begin(entry: TransactionEntry): void {
    const { clock } = this.#input
    entry.state = 'Ongoing'
    entry.startMs = clock.now()
    entry.updatedMs = entry.startMs
    entry.expiry = clock.setTimer(entry.timeoutMs, () => this.expire(entry.transactionalId), { background: true })
  }

  /** Aborts what is open and takes its epoch away. Who ended in version 2 may still ask how it went; see `endVerdict`. */
  #fence(entry: TransactionEntry): void {
    entry.lastEpoch = entry.version === 2 ? entry.epoch : -1
    entry.epoch++
    this.#prepare(entry, false)
  }

  #bump(entry: TransactionEntry): void {
    if (epochsUsedUp(entry)) entry.nextProducerId = this.#nextProducerId++
    entry.lastEpoch = entry.epoch
    entry.epoch = Math.min(entry.epoch + 1, EPOCH_MAX)
  }

  #prepare(entry: TransactionEntry, commit: boolean): void {
    entry.expiry?.cancel()
    entry.state = commit ? 'PrepareCommit' : 'PrepareAbort'
    entry.updatedMs = this.#input.clock.now()
    const { clock, settings } = this.#input
    clock.setTimer(settings.markerDelayMs, () => this.#writeMarkers(entry, commit))
  }

  #writeMarkers(entry: TransactionEntry, commit: boolean): void {
    const { clock, cluster, groupEnded, written } = this.#input
    if (this.entries.get(entry.transactionalId) !== entry) return
    const timestamp = clock.now()
    for (const [key, partition] of entry.partitions) {
      const there = cluster.partition(partition.topic.name, partition.index) === partition
      if (there && partition.leader < 0) continue
      entry.partitions.delete(key)
      if (!there) continue
      partition.log.appendMarker({
        type: commit ? 'commit' : 'abort',
        producerId: entry.producerId,
        producerEpoch: entry.epoch,
        coordinatorEpoch: cluster.epoch,
        timestamp,
        leaderEpoch: partition.leaderEpoch,
      })
      cluster.touched(partition)
    }
    if (entry.partitions.size > 0) {
      clock.setTimer(MARKER_RETRY_MS, () => this.#writeMarkers(entry, commit), { background: true })
    } else {
      for (const group of entry.groups) groupEnded(group, entry.producerId, commit)
      this.#complete(entry, commit)
    }
    written()
  }

  #complete(entry: TransactionEntry, commit: boolean): void {
    entry.groups.clear()
    entry.state = commit ? 'CompleteCommit' : 'CompleteAbort'
    entry.updatedMs = this.#input.clock.now()
    if (entry.nextProducerId === undefined) return
    entry.previousProducerId = entry.producerId
    entry.producerId = entry.nextProducerId
    entry.nextProducerId = undefined
    entry.epoch = 0
  }
}

function refused(error: number): Answered {
  return { error, ...NOBODY }
}

/** Whether an identity that a producer names may be one this id had. */
function isKnown(entry: TransactionEntry, expected: Identity): boolean {
  return (
    entry.epoch === -1 ||
    expected.producerId === entry.producerId ||
    (expected.producerId === entry.previousProducerId && expected.epoch >= EPOCH_MAX - 1)
  )
}

function wrongOwner(entry: TransactionEntry | undefined, asked: Identity): number {
  if (entry === undefined || entry.producerId !== asked.producerId) return KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING
  return entry.epoch === asked.epoch ? KafkaErrorCode.NONE : KafkaErrorCode.PRODUCER_FENCED
}
