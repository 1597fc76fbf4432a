/**
 * What the coordinator knows of one transactional id. `epoch` is the newest epoch given out or taken away; `lastEpoch` the one
 * before it, while its owner may still repeat a request (-1: nobody may).
 */
import type { Timer } from '../../base/index.ts'
import type { Partition } from '../cluster/topic.ts'

export type TransactionState =
  | 'Empty'
  | 'Ongoing'
  | 'PrepareCommit'
  | 'PrepareAbort'
  | 'CompleteCommit'
  | 'CompleteAbort'

/** Kafka's names, also those no transaction is ever in here; filters may name them. */
export const TRANSACTION_STATES: readonly string[] = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
  'PrepareEpochFence',
]

/** The protocol a transaction is ended in: 2 gives every transaction an epoch of its own (KIP-890). */
export type ProtocolVersion = 1 | 2

/** Epochs end here; then comes another producer id. */
export const EPOCH_MAX = 0x7fff

export interface TransactionEntry {
  readonly transactionalId: string
  state: TransactionState
  producerId: number
  /** The producer id before this one; -1 when there was none. */
  previousProducerId: number
  /** Taken when the transaction completes, because the epochs of this one are used up. */
  nextProducerId: number | undefined
  epoch: number
  lastEpoch: number
  /** In which protocol the producer spoke last. */
  version: ProtocolVersion
  timeoutMs: number
  /** -1 before the first transaction. */
  startMs: number
  updatedMs: number
  readonly partitions: Map<string, Partition>
  /** Groups whose offsets are part of the transaction. */
  readonly groups: Set<string>
  expiry: Timer | undefined
}

export function newEntry(transactionalId: string, producerId: number, nowMs: number): TransactionEntry {
  return {
    transactionalId,
    state: 'Empty',
    producerId,
    previousProducerId: -1,
    nextProducerId: undefined,
    epoch: -1,
    lastEpoch: -1,
    version: 1,
    timeoutMs: 0,
    startMs: -1,
    updatedMs: nowMs,
    partitions: new Map(),
    groups: new Set(),
    expiry: undefined,
  }
}

/** One epoch is kept for fencing. */
export function epochsUsedUp(entry: TransactionEntry): boolean {
  return entry.epoch >= EPOCH_MAX - 1
}
