/**
 * What a log says, folded into what recovery asks: the current lineage, its completed checkpoints, what is committed, and
 * which attempts may have left transactions open. Pure: the same records always give the same history.
 */
import { assert } from '../../base/index.ts'
import type {
  CompletedRecord,
  HistoryState,
  JobEnd,
  Lineage,
  NumberedRecord,
  PastAttempt,
  PastCheckpoint,
} from './job-log-record.ts'

/** Committed checkpoints whose folders are told from others that lie beside them; whoever keeps more cannot start from the oldest. */
const SETTLED_MAX = 1_000

const NOTHING: HistoryState = {
  lineage: undefined,
  end: 'running',
  attempts: [],
  completed: [],
  highestCheckpoint: 0,
  fencedBelow: 0,
}

export class JobHistory {
  #state: HistoryState = NOTHING

  static of(records: readonly NumberedRecord[]): JobHistory {
    const history = new JobHistory()
    for (const record of records) history.apply(record)
    return history
  }

  apply(entry: NumberedRecord): void {
    const state = this.#state
    const record = entry.record
    switch (record.kind) {
      case 'attempt': {
        const { lineage, sinks, firstCheckpoint } = record
        assert(firstCheckpoint > state.highestCheckpoint, `attempt ${entry.number} would reuse checkpoint numbers`)
        const begun = { attempt: entry.number, sinks, firstCheckpoint, highestCompleted: firstCheckpoint - 1 }
        this.#state = { ...state, lineage, end: 'running', attempts: [...state.attempts, begun] }
        this.#noteSavepoint(lineage)
        break
      }
      case 'completed':
        this.#complete(record, entry.attempt)
        break
      case 'committed':
        this.#commit(record.checkpoint)
        break
      case 'void':
        this.#void(record.checkpoint)
        break
      case 'stopped':
      case 'cancelled':
      case 'finished':
      case 'failed':
        this.#state = { ...state, end: record.kind }
        break
      case 'base':
        this.#state = record.state
        break
    }
  }

  get empty(): boolean {
    return this.#state.attempts.length === 0
  }

  get lineage(): Lineage | undefined {
    return this.#state.lineage
  }

  get end(): JobEnd {
    return this.#state.end
  }

  /** No checkpoint number up to this one may be used again. */
  get highestCheckpoint(): number {
    return this.#state.highestCheckpoint
  }

  /** The last completed checkpoint of the current lineage. */
  get last(): PastCheckpoint | undefined {
    return this.#state.completed.findLast((past) => past.record.lineage === this.#state.lineage?.id)
  }

  /** The highest void checkpoint of the current lineage, while no higher one is committed: its folder is still there. */
  get voided(): CompletedRecord | undefined {
    const { voided, lineage } = this.#state
    return voided?.lineage === lineage?.id ? voided : undefined
  }

  /** Completed and neither committed nor void, of any lineage, oldest first: recovery must settle them. */
  get unsettled(): readonly PastCheckpoint[] {
    return this.#state.completed.filter((past) => !past.committed)
  }

  get completed(): readonly PastCheckpoint[] {
    return this.#state.completed
  }

  /** Whether a checkpoint completed in this folder and was committed: whoever starts from it has nothing to end. */
  isSettled(folder: string): boolean {
    const { settled, completed } = this.#state
    // A base of a release that did not note them has the last ones all the same.
    return (
      settled?.includes(folder) === true || completed.some((past) => past.committed && past.record.folder === folder)
    )
  }

  /** The number of the latest attempt; 0 while there is none. */
  get lastAttempt(): number {
    return this.#state.attempts.at(-1)?.attempt ?? 0
  }

  /** Attempts below `attempt` whose ids may still have open transactions. */
  unfenced(attempt: number): readonly PastAttempt[] {
    return this.#state.attempts.filter((past) => past.attempt >= this.#state.fencedBelow && past.attempt < attempt)
  }

  /** Whether a lineage of this job began at this savepoint. */
  beganAt(savepointId: string): boolean {
    return this.#state.savepoints?.includes(savepointId) ?? false
  }

  /** For a `base` record: forgets what can no longer matter. */
  compact(): HistoryState {
    const state = this.#state
    return {
      ...state,
      attempts: state.attempts.filter((past) => past.attempt >= state.fencedBelow || past.attempt === this.lastAttempt),
      completed: state.completed.slice(-2),
    }
  }

  #noteSavepoint({ begin }: Lineage): void {
    if (begin.kind !== 'savepoint' || this.beganAt(begin.id)) return
    this.#state = { ...this.#state, savepoints: [...(this.#state.savepoints ?? []), begin.id] }
  }

  #complete(record: CompletedRecord, attempt: number): void {
    const before = this.#state
    assert(record.checkpoint > before.highestCheckpoint, `checkpoint ${record.checkpoint} completed out of order`)
    if (record.committed !== undefined) this.#commit(record.committed)
    const state = this.#state
    this.#state = {
      ...state,
      highestCheckpoint: record.checkpoint,
      fencedBelow: Math.max(state.fencedBelow, record.fencedBelow ?? 0),
      completed: [...state.completed.slice(-8), { record, attempt, committed: false }],
      attempts: state.attempts.map((past) =>
        past.attempt === attempt ? { ...past, highestCompleted: record.checkpoint } : past,
      ),
    }
  }

  #commit(checkpoint: number): void {
    const { voided, ...state } = this.#state
    const newly = state.completed.filter((past) => !past.committed && past.record.checkpoint <= checkpoint)
    this.#state = {
      ...state,
      settled: [...(state.settled ?? []), ...newly.map((past) => past.record.folder)].slice(-SETTLED_MAX),
      ...(voided === undefined || voided.checkpoint < checkpoint ? {} : { voided }),
      completed: state.completed.map((past) =>
        past.record.checkpoint <= checkpoint ? { ...past, committed: true } : past,
      ),
    }
  }

  #void(checkpoint: number): void {
    const state = this.#state
    const record = state.completed.find((past) => past.record.checkpoint === checkpoint)?.record
    const highest = record !== undefined && checkpoint > (state.voided?.checkpoint ?? 0)
    this.#state = {
      ...state,
      ...(highest ? { voided: record } : {}),
      completed: state.completed.filter((past) => past.record.checkpoint !== checkpoint),
    }
  }
}
