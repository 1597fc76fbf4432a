/**
 * The surroundings of one life of a job inside this process: clock, network and storage that all stop at once when it dies, as
 * those of a killed process do. After `die` no timer fires, no bytes come or go, no storage call ends; what was stored and
 * sent before stays.
 */
import {
  type Clock,
  type ConnectOptions,
  type Network,
  type NetworkConnection,
  type NetworkReceiver,
  SeededRandom,
  type Storage,
  type StorageLock,
  SystemClock,
  silentLogger,
  sleepOn,
  type Timer,
} from '../../src/base/index.ts'
import type { RuntimePorts } from '../../src/core/index.ts'

export class MortalLife {
  readonly ports: RuntimePorts
  readonly storage: Storage
  readonly died: Promise<void>
  #dead = false
  #told: () => void = () => undefined
  readonly #connections: Set<NetworkConnection> = new Set()
  readonly #locks: Set<StorageLock> = new Set()

  constructor(network: Network, storage: Storage, seed: number) {
    this.died = new Promise((resolve) => {
      this.#told = resolve
    })
    const clock = this.#clock(new SystemClock())
    this.ports = { clock, random: new SeededRandom(seed), network: this.#network(network), logger: silentLogger }
    this.storage = this.#storage(storage)
  }

  get dead(): boolean {
    return this.#dead
  }

  /** The operating system closes a killed process's connections and releases its locks. */
  die(): void {
    if (this.#dead) return
    this.#dead = true
    for (const connection of this.#connections) connection.destroy()
    for (const lock of this.#locks) void lock.release()
    this.#told()
  }

  #clock(real: Clock): Clock {
    const ifAlive = (callback: () => void) => () => {
      if (!this.#dead) callback()
    }
    const clock: Clock = {
      now: () => real.now(),
      monotonic: () => real.monotonic(),
      setTimer: (delayMs: number, callback: () => void): Timer =>
        real.setTimer(delayMs, ifAlive(callback), { background: true }),
      sleep: (delayMs, signal) => sleepOn(clock, delayMs, signal),
      nextTurn: () => this.#untilDeath(real.nextTurn()),
    }
    return clock
  }

  #network(real: Network): Network {
    return {
      connect: async (options: ConnectOptions, receiver: NetworkReceiver) => {
        const alive: NetworkReceiver = {
          buffer: () => receiver.buffer(),
          received: (count) => {
            if (!this.#dead) receiver.received(count)
          },
          closed: (error) => {
            if (!this.#dead) receiver.closed(error)
          },
        }
        const connection = await this.#untilDeath(real.connect(options, alive))
        this.#connections.add(connection)
        return connection
      },
    }
  }

  #storage(real: Storage): Storage {
    const call = <T>(operation: () => Promise<T>): Promise<T> =>
      this.#dead ? new Promise(() => undefined) : this.#untilDeath(operation())
    return {
      location: real.location,
      read: (path) => call(() => real.read(path)),
      list: (folder) => call(() => real.list(folder)),
      write: (path, bytes) => call(() => real.write(path, bytes)),
      create: (path) => {
        const created = real.create(path)
        return {
          write: (content) => call(() => created.write(content)),
          discard: () => call(() => created.discard()),
          abandon: () => created.abandon(),
        }
      },
      // Nobody sees it, and it is put by nobody any more.
      stage: (folder) => real.stage(folder),
      putIfAbsent: (path, bytes, staged) => call(() => real.putIfAbsent(path, bytes, staged)),
      remove: (path) => call(() => real.remove(path)),
      lock: async (name) => {
        const lock = await call(() => real.lock(name))
        if (lock !== undefined) this.#locks.add(lock)
        return lock
      },
    }
  }

  /** Never settles when this life ended meanwhile. */
  #untilDeath<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => {
          if (!this.#dead) resolve(value)
        },
        (error) => {
          if (!this.#dead) reject(error)
        },
      )
    })
  }
}
