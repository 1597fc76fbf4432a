/**
 * How a job's process and its worker threads die: an order of deaths in which every joint is passed, and the ways of a thread
 * to die.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { JointName, Random } from '../../src/base/index.ts'
import { describeEnd } from './job-process.ts'
import { type JobScene, NOTHING_IS_SLOW, type StartOptions } from './job-scene.ts'
import { type KillerRule, WORKER_DEATHS } from './killer-plan.ts'

export interface Death {
  readonly joint: JointName
  readonly nth: number
  readonly before?: readonly KillerRule[]
}

const BREAK_SECOND: KillerRule = { joint: 'all-ended', nth: 1, action: 'break-checkpoint' }

/** In this order, because some joints are only passed while what the death before left is recovered from. */
export const DEATHS: readonly Death[] = [
  { joint: 'attempt-written', nth: 1 },
  { joint: 'barrier-sent', nth: 4 },
  { joint: 'flushed', nth: 3 },
  { joint: 'snapshot-written', nth: 2 },
  { joint: 'metadata-written', nth: 2 },
  { joint: 'record-before-link', nth: 3 },
  { joint: 'record-linked', nth: 3 },
  { joint: 'completed-written', nth: 2 },
  // Recovery ends them one after the other: the second one is open still.
  { joint: 'transaction-ended', nth: 1 },
  { joint: 'all-ended', nth: 1 },
  { joint: 'committed-written', nth: 1 },
  { joint: 'sweep', nth: 1 },
  { joint: 'sweep', nth: 2 },
  { joint: 'completed-written', nth: 1 },
  { joint: 'committed-written', nth: 1 },
  { joint: 'before-init-producer-id', nth: 1 },
  { joint: 'checkpoint-failed', nth: 1, before: [BREAK_SECOND] },
  // Ends what the failed one had flushed as well.
  { joint: 'completed-written', nth: 2, before: [BREAK_SECOND] },
  { joint: 'transaction-ended', nth: 2 },
  // While running, both subtasks end theirs at the same time.
  { joint: 'transaction-ended', nth: 3 },
  { joint: 'all-ended', nth: 2 },
]

export const FINAL_DEATHS: readonly Death[] = [
  { joint: 'final-checkpoint', nth: 1 },
  { joint: 'final-committed', nth: 1 },
]

export async function die(
  scene: JobScene,
  { joint, nth, before = [] }: Death,
  options: StartOptions = {},
): Promise<void> {
  await scene.dieAt(joint, nth, before, options)
}

/** For lives that are to come to the end of the input: nothing is slow any more. */
export const QUICK: StartOptions = { parameters: NOTHING_IS_SLOW }

/** Deaths in order, then at random, then those at the end of the input; as many as are asked for. */
export async function killProcess(
  scene: JobScene,
  kills: number,
  random: Random,
  deaths: readonly Death[] = DEATHS,
): Promise<void> {
  for (let kill = 0; kill + FINAL_DEATHS.length < kills; kill++) {
    const death = deaths[kill]
    if (death !== undefined) await die(scene, death)
    else assert(await scene.dieAtRandom(random), `the job ended after ${kill} of ${kills} kills`)
  }
  for (const death of FINAL_DEATHS) await die(scene, death, QUICK)
}

/** In turn; the main thread's joints send the death to a worker. */
const WORKER_JOINTS: readonly JointName[] = [
  'flushed',
  'metadata-written',
  'transaction-ended',
  'completed-written',
  'barrier-sent',
  'record-linked',
  'before-init-producer-id',
  'all-ended',
  'snapshot-written',
]

/** A job on threads that is to survive all this: restarts without end, and limits that a test can wait for. */
export const THREAD_SETTINGS: Readonly<Record<string, string | number>> = {
  'execution.checkpointing.tolerable-failed-checkpoints': 3,
  'restart-strategy.fixed-delay.attempts': 10_000,
  'restart-strategy.fixed-delay.delay': 20,
  'millrace.worker.watchdog-timeout': '2 s',
  'millrace.worker.heap-size': '200mb',
}

/** One life of the process, in which workers die in turn, in every way and at every such joint; how often, line by line. */
export async function killWorkers(scene: JobScene, kills: number, lifeMs: number): Promise<string[]> {
  const deaths: KillerRule[] = Array.from({ length: kills }, (_, n) => ({
    joint: WORKER_JOINTS[n % WORKER_JOINTS.length] ?? 'flushed',
    nth: 1 + (n % 3),
    worker: n % 2,
    action: WORKER_DEATHS[n % WORKER_DEATHS.length] ?? 'worker-exit',
  }))
  const end = await scene.finish({ inTurn: deaths, lifeMs })
  const died = end.passes.filter(({ action }) => action !== undefined)
  assert.equal(died.length, kills, `workers died ${died.length} times: ${describeEnd(end)}`)
  const told = [...end.stderr.matchAll(/worker thread \d+ died/g)].length
  assert(told >= kills, `${told} deaths were told: ${describeEnd(end)}`)
  const counted = (of: readonly string[], what: 'action' | 'joint'): string[] =>
    of.map((name) => {
      const times = died.filter((pass) => pass[what] === name).length
      assert(times > 0 || kills < of.length, `no worker died: ${name}`)
      return `${name.padEnd(24)} ${times}`
    })
  return [...counted(WORKER_DEATHS, 'action'), ...counted(WORKER_JOINTS, 'joint')]
}

/** What a long run did, kept in the repository. */
export function keepReport(name: string, title: string, lines: readonly string[]): void {
  const folder = fileURLToPath(new URL('../results', import.meta.url))
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}/${name}.log`, `${title}; the output was exact\n\n${lines.join('\n')}\n`)
}
