/**
 * Keyed state and timers of one operator subtask, in memory. It has exactly the key groups of its subtask: what a checkpoint holds
 * of others is not read, and a key of another group is a bug of whoever sent it here, found when its first entry is made.
 */
import { assert, type Clock, MillraceError } from '../../base/index.ts'
import type {
  CheckpointId,
  Key,
  KeyPart,
  ListState,
  MapState,
  StateDescriptor,
  TimeDomain,
  TimerService,
  ValueState,
  VersionedBytes,
} from '../../core/index.ts'
import { BlockReader } from '../block/block-reader.ts'
import { ReaderShapes } from '../block/reader-shapes.ts'
import type { HostedKeyedState, KeyedPart, KeyGroups } from './hosted-state.ts'
import { KeyGrouping } from './key-group.ts'
import { KeyedCapture } from './keyed-capture.ts'
import { decodePart, type StoredBlock } from './keyed-part.ts'
import { primitiveOf } from './primitive-key.ts'
import {
  type CaptureWatch,
  CurrentKey,
  type Entry,
  StateTable,
  TableListState,
  TableMapState,
  TableValueState,
} from './state-table.ts'
import { TimerQueue } from './timer-queue.ts'

export interface KeyedStateOptions {
  readonly operatorName: string
  readonly uid: string
  readonly maxParallelism: number
  readonly groups: KeyGroups
  readonly clock: Clock
  /** Parts of the checkpoint; those that hold none of the own groups may be among them. */
  readonly restored: readonly VersionedBytes[]
  /** Stored state that the operator does not ask for is given up. */
  readonly allowNonRestoredState: boolean
}

export class KeyedStateBackend implements HostedKeyedState, CaptureWatch {
  readonly timers: TimerService
  readonly #options: KeyedStateOptions
  readonly #current: CurrentKey
  readonly #tables = new Map<string, StateTable>()
  readonly #event = new TimerQueue()
  readonly #processing = new TimerQueue()
  #stamp = 0
  #capture: KeyedCapture | undefined
  #opened = false
  #watermark = Number.NEGATIVE_INFINITY
  #fire: (timestamp: number, domain: TimeDomain) => void = () => undefined
  #onNext: () => void = () => undefined

  constructor(options: KeyedStateOptions) {
    this.#options = options
    this.#current = new CurrentKey(new KeyGrouping(options.maxParallelism), options.groups)
    this.timers = this.#timerService()
    const shapes = new ReaderShapes()
    for (const part of options.restored) {
      for (const block of decodePart(part, options.maxParallelism, this.#owner)) {
        if (block.group < options.groups[0] || block.group > options.groups[1]) continue
        this.#restore(block, new BlockReader(block.bytes, { shapes }))
      }
    }
  }

  setCurrentKey(key: Key): void {
    this.#current.set(key)
  }

  get currentKey(): Key {
    return this.#current.key
  }

  value<T>(descriptor: StateDescriptor): ValueState<T> {
    return new TableValueState<T>(this.#claim(descriptor))
  }

  list<T>(descriptor: StateDescriptor): ListState<T> {
    return new TableListState<T>(this.#claim(descriptor))
  }

  map<K extends KeyPart, V>(descriptor: StateDescriptor): MapState<K, V> {
    return new TableMapState<K, V>(this.#claim(descriptor))
  }

  onTimer(callback: (timestamp: number, domain: TimeDomain) => void): void {
    this.#fire = callback
  }

  opened(): void {
    this.#opened = true
    const orphans = [...this.#tables.values()].filter((table) => !table.claimed)
    if (orphans.length === 0) return
    if (!this.#options.allowNonRestoredState) throw stateNotRestored(this.#owner, orphans)
    for (const table of orphans) this.#tables.delete(table.name)
  }

  get stamp(): number {
    return this.#stamp
  }

  get capturing(): boolean {
    return this.#capture !== undefined
  }

  save(table: StateTable, entry: Entry): void {
    this.#capture?.save(table, entry)
  }

  snapshot(_checkpoint: CheckpointId): Promise<readonly KeyedPart[]> {
    this.#capture?.step(Number.POSITIVE_INFINITY)
    const { maxParallelism, groups, clock } = this.#options
    const capture = new KeyedCapture({
      stamp: ++this.#stamp,
      tables: [...this.#tables.values()],
      eventTimers: this.#event.snapshot(),
      processingTimers: this.#processing.snapshot(),
      groups,
      maxParallelism,
      owner: this.#owner,
      clock,
      onDone: () => {
        this.#capture = undefined
      },
    })
    this.#capture = capture
    return capture.parts
  }

  step(budgetMs: number): boolean {
    return this.#capture?.step(budgetMs) ?? false
  }

  advanceWatermark(timestamp: number): void {
    if (timestamp <= this.#watermark) return
    this.#watermark = timestamp
    this.#fireDue(this.#event, timestamp, 'event')
  }

  get nextProcessingTimer(): number | undefined {
    return this.#processing.first?.timestamp
  }

  onNextProcessingTimer(listener: () => void): void {
    this.#onNext = listener
  }

  fireProcessing(nowMs: number): void {
    this.#fireDue(this.#processing, nowMs, 'processing')
  }

  close(): void {
    this.#capture?.fail(new Error(`${this.#owner} was closed before its state was captured`))
  }

  get #owner(): string {
    return `operator "${this.#options.operatorName}" (uid ${this.#options.uid})`
  }

  #fireDue(queue: TimerQueue, time: number, domain: TimeDomain): void {
    for (let timer = queue.first; timer !== undefined && timer.timestamp <= time; timer = queue.first) {
      queue.remove(timer)
      this.#current.set(timer.key)
      this.#fire(timer.timestamp, domain)
    }
  }

  #claim(descriptor: StateDescriptor): StateTable {
    const { kind, name } = descriptor
    let table = this.#tables.get(name)
    if (table === undefined) {
      assert(!this.#opened, `state "${name}" of ${this.#owner} must be asked for in open`)
      table = new StateTable(kind, name, this.#current, this)
      this.#tables.set(name, table)
    }
    if (table.kind !== kind) {
      throw new MillraceError(
        'STATE_INCOMPATIBLE',
        `state "${name}" of ${this.#owner} is a ${table.kind} state and is asked for as a ${kind} state`,
        { next: 'Nothing is lost. A state keeps its kind; give the new one another name.' },
      )
    }
    table.claimed = true
    return table
  }

  #timerService(): TimerService {
    const current = this.#current
    const group = (): number => current.group
    return {
      currentProcessingTime: () => this.#options.clock.now(),
      currentWatermark: () => this.#watermark,
      registerEventTimeTimer: (timestamp) => {
        this.#event.add(checkedTime(timestamp), current.key, current.primitive, group)
      },
      registerProcessingTimeTimer: (timestamp) => {
        this.#processing.add(checkedTime(timestamp), current.key, current.primitive, group)
        if (this.#processing.first?.timestamp === timestamp) this.#onNext()
      },
      deleteEventTimeTimer: (timestamp) => this.#event.delete(timestamp, current.primitive),
      deleteProcessingTimeTimer: (timestamp) => this.#processing.delete(timestamp, current.primitive),
    }
  }

  #restore(block: StoredBlock, reader: BlockReader): void {
    const { kind, name, group, entries } = block
    if (kind === 'event-timers' || kind === 'processing-timers') {
      const queue = kind === 'event-timers' ? this.#event : this.#processing
      for (let i = 0; i < entries; i++) {
        const key = reader.read() as Key
        queue.add(reader.readNumber(), key, primitiveOf(key), () => group)
      }
      return
    }
    let table = this.#tables.get(name)
    if (table === undefined) {
      table = new StateTable(kind, name, this.#current, this)
      this.#tables.set(name, table)
    }
    for (let i = 0; i < entries; i++) {
      const primitive = primitiveOf(reader.read() as Key)
      table.restore(primitive, reader.read(), group)
    }
  }
}

function checkedTime(timestamp: number): number {
  if (typeof timestamp === 'number' && !Number.isNaN(timestamp)) return timestamp
  throw new TypeError(`a timer is registered for a number of milliseconds, not for ${String(timestamp)}`)
}

function stateNotRestored(owner: string, tables: readonly StateTable[]): MillraceError {
  const names = tables.map(({ name }) => `"${name}"`).join(', ')
  return new MillraceError('STATE_NOT_RESTORED', `the checkpoint holds state ${names} that ${owner} does not ask for`, {
    next:
      'Nothing was lost: the checkpoint is untouched. Ask for the state in open under its former name, or give it up with ' +
      '--allow-non-restored-state.',
  })
}
