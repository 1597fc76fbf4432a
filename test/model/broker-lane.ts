/**
 * The broker as one subtask sees it: its transactional ids, how many of its records are committed, and its group offset. The
 * answers are those observed of a real one for both transaction versions: an InitProducerId aborts whatever is open, a repeat
 * of a commit is told from a new one under version 2 only, an expiry raises the epoch.
 *
 * Records are numbers from 0, written in order, so what is committed of a subtask is a prefix of its input, and its length says
 * all: a commit of records below it doubles them, one beyond it has lost some. Both are violations at once.
 */
import { Violation } from './cells.ts'

export type IdState = 'Empty' | 'Ongoing' | 'PrepareCommit' | 'CompleteCommit' | 'CompleteAbort'

/** A transactional id of this subtask. */
export interface LaneId {
  readonly attempt: number
  readonly slot: number
  readonly epoch: number
  readonly state: IdState
  /** The records of its transaction. */
  readonly from: number
  readonly to: number
  /** Version 2: the epoch whose end was the last, by which its repeat is known. */
  readonly last: number
  /** Opened when the log had a younger attempt already: what a superseded process opens is ended by its timeout. */
  readonly late: boolean
}

export interface Lane {
  readonly ids: readonly LaneId[]
  readonly committed: number
  readonly group: number
  /** Where repeats are tried: the last commit that was asked for, a copy of which may still be on its way. */
  readonly asked: Handle | null
}

/** What names a transaction at the broker. */
export interface Handle {
  readonly attempt: number
  readonly slot: number
  readonly epoch: number
}

export interface LaneAnswer<A> {
  readonly lane: Lane
  readonly answer: A
}

export interface BrokerKind {
  readonly version: 1 | 2
  /** Whether an end is answered before its markers are written (rule 12). */
  readonly slowMarkers: boolean
}

export const EMPTY_LANE: Lane = { ids: [], committed: 0, group: 0, asked: null }

export function idOf(lane: Lane, attempt: number, slot: number): LaneId | undefined {
  return lane.ids.find((id) => id.attempt === attempt && id.slot === slot)
}

function withId(lane: Lane, id: LaneId): Lane {
  const others = lane.ids.filter((other) => other.attempt !== id.attempt || other.slot !== id.slot)
  const ids = [...others, id].sort((left, right) => left.attempt - right.attempt || left.slot - right.slot)
  return { ...lane, ids }
}

/** Answers the epoch, or 'wait': CONCURRENT_TRANSACTIONS. */
export function initProducerId(lane: Lane, attempt: number, slot: number): LaneAnswer<number | 'wait'> {
  const id = idOf(lane, attempt, slot)
  if (id?.state === 'PrepareCommit') return { lane, answer: 'wait' }
  const epoch = id === undefined ? 0 : id.epoch + (id.state === 'Ongoing' ? 2 : 1)
  const fresh = { attempt, slot, epoch, state: 'Empty', from: 0, to: 0, last: -1, late: false } as const
  return { lane: withId(lane, fresh), answer: epoch }
}

export function produce(
  lane: Lane,
  one: Handle & { readonly record: number },
  late: boolean,
): LaneAnswer<'written' | 'fenced' | 'wait'> {
  const id = idOf(lane, one.attempt, one.slot)
  if (id === undefined || id.epoch !== one.epoch) return { lane, answer: 'fenced' }
  if (id.state === 'PrepareCommit') return { lane, answer: 'wait' }
  const open = id.state === 'Ongoing'
  const next: LaneId = open
    ? { ...id, to: one.record + 1 }
    : { ...id, state: 'Ongoing', from: one.record, to: one.record + 1, last: -1, late }
  return { lane: withId(lane, next), answer: 'written' }
}

export type EndAnswer = 'ended' | 'refused' | 'wait'

export function endTransaction(lane: Lane, handle: Handle, commit: boolean, kind: BrokerKind): LaneAnswer<EndAnswer> {
  const id = idOf(lane, handle.attempt, handle.slot)
  if (id === undefined) return { lane, answer: 'refused' }
  const same = id.epoch === handle.epoch
  if (same && id.state === 'Ongoing') return { lane: ended(lane, id, commit, kind), answer: 'ended' }
  const known = kind.version === 1 ? same : id.last === handle.epoch
  if (!known) return { lane, answer: 'refused' }
  if (id.state === 'PrepareCommit') return { lane, answer: commit ? 'wait' : 'refused' }
  return { lane, answer: id.state === (commit ? 'CompleteCommit' : 'CompleteAbort') ? 'ended' : 'refused' }
}

function ended(lane: Lane, id: LaneId, commit: boolean, kind: BrokerKind): Lane {
  const name = `transaction ${id.attempt}-${id.slot}/${id.epoch}, records ${id.from} to ${id.to}`
  if (commit && id.from < lane.committed)
    throw new Violation(`doubled: the commit of ${name}, of which some are visible`)
  if (commit && id.from > lane.committed) throw new Violation(`lost: the commit of ${name} leaves out what came before`)
  const done = kind.slowMarkers ? 'PrepareCommit' : 'CompleteCommit'
  const next = kind.version === 2 ? { epoch: id.epoch + 1, last: id.epoch } : {}
  const after = withId(lane, { ...id, ...next, state: commit ? done : 'CompleteAbort' })
  return commit ? { ...after, committed: id.to } : after
}

/** The broker's own timeout. */
export function expire(lane: Lane, id: LaneId): Lane {
  return withId(lane, { ...id, state: 'CompleteAbort', epoch: id.epoch + 1, last: id.epoch })
}

export function writeMarkers(lane: Lane, id: LaneId): Lane {
  return withId(lane, { ...id, state: 'CompleteCommit' })
}

export type Fate = 'open' | 'committed' | 'gone' | 'unknown'

/** What a description tells of exactly this transaction, as the sink's own table says. */
export function fateOf(lane: Lane, handle: Handle, version: 1 | 2): Fate {
  const id = idOf(lane, handle.attempt, handle.slot)
  if (id === undefined) return 'unknown'
  const same = id.epoch === handle.epoch
  const next = id.epoch === handle.epoch + 1
  switch (id.state) {
    case 'Ongoing':
      return same ? 'open' : 'unknown'
    case 'PrepareCommit':
    case 'CompleteCommit':
      return (version === 2 ? next : same) ? 'committed' : 'unknown'
    case 'CompleteAbort':
      return same || next ? 'gone' : 'unknown'
    case 'Empty':
      return 'unknown'
  }
}
