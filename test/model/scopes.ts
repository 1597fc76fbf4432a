/**
 * How far the model goes: the jobs and the troubles that are tried in every combination and order. Each scope is explored to its
 * last state. What one leaves out another has; the long ones combine what the short ones try apart.
 */
import type { Scope } from './model-state.ts'

const QUIET: Omit<Scope, 'name' | 'version'> = {
  records: 2,
  idle: false,
  periodic: 2,
  concurrent: 1,
  tolerated: 1,
  slowMarkers: false,
  savepoint: false,
  processes: 1,
  crashes: 0,
  failedCheckpoints: 0,
  taskFailures: 0,
  expiries: 0,
  prunings: 0,
  damages: 0,
  repeats: 0,
}

type Shape = Omit<Scope, 'version'>

/** Three checkpoints: two periodic ones and the final one, or more when some fail. */
export const SHORT = {
  crash: { ...QUIET, name: 'a crash, a failing checkpoint', crashes: 1, failedCheckpoints: 1 },
  overlap: {
    ...QUIET,
    name: 'two checkpoints at once, one fails, a crash',
    concurrent: 2,
    crashes: 1,
    failedCheckpoints: 1,
  },
  restart: { ...QUIET, name: 'a restart in the process, a failing checkpoint', taskFailures: 1, failedCheckpoints: 1 },
  again: {
    ...QUIET,
    name: 'a crash and a restart, either in the recovery of the other',
    records: 1,
    periodic: 1,
    crashes: 1,
    taskFailures: 1,
    failedCheckpoints: 1,
    tolerated: 0,
  },
  broker: {
    ...QUIET,
    name: 'an expiry, late markers, an unreadable folder',
    records: 1,
    periodic: 1,
    slowMarkers: true,
    crashes: 1,
    expiries: 1,
    damages: 1,
  },
  savepoint: { ...QUIET, name: 'a savepoint', records: 1, savepoint: true, crashes: 1, failedCheckpoints: 1 },
  repeat: { ...QUIET, name: 'a copy of a commit that arrives late', repeats: 1, crashes: 1 },
  pool: {
    ...QUIET,
    name: 'all failures that are tolerated',
    records: 5,
    idle: true,
    periodic: 5,
    failedCheckpoints: 2,
  },
  two: { ...QUIET, name: 'two processes', records: 1, processes: 2 },
  twoCrash: { ...QUIET, name: 'two processes, a crash', records: 1, periodic: 0, processes: 2, crashes: 1 },
  twoExpiry: { ...QUIET, name: 'two processes, an expiry', records: 1, periodic: 0, processes: 2, expiries: 1 },
  twoPrune: {
    ...QUIET,
    name: 'two processes, a log that is pruned',
    records: 1,
    periodic: 1,
    processes: 2,
    prunings: 1,
  },
} as const satisfies Readonly<Record<string, Shape>>

export const LONG = {
  restarts: {
    ...QUIET,
    name: 'two crashes, a restart, a failing checkpoint',
    crashes: 2,
    taskFailures: 1,
    failedCheckpoints: 1,
  },
  overlaps: {
    ...QUIET,
    name: 'two checkpoints at once, two fail, two crashes',
    concurrent: 2,
    crashes: 2,
    failedCheckpoints: 2,
  },
  broker: {
    ...QUIET,
    name: 'an expiry, late markers, an unreadable folder, a savepoint, a crash',
    slowMarkers: true,
    savepoint: true,
    crashes: 1,
    expiries: 1,
    damages: 1,
  },
  two: { ...QUIET, name: 'two processes, three checkpoints of two records', processes: 2 },
  twoCrash: { ...QUIET, name: 'two processes, a crash', records: 1, periodic: 1, processes: 2, crashes: 1 },
  twoFail: {
    ...QUIET,
    name: 'two processes, a failing checkpoint too many',
    records: 1,
    periodic: 1,
    processes: 2,
    failedCheckpoints: 1,
    tolerated: 0,
  },
  twoRestart: { ...QUIET, name: 'two processes, a restart', records: 1, periodic: 1, processes: 2, taskFailures: 1 },
  twoExpiry: { ...QUIET, name: 'two processes, an expiry', records: 1, periodic: 1, processes: 2, expiries: 1 },
  twoOverlap: { ...QUIET, name: 'two processes, two checkpoints at once', records: 1, concurrent: 2, processes: 2 },
  twoPrune: {
    ...QUIET,
    name: 'two processes, three checkpoints, a log that is pruned',
    records: 1,
    processes: 2,
    prunings: 1,
  },
} as const satisfies Readonly<Record<string, Shape>>

/** Large ones in which both versions take the same steps are tried in one of them, unless there is time. */
export function versionsOf(shape: Shape, long: boolean): readonly (1 | 2)[] {
  const once: readonly Shape[] = [SHORT.pool, SHORT.two, SHORT.twoPrune]
  return once.includes(shape) && !long ? [2] : [1, 2]
}
