/**
 * Goes through every state that can be reached, breadth first, so that the trace to a violation is a shortest one. Every state
 * is kept by its key; its trace is found again by taking the same steps once more.
 */
import { endTransaction, expire, writeMarkers } from './broker-lane.ts'
import { BOTH, Violation, type Which } from './cells.ts'
import { PROCESS_ACTIONS, type ProcessAction, processSteps } from './job-process.ts'
import { recordsOf, type Scope, type State, States } from './model-state.ts'
import { RUNNING_ACTIONS, type RunningAction, runningSteps } from './running-job.ts'

const TROUBLES = [
  'crash',
  'a transaction expires',
  'markers are written',
  'a folder is damaged',
  'a copy of a commit arrives late',
] as const

export type Action = ProcessAction | RunningAction | (typeof TROUBLES)[number]

export const ACTIONS: readonly Action[] = [...PROCESS_ACTIONS, ...RUNNING_ACTIONS, ...TROUBLES]

export interface Successor {
  readonly action: Action
  readonly process: Which | undefined
  readonly subtask: Which | undefined
  readonly state: State
}

export interface Exploration {
  readonly states: number
  readonly steps: number
  readonly taken: ReadonlyMap<Action, number>
  readonly ends: ReadonlyMap<string, number>
  /** The deepest state's distance from the beginning. */
  readonly depth: number
  readonly violation: { readonly message: string; readonly trace: readonly string[] } | undefined
}

/** Every step out of a state. Throws a Violation when one of them does what must never be. */
export function successors(states: States, state: State): Successor[] {
  const found: Successor[] = []
  for (const process of BOTH) {
    const emit = (action: Action, next: State, subtask?: Which): undefined => {
      found.push({ action, process, subtask, state: next })
    }
    processSteps({ states, state, process, emit })
    runningSteps({ states, state, process, emit })
    const { at } = state.processes[process].core.value
    const { crashes, startable } = state.world.value
    if (crashes > 0 && at !== 'off' && at !== 'over') {
      const gone = states.emptied(state, process, 'off')
      emit('crash', states.world(gone, { crashes: crashes - 1, startable: startable + 1 }))
    }
  }
  troubles(states, state, found)
  return found
}

function troubles(states: States, state: State, found: Successor[]): void {
  const { expiries, damages, damaged, repeats } = state.world.value
  for (const subtask of BOTH) {
    const lane = state.lanes[subtask].value
    for (const id of lane.ids) {
      if (id.state === 'PrepareCommit') {
        const next = states.lane(state, subtask, writeMarkers(lane, id))
        found.push({ action: 'markers are written', process: undefined, subtask, state: next })
      }
      if (id.state === 'Ongoing' && expiries > 0) {
        const next = states.world(states.lane(state, subtask, expire(lane, id)), { expiries: expiries - 1 })
        found.push({ action: 'a transaction expires', process: undefined, subtask, state: next })
      }
    }
  }
  for (const subtask of BOTH) {
    const lane = state.lanes[subtask].value
    if (repeats === 0 || lane.asked === null) continue
    const { lane: after } = endTransaction({ ...lane, asked: null }, lane.asked, true, states.scope)
    const next = states.world(states.lane(state, subtask, after), { repeats: repeats - 1 })
    found.push({ action: 'a copy of a commit arrives late', process: undefined, subtask, state: next })
  }
  const last = state.log.value.completed.at(-1)
  if (damages > 0 && damaged === 0 && last !== undefined) {
    const next = states.world(state, { damages: damages - 1, damaged: last.checkpoint })
    found.push({ action: 'a folder is damaged', process: undefined, subtask: undefined, state: next })
  }
}

/** How a run may end; anything else that does not go on is stuck. */
function endOf(scope: Scope, state: State): string {
  const { log, lanes, world } = state
  if (log.value.finished) {
    if (BOTH.some((subtask) => lanes[subtask].value.committed < recordsOf(scope, subtask)))
      throw new Violation('lost after the end')
    return 'finished'
  }
  if (world.value.stopped !== '') return `stopped: ${world.value.stopped}`
  const at = state.processes.map(({ core }) => core.value.at).join(' and ')
  throw new Violation(`stuck: nothing goes on, and nothing has ended (${at})`)
}

export function explore(scope: Scope, statesMax: number): Exploration {
  const states = new States(scope)
  const initial = states.initial()
  const seen = new Set<string>([states.key(initial)])
  const parents: number[] = [-1]
  const ordinals: number[] = [0]
  const taken = new Map<Action, number>(ACTIONS.map((action) => [action, 0]))
  const ends = new Map<string, number>()
  let level: { readonly state: State; readonly index: number }[] = [{ state: initial, index: 0 }]
  let steps = 0
  let depth = 0
  const result = (violation?: Exploration['violation']): Exploration => ({
    states: seen.size,
    steps,
    taken,
    ends,
    depth,
    violation,
  })
  for (; level.length > 0; depth++) {
    const next: typeof level = []
    for (const { state, index } of level) {
      try {
        const found = successors(states, state)
        if (found.length === 0) count(ends, endOf(scope, state))
        for (const [ordinal, { action, state: after }] of found.entries()) {
          steps++
          count(taken, action)
          const key = states.key(after)
          if (seen.has(key)) continue
          seen.add(key)
          next.push({ state: after, index: parents.length })
          parents.push(index)
          ordinals.push(ordinal)
        }
      } catch (error) {
        if (!(error instanceof Violation)) throw error
        return result({ message: error.message, trace: traceOf(states, parents, ordinals, index) })
      }
      if (seen.size > statesMax) throw new Error(`${scope.name} has more than ${statesMax} states`)
    }
    level = next
  }
  return result()
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** The steps from the beginning to a state, and where it stands. */
function traceOf(states: States, parents: readonly number[], ordinals: readonly number[], index: number): string[] {
  const path: number[] = []
  for (let at = index; at > 0; at = parents[at] ?? 0) path.push(ordinals[at] ?? 0)
  let state = states.initial()
  const trace: string[] = []
  for (const ordinal of path.reverse()) {
    const taken = successors(states, state)[ordinal]
    if (taken === undefined) throw new Error('a trace cannot be taken again')
    state = taken.state
    const who = taken.process === undefined ? 'broker or disk' : `process ${taken.process}`
    trace.push(`${who}: ${taken.action}${taken.subtask === undefined ? '' : `, subtask ${taken.subtask}`}`)
  }
  trace.push(`log: ${JSON.stringify(state.log.value)}`)
  for (const subtask of BOTH) trace.push(`subtask ${subtask}: ${JSON.stringify(state.lanes[subtask].value)}`)
  return trace
}
