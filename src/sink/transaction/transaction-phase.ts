/**
 * The life of a transaction as its writer sees it: every phase with every event, so that a combination nobody thought of
 * stops the task instead of passing. committer/SPEC.md says what each cell means.
 */
import { assert, transition } from '../../base/index.ts'

/**
 * `open`: takes records. `sealed`: a barrier passed, acknowledgements outstanding. `flushed`: all acknowledged; from here on
 * a checkpoint may list it, and only a commit ends it. `ended`: known to be committed; its id is not free yet. `settled`:
 * the log says committed; its id is free. `lost`: gone or unknown. `abandoned`: aborted, or left to expire, never listed.
 */
export type TransactionPhase = 'open' | 'sealed' | 'flushed' | 'ended' | 'settled' | 'lost' | 'abandoned'

export type TransactionEvent =
  | 'barrier'
  | 'acknowledged'
  | 'empty'
  | 'commit-ended'
  | 'commit-refused'
  | 'commit-unresolved'
  | 'committed-durable'
  | 'close'

type Cell = TransactionPhase | 'impossible'

export const TRANSITIONS: { readonly [P in TransactionPhase]: { readonly [E in TransactionEvent]: Cell } } = {
  open: {
    barrier: 'sealed',
    acknowledged: 'impossible',
    empty: 'impossible',
    'commit-ended': 'impossible',
    'commit-refused': 'impossible',
    'commit-unresolved': 'impossible',
    'committed-durable': 'impossible',
    close: 'abandoned',
  },
  sealed: {
    barrier: 'impossible',
    acknowledged: 'flushed',
    empty: 'settled',
    'commit-ended': 'impossible',
    'commit-refused': 'impossible',
    'commit-unresolved': 'impossible',
    'committed-durable': 'impossible',
    close: 'abandoned',
  },
  flushed: {
    barrier: 'impossible',
    acknowledged: 'impossible',
    empty: 'impossible',
    'commit-ended': 'ended',
    'commit-refused': 'lost',
    'commit-unresolved': 'flushed',
    'committed-durable': 'impossible',
    close: 'flushed',
  },
  ended: {
    barrier: 'impossible',
    acknowledged: 'impossible',
    empty: 'impossible',
    'commit-ended': 'impossible',
    'commit-refused': 'impossible',
    'commit-unresolved': 'impossible',
    'committed-durable': 'settled',
    close: 'ended',
  },
  settled: {
    barrier: 'impossible',
    acknowledged: 'impossible',
    empty: 'impossible',
    'commit-ended': 'impossible',
    'commit-refused': 'impossible',
    'commit-unresolved': 'impossible',
    'committed-durable': 'impossible',
    close: 'settled',
  },
  lost: {
    barrier: 'impossible',
    acknowledged: 'impossible',
    empty: 'impossible',
    'commit-ended': 'impossible',
    'commit-refused': 'impossible',
    'commit-unresolved': 'impossible',
    'committed-durable': 'impossible',
    close: 'lost',
  },
  abandoned: {
    barrier: 'impossible',
    acknowledged: 'impossible',
    empty: 'impossible',
    'commit-ended': 'impossible',
    'commit-refused': 'impossible',
    'commit-unresolved': 'impossible',
    'committed-durable': 'impossible',
    close: 'abandoned',
  },
}

export function nextPhase(phase: TransactionPhase, event: TransactionEvent, transactionalId: string): TransactionPhase {
  const next = TRANSITIONS[phase][event]
  assert(next !== 'impossible', `transaction "${transactionalId}" is ${phase}: "${event}" cannot happen`)
  transition('transaction', phase, event, next)
  return next
}
