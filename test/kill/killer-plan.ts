/**
 * What a test tells a process to do to itself at a joint, and what the process writes down about it. Both sides of the kill
 * tests read this: the test that starts a job, and `killer.ts` inside the job's process.
 */
import type { JointName } from '../../src/base/index.ts'

/**
 * `kill`: SIGKILL to the own process. `stop`: SIGSTOP. `throw`: the job's function throws at its next record.
 * `break-checkpoint`: a file takes the place of the checkpoint's folder, so that storing this checkpoint fails.
 */
export type KillerAction = 'kill' | 'stop' | 'throw' | 'break-checkpoint'

export interface KillerRule {
  readonly joint: JointName
  /** Which pass of the joint in this process, from 1; only those that `where` fits are counted. */
  readonly nth: number
  readonly where?: Readonly<Record<string, unknown>>
  /** Passes are counted only once this process has passed this joint. */
  readonly after?: JointName
  readonly action: KillerAction
}

export interface KillerPlan {
  /** A line of JSON for each joint that is passed, written before anything is done there. */
  readonly trace: string
  /** The job's own directory. */
  readonly directory: string
  readonly rules: readonly KillerRule[]
}

export interface JointPass {
  readonly pid: number
  /** Since the process began. */
  readonly atMs: number
  readonly joint: JointName
  readonly detail: Readonly<Record<string, unknown>>
  readonly action?: KillerAction
}

export const KILLER_VARIABLE = 'MILLRACE_KILLER'

/** Where the killer and the job's function leave word for each other. */
export interface KillerWord {
  throwNext: boolean
  completedCheckpoints: number
}

export const KILLER_WORD: unique symbol = Symbol.for('millrace.kill-test') as never
