/**
 * What an EndTxn means, from the state of its transaction alone: begin to end it, say that it is done, or refuse. Version 1
 * compares epochs and tells repeats by the state; version 2 tells them by the epoch, which moved on when the first one was
 * taken (KIP-890). The answers are those observed of Apache Kafka 4.3.
 */
import { KafkaErrorCode } from '../../kafka/index.ts'
import type { ProtocolVersion, TransactionEntry } from './transaction-entry.ts'

export interface EndRequest {
  readonly producerId: number
  readonly producerEpoch: number
  readonly commit: boolean
  readonly version: ProtocolVersion
}

export type EndVerdict =
  | { readonly kind: 'begin' }
  /** It happened before. */
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly error: number }

const BEGIN: EndVerdict = { kind: 'begin' }
const DONE: EndVerdict = { kind: 'done' }
const refused = (error: number): EndVerdict => ({ kind: 'refused', error })
const INVALID_STATE = refused(KafkaErrorCode.INVALID_TXN_STATE)
const CONCURRENT = refused(KafkaErrorCode.CONCURRENT_TRANSACTIONS)
const FENCED = refused(KafkaErrorCode.PRODUCER_FENCED)
const OTHER_PRODUCER = refused(KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING)

export function endVerdict(entry: TransactionEntry | undefined, request: EndRequest): EndVerdict {
  if (entry === undefined) return OTHER_PRODUCER
  return request.version === 1 ? verdictOfVersion1(entry, request) : verdictOfVersion2(entry, request)
}

function verdictOfVersion1(entry: TransactionEntry, request: EndRequest): EndVerdict {
  const { commit } = request
  if (entry.producerId !== request.producerId) return OTHER_PRODUCER
  if (entry.epoch !== request.producerEpoch) return FENCED
  switch (entry.state) {
    case 'Ongoing':
      return BEGIN
    case 'PrepareCommit':
      return commit ? CONCURRENT : INVALID_STATE
    case 'PrepareAbort':
      return commit ? INVALID_STATE : CONCURRENT
    case 'CompleteCommit':
      return commit ? DONE : INVALID_STATE
    case 'CompleteAbort':
      return commit ? INVALID_STATE : DONE
    case 'Empty':
      return INVALID_STATE
  }
}

function verdictOfVersion2(entry: TransactionEntry, request: EndRequest): EndVerdict {
  const { commit, producerId, producerEpoch } = request
  const sameEpoch = entry.epoch === producerEpoch
  const afterBump = entry.version === 2 && entry.epoch === producerEpoch + 1
  const afterRotation = entry.version === 2 && entry.previousProducerId === producerId && entry.epoch === 0
  const repeat = afterBump || afterRotation
  if (entry.producerId !== producerId && !afterRotation) return OTHER_PRODUCER
  switch (entry.state) {
    case 'Ongoing':
      return sameEpoch ? BEGIN : FENCED
    case 'Empty':
      // An abort of nothing gives the next epoch, so that a producer can go on after an error.
      return !sameEpoch ? FENCED : commit ? INVALID_STATE : BEGIN
    case 'PrepareCommit':
      return !afterBump ? FENCED : commit ? CONCURRENT : INVALID_STATE
    case 'PrepareAbort':
      return !afterBump ? FENCED : commit ? INVALID_STATE : CONCURRENT
    case 'CompleteCommit':
      if (!repeat && !sameEpoch) return FENCED
      if (repeat) return commit ? DONE : INVALID_STATE
      return commit ? INVALID_STATE : BEGIN
    case 'CompleteAbort':
      if (!repeat && !sameEpoch) return FENCED
      if (commit) return INVALID_STATE
      return repeat ? DONE : BEGIN
  }
}
