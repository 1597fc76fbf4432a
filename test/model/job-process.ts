/**
 * What a process does, one step at a time: reading the log, the recovery of rule 8 in its order, and the end. What a running
 * job does is in running-job.ts. A step is one request to the broker or one call to the storage; a crash, or a sleep of any
 * length, can come between any two.
 */
import {
  type EndAnswer,
  endTransaction,
  type Fate,
  fateOf,
  initProducerId,
  type Lane,
  type LaneId,
} from './broker-lane.ts'
import { BOTH, type Two, Violation, type Which } from './cells.ts'
import { append as appended, type Committable, type LogEntry, type PastCheckpoint, type Snapshot } from './job-log.ts'
import { type Core, recordsOf, type State, type States, type Sub } from './model-state.ts'
import type { Planted } from './planted.ts'

/** Steps of recovery and of its start and end, by name; each must be taken in an exploration. */
export const PROCESS_ACTIONS = [
  'start',
  'read the log',
  'already finished',
  'superseded when reading',
  'attempt',
  'attempt: number taken',
  'attempt: still the owner',
  'attempt: superseded',
  'look',
  'look: one gone and none seen',
  'look: one gone, another seen',
  'look: cannot tell',
  'abort one',
  'abort: it was committed meanwhile',
  'look again',
  'void',
  'void: number taken',
  'void: still the owner',
  'void: superseded',
  'end one in recovery',
  'end in recovery: gone meanwhile',
  'publish positions',
  'committed',
  'committed: number taken',
  'committed: still the owner',
  'committed: superseded',
  'fence: still the owner',
  'fence: superseded',
  'fence one id',
  'open the tasks',
  'finish from a final checkpoint',
  'finished',
  'finished: number taken',
  'stop: lost',
  'stop: damaged',
  'stop: superseded',
] as const

export type ProcessAction = (typeof PROCESS_ACTIONS)[number]

/** What a step function is given: where it acts, and whom it tells of the states that it leads to. */
export interface Stepping<A extends string> {
  readonly states: States
  readonly state: State
  readonly process: Which
  emit(action: A, next: State, subtask?: Which): undefined
}

type Step = Stepping<ProcessAction>

export function coreOf({ state, process }: Pick<Step, 'state' | 'process'>): Core {
  return state.processes[process].core.value
}

export function subOf({ state, process }: Pick<Step, 'state' | 'process'>, subtask: Which): Sub {
  return state.processes[process].subs[subtask].value
}

export function makes({ states }: Pick<Step, 'states'>, mistake: Planted): boolean {
  return states.scope.planted === mistake
}

/** A conditional put at the next number; undefined: another's record stands there. A removed number can be taken again. */
export function append(step: Pick<Step, 'states' | 'process'>, state: State, entry: LogEntry): State | undefined {
  const { unseen } = state.processes[step.process].core.value
  const log = state.log.value
  if (unseen === 0) return step.states.log(state, appended(log, entry), step.process)
  const removed = log.sinceBase !== null && unseen > log.sinceBase + 1
  return removed ? step.states.core(state, step.process, { unseen: unseen - 1 }) : undefined
}

/** Rule 9: the log is listed, and a higher number is another owner's. */
export function superseded(step: Pick<Step, 'state' | 'process'>): boolean {
  return coreOf(step).unseen > 0
}

/** Ends without doing anything more. */
export function over(step: Pick<Step, 'states' | 'process'>, state: State): State {
  return step.states.emptied(state, step.process, 'over')
}

export function processSteps(step: Step): undefined {
  const { states, state, process } = step
  const to = (at: Core['at'], change: Partial<Core> = {}): State => states.core(state, process, { ...change, at })
  switch (coreOf(step).at) {
    case 'off':
      if (state.world.value.startable > 0) {
        const started = states.emptied(state, process, 'read')
        step.emit('start', states.world(started, { startable: state.world.value.startable - 1 }))
      }
      return
    case 'read':
      return read(step)
    case 'attempt':
      return attempt(step)
    case 'owner':
      if (superseded(step)) return step.emit('attempt: superseded', over(step, state))
      return step.emit('attempt: still the owner', chosen(step))
    case 'look':
      return look(step)
    case 'abort':
      return abortOne(step)
    case 'void':
      return log(step, { kind: 'void', checkpoint: coreOf(step).checkpoint }, 'void', 'void-owner')
    case 'void-owner':
      if (superseded(step)) return step.emit('void: superseded', over(step, state))
      return step.emit('void: still the owner', to('fence-owner', { passedOver: coreOf(step).checkpoint }))
    case 'end':
      return endOne(step)
    case 'publish':
      return publish(step)
    case 'committed':
      return log(step, { kind: 'committed', checkpoint: coreOf(step).checkpoint }, 'committed', 'committed-owner')
    case 'committed-owner':
      if (superseded(step)) return step.emit('committed: superseded', over(step, state))
      return step.emit('committed: still the owner', settled(step))
    case 'fence-owner':
      if (superseded(step)) return step.emit('fence: superseded', over(step, state))
      return step.emit('fence: still the owner', to('fence'))
    case 'fence':
      return fence(step)
    case 'finish':
      return finish(step)
    case 'stop-owner':
      return stop(step)
    default:
      return
  }
}

function read(step: Step): undefined {
  const { states, state, process } = step
  const { finished, attempts, completed, highest } = state.log.value
  if (finished) return step.emit('already finished', over(step, state))
  const own = coreOf(step).attempt
  // A restart in the process must not take the job back from another owner.
  if (own > 0 && attempts > own) return step.emit('superseded when reading', over(step, state))
  const fresh = states.freshSubs(states.emptied(state, process, 'read'), process, [0, 0], 0)
  const stays = makes(step, 'a restart goes on in its old attempt') && own > 0
  const at = stays ? 'owner' : 'attempt'
  step.emit(
    'read the log',
    states.core(fresh, process, { at, attempt: stays ? own : attempts + 1, past: completed, highest }),
  )
}

/** Rule 7: a place in the log, and the log is read again when another took it. */
function attempt(step: Step): undefined {
  const { states, state, process } = step
  const begun = append(step, state, { kind: 'attempt' })
  if (begun !== undefined) return step.emit('attempt', states.core(begun, process, { at: 'owner' }))
  const stale = makes(step, 'the restore point is not chosen again')
  const { attempts } = state.log.value
  const again = states.emptied(state, process, 'read')
  step.emit('attempt: number taken', stale ? states.core(state, process, { unseen: 0, attempt: attempts + 1 }) : again)
}

function log(step: Step, entry: LogEntry, action: 'void' | 'committed', next: Core['at']): undefined {
  const appended = append(step, step.state, entry)
  if (appended === undefined) return step.emit(`${action}: number taken`, over(step, step.state))
  step.emit(action, step.states.core(appended, step.process, { at: next }))
}

function pastOf(step: Step): PastCheckpoint | undefined {
  const { checkpoint, past } = coreOf(step)
  return past.find((one) => one.checkpoint === checkpoint)
}

/**
 * What recovery has to end. A durable `committed M` says that all that was flushed up to barrier M is ended, so what a younger
 * checkpoint lists of that, because its snapshot came before the ends, is left alone: its ids may be in use again.
 */
function flushedOf(step: Step, subtask: Which): readonly Committable[] {
  const listed = pastOf(step)?.snapshots[subtask].flushed ?? []
  if (makes(step, 'recovery ends what an older commit covers')) return listed
  const committed = Math.max(
    0,
    ...coreOf(step)
      .past.filter((one) => one.committed)
      .map((one) => one.checkpoint),
  )
  return listed.filter((one) => one.barrier > committed)
}

/** What recovery begins with: the completed checkpoint that is not committed, or nothing to settle. */
function chosen(step: Step): State {
  const { states, state, process } = step
  const { past } = coreOf(step)
  const unsettled = past.find((one) => !one.committed)
  const needed = (unsettled ?? past.at(-1))?.checkpoint ?? 0
  if (needed > 0 && needed === state.world.value.damaged) {
    // Rule 10: one that completed and cannot be read is not passed over.
    if (!makes(step, 'an older checkpoint stands in for one that cannot be read')) {
      return states.core(state, process, { at: 'stop-owner', reason: 'damaged' })
    }
    return states.core(state, process, { at: 'fence-owner', passedOver: needed })
  }
  if (unsettled === undefined) return states.core(state, process, { at: 'fence-owner' })
  const early = makes(step, 'recovery fences before it ends')
  return states.core(state, process, {
    at: early ? 'fence' : 'look',
    checkpoint: unsettled.checkpoint,
    final: unsettled.final,
  })
}

const LETTERS: Readonly<Record<Fate, string>> = { open: 'o', committed: 'c', gone: 'g', unknown: 'u' }

/** Rule 8: all transactions are looked at before anything is changed. */
function looks(step: Step): Two<string> {
  const of = (subtask: Which): string =>
    flushedOf(step, subtask)
      .map((one) => LETTERS[fateOf(step.state.lanes[subtask].value, one, step.states.scope.version)])
      .join('')
  return [of(0), of(1)]
}

function look(step: Step): undefined {
  const found = looks(step)
  const all = found.join('')
  const to = (at: Core['at'], reason: Core['reason'] = ''): State => {
    const { states, process } = step
    const noted = BOTH.reduce(
      (state, subtask) => states.sub(state, process, subtask, { look: found[subtask] }),
      step.state,
    )
    return states.core(noted, process, { at, reason })
  }
  if (!/[gu]/.test(all)) {
    const early = makes(step, '`committed` is written before the transactions are ended')
    return step.emit('look', to(early ? 'committed' : 'end'))
  }
  if (makes(step, 'what is gone is left out of a recovered checkpoint')) return step.emit('look', to('end'))
  if (all.includes('u')) return step.emit('look: cannot tell', to('stop-owner', 'undecided'))
  if (all.includes('c') && !makes(step, 'a checkpoint is void although some of it was seen')) {
    return step.emit('look: one gone, another seen', to('stop-owner', 'lost'))
  }
  step.emit('look: one gone and none seen', to('abort'))
}

function abortOne(step: Step): undefined {
  const { states, state, process } = step
  let left = false
  for (const subtask of BOTH) {
    const at = subOf(step, subtask).look.indexOf('o')
    const one = flushedOf(step, subtask)[at]
    if (one === undefined) continue
    left = true
    const { lane, answer } = endTransaction(state.lanes[subtask].value, one, false, states.scope)
    const after = states.lane(state, subtask, lane)
    if (answer === 'refused' && fateOf(lane, one, states.scope.version) === 'committed') {
      step.emit('abort: it was committed meanwhile', states.core(after, process, { at: 'look' }), subtask)
    } else {
      step.emit(
        'abort one',
        states.sub(after, process, subtask, { look: letter(subOf(step, subtask).look, at, 'g') }),
        subtask,
      )
    }
  }
  if (left) return
  const seen = looks(step).join('').includes('c') && !makes(step, 'a checkpoint is void although some of it was seen')
  step.emit('look again', states.core(state, process, { at: seen ? 'look' : 'void' }))
}

function letter(look: string, at: number, by: string): string {
  return look.slice(0, at) + by + look.slice(at + 1)
}

/** Oldest first; of one barrier, either subtask's may be next. */
function endOne(step: Step): undefined {
  const { states, state, process } = step
  const open = BOTH.flatMap((subtask) => {
    const at = subOf(step, subtask).look.indexOf('o')
    const one = flushedOf(step, subtask)[at]
    return one === undefined ? [] : [{ subtask, at, one }]
  })
  const oldest = Math.min(...open.map(({ one }) => one.barrier))
  for (const { subtask, at, one } of open) {
    if (one.barrier > oldest) continue
    const { lane, answer } = endTransaction(state.lanes[subtask].value, one, true, states.scope)
    if (answer === 'wait') continue
    const after = states.lane(state, subtask, lane)
    const fate = ended(step, lane, one, answer)
    if (fate === 'committed') {
      const noted = states.sub(after, process, subtask, { look: letter(subOf(step, subtask).look, at, 'c') })
      step.emit('end one in recovery', whenEnded(step, noted), subtask)
      continue
    }
    const seen = BOTH.some((which) => subOf(step, which).look.includes('c'))
    if (fate === 'gone' && !seen) {
      step.emit('end in recovery: gone meanwhile', states.core(after, process, { at: 'look' }), subtask)
    } else {
      const noted = states.sub(after, process, subtask, { look: letter(subOf(step, subtask).look, at, 'g') })
      const reason = fate === 'gone' ? 'lost' : 'undecided'
      step.emit('end in recovery: gone meanwhile', states.core(noted, process, { at: 'stop-owner', reason }), subtask)
    }
  }
  if (open.length === 0) step.emit('look', states.core(state, process, { at: 'publish' }))
}

/** Rule 11: a refusal is a verdict only with what the broker describes. */
export function ended(step: Pick<Step, 'states'>, lane: Lane, one: Committable, answer: EndAnswer): Fate {
  if (answer === 'ended' || makes(step, 'a refused commit is taken for done')) return 'committed'
  return fateOf(lane, one, step.states.scope.version)
}

function whenEnded(step: Step, state: State): State {
  const left = BOTH.some((subtask) => state.processes[step.process].subs[subtask].value.look.includes('o'))
  return left ? state : step.states.core(state, step.process, { at: 'publish' })
}

/** Rule 16, for every publication. */
export function published(step: Pick<Step, 'states'>, state: State, subtask: Which, position: number): State {
  const completed = state.log.value.positions[subtask]
  if (position > completed) {
    throw new Violation(
      `group offsets ahead: ${position} is published, and no checkpoint beyond ${completed} completed`,
    )
  }
  return step.states.lane(state, subtask, { ...state.lanes[subtask].value, group: position })
}

function publish(step: Step): undefined {
  const { states, state, process } = step
  const snapshots = pastOf(step)?.snapshots
  if (snapshots === undefined) throw new Error('recovery settles a checkpoint that its log does not have')
  if (coreOf(step).final && !visible(state)) return
  const after = BOTH.reduce((now, subtask) => published(step, now, subtask, snapshots[subtask].position), state)
  const early = makes(step, '`committed` is written before the transactions are ended')
  step.emit('publish positions', states.core(after, process, { at: early ? 'fence-owner' : 'committed' }))
}

/** Whether all markers are written (rule 12). */
export function visible(state: State): boolean {
  return BOTH.every((subtask) => state.lanes[subtask].value.ids.every((id) => id.state !== 'PrepareCommit'))
}

function settled(step: Step): State {
  const { states, state, process } = step
  const { checkpoint } = coreOf(step)
  if (makes(step, '`committed` is written before the transactions are ended')) {
    return states.core(state, process, { at: 'end' })
  }
  const after = checkpoint === 1 ? savepointSettled(step, state, pastOf(step)?.snapshots) : state
  const fenced = makes(step, 'recovery fences before it ends')
  return states.core(after, process, { at: fenced ? 'fence' : 'fence-owner', settled: true })
}

/** Rule 14: who restores a settled savepoint ends nothing. */
export function savepointSettled(
  step: Pick<Step, 'states'>,
  state: State,
  snapshots: Two<Snapshot> | undefined,
): State {
  if (!step.states.scope.savepoint || state.world.value.settled) return state
  for (const subtask of BOTH) {
    const { committed } = state.lanes[subtask].value
    if (committed < (snapshots?.[subtask].position ?? 0)) {
      throw new Violation('lost: a savepoint is settled, and a transaction that it lists is not ended')
    }
  }
  return step.states.world(state, { settled: true })
}

/** A number that orders ids by attempt and slot. */
function order(id: { readonly attempt: number; readonly slot: number }): number {
  return id.attempt * 16 + id.slot
}

/** One InitProducerId a step, for every id that the broker knows of a smaller attempt; of one name, either subtask's first. */
function fence(step: Step): undefined {
  const { states, state, process } = step
  const [first, second] = [unfenced(step, 0), unfenced(step, 1)]
  if ((first === undefined && second === undefined) || makes(step, 'recovery fences nothing')) return openTasks(step)
  for (const subtask of BOTH) {
    const own = subtask === 0 ? first : second
    const other = subtask === 0 ? second : first
    if (own === undefined || (other !== undefined && order(other) < order(own))) continue
    const { lane, answer } = initProducerId(state.lanes[subtask].value, own.attempt, own.slot)
    if (answer === 'wait') continue
    const after = states.sub(states.lane(state, subtask, lane), process, subtask, { fenced: order(own) })
    step.emit('fence one id', after, subtask)
  }
}

function unfenced(step: Step, subtask: Which): LaneId | undefined {
  const { attempt } = coreOf(step)
  const every = makes(step, 'the fence takes every attempt')
  const { fenced } = subOf(step, subtask)
  return step.state.lanes[subtask].value.ids.find(
    (id) => (id.attempt < attempt || (every && id.attempt > attempt)) && order(id) > fenced,
  )
}

function restorePoint(step: Step): PastCheckpoint | undefined {
  const { passedOver, past } = coreOf(step)
  return past.filter((one) => one.checkpoint !== passedOver).at(-1)
}

function openTasks(step: Step): undefined {
  const { states, state, process } = step
  const core = coreOf(step)
  if (makes(step, 'recovery fences before it ends') && core.checkpoint > 0 && !core.settled) {
    return step.emit('fence: still the owner', states.core(state, process, { at: 'look' }))
  }
  if (core.unseen === 0) refuseLeftOpen(state, core.attempt)
  const past = restorePoint(step)
  if (past?.final === true) {
    return step.emit('finish from a final checkpoint', states.core(state, process, { at: 'finish' }))
  }
  if (past !== undefined && past.checkpoint < state.world.value.removedBelow) {
    throw new Violation(`stuck: checkpoint ${past.checkpoint} is to be restored and was removed`)
  }
  const { folder } = state.world.value
  const { highest } = core
  const found = folder !== null && folder.checkpoint > highest ? folder.snapshots : past?.snapshots
  const positions: Two<number> = [found?.[0].position ?? 0, found?.[1].position ?? 0]
  const opened = forgotten(step, states.freshSubs(state, process, positions, highest))
  const { attempt, unseen } = core
  step.emit('open the tasks', states.core(states.running(opened, process), process, { attempt, unseen, sent: highest }))
}

/**
 * Ids of attempts that nobody holds any more are alike, once fenced and closed: an InitProducerId would change nothing that
 * can be seen, and who looks at a transaction of theirs is told nothing either way. So they are forgotten.
 */
function forgotten(step: Step, state: State): State {
  const held = state.processes.map(({ core }) => core.value.attempt)
  const needed = state.log.value.completed.flatMap((past) =>
    past.committed ? [] : past.snapshots.flatMap((one) => one.flushed),
  )
  return BOTH.reduce((now, subtask) => {
    const lane = now.lanes[subtask].value
    const ids = lane.ids.filter(
      (id) =>
        id.state !== 'Empty' ||
        held.includes(id.attempt) ||
        id.attempt > coreOf(step).attempt ||
        needed.some((one) => one.attempt === id.attempt),
    )
    return ids.length === lane.ids.length ? now : step.states.lane(now, subtask, { ...lane, ids })
  }, state)
}

/** No transaction of an attempt below stays open; what a superseded process opens later ends by its timeout. */
function refuseLeftOpen(state: State, below: number): undefined {
  for (const subtask of BOTH) {
    for (const id of state.lanes[subtask].value.ids) {
      if (id.state === 'Ongoing' && !id.late && id.attempt < below) {
        throw new Violation(`left open: transaction ${id.attempt}-${id.slot}/${id.epoch} after recovery`)
      }
    }
  }
}

function finish(step: Step): undefined {
  const { states, state } = step
  const finished = append(step, state, { kind: 'finished' })
  if (finished === undefined) return step.emit('finished: number taken', over(step, state))
  for (const subtask of BOTH) {
    const { committed } = state.lanes[subtask].value
    if (committed < recordsOf(states.scope, subtask)) {
      throw new Violation(`lost: finished, and only ${committed} records of subtask ${subtask} are committed`)
    }
  }
  if (!visible(state)) throw new Violation('the result is given before all of it is visible')
  refuseLeftOpen(state, Number.POSITIVE_INFINITY)
  step.emit('finished', over(step, finished))
}

function stop(step: Step): undefined {
  const { states, state } = step
  const { reason } = coreOf(step)
  if (reason === '') throw new Error('a process stops without a reason')
  if (superseded(step)) return step.emit('stop: superseded', over(step, state))
  if (reason === 'undecided') throw new Violation('stopped, because it cannot tell what became of a transaction')
  const { expiries, damages } = states.scope
  const { world } = state
  if (reason === 'damaged' ? world.value.damages === damages : world.value.expiries === expiries) {
    throw new Violation(`stopped as ${reason}, and no transaction expired and no folder was damaged`)
  }
  step.emit(`stop: ${reason}`, over(step, states.world(state, { stopped: reason })))
}
