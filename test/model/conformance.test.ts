/**
 * Model and engine side by side, so that neither drifts from the other: what the real engine does in the model world, as its
 * joints tell it, must be a way through the model. Joints are matched with the model's steps; what no joint tells (requests to
 * the broker, a record written) the model may do in between as it likes. A record of the model is what one poll emits.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JointMessage } from '../../src/base/index.ts'
import { assertExact, type LifeOptions, start } from '../engine/life.ts'
import { ModelWorld } from '../engine/model-world.ts'
import { type Action, type Successor, successors } from './explorer.ts'
import { type Scope, type State, States } from './model-state.ts'
import { SHORT } from './scopes.ts'

/** What `life.ts` lets a reader emit in one poll. */
const RECORDS_A_POLL = 6
const POLLS = 3

interface Seen {
  readonly what: string
  readonly checkpoint?: unknown
}

/** The model's steps that something tells of; each other one may be taken unseen. */
const TELLING: Readonly<Partial<Record<Action, (step: Successor) => Seen>>> = {
  crash: () => ({ what: 'crash' }),
  attempt: () => ({ what: 'linked attempt' }),
  'attempt: still the owner': () => ({ what: 'attempt-written' }),
  barrier: (step) => ({ what: 'barrier-sent', checkpoint: barrierOf(step) }),
  'final barrier': (step) => ({ what: 'barrier-sent', checkpoint: barrierOf(step) }),
  store: (step) => ({ what: 'metadata-written', checkpoint: checkpointOf(step) }),
  completed: () => ({ what: 'linked completed' }),
  'completed: still the owner': () => ({ what: 'completed-written' }),
  'end one': () => ({ what: 'transaction-ended' }),
  'end one in recovery': () => ({ what: 'transaction-ended' }),
  void: () => ({ what: 'linked void' }),
  committed: () => ({ what: 'linked committed' }),
  'committed: still the owner': () => ({ what: 'committed-written' }),
  'final committed': () => ({ what: 'linked committed' }),
  'final committed: still the owner': () => ({ what: 'final-committed' }),
  finished: () => ({ what: 'linked finished' }),
}

function barrierOf({ state, process, subtask }: Successor): number {
  assert(process !== undefined && subtask !== undefined)
  return state.processes[process].subs[subtask].value.barrier
}

function checkpointOf({ state, process }: Successor): number {
  assert(process !== undefined)
  return state.processes[process].core.value.checkpoint
}

/** What a joint tells that the model knows of; undefined: nothing. */
function seenOf({ name, detail }: JointMessage): Seen | undefined {
  if (name === 'record-linked') return { what: `linked ${detail.kind}` }
  if (name === 'barrier-sent' || name === 'metadata-written') return { what: name, checkpoint: detail.checkpoint }
  const told = ['attempt-written', 'completed-written', 'transaction-ended', 'committed-written', 'final-committed']
  return told.includes(name) ? { what: name } : undefined
}

/** How many of these the model can follow; what is `unheard` it may do as it likes. */
function follows(scope: Scope, all: readonly Seen[], unheard?: string): number {
  const trace = all.filter(({ what }) => what !== unheard)
  const states = new States(scope)
  let at = new Map<string, State>()
  const initial = states.initial()
  at.set(states.key(initial), initial)
  for (const [index, seen] of trace.entries()) {
    const next = new Map<string, State>()
    const reached = new Map(at)
    for (const state of reached.values()) {
      for (const step of successors(states, state)) {
        const tells = TELLING[step.action]?.(step)
        const told = tells?.what === unheard ? undefined : tells
        const into = told === undefined ? reached : next
        if (told !== undefined && (told.what !== seen.what || told.checkpoint !== seen.checkpoint)) continue
        // A map is iterated over what is added to it meanwhile: the unseen steps lead as far as they can.
        const key = states.key(step.state)
        if (!into.has(key)) into.set(key, step.state)
      }
    }
    if (next.size === 0) return index
    at = next
  }
  return all.length
}

/** Lives of the engine one after the other until one finishes, each but the last crashing at its joint. */
async function lives(
  crashes: readonly (readonly [joint: string, nth: number])[],
  options: LifeOptions,
): Promise<Seen[]> {
  const world = new ModelWorld(2, RECORDS_A_POLL * POLLS)
  const trace: Seen[] = []
  for (let n = 0; n <= crashes.length; n++) {
    const { life, run } = start(world, n + 1, options)
    life.onJoint((message) => {
      const seen = seenOf(message)
      if (seen !== undefined) trace.push(seen)
    })
    const crash = crashes[n]
    if (crash !== undefined) life.crashAt(...crash)
    const end = await run()
    if (end.kind === 'failed') throw end.error
    assert.equal(end.kind, crash === undefined ? 'ended' : 'crashed')
    if (crash !== undefined) trace.push({ what: 'crash' })
  }
  assertExact(world)
  return trace
}

function scopeOf(crashes: number, concurrent = 1): Scope {
  return { ...SHORT.crash, version: 1, records: POLLS, periodic: 30, failedCheckpoints: 0, crashes, concurrent }
}

const CRASHES: readonly (readonly (readonly [joint: string, nth: number])[])[] = [
  [],
  [['attempt-written', 1]],
  [['metadata-written', 1]],
  [['record-linked', 2]],
  [['completed-written', 1]],
  [['transaction-ended', 1]],
  [['final-committed', 1]],
  [
    ['completed-written', 1],
    ['transaction-ended', 1],
  ],
  [
    ['completed-written', 1],
    ['committed-written', 1],
  ],
]

for (const crashes of CRASHES) {
  const where = crashes.length === 0 ? 'nowhere' : crashes.map(([joint, nth]) => `at ${joint} ${nth}`).join(', then ')
  test(`what the engine does is a way through the model: a crash ${where}`, async () => {
    const trace = await lives(crashes, {})
    assert.ok(trace.length > 8, `only ${trace.length} joints`)
    const followed = follows(scopeOf(crashes.length), trace)
    assert.equal(followed, trace.length, `the model does not know: ${tellUpTo(trace, followed)}`)
  })
}

test('what the engine does is a way through the model: two checkpoints at once', async () => {
  const configure = { 'execution.checkpointing.max-concurrent-checkpoints': 2, 'execution.checkpointing.interval': 1 }
  const trace = await lives([['completed-written', 2]], { configure })
  // The engine writes their folders side by side; in the model a folder is written when its turn in the log has come.
  const followed = follows(scopeOf(1, 2), trace, 'metadata-written')
  assert.equal(followed, trace.length, `the model does not know: ${tellUpTo(trace, followed)}`)
})

test('an engine that did one thing too early would be no way through the model', async () => {
  const trace = await lives([['completed-written', 1]], {})
  const refused: string[] = []
  for (const what of [
    'transaction-ended',
    'linked committed',
    'linked completed',
    'linked finished',
    'completed-written',
  ]) {
    const at = trace.findIndex((seen) => seen.what === what)
    assert.ok(at > 1, `${what} is not in the trace`)
    const early = trace.toSpliced(at, 1).toSpliced(1, 0, trace[at] as Seen)
    if (follows(scopeOf(1), early) < early.length) refused.push(what)
  }
  assert.equal(refused.length, 5, `only ${refused.join(', ')} would be noticed`)
})

function tellUpTo(trace: readonly Seen[], end: number): string {
  return trace
    .slice(0, end + 1)
    .map(({ what, checkpoint }) => (checkpoint === undefined ? what : `${what} ${checkpoint}`))
    .join(', ')
}
