/**
 * What a partition remembers of the producers that wrote to it: the epoch, the last five batches, the open transaction. By it
 * a batch that was sent twice is stored once, a gap is refused, and whoever was fenced stays out (KIP-98, KIP-360, KIP-890).
 *
 * What always holds: a check changes nothing; what was stored is recorded exactly once; a producer's transaction is open in
 * this partition from its first transactional batch to its marker.
 */
import { KafkaErrorCode } from '../../kafka/index.ts'
import type { IncomingBatch, Refusal } from '../log/incoming-batch.ts'

/** As many as a producer may have under way (max.in.flight.requests.per.connection of an idempotent one). */
const BATCHES_REMEMBERED = 5
const SEQUENCE_MAX = 0x7fffffff
const NO_SEQUENCE = -1

interface RememberedBatch {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly baseOffset: number
  readonly timestamp: number
}

export interface ProducerState {
  readonly producerId: number
  epoch: number
  /** -1 before the first marker. */
  coordinatorEpoch: number
  lastTimestamp: number
  batches: RememberedBatch[]
  /** The first offset of the open transaction; -1 when there is none. */
  transactionStart: number
}

export type SequenceCheck =
  | { readonly kind: 'next' }
  | { readonly kind: 'duplicate'; readonly baseOffset: number; readonly timestamp: number }
  | ({ readonly kind: 'refused' } & Refusal)

const NEXT: SequenceCheck = { kind: 'next' }

export class ProducerStates {
  readonly #states: Map<number, ProducerState> = new Map()
  /** First offsets of open transactions by producer id. Transactions begin at growing offsets, so the first is the lowest. */
  readonly #open: Map<number, number> = new Map()

  get all(): IterableIterator<ProducerState> {
    return this.#states.values()
  }

  /** Undefined when no transaction is open. */
  get firstOpenOffset(): number | undefined {
    for (const offset of this.#open.values()) return offset
    return undefined
  }

  hasOpenTransaction(producerId: number, epoch: number): boolean {
    return this.#open.has(producerId) && this.#states.get(producerId)?.epoch === epoch
  }

  check(batch: IncomingBatch, bumpsEpochs: boolean): SequenceCheck {
    if (batch.producerId < 0) return NEXT
    const state = this.#states.get(batch.producerId)
    if (state === undefined) {
      // Retention may have removed what went before; only a new transaction begins at zero for certain.
      return bumpsEpochs && batch.baseSequence !== 0 ? outOfOrder(batch, NO_SEQUENCE) : NEXT
    }
    if (batch.producerEpoch < state.epoch) {
      const message = `epoch ${batch.producerEpoch} of producer ${batch.producerId} is older than ${state.epoch}`
      return { kind: 'refused', error: KafkaErrorCode.INVALID_PRODUCER_EPOCH, message }
    }
    const sameEpoch = batch.producerEpoch === state.epoch
    if (sameEpoch) {
      const last = lastSequence(batch)
      for (const { firstSequence, lastSequence, baseOffset, timestamp } of state.batches) {
        if (firstSequence === batch.baseSequence && lastSequence === last)
          return { kind: 'duplicate', baseOffset, timestamp }
      }
    }
    const before = sameEpoch ? (state.batches.at(-1)?.lastSequence ?? NO_SEQUENCE) : NO_SEQUENCE
    if (batch.baseSequence !== sequenceAfter(before)) return outOfOrder(batch, before)
    if (state.transactionStart >= 0 && !batch.transactional) {
      const message = `producer ${batch.producerId} has a transaction open and wrote outside of it`
      return { kind: 'refused', error: KafkaErrorCode.INVALID_TXN_STATE, message }
    }
    return NEXT
  }

  /** The batch was stored. */
  record(batch: IncomingBatch, baseOffset: number, timestamp: number): void {
    if (batch.producerId < 0) return
    const state = this.#state(batch.producerId, batch.producerEpoch)
    const firstSequence = batch.baseSequence
    state.batches.push({ firstSequence, lastSequence: lastSequence(batch), baseOffset, timestamp })
    if (state.batches.length > BATCHES_REMEMBERED) state.batches.shift()
    state.lastTimestamp = timestamp
    if (!batch.transactional || state.transactionStart >= 0) return
    state.transactionStart = baseOffset
    this.#open.set(batch.producerId, baseOffset)
  }

  /** A marker was stored: the first offset of the transaction it ends, or undefined when none was open here. */
  end(producerId: number, epoch: number, coordinatorEpoch: number, timestamp: number): number | undefined {
    const state = this.#state(producerId, epoch)
    state.coordinatorEpoch = coordinatorEpoch
    state.lastTimestamp = timestamp
    const start = state.transactionStart
    state.transactionStart = -1
    this.#open.delete(producerId)
    return start < 0 ? undefined : start
  }

  /** Forgets producers without an open transaction that wrote nothing since then. */
  forgetIdleSince(timestamp: number): void {
    for (const [producerId, state] of this.#states) {
      if (state.transactionStart < 0 && state.lastTimestamp < timestamp) this.#states.delete(producerId)
    }
  }

  #state(producerId: number, epoch: number): ProducerState {
    let state = this.#states.get(producerId)
    if (state === undefined) {
      state = { producerId, epoch, coordinatorEpoch: -1, lastTimestamp: -1, batches: [], transactionStart: -1 }
      this.#states.set(producerId, state)
    }
    if (epoch > state.epoch) {
      state.epoch = epoch
      state.batches = []
    }
    return state
  }
}

/** Sequences go on at zero after the largest. */
function sequenceAfter(sequence: number): number {
  return sequence === SEQUENCE_MAX ? 0 : sequence + 1
}

export function lastSequence(batch: IncomingBatch): number {
  const last = batch.baseSequence + batch.recordCount - 1
  return last > SEQUENCE_MAX ? last - SEQUENCE_MAX - 1 : last
}

function outOfOrder(batch: IncomingBatch, before: number): SequenceCheck {
  const message = `sequence ${batch.baseSequence} of producer ${batch.producerId}, epoch ${batch.producerEpoch}, after ${before}`
  return { kind: 'refused', error: KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, message }
}
