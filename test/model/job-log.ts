/**
 * The job's log in the model: what its records say so far, as recovery would fold them, and no more, so that logs that say the
 * same are one state. A record's number is kept as a distance: a process knows how many records it has not seen. An attempt is
 * named by how many began before it, which orders attempts as their places would. What a checkpoint's folder holds stands with
 * its record, as its digest ties the two together.
 */
import { put, type Two, type Which } from './cells.ts'

/** A flushed transaction of one subtask; `barrier` is the checkpoint that flushed it. */
export interface Committable {
  readonly attempt: number
  readonly slot: number
  readonly epoch: number
  readonly barrier: number
}

/** One subtask's part of a checkpoint. */
export interface Snapshot {
  readonly position: number
  readonly flushed: readonly Committable[]
}

export interface PastCheckpoint {
  readonly checkpoint: number
  readonly attempt: number
  readonly snapshots: Two<Snapshot>
  readonly final: boolean
  readonly committed: boolean
}

export interface Log {
  readonly attempts: number
  /** The last two completed ones that are not void, in the order of the log: nobody goes back further. */
  readonly completed: readonly PastCheckpoint[]
  readonly highest: number
  /** Of each subtask, the furthest position that ever completed. */
  readonly positions: Two<number>
  /** Records since the last `base`; undefined: nothing was removed. */
  readonly sinceBase: number | null
  readonly finished: boolean
}

export type LogEntry =
  | { readonly kind: 'attempt' }
  | {
      readonly kind: 'completed'
      readonly checkpoint: number
      readonly attempt: number
      readonly snapshots: Two<Snapshot>
      readonly final: boolean
      /** The checkpoint whose commit rides along; 0: none (rule 6). */
      readonly committed: number
    }
  | { readonly kind: 'committed'; readonly checkpoint: number }
  | { readonly kind: 'void'; readonly checkpoint: number }
  | { readonly kind: 'base' }
  | { readonly kind: 'finished' }

export const EMPTY_LOG: Log = {
  attempts: 0,
  completed: [],
  highest: 0,
  positions: [0, 0],
  sinceBase: null,
  finished: false,
}

export function append(log: Log, entry: LogEntry): Log {
  const next = { ...log, sinceBase: log.sinceBase === null ? null : log.sinceBase + 1 }
  switch (entry.kind) {
    case 'attempt':
      return { ...next, attempts: log.attempts + 1 }
    case 'completed': {
      const { checkpoint, attempt, snapshots, final } = entry
      const before = entry.committed > 0 ? committed(log.completed, entry.committed) : log.completed
      return {
        ...next,
        completed: [...before, { checkpoint, attempt, snapshots, final, committed: false }].slice(-2),
        highest: Math.max(log.highest, checkpoint),
        positions: [furthest(log, 0, snapshots[0]), furthest(log, 1, snapshots[1])],
      }
    }
    case 'committed':
      return { ...next, completed: committed(log.completed, entry.checkpoint) }
    case 'void':
      return { ...next, completed: log.completed.filter((past) => past.checkpoint !== entry.checkpoint) }
    case 'base':
      return { ...next, sinceBase: 0 }
    case 'finished':
      return { ...next, finished: true }
  }
}

function furthest(log: Log, subtask: Which, { position }: Snapshot): number {
  return Math.max(log.positions[subtask], position)
}

/** What a committed checkpoint lists is of no interest any more: a restore from it ends nothing (rule 6). */
function committed(completed: readonly PastCheckpoint[], upTo: number): readonly PastCheckpoint[] {
  return completed.map((past) => {
    if (past.checkpoint > upTo || past.committed) return past
    const [first, second] = past.snapshots
    const snapshots: Two<Snapshot> = [
      { ...first, flushed: [] },
      { ...second, flushed: [] },
    ]
    return { ...past, snapshots, committed: true }
  })
}

/** The same log with the two subtasks exchanged. */
export function mirrored(log: Log): Log {
  const swapped = (past: PastCheckpoint): PastCheckpoint => ({
    ...past,
    snapshots: put(put(past.snapshots, 0, past.snapshots[1]), 1, past.snapshots[0]),
  })
  return { ...log, completed: log.completed.map(swapped), positions: [log.positions[1], log.positions[0]] }
}
