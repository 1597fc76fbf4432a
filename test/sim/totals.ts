/** What many seeds came to: sums of what each tells, so that nobody has to believe that they tried anything. */
import type { SeedReport } from './run-seed.ts'

export interface Totals {
  seeds: number
  events: number
  checkpoints: number
  crashes: number
  /** Runs with fewer than three completed checkpoints, and without a crash. */
  fewCheckpoints: number
  noCrash: number
  readonly struck: Record<string, number>
  readonly errors: Record<string, number>
  readonly cells: Record<string, number>
  readonly looks: Record<string, number>
  readonly moves: Record<string, number>
  readonly failed: SeedReport[]
}

export function noTotals(): Totals {
  return {
    seeds: 0,
    events: 0,
    checkpoints: 0,
    crashes: 0,
    fewCheckpoints: 0,
    noCrash: 0,
    struck: {},
    errors: {},
    cells: {},
    looks: {},
    moves: {},
    failed: [],
  }
}

const COUNTED = ['struck', 'errors', 'cells', 'looks', 'moves'] as const
export const CHECKPOINTS_MIN = 3

export function addReport(totals: Totals, report: SeedReport): void {
  totals.seeds++
  totals.events += report.events
  totals.checkpoints += report.checkpoints
  totals.crashes += report.crashes
  if (report.checkpoints < CHECKPOINTS_MIN) totals.fewCheckpoints++
  if (report.crashes === 0) totals.noCrash++
  for (const name of COUNTED) addCounts(totals[name], report[name])
  if (report.breaches.length > 0) totals.failed.push(report)
}

export function addTotals(totals: Totals, other: Totals): void {
  for (const name of ['seeds', 'events', 'checkpoints', 'crashes', 'fewCheckpoints', 'noCrash'] as const) {
    totals[name] += other[name]
  }
  for (const name of COUNTED) addCounts(totals[name], other[name])
  totals.failed.push(...other.failed)
}

function addCounts(into: Record<string, number>, from: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(from)) into[name] = (into[name] ?? 0) + count
}

/** For people; the commonest first. */
export function describeTotals(totals: Totals): string {
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .sort((left, right) => right[1] - left[1])
      .map(([name, count]) => `  ${count} ${name}`)
      .join('\n')
  const { seeds, events, checkpoints, crashes, fewCheckpoints, noCrash } = totals
  return [
    `${seeds} seeds, ${totals.failed.length} failed; ${events} events, ${checkpoints} completed checkpoints, ${crashes} lives that died; ${fewCheckpoints} runs with fewer than ${CHECKPOINTS_MIN} checkpoints, ${noCrash} without a death`,
    `faults that struck:\n${list(totals.struck)}`,
    `errors that brokers were told to answer with:\n${list(totals.errors)}`,
    `steps of state machines:\n${list(totals.cells)}`,
    `looks of the rules:\n${list(totals.looks)}`,
    `moves to another directory:\n${list(totals.moves)}`,
  ].join('\n')
}

export function describeFailure(report: SeedReport): string {
  return report.breaches
    .map(({ rule, what, atMs }) => `  ${rule === 0 ? 'the output' : `rule ${rule}`}, at ${atMs.toFixed(1)} ms: ${what}`)
    .join('\n')
}
