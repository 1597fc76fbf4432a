/**
 * The start table of exactly-once.md: what a start does, by the state of the log and the command. Pure.
 */
import { assert, unreachable } from '../../base/index.ts'
import type { JobHistory } from '../checkpoint/job-history.ts'
import type { LineageBegin } from '../checkpoint/job-log-record.ts'
import type { StartOptions } from './job-plan.ts'

export type StartDecision =
  /** The input was read to its end and everything of it is committed: nothing to do. */
  | { readonly kind: 'already-finished' }
  /** The end of input was checkpointed: settle it and write `finished`, without running. */
  | { readonly kind: 'settle-and-finish' }
  /** Go on in the current lineage, from its last completed checkpoint or from where it began. */
  | { readonly kind: 'continue' }
  /** A new lineage begins; what the former one completed is settled first. */
  | { readonly kind: 'begin'; readonly begin: LineageBegin }

export interface Savepoint {
  readonly id: string
  readonly path: string
}

export function decideStart(
  history: JobHistory,
  mode: StartOptions['mode'],
  savepoint?: Savepoint | undefined,
): StartDecision {
  switch (mode) {
    case 'fresh':
      return { kind: 'begin', begin: { kind: 'fresh' } }
    case 'resume':
      return history.empty ? { kind: 'begin', begin: { kind: 'fresh' } } : goOn(history)
    case 'savepoint':
    case 'rewind':
      assert(savepoint !== undefined, 'a start at a savepoint names it')
      // A supervisor repeats the same command: it begins there once and goes on from then.
      if (mode === 'savepoint' && history.beganAt(savepoint.id)) return goOn(history)
      return { kind: 'begin', begin: { kind: 'savepoint', ...savepoint } }
    default:
      return unreachable(mode)
  }
}

function goOn(history: JobHistory): StartDecision {
  if (history.end === 'finished') return { kind: 'already-finished' }
  return history.last?.record.final === true ? { kind: 'settle-and-finish' } : { kind: 'continue' }
}
