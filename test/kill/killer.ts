/**
 * Preloaded into a job's process (`node --import`), and so into each of its worker threads: listens to the joints that its thread
 * passes and does at one of them what the test planned, synchronously, so that nothing happens between the joint and the death.
 * Each pass is written down first; an append that returned survives the death of the process.
 */
import { subscribe } from 'node:diagnostics_channel'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { getEnvironmentData, isMainThread, setEnvironmentData, workerData } from 'node:worker_threads'
import type { JointMessage } from '../../src/base/index.ts'
import {
  HURRY,
  type JointPass,
  KILLER_VARIABLE,
  KILLER_WORD,
  type KillerPlan,
  type KillerRule,
  type KillerWord,
  WORKER_DEATHS,
  type WorkerDeath,
} from './killer-plan.ts'

const STOP_TAKES_MS = 200

const SHARED = 'millrace.kill-test'
/** What the threads of a process share: checkpoints completed, whose turn it is, whether all is over, a word for each worker. */
const COMPLETED = 0
const TURN = 1
const OVER = 2
const FIRST_WORKER = 3
const WORKERS_MAX = 16

const shared = new Int32Array(sharedBuffer())
const worker: number | undefined = isMainThread ? undefined : workerData?.index
/** Planned in turn. */
let deaths = 0
const word: KillerWord = {
  throwNext: false,
  get completedCheckpoints() {
    return Atomics.load(shared, COMPLETED)
  },
  get over() {
    return Atomics.load(shared, OVER) !== 0 || (deaths > 0 && Atomics.load(shared, TURN) === deaths)
  },
  onRecord: () => {
    if (worker === undefined || Atomics.load(shared, FIRST_WORKER + worker) === 0) return
    const death = WORKER_DEATHS[Atomics.exchange(shared, FIRST_WORKER + worker, 0) - 1]
    if (death !== undefined) die(death)
  },
}
Object.assign(globalThis, { [KILLER_WORD]: word })

/** The rules that stand one after the other, over all threads of the process. */
class Turn {
  readonly #rules: readonly KillerRule[]
  #at = 0
  #passes = 0

  constructor(rules: readonly KillerRule[]) {
    this.#rules = rules
  }

  due(message: JointMessage): KillerRule | undefined {
    if (worker === undefined && message.name === 'attempt-written') release()
    const now = Atomics.load(shared, TURN)
    if (now < 0) return undefined
    if (now !== this.#at) this.#passes = 0
    this.#at = now
    const rule = this.#rules[now]
    if (rule === undefined || !fits(rule, message)) return undefined
    if (worker !== undefined && rule.worker !== undefined && rule.worker !== worker) return undefined
    if (++this.#passes !== rule.nth) return undefined
    return Atomics.compareExchange(shared, TURN, now, -(now + 1)) === now ? rule : undefined
  }
}

/** The next rule stands when the death has come and the job was begun again: below 0 until then. */
function release(): void {
  const now = Atomics.load(shared, TURN)
  if (now < 0 && shared.subarray(FIRST_WORKER).every((death) => death === 0)) Atomics.store(shared, TURN, -now)
}

const text = process.env[KILLER_VARIABLE]
if (text !== undefined) listen(JSON.parse(text))

function sharedBuffer(): SharedArrayBuffer {
  if (!isMainThread) return getEnvironmentData(SHARED) as unknown as SharedArrayBuffer
  const buffer = new SharedArrayBuffer(4 * (FIRST_WORKER + WORKERS_MAX))
  setEnvironmentData(SHARED, buffer)
  return buffer
}

function listen(plan: KillerPlan): void {
  const passes = plan.rules.map(() => 0)
  const passed = new Set<string>()
  let acted = 0
  if (isMainThread) process.on(HURRY, () => Atomics.store(shared, OVER, 1))
  deaths = plan.inTurn?.length ?? 0
  const turn = new Turn(plan.inTurn ?? [])
  subscribe('millrace:joint', (published) => {
    const message = published as JointMessage
    // A process that is killed does not leave what it compiled to the next one by itself.
    if (passed.size === 0) flushCompileCache()
    const due = plan.rules.filter((rule, index) => {
      if (!fits(rule, message) || (rule.after !== undefined && !passed.has(rule.after))) return false
      const nth = (passes[index] ?? 0) + 1
      passes[index] = nth
      return nth === rule.nth
    })
    passed.add(message.name)
    if (message.name === 'completed-written') Atomics.add(shared, COMPLETED, 1)
    const own = turn.due(message)
    if (own !== undefined) due.push(own)
    const seen: JointPass = {
      pid: process.pid,
      ...(worker === undefined ? {} : { worker }),
      atMs: Math.round(performance.now()),
      joint: message.name,
      detail: message.detail,
    }
    if (due.length === 0) note(plan, seen)
    for (const rule of due) {
      note(plan, { ...seen, action: rule.action })
      act(rule, plan, message)
      if (rule.action === 'stop') passed.clear()
      if (rule !== own && ++acted === plan.rules.length && plan.inTurn?.length === 0) Atomics.store(shared, OVER, 1)
    }
  })
}

function fits(rule: KillerRule, message: JointMessage): boolean {
  if (rule.joint !== message.name) return false
  return Object.entries(rule.where ?? {}).every(([key, value]) => message.detail[key] === value)
}

function note(plan: KillerPlan, pass: JointPass): void {
  appendFileSync(plan.trace, `${JSON.stringify(pass)}\n`)
}

function act(rule: KillerRule, plan: KillerPlan, message: JointMessage): void {
  switch (rule.action) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL')
      break
    case 'stop':
      process.kill(process.pid, 'SIGSTOP')
      // Another thread may be the one that takes the signal, a little later: nothing passes this joint before it does.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STOP_TAKES_MS)
      break
    case 'throw':
      word.throwNext = true
      break
    case 'break-checkpoint':
      // A folder in the way of the file, before that is begun.
      mkdirSync(`${plan.directory}/chk-${Number(message.detail.checkpoint) + 1}-${attemptIn(plan.directory)}/state`, {
        recursive: true,
      })
      break
    default:
      if (worker !== undefined) die(rule.action)
      else Atomics.store(shared, FIRST_WORKER + (rule.worker ?? 0), 1 + WORKER_DEATHS.indexOf(rule.action))
  }
}

/** The number of the last `attempt` in the job's log: any thread can read it there. */
function attemptIn(directory: string): number {
  const folder = `${directory}/log`
  const numbers = existsSync(folder) ? readdirSync(folder).filter((name) => /^\d+$/.test(name)) : []
  const attempts = numbers.filter((name) => readFileSync(`${folder}/${name}`, 'utf8').includes('"kind":"attempt"'))
  return Math.max(0, ...attempts.map(Number))
}

/** Ends this worker thread, and nothing else of the process. */
function die(death: WorkerDeath): void {
  const hoard: number[][] = []
  if (death === 'worker-exit') process.exit(9)
  if (death === 'worker-heap') for (;;) hoard.push(new Array<number>(10_000).fill(hoard.length))
  if (death === 'worker-loop') for (;;) hoard.length = 0
  setTimeout(() => {
    throw new RangeError('thrown out of a timer, as planned')
  }, 0)
}
