/**
 * The person who moves the job to another directory, as the plan says: between two of its processes the command becomes
 * `run -s OLD/chk-N-A` with a new checkpoint directory (or with the old one, which begins a lineage there), and a supervisor
 * repeats that from then on. Refused, they do what the error says: start the job in its own directory until it has settled,
 * stop or kill it, and try again from what is its last checkpoint then. Sometimes they take a wrong folder first.
 *
 * What always holds: whoever changes the command has ended all processes of the job before, and waited until nothing of them is
 * under way any more; two directories in use at a time are no fault of the job's.
 */
import { MillraceError } from '../../src/base/index.ts'
import { decodeCheckpoint } from '../../src/runtime/checkpoint/checkpoint-metadata.ts'
import type { StartOptions } from '../../src/runtime/index.ts'
import type { PlannedFault, RunPlan } from '../../src/testing/simulation/run-plan.ts'
import type { SimulatedProcess } from '../../src/testing/simulation/simulated-process.ts'
import {
  type Command,
  type Commander,
  FIRST_DIRECTORY,
  type LifeEnd,
  type Simulation,
} from '../../src/testing/simulation/simulation.ts'
import { committablesOf, type LogView } from './log-view.ts'

/** What a move comes to; each is counted. */
export const MOVES = [
  'tried',
  'refused as not settled',
  'refused for open transactions',
  'refused as never completed',
  'refused as void',
  'died on the way',
  'begun in a new directory',
  'begun in its own directory',
  'begun after the end',
  'begun after an earlier move',
  'started again after a move',
  'gone on from the point where it began',
] as const

export type MoveEvent = (typeof MOVES)[number]

export interface HouseMoverOptions {
  readonly plan: RunPlan
  /** Looked up when it is needed: it is made later. */
  readonly simulation: () => Simulation
  readonly logOf: (directory: string) => LogView
  readonly onTry: (fault: PlannedFault) => void
  readonly count: (event: MoveEvent) => void
}

/** One that is wanted and has not begun yet. */
interface Move {
  readonly fault: PlannedFault
  /** The command by which it was tried last. */
  tried: Command | undefined
  /** What is wrong with the folder of that. */
  wrong: 'never completed' | 'void' | undefined
  /** Its own job is to settle first. */
  refused: boolean
  /** Who kills it is sorry, and stops it the next time. */
  killed: boolean
  /** A wrong folder is taken, where there is one: once before the job has settled, and once after. */
  leftOver: boolean
}

export class HouseMover implements Commander {
  readonly #options: HouseMoverOptions
  #command: Command = { directory: FIRST_DIRECTORY }
  #move: Move | undefined
  readonly #planned: PlannedFault[]
  #houses = 1
  #moved = 0
  #finished = false
  #anew = false

  constructor(options: HouseMoverOptions) {
    this.#options = options
    this.#planned = options.plan.faults.filter(({ kind }) => kind === 'moves-house')
  }

  get goesOn(): boolean {
    return this.#move !== undefined
  }

  /** They began anew in a new directory, and nothing of that came to lie there: the directory is empty, and is meant to be. */
  get beginsAnew(): boolean {
    return this.#anew && this.#options.logOf(this.#command.directory).owner === undefined
  }

  async next(life: number, mode: StartOptions['mode'], standStill: () => Promise<void>): Promise<Command> {
    this.#arrive()
    this.#begin(life)
    if (mode === 'fresh') {
      // Who begins anew does so where the job is to live, and names nothing to begin at.
      const { directory } = this.#move?.tried ?? this.#command
      if (this.#move !== undefined) await standStill()
      this.#move = undefined
      this.#become({ directory })
      this.#anew = true
      return this.#command
    }
    const move = this.#move
    if (move === undefined) return this.#goOn()
    if (move.tried !== undefined && !move.refused) return move.tried
    await standStill()
    // A record may have been on its way.
    this.#arrive()
    if (this.#move === undefined) return this.#goOn()
    if (!move.refused) return this.#try(move)
    const { settled, ms } = move.fault.detail
    const kill = settled === 'kill' && !move.killed
    if (kill) move.killed = true
    return { ...this.#command, ends: { afterMs: Number(ms), by: kill ? 'kill' : 'stop' } }
  }

  /** The first one that was planned for this life or an earlier one; none any more when the job has been given its time to finish. */
  #begin(life: number): void {
    const now = this.#move === undefined && life <= this.#options.plan.lives + 1
    const at = now ? this.#planned.findIndex((one) => one.life <= life) : -1
    const fault = this.#planned[at]
    if (fault === undefined) return
    this.#planned.splice(at, 1)
    const leftOver = fault.detail.from === 'left-over'
    this.#move = { fault, tried: undefined, wrong: undefined, refused: false, killed: false, leftOver }
  }

  /** Whatever a life comes to in the end. */
  ended(process: SimulatedProcess, end: LifeEnd): void {
    this.#arrive()
    this.#finished ||= end.kind === 'finished'
    const move = this.#move
    const { tried } = move ?? {}
    if (move === undefined || tried === undefined) return
    const settled = ['stopped', 'finished', 'already-finished', ...(move.killed ? ['died'] : [])].includes(end.kind)
    if (move.refused && settled) {
      move.refused = false
      move.tried = undefined
      move.leftOver = move.fault.detail.from === 'left-over'
    } else if (!move.refused && end.kind === 'died' && process.directory === tried.directory) {
      if (!this.#hasBegun(tried)) this.#options.count('died on the way')
    }
  }

  /** Whether this was to be expected: then the next command is another one. */
  isRefusal(error: MillraceError): boolean {
    const move = this.#move
    const { tried } = move ?? {}
    if (move === undefined || tried === undefined || move.refused || this.#hasBegun(tried)) return false
    const { count } = this.#options
    switch (error.code) {
      case 'STATE_NOT_RESTORED':
        if (move.wrong !== undefined) {
          count(`refused as ${move.wrong}`)
          move.tried = undefined
          move.wrong = undefined
          return true
        }
        count('refused as not settled')
        move.refused = true
        return true
      case 'FOREIGN_TRANSACTIONS':
        count('refused for open transactions')
        move.refused = true
        return true
      case 'CHECKPOINT_DAMAGED':
        // A wrong folder that is not whole.
        if (move.wrong === undefined) return false
        move.tried = undefined
        move.wrong = undefined
        return true
      default:
        return false
    }
  }

  #hasBegun({ directory, savepoint = '' }: Command): boolean {
    return this.#options.logOf(directory).beganAt(savepoint)
  }

  /** What was tried has begun: that is the command from now on. */
  #arrive(): void {
    const tried = this.#move?.tried
    if (tried === undefined || !this.#hasBegun(tried)) return
    const { count } = this.#options
    count(tried.directory === this.#command.directory ? 'begun in its own directory' : 'begun in a new directory')
    if (this.#finished) count('begun after the end')
    if (this.#moved++ > 0) count('begun after an earlier move')
    this.#become(tried)
    this.#move = undefined
  }

  #become(command: Command): void {
    if (command.directory !== this.#command.directory) this.#houses++
    this.#command = command
  }

  #goOn(): Command {
    const { savepoint } = this.#command
    if (savepoint === undefined) return this.#command
    const { count, logOf } = this.#options
    const { owner, completed } = logOf(this.#command.directory)
    count('started again after a move')
    if (!completed.some((past) => past.record.lineage === owner?.record.lineage.id && !past.void)) {
      count('gone on from the point where it began')
    }
    return this.#command
  }

  #try(move: Move): Command {
    const home = this.#command.directory
    const log = this.#options.logOf(home)
    const last = log.restorable?.record.folder
    if (last === undefined) {
      this.#move = undefined
      return this.#command
    }
    const wrong = move.leftOver ? this.#leftOver(log) : undefined
    move.leftOver = false
    move.wrong = wrong?.why
    const directory = move.fault.detail.to === 'own' ? home : `${FIRST_DIRECTORY}-${this.#houses + 1}`
    move.tried = { directory, savepoint: `${home}/${wrong?.folder ?? last}` }
    this.#options.onTry(move.fault)
    this.#options.count('tried')
    return move.tried
  }

  /** A whole folder that nobody may begin at: the log does not say that it completed, or says that it is void. */
  #leftOver(log: LogView): { readonly folder: string; readonly why: 'never completed' | 'void' } | undefined {
    const { objects } = this.#options.simulation().disk
    for (const folder of this.#options.simulation().disk.list(log.directory).reverse()) {
      const metadata = objects.get(`${log.directory}/${folder}/_metadata`)
      const state = objects.get(`${log.directory}/${folder}/state`)
      const past = log.completed.find(({ record }) => record.folder === folder)
      if (metadata === undefined || state === undefined || (past !== undefined && !past.void)) continue
      try {
        const content = decodeCheckpoint({ metadata, state }, folder)
        // Without transactions it is as good as the one that completed before it.
        if (committablesOf(content).length > 0) return { folder, why: past === undefined ? 'never completed' : 'void' }
      } catch (error) {
        if (!MillraceError.is(error)) throw error
      }
    }
    return undefined
  }
}
