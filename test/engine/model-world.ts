/**
 * A small world outside the engine: an input of numbered records in splits and an output that knows transactions, with the
 * answers that matter of a real broker (an id that is initialised again loses its open transaction; ending is idempotent).
 * It outlives the incarnations of a job: one process's life each, which may crash, sleep and wake, or have its storage fail.
 * Time is simulated: a turn of the event loop is a millisecond, so that a run is decided by its seed and its plan alone.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import {
  type Clock,
  type JointMessage,
  MemoryStorage,
  MillraceError,
  type Network,
  SeededRandom,
  type Storage,
  type StorageLock,
  silentLogger,
} from '../../src/base/index.ts'
import type { RuntimePorts } from '../../src/core/index.ts'
import { SimulatedClock } from '../../src/testing/index.ts'

interface ModelTransaction {
  state: 'open' | 'committed' | 'aborted'
  records: number[]
  epoch: number
}

export class ModelWorld {
  readonly splits: number
  readonly recordsPerSplit: number
  readonly disk: MemoryStorage = new MemoryStorage()
  /** By transactional id: the current epoch and, per epoch, the transaction. */
  readonly #transactions = new Map<string, Map<number, ModelTransaction>>()
  readonly output: number[] = []
  readonly published: Map<number, number> = new Map<number, number>()

  constructor(splits: number, recordsPerSplit: number) {
    this.splits = splits
    this.recordsPerSplit = recordsPerSplit
  }

  initialise(id: string): number {
    const epochs = this.#transactions.get(id) ?? new Map<number, ModelTransaction>()
    this.#transactions.set(id, epochs)
    for (const transaction of epochs.values()) if (transaction.state === 'open') transaction.state = 'aborted'
    const epoch = epochs.size
    epochs.set(epoch, { state: 'open', records: [], epoch })
    return epoch
  }

  write(id: string, epoch: number, records: readonly number[]): void {
    const transaction = this.#transactions.get(id)?.get(epoch)
    if (transaction?.state !== 'open') throw new MillraceError('KAFKA_FENCED', `${id}/${epoch} was fenced`)
    transaction.records.push(...records)
  }

  stateOf(id: string, epoch: number): 'open' | 'committed' | 'gone' {
    const state = this.#transactions.get(id)?.get(epoch)?.state ?? 'aborted'
    return state === 'aborted' ? 'gone' : state
  }

  end(id: string, epoch: number, commit: boolean): 'committed' | 'gone' {
    const transaction = this.#transactions.get(id)?.get(epoch)
    if (transaction === undefined) return 'gone'
    if (transaction.state === 'open') {
      transaction.state = commit ? 'committed' : 'aborted'
      if (commit) this.output.push(...transaction.records)
    }
    return transaction.state === 'committed' ? 'committed' : 'gone'
  }

  /** Ids with an open transaction that holds records. */
  openIds(): string[] {
    const open: string[] = []
    for (const [id, epochs] of this.#transactions) {
      for (const transaction of epochs.values()) {
        if (transaction.state === 'open' && transaction.records.length > 0) open.push(id)
      }
    }
    return open
  }

  /** Records in open transactions. */
  openRecords(): number {
    let count = 0
    for (const epochs of this.#transactions.values()) {
      for (const { state, records } of epochs.values()) if (state === 'open') count += records.length
    }
    return count
  }

  /** The broker's own timeout: everything open is aborted. */
  expireAll(): void {
    for (const epochs of this.#transactions.values()) {
      for (const transaction of epochs.values()) if (transaction.state === 'open') transaction.state = 'aborted'
    }
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const never = <T>(): Promise<T> => new Promise<T>(() => undefined)

/** Turns of the event loop after which a life that neither ends nor dies hangs. */
const TURNS_MAX = 20_000

/** Who is publishing a joint: several incarnations may live at once. */
const living = new AsyncLocalStorage<Incarnation>()

/** What a storage call may be told: fail before it did anything, or after. */
export type StorageFault = (operation: 'write' | 'put' | 'list', path: string) => 'before' | 'after' | undefined

/** One process's life. `crash` ends it: whatever it awaits never comes, whatever it calls does nothing. */
export class Incarnation {
  readonly world: ModelWorld
  readonly ports: RuntimePorts
  readonly storage: Storage
  readonly crashed: Promise<void>
  readonly tooOld: Promise<void>
  /** Settable by tests. */
  storageFault: StorageFault = () => undefined
  /** True when the flush that begins now is never acknowledged. */
  flushStalls: (checkpoint: number) => boolean = () => false
  /** Called before each element: throwing fails the task. */
  onElement: (value: number) => void = () => undefined
  #dead = false
  #ended = false
  #sleeping: { readonly woken: Promise<void>; readonly wake: () => void } | undefined
  #onCrash: () => void = () => undefined
  #onTooOld: () => void = () => undefined
  readonly #clock = new SimulatedClock()
  readonly #listeners: ((message: unknown) => void)[] = []

  constructor(world: ModelWorld, seed: number) {
    this.world = world
    this.crashed = new Promise((resolve) => {
      this.#onCrash = resolve
    })
    this.tooOld = new Promise((resolve) => {
      this.#onTooOld = resolve
    })
    this.ports = {
      clock: mortalClock(this, this.#clock),
      random: new SeededRandom(seed),
      network,
      logger: silentLogger,
    }
    this.storage = mortalStorage(this, world.disk)
  }

  get dead(): boolean {
    return this.#dead
  }

  get asleep(): boolean {
    return this.#sleeping !== undefined
  }

  /** Runs the work as this process, with its time going on, until it ends or the process dies. */
  async live<T>(work: () => Promise<T>): Promise<T> {
    return living.run(this, async () => {
      void this.#goOn()
      try {
        return await work()
      } finally {
        this.end()
      }
    })
  }

  async #goOn(): Promise<void> {
    let slept = 0
    for (let age = 0; !this.#dead && !this.#ended; age++) {
      if (age === TURNS_MAX) {
        this.#onTooOld()
        this.crash()
      }
      await turn()
      if (this.#sleeping !== undefined) slept++
      else if (!this.#dead) {
        this.#clock.advance(1 + slept)
        slept = 0
      }
    }
  }

  /** Calls back at each joint that this process passes. */
  onJoint(callback: (message: JointMessage) => void): void {
    const listener = (message: unknown): void => {
      if (!this.#dead && living.getStore() === this) callback(message as JointMessage)
    }
    this.#listeners.push(listener)
    subscribe('millrace:joint', listener)
  }

  /** Calls back when the `nth` joint of that name is passed. */
  atJoint(name: string, nth: number, callback: () => void): void {
    let seen = 0
    this.onJoint((message) => {
      if (message.name === name && ++seen === nth) callback()
    })
  }

  crashAt(name: string, nth: number): void {
    this.atJoint(name, nth, () => this.crash())
  }

  crash(): void {
    this.#dead = true
    this.end()
    this.#onCrash()
  }

  /** Stands still at its next call outside, until `wake`. */
  sleep(): void {
    let wake = (): void => undefined
    const woken = new Promise<void>((resolve) => {
      wake = resolve
    })
    this.#sleeping ??= { woken, wake }
  }

  wake(): void {
    const sleeping = this.#sleeping
    this.#sleeping = undefined
    sleeping?.wake()
  }

  end(): void {
    this.#ended = true
    for (const listener of this.#listeners) unsubscribe('millrace:joint', listener)
  }

  /** A call outside: takes a turn, stands still while the process sleeps, and never returns to a dead one. */
  async call<T>(action: () => T): Promise<T> {
    await this.#turn()
    const result = action()
    await this.#turn()
    return result
  }

  async #turn(): Promise<void> {
    if (this.#dead) return never()
    await turn()
    while (this.#sleeping !== undefined) await this.#sleeping.woken
    if (this.#dead) return never()
  }
}

function mortalClock(life: Incarnation, clock: SimulatedClock): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    setTimer: (delayMs, callback) => clock.setTimer(delayMs, () => (life.dead ? undefined : callback())),
    sleep: (delayMs, signal) => clock.sleep(delayMs, signal),
    nextTurn: () => life.call(() => undefined),
  }
}

function mortalStorage(life: Incarnation, disk: MemoryStorage): Storage {
  const through = <T>(action: () => Promise<T>): Promise<T> => life.call(action).then((result) => result)
  const faulty = async <T>(operation: 'write' | 'put' | 'list', path: string, action: () => Promise<T>): Promise<T> => {
    const fault = life.storageFault(operation, path)
    if (fault === 'before') return life.call(() => storageFailed(operation, path))
    const result = await through(action)
    return fault === 'after' ? storageFailed(operation, path) : result
  }
  return {
    location: 'model',
    read: (path) => through(() => disk.read(path)),
    list: (folder) => faulty('list', folder, () => disk.list(folder)),
    write: (path, bytes) => faulty('write', path, () => disk.write(path, bytes)),
    create: (path) => ({
      write: (content) => faulty('write', path, () => disk.write(path, content)),
      discard: () => through(() => disk.remove(path)),
      abandon: () => undefined,
    }),
    stage: (folder) => ({
      write: () => faulty('write', `${folder}/staged`, async () => undefined),
      discard: async () => undefined,
      abandon: () => undefined,
    }),
    putIfAbsent: (path, bytes) => faulty('put', path, () => disk.putIfAbsent(path, bytes)),
    remove: (path) => through(() => disk.remove(path)),
    // Another machine's lock is not seen: safety must not rest on it.
    lock: async (): Promise<StorageLock> => ({ release: async () => undefined }),
  }
}

function storageFailed(operation: string, path: string): never {
  throw new MillraceError('STORAGE_FAILED', `could not ${operation} ${path}`)
}

const network: Network = { connect: () => Promise.reject(new Error('no network in this world')) }
