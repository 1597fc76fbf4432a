/**
 * One capture of keyed state: that of the moment when it began, serialised in slices while elements go on. It goes through every
 * table once; what changes before its turn is stored first and stamped, so that nothing is stored twice or as it was later. At most
 * a block for each state and key group is under construction.
 */
import { type Clock, toError } from '../../base/index.ts'
import { BlockWriter } from '../block/block-writer.ts'
import type { KeyedPart, KeyGroups } from './hosted-state.ts'
import { encodePart, type StoredBlock, type StoredKind } from './keyed-part.ts'
import { keyOf } from './primitive-key.ts'
import type { Entry, StateTable } from './state-table.ts'
import type { Timer } from './timer-queue.ts'

/** Small: the text of blocks under construction, one a state and key group, is garbage that lives long. */
const BLOCK_BYTES_MAX = 32 * 1024
/** Parts are put together in one go each, for the same reason. */
const PART_BYTES = 2 * 1024 * 1024
/** Entries between two looks at the clock. */
const ENTRIES_AT_ONCE = 64

export interface CaptureOptions {
  readonly stamp: number
  readonly tables: readonly StateTable[]
  readonly eventTimers: readonly Timer[]
  readonly processingTimers: readonly Timer[]
  readonly groups: KeyGroups
  readonly maxParallelism: number
  /** For errors: `operator "count" (uid ...)`. */
  readonly owner: string
  readonly clock: Clock
  onDone(): void
}

export class KeyedCapture {
  readonly parts: Promise<readonly KeyedPart[]>
  readonly #options: CaptureOptions
  readonly #states: readonly CapturedState[]
  readonly #blocks: StoredBlock[] = []
  readonly #work: Iterator<undefined, void>
  #resolve: (parts: readonly KeyedPart[]) => void = () => undefined
  #reject: (error: Error) => void = () => undefined
  #done = false

  constructor(options: CaptureOptions) {
    this.#options = options
    this.parts = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Whoever asked for it may be gone by the time that it fails.
    this.parts.catch(() => undefined)
    this.#states = options.tables.map((table) => this.#state(table.kind, table.name))
    this.#work = this.#capture()
  }

  /** Stores an entry ahead of its turn, because it is about to change. */
  save(table: StateTable, entry: Entry): void {
    const state = this.#states[this.#options.tables.indexOf(table)]
    if (this.#done || state === undefined) return
    try {
      state.write(entry)
      entry.stamp = this.#options.stamp
    } catch (error) {
      this.fail(toError(error))
    }
  }

  /** Works for about this long; true while more remains. */
  step(budgetMs: number): boolean {
    const { clock } = this.#options
    const endMs = clock.monotonic() + budgetMs
    try {
      while (!this.#done) {
        if (this.#work.next().done === true) this.#end(() => undefined)
        else if (clock.monotonic() >= endMs) return !this.#done
      }
    } catch (error) {
      this.fail(toError(error))
    }
    return false
  }

  fail(error: Error): void {
    this.#end(() => this.#reject(error))
  }

  #end(tell: () => void): void {
    if (this.#done) return
    this.#done = true
    this.#options.onDone()
    tell()
  }

  #state(kind: StoredKind, name: string): CapturedState {
    const { groups, owner } = this.#options
    return new CapturedState(kind, name, groups, `state "${name}" of ${owner}`, this.#blocks)
  }

  /** Every `yield` is a place to stop. */
  *#capture(): Generator<undefined, void> {
    const { tables, eventTimers, processingTimers, stamp } = this.#options
    for (const [number, table] of tables.entries()) {
      const state = this.#states[number]
      if (state === undefined) continue
      let left = ENTRIES_AT_ONCE
      for (const entry of table.entries) {
        if (entry.stamp !== stamp) {
          state.write(entry)
          entry.stamp = stamp
        }
        if (--left > 0) continue
        left = ENTRIES_AT_ONCE
        yield
      }
      yield* state.finish()
    }
    yield* this.#timers(this.#state('event-timers', ''), eventTimers)
    yield* this.#timers(this.#state('processing-timers', ''), processingTimers)
    yield* this.#assemble()
  }

  *#timers(state: CapturedState, timers: readonly Timer[]): Generator<undefined, void> {
    for (const [number, timer] of timers.entries()) {
      state.writeTimer(timer)
      if (number % ENTRIES_AT_ONCE === 0) yield
    }
    yield* state.finish()
  }

  *#assemble(): Generator<undefined, void> {
    const { maxParallelism } = this.#options
    const blocks = this.#blocks.sort((left, right) => left.group - right.group)
    const parts: KeyedPart[] = []
    let begin = 0
    let bytes = 0
    for (const [number, block] of blocks.entries()) {
      bytes += block.bytes.byteLength
      if (bytes < PART_BYTES && number + 1 < blocks.length) continue
      parts.push(encodePart(maxParallelism, blocks.slice(begin, number + 1)))
      begin = number + 1
      bytes = 0
      yield
    }
    this.#resolve(parts)
  }
}

/** The blocks of one state under construction, by key group. */
class CapturedState {
  readonly #kind: StoredKind
  readonly #name: string
  readonly #first: number
  readonly #owner: string
  readonly #blocks: StoredBlock[]
  readonly #writers: (BlockWriter | undefined)[]
  readonly #entries: number[]

  constructor(kind: StoredKind, name: string, groups: KeyGroups, owner: string, blocks: StoredBlock[]) {
    const count = groups[1] - groups[0] + 1
    this.#kind = kind
    this.#name = name
    this.#first = groups[0]
    this.#owner = owner
    this.#blocks = blocks
    this.#writers = new Array<BlockWriter | undefined>(count).fill(undefined)
    this.#entries = new Array<number>(count).fill(0)
  }

  write(entry: Entry): void {
    const index = entry.group - this.#first
    const writer = this.#writer(index)
    writer.write(keyOf(entry.primitive))
    writer.write(entry.value)
    this.#wrote(index, writer)
  }

  writeTimer(timer: Timer): void {
    const index = timer.group - this.#first
    const writer = this.#writer(index)
    writer.write(timer.key)
    writer.writeNumber(timer.timestamp)
    this.#wrote(index, writer)
  }

  *finish(): Generator<undefined, void> {
    for (const [index, writer] of this.#writers.entries()) {
      if (writer === undefined || this.#entries[index] === 0) continue
      this.#finish(index, writer)
      this.#writers[index] = undefined
      yield
    }
  }

  #writer(index: number): BlockWriter {
    let writer = this.#writers[index]
    if (writer === undefined) {
      writer = new BlockWriter({ owner: this.#owner })
      this.#writers[index] = writer
    }
    return writer
  }

  #wrote(index: number, writer: BlockWriter): void {
    this.#entries[index] = (this.#entries[index] ?? 0) + 1
    if (writer.byteLength >= BLOCK_BYTES_MAX) this.#finish(index, writer)
  }

  #finish(index: number, writer: BlockWriter): void {
    const entries = this.#entries[index] ?? 0
    this.#entries[index] = 0
    this.#blocks.push({
      kind: this.#kind,
      name: this.#name,
      group: this.#first + index,
      entries,
      bytes: writer.finish(),
    })
  }
}
