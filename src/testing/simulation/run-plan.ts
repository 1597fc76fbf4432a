/**
 * What will go wrong in a run, decided by its seed before anything begins. A plan is plain data: it is printed first, it can be
 * made smaller by leaving faults out, and with its seed it is all that a run needs to happen again exactly.
 */
import { JOINTS, type JointName } from '../../base/index.ts'
import { API_ERRORS } from './api-errors.ts'
import { Dice } from './dice.ts'

/** In the order in which they are offered; what each does is in docs/simulation.md. */
export const FAULT_KINDS = [
  'crash',
  'sleep',
  'stop',
  'cancel',
  'function-fails',
  'connection-cut',
  'connection-silent',
  'slow-network',
  'node-down',
  'connections-dropped',
  'leader-moves',
  'error-answer',
  'request-lost',
  'answer-lost',
  'slow-answer',
  'throttled',
  'storage-fails',
  'slow-storage',
  'transaction-expires',
  'transaction-version',
  'damaged-record',
  'damaged-checkpoint',
  'fresh-start',
  'moves-house',
  'parallelism',
] as const

export type FaultKind = (typeof FAULT_KINDS)[number]

/** The n-th call or delivery of a life, its n-th record on the way to the log, or its n-th passing of a joint. */
export type Moment =
  | { readonly kind: 'call'; readonly nth: number }
  | { readonly kind: 'record'; readonly nth: number }
  | { readonly kind: 'joint'; readonly joint: JointName; readonly nth: number }

export interface PlannedFault {
  readonly kind: FaultKind
  /** From 1; 0: counted over all lives. */
  readonly life: number
  readonly moment: Moment
  readonly detail: Readonly<Record<string, string | number>>
}

export interface RunPlan {
  readonly seed: number
  /** Lives before the last one, which nothing happens to. */
  readonly lives: number
  /** Of the cluster. */
  readonly nodes: number
  readonly transactionVersion: 1 | 2
  /** Of each life; the last is that of all further ones. */
  readonly parallelism: readonly number[]
  readonly tolerableFailedCheckpoints: number
  readonly faults: readonly PlannedFault[]
}

export interface PlanOptions {
  readonly kinds: readonly FaultKind[]
  readonly parallelismMax: number
}

/** Joints that every life passes again and again. */
const FREQUENT: readonly JointName[] = [
  'barrier-sent',
  'flushed',
  'snapshot-written',
  'metadata-written',
  'record-linked',
  'completed-written',
  'transaction-ended',
  'all-ended',
]
const PASSED: readonly JointName[] = JOINTS.filter((name) => name !== 'record-before-link')
const CALLS_MAX = 3_000
const CALLS_OF_START_MAX = 300
/** One that is refused, and one that settles. */
const LIVES_OF_A_MOVE = 2
const LIVES_MAX = 4
const FAULTS_MAX = 12

export function makePlan(seed: number, options: PlanOptions): RunPlan {
  const dice = new Dice(seed, 'plan')
  const lives = 1 + dice.below(LIVES_MAX)
  const kinds = someKinds(
    dice,
    options.kinds.filter((kind) => kind !== 'parallelism' && kind !== 'moves-house'),
  )
  const faults: PlannedFault[] = []
  if (kinds.includes('crash')) {
    const moment: Moment = { kind: 'joint', joint: dice.pick(FREQUENT), nth: dice.between(1, 4) }
    faults.push({ kind: 'crash', life: 0, moment, detail: {} })
  }
  const wanted = kinds.length === 0 ? 0 : dice.below(FAULTS_MAX + 1)
  for (let n = 0; n < wanted; n++) {
    const kind = pickKind(dice, kinds)
    faults.push({ kind, life: dice.between(1, lives), moment: pickMoment(dice, kind), detail: detailOf(kind, dice) })
  }
  const parallelism = Array.from({ length: lives + 1 }, () => dice.between(1, options.parallelismMax))
  const sameParallelism = !options.kinds.includes('parallelism')
  const nodes = dice.chance(0.5) ? 3 : 1
  const transactionVersion = dice.chance(0.5) ? 2 : 1
  const tolerableFailedCheckpoints = dice.pick([0, 1, 2, 3])
  const moves = options.kinds.includes('moves-house') && dice.chance(0.33) ? dice.pick([1, 1, 2]) : 0
  for (let n = 0; n < moves; n++) faults.push(...planMove(dice, lives))
  return {
    seed,
    lives: lives + LIVES_OF_A_MOVE * moves,
    nodes,
    transactionVersion,
    parallelism: sameParallelism ? parallelism.slice(0, 1) : parallelism,
    tolerableFailedCheckpoints,
    faults,
  }
}

/** Mostly early; whoever moves has lived before, and may die on the way or when all is done. */
function planMove(dice: Dice, lives: number): PlannedFault[] {
  const life = dice.pick([2, 2, dice.between(2, lives + 1)])
  const move: PlannedFault = {
    kind: 'moves-house',
    life,
    moment: { kind: 'call', nth: 1 },
    detail: detailOf('moves-house', dice),
  }
  const crashes = Array.from({ length: dice.below(3) }, (): PlannedFault => {
    const start: Moment = { kind: 'call', nth: Math.floor(CALLS_OF_START_MAX ** dice.next()) }
    const moment = dice.chance(0.5) ? start : pickMoment(dice, 'crash')
    return { kind: 'crash', life: life + dice.below(LIVES_OF_A_MOVE + 2), moment, detail: {} }
  })
  return [move, ...crashes]
}

/** In a third of the runs few kinds and those again and again: what one kind undoes another may never show. */
function someKinds(dice: Dice, kinds: readonly FaultKind[]): readonly FaultKind[] {
  if (!dice.chance(0.33)) return kinds
  const chosen = kinds.filter(() => dice.chance(0.2))
  return chosen.length === 0 ? kinds : ['crash' as const, ...chosen].filter((kind) => kinds.includes(kind))
}

/** What ends a life is what recovery is made of, and errors are many: they come more often. */
function pickKind(dice: Dice, kinds: readonly FaultKind[]): FaultKind {
  const luck = dice.next()
  const often = luck < 0.2 ? ['crash', 'sleep'] : luck < 0.35 ? ['error-answer'] : []
  const some = kinds.filter((kind) => often.includes(kind))
  return dice.pick(some.length === 0 ? kinds : some)
}

function pickMoment(dice: Dice, kind: FaultKind): Moment {
  // Whoever sleeps on the way to the log has looked at it, and does not know what it says when he wakes.
  if (dice.chance(kind === 'sleep' ? 0.3 : 0.1)) return { kind: 'record', nth: dice.between(1, 6) }
  if (dice.chance(0.6)) {
    const frequent = dice.chance(0.6)
    return { kind: 'joint', joint: dice.pick(frequent ? FREQUENT : PASSED), nth: dice.between(1, frequent ? 8 : 3) }
  }
  // As likely among the first ten as between a hundred and a thousand: a start is short and has much in it.
  return { kind: 'call', nth: Math.floor(CALLS_MAX ** dice.next()) }
}

function someMs(dice: Dice, longest: number): number {
  return Math.round(longest ** dice.next())
}

function detailOf(kind: FaultKind, dice: Dice): Readonly<Record<string, string | number>> {
  const apis = Object.keys(API_ERRORS)
  switch (kind) {
    case 'sleep':
      // Long enough for another one to take over, or for anything.
      return { ms: dice.chance(0.4) ? dice.between(300, 3_000) : someMs(dice, 4_000) }
    case 'slow-network':
      return { ms: someMs(dice, 400), writes: dice.between(1, 6) }
    case 'node-down':
      return { node: dice.between(1, 3), ms: someMs(dice, 2_000) }
    case 'connections-dropped':
      return { node: dice.between(1, 3) }
    case 'leader-moves':
      return { topic: dice.below(4), partition: dice.below(4) }
    case 'error-answer': {
      const api = dice.pick(apis)
      return { api, error: dice.pick(API_ERRORS[api] ?? []), times: dice.between(1, 3) }
    }
    case 'request-lost':
    case 'answer-lost':
      return { api: dice.pick(apis) }
    case 'slow-answer':
    case 'throttled':
      return { api: dice.pick(apis), ms: someMs(dice, 2_000) }
    case 'storage-fails':
      return { when: dice.pick(['before', 'after']), calls: dice.between(1, 4) }
    case 'slow-storage':
      return { ms: someMs(dice, 3_000), calls: dice.between(1, 3) }
    case 'transaction-expires':
      return { which: dice.chance(0.5) ? -1 : dice.below(6) }
    case 'damaged-checkpoint':
      return { part: dice.pick(['state', '_metadata']) }
    case 'moves-house':
      return {
        to: dice.pick(['new', 'new', 'own']),
        from: dice.pick(['last', 'left-over']),
        settled: dice.pick(['stop', 'stop', 'kill']),
        ms: dice.between(10, 350),
      }
    default:
      return {}
  }
}

/** One line a fault, for people. */
export function describePlan(plan: RunPlan): string {
  const lines = plan.faults.map(describeFault)
  const parallelism = plan.parallelism.join(', ')
  const head = `seed ${plan.seed}: ${plan.nodes} nodes, transaction version ${plan.transactionVersion}, parallelism ${parallelism}, ${plan.lives} lives before the last, ${plan.tolerableFailedCheckpoints} failed checkpoints tolerated`
  return [head, ...(lines.length === 0 ? ['no faults'] : lines)].join('\n  ')
}

function describeFault({ kind, life, moment, detail }: PlannedFault): string {
  const whose = life === 0 ? 'of all lives' : `of life ${life}`
  const when = moment.kind === 'joint' ? `passing ${moment.nth} of ${moment.joint}` : `${moment.kind} ${moment.nth}`
  const how = Object.entries(detail).map(([name, value]) => ` ${name} ${value}`)
  return `${kind} at ${when} ${whose}${how.join(',')}`
}
