/**
 * What a state of the model is made of: the log, the broker's two lanes, two processes (each a coordinator and two subtasks),
 * and what is left of the troubles that may still come. Every part is plain and never changed; a step makes new parts.
 */
import { EMPTY_LANE, type Lane } from './broker-lane.ts'
import { BOTH, type Cell, Cells, put, type Two, type Which } from './cells.ts'
import { type Committable, EMPTY_LOG, type Log, mirrored, type PastCheckpoint, type Snapshot } from './job-log.ts'
import type { Planted } from './planted.ts'

/** What is explored: how large the job is and how often each trouble may come. */
export interface Scope {
  readonly name: string
  readonly version: 1 | 2
  /** Records of each subtask, of the first one only when the other is idle. */
  readonly records: number
  readonly idle: boolean
  /** Checkpoints up to this number may be periodic; later ones only final. */
  readonly periodic: number
  /** Checkpoints that may be on their way at once. */
  readonly concurrent: number
  readonly tolerated: number
  readonly slowMarkers: boolean
  /** Checkpoint 1 is a savepoint too. */
  readonly savepoint: boolean
  readonly processes: 1 | 2
  readonly crashes: number
  readonly failedCheckpoints: number
  readonly taskFailures: number
  readonly expiries: number
  readonly prunings: number
  readonly damages: number
  /** Copies of a commit that arrive late. */
  readonly repeats: number
  readonly planted?: Planted
}

export type At =
  | 'off'
  | 'over'
  | 'read'
  | 'attempt'
  | 'owner'
  | 'look'
  | 'abort'
  | 'void'
  | 'void-owner'
  | 'end'
  | 'publish'
  | 'committed'
  | 'committed-owner'
  | 'fence-owner'
  | 'fence'
  | 'run'
  | 'stored'
  | 'completed-owner'
  | 'ending'
  | 'settling'
  | 'visible'
  | 'final-committed'
  | 'final-owner'
  | 'finish'
  | 'close-owner'
  | 'close'
  | 'stop-owner'

export interface Round {
  readonly checkpoint: number
  readonly final: boolean
}

/** A process's coordinator. */
export interface Core {
  readonly at: At
  readonly attempt: number
  /** Records of the log that it has neither read nor written. */
  readonly unseen: number
  /** What it read before it chose what to restore: completed checkpoints, and the highest number. */
  readonly past: readonly PastCheckpoint[]
  readonly highest: number
  /** The checkpoint that `at` is about; 0: none. */
  readonly checkpoint: number
  readonly final: boolean
  /** A checkpoint that this recovery passes over. */
  readonly passedOver: number
  readonly settled: boolean
  /** The highest checkpoint whose barrier was sent. */
  readonly sent: number
  readonly rounds: readonly Round[]
  readonly failures: number
  /** Ended, and its commit not yet in the log. */
  readonly ended: number
  readonly reason: '' | 'lost' | 'undecided' | 'damaged'
}

export interface Answer extends Snapshot {
  readonly checkpoint: number
}

/** A process's memory of one subtask. */
export interface Sub {
  readonly position: number
  /** A record was taken that the broker does not have yet. */
  readonly taken: boolean
  readonly open: { readonly slot: number; readonly epoch: number } | null
  /** By slot: the next epoch under version 2, or -1: begins with InitProducerId. */
  readonly pool: readonly number[]
  /** Flushed and not known to be ended, oldest first. */
  readonly flushed: readonly Committable[]
  /** Ended, and their slots not free. */
  readonly done: readonly Committable[]
  /** The last barrier taken. */
  readonly barrier: number
  readonly answers: readonly Answer[]
  /** Recovery: what became of each listed transaction, a letter each. */
  readonly look: string
  readonly published: number
  /** The last id that recovery has fenced, as a number that orders them. */
  readonly fenced: number
}

export interface Process {
  readonly core: Cell<Core>
  readonly subs: Two<Cell<Sub>>
}

/** Troubles that may still come, and facts about the storage beside the log. */
export interface World {
  readonly startable: number
  readonly crashes: number
  readonly failedCheckpoints: number
  readonly taskFailures: number
  readonly expiries: number
  readonly prunings: number
  readonly damages: number
  readonly repeats: number
  /** The completed checkpoint whose folder cannot be read. */
  readonly damaged: number
  /** Folders of checkpoints below it were removed. */
  readonly removedBelow: number
  readonly settled: boolean
  readonly stopped: '' | 'lost' | 'damaged'
  /** Only where a planted mistake looks at it: the newest folder, whether or not the log names it. */
  readonly folder: { readonly checkpoint: number; readonly snapshots: Two<Snapshot> } | null
}

export interface State {
  readonly log: Cell<Log>
  readonly lanes: Two<Cell<Lane>>
  readonly processes: Two<Process>
  readonly world: Cell<World>
}

export function recordsOf(scope: Scope, subtask: Which): number {
  return scope.idle && subtask === 1 ? 0 : scope.records
}

const OFF: Core = {
  at: 'off',
  attempt: 0,
  unseen: 0,
  past: [],
  highest: 0,
  checkpoint: 0,
  final: false,
  passedOver: 0,
  settled: false,
  sent: 0,
  rounds: [],
  failures: 0,
  ended: 0,
  reason: '',
}

const NO_SUB: Sub = {
  position: 0,
  taken: false,
  open: null,
  pool: [],
  flushed: [],
  done: [],
  barrier: 0,
  answers: [],
  look: '',
  published: 0,
  fenced: -1,
}

/** Makes states, equal parts of which are one object. */
export class States {
  readonly scope: Scope
  readonly #lanes = new Cells<Lane>()
  readonly #cores = new Cells<Core>()
  readonly #subs = new Cells<Sub>()
  readonly #worlds = new Cells<World>()
  readonly #logs = new Cells<Log>()
  readonly #mirrors = new Map<Cell<Log>, Cell<Log>>()

  constructor(scope: Scope) {
    this.scope = scope
  }

  initial(): State {
    const { crashes, failedCheckpoints, taskFailures, expiries, prunings, damages, repeats, processes } = this.scope
    const lane = this.#lanes.of(EMPTY_LANE)
    const off = this.#emptyProcess('off')
    return {
      log: this.#logs.of(EMPTY_LOG),
      lanes: [lane, lane],
      processes: [off, off],
      world: this.#worlds.of({
        startable: processes,
        crashes,
        failedCheckpoints,
        taskFailures,
        expiries,
        prunings,
        damages,
        repeats,
        damaged: 0,
        removedBelow: 0,
        settled: false,
        stopped: '',
        folder: null,
      }),
    }
  }

  lane(state: State, subtask: Which, lane: Lane): State {
    return { ...state, lanes: put(state.lanes, subtask, this.#lanes.of(lane)) }
  }

  /** Everybody but the writer of a record has one more that it has not seen. */
  log(state: State, log: Log, writer: Which): State {
    const next = { ...state, log: this.#logs.of(log) }
    const other = writer === 0 ? 1 : 0
    const { at, unseen } = state.processes[other].core.value
    return at === 'off' || at === 'over' || at === 'read' ? next : this.core(next, other, { unseen: unseen + 1 })
  }

  #mirror(log: Cell<Log>): Cell<Log> {
    const known = this.#mirrors.get(log)
    if (known !== undefined) return known
    const mirror = this.#logs.of(mirrored(log.value))
    this.#mirrors.set(log, mirror)
    return mirror
  }

  world(state: State, change: Partial<World>): State {
    return { ...state, world: this.#worlds.of({ ...state.world.value, ...change }) }
  }

  core(state: State, process: Which, change: Partial<Core>): State {
    const { core, subs } = state.processes[process]
    const next = { core: this.#cores.of({ ...core.value, ...change }), subs }
    return { ...state, processes: put(state.processes, process, next) }
  }

  sub(state: State, process: Which, subtask: Which, change: Partial<Sub>): State {
    const { core, subs } = state.processes[process]
    const sub = this.#subs.of({ ...subs[subtask].value, ...change })
    return { ...state, processes: put(state.processes, process, { core, subs: put(subs, subtask, sub) }) }
  }

  /** Both subtasks of a process begin anew, at these positions. */
  freshSubs(state: State, process: Which, positions: Two<number>, barrier: number): State {
    const { core } = state.processes[process]
    const of = (which: Which): Cell<Sub> => this.#subs.of({ ...NO_SUB, position: positions[which], barrier })
    return { ...state, processes: put(state.processes, process, { core, subs: [of(0), of(1)] }) }
  }

  /** A process without memory. */
  emptied(state: State, process: Which, at: 'off' | 'over' | 'read'): State {
    return { ...state, processes: put(state.processes, process, this.#emptyProcess(at)) }
  }

  /** A coordinator without memory of its recovery. */
  running(state: State, process: Which): State {
    const { subs } = state.processes[process]
    return { ...state, processes: put(state.processes, process, { core: this.#cores.of({ ...OFF, at: 'run' }), subs }) }
  }

  #emptyProcess(at: At): Process {
    const sub = this.#subs.of(NO_SUB)
    return { core: this.#cores.of({ ...OFF, at }), subs: [sub, sub] }
  }

  /** Equal for states that differ only in which subtask, or which process, is called the first. */
  key(state: State): string {
    const { log, lanes, processes, world } = state
    let smallest = ''
    for (const first of BOTH) {
      const second = first === 0 ? 1 : 0
      const parts = processes
        .map(({ core, subs }) => `${core.id},${subs[first].id},${subs[second].id}`)
        .sort()
        .join(';')
      const node = first === 0 ? log : this.#mirror(log)
      const key = `${node.id},${lanes[first].id},${lanes[second].id};${parts};${world.id}`
      if (smallest === '' || key < smallest) smallest = key
      if (this.scope.idle) break
    }
    return smallest
  }
}
