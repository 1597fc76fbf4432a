/**
 * What a running job does: its subtasks take records, write them in transactions and take barriers; its coordinator gathers,
 * stores and completes checkpoints, and each completed one is ended. Several may be on their way, and one may fail.
 *
 * A barrier is sent when the first subtask takes it, and a flush is one step with its barrier: what the sending and the waiting
 * would add is that they can take long, which they do here as well, by not being next.
 */
import { endTransaction, idOf, initProducerId, produce } from './broker-lane.ts'
import { BOTH, type Two, Violation, type Which } from './cells.ts'
import type { Committable, Snapshot } from './job-log.ts'
import {
  append,
  coreOf,
  ended,
  makes,
  over,
  published,
  type Stepping,
  savepointSettled,
  subOf,
  superseded,
  visible,
} from './job-process.ts'
import { type At, type Core, type Round, recordsOf, type State, type Sub } from './model-state.ts'

export const RUNNING_ACTIONS = [
  'begin a transaction',
  'write',
  'write: fenced',
  'barrier',
  'final barrier',
  'store',
  'checkpoint fails',
  'checkpoint fails too often',
  'completed',
  'completed: number taken',
  'completed: still the owner',
  'completed: superseded',
  'end one',
  'end: refused',
  'publish the group offsets',
  'settle the savepoint',
  'final: visible',
  'final committed',
  'final committed: number taken',
  'final committed: still the owner',
  'final committed: superseded',
  'prune',
  'task fails',
  'close: still the owner',
  'close: superseded',
  'close one transaction',
  'closed',
] as const

export type RunningAction = (typeof RUNNING_ACTIONS)[number]

type Step = Stepping<RunningAction>

const RUNNING: ReadonlySet<At> = new Set<At>([
  'run',
  'stored',
  'completed-owner',
  'ending',
  'settling',
  'visible',
  'final-committed',
  'final-owner',
])

export function runningSteps(step: Step): undefined {
  const { states, state, process } = step
  const core = coreOf(step)
  if (RUNNING.has(core.at)) {
    for (const subtask of BOTH) {
      write(step, subtask)
      barrier(step, subtask)
    }
    if (state.world.value.taskFailures > 0) {
      const failed = states.world(state, { taskFailures: state.world.value.taskFailures - 1 })
      step.emit('task fails', states.core(failed, process, { at: 'close-owner' }))
    }
    fail(step)
  }
  switch (core.at) {
    case 'run':
      idle(step)
      return
    case 'stored':
      complete(step)
      return
    case 'completed-owner':
      return owns(step, 'completed', (now) => begunEnding(step, now))
    case 'ending':
      for (const subtask of BOTH) end(step, subtask)
      return
    case 'settling':
      return step.emit(
        'settle the savepoint',
        whenAllEnded(step, savepointSettled(step, state, answers(step, core.checkpoint))),
      )
    case 'visible':
      if (visible(state)) step.emit('final: visible', states.core(state, process, { at: 'final-committed' }))
      return
    case 'final-committed': {
      const appended = append(step, state, { kind: 'committed', checkpoint: core.checkpoint })
      if (appended === undefined) return step.emit('final committed: number taken', over(step, state))
      return step.emit('final committed', states.core(appended, process, { at: 'final-owner' }))
    }
    case 'final-owner':
      return owns(step, 'final committed', (now) => states.core(now, process, { at: 'finish' }))
    case 'close-owner':
      return owns(step, 'close', (now) => states.core(now, process, { at: 'close' }))
    case 'close':
      return close(step)
    default:
      return
  }
}

/** Nothing follows a record before the log was listed (rule 9). */
function owns(step: Step, what: 'completed' | 'final committed' | 'close', next: (state: State) => State): undefined {
  const { state } = step
  const harmful = what === 'completed' && makes(step, 'a pruned slot is taken again')
  const belowBase = harmful && coreOf(step).unseen > (state.log.value.sinceBase ?? Number.POSITIVE_INFINITY)
  if (superseded(step) && !belowBase) step.emit(`${what}: superseded`, over(step, state))
  else step.emit(`${what}: still the owner`, next(state))
}

/** A subtask takes a record; the first of a transaction begins it (rule 4). */
function write(step: Step, subtask: Which): undefined {
  const { states, state, process } = step
  const sub = subOf(step, subtask)
  const lane = state.lanes[subtask].value
  const { attempt } = coreOf(step)
  const record = sub.taken ? sub.position - 1 : sub.position
  if (record >= recordsOf(states.scope, subtask)) return
  let now = state
  let open = sub.open
  if (open === null) {
    const slot = freeSlot(step, sub)
    const known = sub.pool[slot] ?? -1
    if (known < 0) {
      const begun = initProducerId(lane, attempt, slot)
      if (begun.answer === 'wait') return
      const begins = { taken: true, position: record + 1, open: { slot, epoch: begun.answer } }
      now = states.sub(states.lane(state, subtask, begun.lane), process, subtask, begins)
      return step.emit('begin a transaction', now, subtask)
    }
    open = { slot, epoch: known }
  }
  const late = state.log.value.attempts > attempt
  const { lane: written, answer } = produce(lane, { attempt, ...open, record }, late)
  if (answer === 'wait') return
  if (answer === 'fenced')
    return step.emit('write: fenced', states.core(state, process, { at: 'close-owner' }), subtask)
  now = states.sub(states.lane(state, subtask, written), process, subtask, { taken: false, position: record + 1, open })
  step.emit('write', now, subtask)
}

/**
 * Rule 3: the smallest slot that no transaction holds which a durable `committed` does not cover. The bound is the one that the
 * coordinator's SPEC.md works out.
 */
function freeSlot(step: Step, sub: Sub): number {
  const { concurrent, tolerated } = step.states.scope
  const small = makes(step, 'a pool has a slot for each checkpoint under way, each failure, and two')
  const bound = small ? concurrent + tolerated + 2 : 2 * concurrent + (concurrent + 1) * tolerated + 1
  const taken = new Set([...sub.flushed, ...sub.done].map((one) => one.slot))
  for (let slot = 0; slot < bound; slot++) if (!taken.has(slot)) return slot
  throw new Violation(
    `all ${bound} slots of a pool are taken, which then fails a job that had no more trouble than it tolerates`,
  )
}

/** Rules 1 and 2: all before the barrier is flushed, and every flushed transaction not known to be ended is listed. */
function barrier(step: Step, subtask: Which): undefined {
  const { states, state, process } = step
  const core = coreOf(step)
  const sub = subOf(step, subtask)
  const careless = makes(step, 'a barrier passes before the flush')
  if (sub.taken && !careless) return
  const checkpoint = sub.barrier + 1
  const round = core.rounds.find((one) => one.checkpoint === checkpoint)
  const sends = checkpoint > core.sent ? next(step) : undefined
  if (checkpoint > core.sent && sends === undefined) return
  const { attempt } = core
  const flushes = sub.open !== null && !sub.taken
  const flushed =
    flushes && sub.open !== null ? [...sub.flushed, { attempt, ...sub.open, barrier: checkpoint }] : sub.flushed
  const forgets = makes(step, 'a snapshot lists only what its own barrier flushed')
  const listed = forgets ? flushed.filter((one) => one.barrier === checkpoint) : flushed
  const answered = round !== undefined || sends !== undefined
  const answer = { checkpoint, position: sub.position, flushed: listed }
  let now = states.sub(state, process, subtask, {
    flushed,
    open: flushes ? null : sub.open,
    barrier: checkpoint,
    answers: answered ? [...sub.answers, answer] : sub.answers,
  })
  if (sends !== undefined) now = states.core(now, process, { sent: checkpoint, rounds: [...core.rounds, sends] })
  if (makes(step, 'group offsets go with the barrier')) now = published(step, now, subtask, sub.position)
  step.emit((sends ?? round)?.final === true ? 'final barrier' : 'barrier', now, subtask)
}

/** The checkpoint that may begin now; the final one when the input has ended, as soon as no other is on its way. */
function next(step: Step): Round | undefined {
  const { scope } = step.states
  const core = coreOf(step)
  const checkpoint = core.sent + 1
  const underWay = core.rounds.length + (core.at === 'run' ? 0 : 1)
  if (core.final || core.rounds.some((round) => round.final)) return undefined
  const periodic = checkpoint <= scope.periodic && underWay < scope.concurrent
  if (inputEnded(step)) return underWay === 0 ? { checkpoint, final: true } : undefined
  return periodic ? { checkpoint, final: false } : undefined
}

function inputEnded(step: Step): boolean {
  return BOTH.every((which) => {
    const sub = subOf(step, which)
    return sub.position === recordsOf(step.states.scope, which) && !sub.taken
  })
}

function answers(step: Step, checkpoint: number): Two<Snapshot> | undefined {
  const [first, second] = BOTH.map((which) => {
    const found = subOf(step, which).answers.find((one) => one.checkpoint === checkpoint)
    return found === undefined ? undefined : { position: found.position, flushed: found.flushed }
  })
  return first === undefined || second === undefined ? undefined : [first, second]
}

/** What the coordinator does while nothing is being completed. */
function idle(step: Step): undefined {
  const { states, state, process } = step
  const core = coreOf(step)
  if (makes(step, 'the end of input is no checkpoint') && inputEnded(step)) {
    step.emit('final: visible', states.core(state, process, { at: 'finish' }))
  }
  for (const round of core.rounds) {
    const snapshots = answers(step, round.checkpoint)
    if (snapshots === undefined) continue
    const early = makes(step, 'transactions are ended before `completed` is in the log')
    const rounds = core.rounds.filter((one) => one !== round)
    const at = early ? 'ending' : 'stored'
    const stored = states.core(state, process, { at, rounds, checkpoint: round.checkpoint, final: round.final })
    step.emit('store', folderWritten(step, stored, round.checkpoint, snapshots))
  }
  if (state.world.value.prunings > 0 && core.ended > 0) {
    const based = append(step, state, { kind: 'base' })
    if (based === undefined) return
    const { prunings } = state.world.value
    step.emit('prune', states.world(based, { prunings: prunings - 1 }))
  }
}

function folderWritten(step: Step, state: State, checkpoint: number, snapshots: Two<Snapshot>): State {
  const { attempt } = coreOf(step)
  const past = state.log.value.completed.find((one) => one.checkpoint === checkpoint)
  if (makes(step, 'two attempts share a folder') && past !== undefined && past.attempt !== attempt) {
    return step.states.world(state, { damaged: checkpoint })
  }
  if (makes(step, '`completed` is written before the folder')) {
    return step.states.world(state, { damaged: checkpoint })
  }
  if (!makes(step, 'a folder without a record is restored')) return state
  return step.states.world(state, { folder: { checkpoint, snapshots } })
}

/** Rules 5 and 6: the record makes it count, carries the last one's commit, and older ones on their way are given up. */
function complete(step: Step): undefined {
  const { states, state, process } = step
  const { checkpoint, final, attempt, rounds, ended: rides } = coreOf(step)
  const snapshots = answers(step, checkpoint)
  if (snapshots === undefined) throw new Error('a checkpoint completes without its answers')
  const entry = { kind: 'completed', checkpoint, attempt, snapshots, final, committed: rides } as const
  const appended = append(step, state, entry)
  if (appended === undefined) {
    const goesOn = makes(step, 'a commit after the takeover')
    return step.emit('completed: number taken', goesOn ? begunEnding(step, state) : over(step, state))
  }
  const late = makes(step, 'an older checkpoint completes after a younger one')
  const younger = late ? rounds : rounds.filter((round) => round.checkpoint > checkpoint)
  step.emit('completed', states.core(appended, process, { at: 'completed-owner', rounds: younger }))
}

/** What the record carried is free now, and its transactions may be ended. */
function begunEnding(step: Step, state: State): State {
  const { states, process } = step
  const { ended: rides, rounds, checkpoint } = coreOf(step)
  let now = states.core(state, process, { at: 'ending', ended: 0, failures: 0 })
  for (const subtask of BOTH) {
    const sub = subOf(step, subtask)
    now = states.sub(now, process, subtask, {
      done: sub.done.filter((one) => one.barrier > rides),
      answers: sub.answers.filter(
        (one) => one.checkpoint === checkpoint || rounds.some((round) => round.checkpoint === one.checkpoint),
      ),
    })
  }
  const { removedBelow, damaged } = now.world.value
  const below = makes(step, 'the predecessor is removed before the commit') ? checkpoint : rides
  if (below > removedBelow) now = states.world(now, { removedBelow: below })
  if (makes(step, '`completed` is written before the folder') && damaged === checkpoint) {
    now = states.world(now, { damaged: 0 })
  }
  if (makes(step, 'a savepoint is settled before its transactions ended') && checkpoint === 1) {
    now = savepointSettled(step, now, answers(step, checkpoint))
  }
  return whenAllEnded(step, now)
}

/** Rule 8's order holds here too: a subtask ends its oldest first; its group offsets may go at any time. */
function end(step: Step, subtask: Which): undefined {
  const { states, state, process } = step
  const { checkpoint } = coreOf(step)
  const sub = subOf(step, subtask)
  if (sub.published < checkpoint) {
    const position = sub.answers.find((one) => one.checkpoint === checkpoint)?.position ?? 0
    const told = states.sub(state, process, subtask, { published: checkpoint })
    // These two are to be found by what they end, not by what they publish.
    const silent =
      makes(step, 'transactions are ended before `completed` is in the log') ||
      makes(step, 'a commit after the takeover')
    const now = silent ? told : published(step, told, subtask, position)
    step.emit('publish the group offsets', whenAllEnded(step, now), subtask)
  }
  const one = sub.flushed[0]
  if (one === undefined || one.barrier > checkpoint) return
  const { lane, answer } = endTransaction(state.lanes[subtask].value, one, true, states.scope)
  if (answer === 'wait') return
  const { attempt, slot, epoch } = one
  const asked = state.world.value.repeats > 0 ? { attempt, slot, epoch } : null
  const now = states.lane(state, subtask, { ...lane, asked })
  if (ended(step, lane, one, answer) !== 'committed') {
    return step.emit('end: refused', states.core(now, process, { at: 'close-owner' }), subtask)
  }
  step.emit('end one', whenAllEnded(step, states.sub(now, process, subtask, endedIn(step, sub, one))), subtask)
}

function endedIn(step: Step, sub: Sub, one: Committable): Partial<Sub> {
  const pool = Array.from({ length: Math.max(sub.pool.length, one.slot + 1) }, (_, slot) => sub.pool[slot] ?? -1)
  const { version } = step.states.scope
  if (version === 2) pool[one.slot] = one.epoch + 1
  else if (makes(step, 'version 1 begins a transaction without InitProducerId')) pool[one.slot] = one.epoch
  const early = makes(step, 'a slot is free as soon as its transaction ended')
  return { pool, flushed: sub.flushed.slice(1), done: early ? [] : [...sub.done, one] }
}

/** When every subtask has ended and published, the checkpoint is committed; its record is written with the next one's. */
function whenAllEnded(step: Step, state: State): State {
  const { states, process } = step
  const core: Core = state.processes[process].core.value
  const { checkpoint, final } = core
  const all = BOTH.every((which) => {
    const sub = state.processes[process].subs[which].value
    return sub.published >= checkpoint && (sub.flushed[0]?.barrier ?? Number.POSITIVE_INFINITY) > checkpoint
  })
  if (!all || core.at === 'run') return state
  const settles = checkpoint === 1 && states.scope.savepoint && !state.world.value.settled
  if (settles) return states.core(state, process, { at: 'settling' })
  if (final) {
    const hasty = makes(step, 'the result is given before it is visible')
    return states.core(state, process, { at: hasty ? 'final-committed' : 'visible' })
  }
  const now = BOTH.reduce((before, which) => {
    const kept = before.processes[process].subs[which].value.answers.filter((one) => one.checkpoint !== checkpoint)
    return states.sub(before, process, which, { answers: kept, published: 0 })
  }, state)
  return states.core(now, process, { at: 'run', checkpoint: 0, ended: checkpoint })
}

/** A checkpoint on its way may fail: that ends and aborts nothing, and too many in a row fail the job. */
function fail(step: Step): undefined {
  const { states, state, process } = step
  const core = coreOf(step)
  const left = state.world.value.failedCheckpoints
  if (left === 0) return
  const failing = core.rounds.map((round) => round.checkpoint)
  if (core.at === 'stored') failing.push(core.checkpoint)
  for (const checkpoint of failing) {
    let now = states.world(state, { failedCheckpoints: left - 1 })
    const failures = core.failures + 1
    for (const subtask of BOTH) {
      const { answers: given } = subOf(step, subtask)
      const kept = given.filter((one) => one.checkpoint !== checkpoint)
      now = states.sub(now, process, subtask, { answers: kept })
      if (makes(step, 'a failed checkpoint aborts what it flushed')) now = aborted(step, now, subtask, checkpoint)
    }
    if (failures > states.scope.tolerated) {
      step.emit('checkpoint fails too often', states.core(now, process, { at: 'close-owner' }))
      continue
    }
    const rounds = core.rounds.filter((round) => round.checkpoint !== checkpoint)
    const stored = core.at === 'stored' && core.checkpoint === checkpoint
    const change: Partial<Core> = stored ? { at: 'run', checkpoint: 0, final: false } : {}
    step.emit('checkpoint fails', states.core(now, process, { ...change, rounds, failures }))
  }
}

function aborted(step: Step, state: State, subtask: Which, checkpoint: number): State {
  const sub = subOf(step, subtask)
  const flushed = sub.flushed.filter((one) => one.barrier !== checkpoint)
  const own = sub.flushed.find((one) => one.barrier === checkpoint)
  if (own === undefined) return state
  const { lane } = endTransaction(state.lanes[subtask].value, own, false, step.states.scope)
  return step.states.sub(step.states.lane(state, subtask, lane), step.process, subtask, { flushed })
}

/** Rule 7: the open transaction that no checkpoint lists is aborted by its own id, and the next attempt begins. */
function close(step: Step): undefined {
  const { states, state, process } = step
  const { attempt } = coreOf(step)
  let left = false
  for (const subtask of BOTH) {
    const { open } = subOf(step, subtask)
    if (open === null) continue
    left = true
    const known = idOf(state.lanes[subtask].value, attempt, open.slot) !== undefined
    const { lane, answer } = known
      ? initProducerId(state.lanes[subtask].value, attempt, open.slot)
      : { lane: state.lanes[subtask].value, answer: 0 }
    if (answer === 'wait') continue
    const now = states.sub(states.lane(state, subtask, lane), process, subtask, { open: null })
    step.emit('close one transaction', now, subtask)
  }
  if (!left) step.emit('closed', states.core(state, process, { at: 'read' }))
}
