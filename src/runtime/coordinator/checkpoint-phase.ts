/**
 * The life of a checkpoint as its coordinator sees it: every phase with every event, so that a combination nobody thought of
 * fails the execution instead of passing. SPEC.md says what each cell means.
 */
import { assert, transition } from '../../base/index.ts'

/**
 * `waiting`: not begun. `gathering`: the barrier was sent, answers are awaited. `storing`: the folder is being written.
 * `stored`: durable, an older one is on its way through the next phases. `recording`: `completed N` is on its way to the log.
 * `ending`: it counts, and its transactions are ended. `settling`: the final one, until all is visible and `committed N` is in
 * the log. `overtaken`: a younger one came first; it never counts, holds its place until that one's transactions are ended, and
 * its folder goes when its writing is over. `gone`: failed, all done, or the execution ended.
 */
export type CheckpointPhase =
  | 'waiting'
  | 'gathering'
  | 'storing'
  | 'stored'
  | 'recording'
  | 'ending'
  | 'settling'
  | 'overtaken'
  | 'gone'

/** `due`: or asked for. `answered`: by the last task. `ended`: its transactions, or for one that was overtaken the younger one's. */
export type CheckpointEvent =
  | 'due'
  | 'final'
  | 'answered'
  | 'declined'
  | 'timeout'
  | 'written'
  | 'write-failed'
  | 'younger'
  | 'turn'
  | 'recorded'
  | 'record-failed'
  | 'ended'
  | 'final-ended'
  | 'close'

type Cell = CheckpointPhase | 'impossible'

export const CHECKPOINT_TRANSITIONS: {
  readonly [P in CheckpointPhase]: { readonly [E in CheckpointEvent]: Cell }
} = {
  waiting: {
    due: 'gathering',
    final: 'gathering',
    answered: 'impossible',
    declined: 'impossible',
    timeout: 'impossible',
    written: 'impossible',
    'write-failed': 'impossible',
    younger: 'impossible',
    turn: 'impossible',
    recorded: 'impossible',
    'record-failed': 'impossible',
    ended: 'impossible',
    'final-ended': 'impossible',
    close: 'impossible',
  },
  gathering: {
    due: 'impossible',
    final: 'impossible',
    answered: 'storing',
    declined: 'gone',
    timeout: 'gone',
    written: 'impossible',
    'write-failed': 'impossible',
    younger: 'overtaken',
    turn: 'impossible',
    recorded: 'impossible',
    'record-failed': 'impossible',
    ended: 'impossible',
    'final-ended': 'impossible',
    close: 'gone',
  },
  storing: {
    due: 'impossible',
    final: 'impossible',
    answered: 'impossible',
    declined: 'impossible',
    timeout: 'impossible',
    written: 'stored',
    'write-failed': 'gone',
    younger: 'overtaken',
    turn: 'impossible',
    recorded: 'impossible',
    'record-failed': 'impossible',
    ended: 'impossible',
    'final-ended': 'impossible',
    close: 'gone',
  },
  stored: {
    due: 'impossible',
    final: 'impossible',
    answered: 'impossible',
    declined: 'impossible',
    timeout: 'impossible',
    written: 'impossible',
    'write-failed': 'impossible',
    younger: 'impossible',
    turn: 'recording',
    recorded: 'impossible',
    'record-failed': 'impossible',
    ended: 'impossible',
    'final-ended': 'impossible',
    close: 'gone',
  },
  recording: {
    due: 'impossible',
    final: 'impossible',
    answered: 'impossible',
    declined: 'impossible',
    timeout: 'impossible',
    written: 'impossible',
    'write-failed': 'impossible',
    younger: 'impossible',
    turn: 'impossible',
    recorded: 'ending',
    'record-failed': 'gone',
    ended: 'impossible',
    'final-ended': 'impossible',
    close: 'recording',
  },
  ending: {
    due: 'impossible',
    final: 'impossible',
    answered: 'impossible',
    declined: 'impossible',
    timeout: 'impossible',
    written: 'impossible',
    'write-failed': 'impossible',
    younger: 'impossible',
    turn: 'impossible',
    recorded: 'impossible',
    'record-failed': 'impossible',
    ended: 'gone',
    'final-ended': 'settling',
    close: 'ending',
  },
  settling: {
    due: 'impossible',
    final: 'impossible',
    answered: 'impossible',
    declined: 'impossible',
    timeout: 'impossible',
    written: 'impossible',
    'write-failed': 'impossible',
    younger: 'impossible',
    turn: 'impossible',
    recorded: 'gone',
    'record-failed': 'gone',
    ended: 'impossible',
    'final-ended': 'impossible',
    close: 'settling',
  },
  overtaken: {
    due: 'impossible',
    final: 'impossible',
    answered: 'impossible',
    declined: 'impossible',
    timeout: 'impossible',
    written: 'overtaken',
    'write-failed': 'overtaken',
    younger: 'impossible',
    turn: 'impossible',
    recorded: 'impossible',
    'record-failed': 'impossible',
    ended: 'overtaken',
    'final-ended': 'impossible',
    close: 'overtaken',
  },
  gone: {
    due: 'impossible',
    final: 'impossible',
    answered: 'impossible',
    declined: 'impossible',
    timeout: 'impossible',
    written: 'impossible',
    'write-failed': 'impossible',
    younger: 'impossible',
    turn: 'impossible',
    recorded: 'impossible',
    'record-failed': 'impossible',
    ended: 'impossible',
    'final-ended': 'impossible',
    close: 'impossible',
  },
}

export function nextPhase(phase: CheckpointPhase, event: CheckpointEvent, checkpoint: number): CheckpointPhase {
  const next = CHECKPOINT_TRANSITIONS[phase][event]
  assert(next !== 'impossible', `checkpoint ${checkpoint} is ${phase}: "${event}" cannot happen`)
  transition('checkpoint', phase, event, next)
  return next
}
