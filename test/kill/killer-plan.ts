/**
 * What a test tells a process to do to itself at a joint, and what the process writes down about it. Both sides of the kill
 * tests read this: the test that starts a job, and `killer.ts` inside the job's process.
 */
import type { JointName } from '../../src/base/index.ts'

/** How a worker thread dies: its memory used up, ended by the job's code, thrown out of a timer, or in a loop for ever. */
export const WORKER_DEATHS = ['worker-heap', 'worker-exit', 'worker-throw', 'worker-loop'] as const

export type WorkerDeath = (typeof WORKER_DEATHS)[number]

/**
 * `kill`: SIGKILL to the own process. `stop`: SIGSTOP. `throw`: the job's function throws at its next record.
 * `break-checkpoint`: something takes the place of a file of the next checkpoint, so that storing that fails; at a joint where this one ends.
 * A worker death comes at once in the worker that passes the joint; a joint that the main thread passes sends it to a worker,
 * which dies with its next record.
 */
export type KillerAction = 'kill' | 'stop' | 'throw' | 'break-checkpoint' | WorkerDeath

export interface KillerRule {
  readonly joint: JointName
  /** Which pass of the joint in this thread, from 1; only those that `where` fits are counted. */
  readonly nth: number
  readonly where?: Readonly<Record<string, unknown>>
  /** Passes are counted only once this thread has passed this joint, since it was last asleep. */
  readonly after?: JointName
  /** The worker that dies; else the one that passes the joint, or the first. */
  readonly worker?: number
  readonly action: KillerAction
}

export interface KillerPlan {
  /** A line of JSON for each joint that is passed, written before anything is done there. */
  readonly trace: string
  /** The job's own directory. */
  readonly directory: string
  /** All of them stand from the beginning. */
  readonly rules: readonly KillerRule[]
  /** Worker deaths: each stands once the job has begun again after the one before; passes are counted from then on. */
  readonly inTurn?: readonly KillerRule[]
}

export interface JointPass {
  readonly pid: number
  /** The worker; absent on the main thread. */
  readonly worker?: number
  /** Since the thread began. */
  readonly atMs: number
  readonly joint: JointName
  readonly detail: Readonly<Record<string, unknown>>
  readonly action?: KillerAction
}

export const KILLER_VARIABLE = 'MILLRACE_KILLER'

/** The signal to a job's process that nothing is left to be slow for. */
export const HURRY: NodeJS.Signals = 'SIGUSR2'

/** Where the killer and the job's function leave word for each other; each thread has its own. */
export interface KillerWord {
  throwNext: boolean
  /** In the whole process. */
  readonly completedCheckpoints: number
  /** All that was planned has come, or the test said so (HURRY): nothing is left to be slow for. */
  readonly over: boolean
  /** The job's function says that it has a record. */
  onRecord(): void
}

export const KILLER_WORD: unique symbol = Symbol.for('millrace.kill-test') as never
