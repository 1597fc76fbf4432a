/**
 * The start table of exactly-once.md: what a start does, by the state of the log and the command. Pure.
 */
import { unreachable } from '../../base/index.ts'
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

export function decideStart(history: JobHistory, mode: StartOptions['mode']): StartDecision {
  if (history.empty) return { kind: 'begin', begin: { kind: 'fresh' } }
  switch (mode) {
    case 'fresh':
      return { kind: 'begin', begin: { kind: 'fresh' } }
    case 'resume':
      if (history.end === 'finished') return { kind: 'already-finished' }
      return history.last?.record.final === true ? { kind: 'settle-and-finish' } : { kind: 'continue' }
    default:
      return unreachable(mode)
  }
}
