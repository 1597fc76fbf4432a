/**
 * The storage and the network of one life of a job. After `crash` nothing of that life reaches either any more, as when its
 * process is killed: its connections are gone, its writes fail. What was stored before stays for the next life.
 */
import type {
  ConnectOptions,
  Network,
  NetworkConnection,
  NetworkReceiver,
  Storage,
  StorageLock,
} from '../../base/index.ts'

export class CrashingWorld {
  readonly storage: Storage
  readonly network: Network
  readonly #connections: Set<NetworkConnection> = new Set()
  readonly #locks: Set<StorageLock> = new Set()
  #crashed = false

  constructor(storage: Storage, network: Network) {
    this.network = { connect: (options, receiver) => this.#connect(network, options, receiver) }
    this.storage = {
      location: storage.location,
      read: (path) => this.#alive(() => storage.read(path)),
      list: (folder) => this.#alive(() => storage.list(folder)),
      write: (path, bytes) => this.#alive(() => storage.write(path, bytes)),
      create: (path) => {
        const created = storage.create(path)
        return {
          write: (content) => this.#alive(() => created.write(content)),
          discard: () => this.#alive(() => created.discard()),
          abandon: () => created.abandon(),
        }
      },
      // Nobody sees it, and what it is put by fails.
      stage: (folder) => storage.stage(folder),
      putIfAbsent: (path, bytes, staged) => this.#alive(() => storage.putIfAbsent(path, bytes, staged)),
      remove: (path) => this.#alive(() => storage.remove(path)),
      lock: (name) => this.#alive(() => this.#lock(storage, name)),
    }
  }

  get crashed(): boolean {
    return this.#crashed
  }

  crash(): void {
    this.#crashed = true
    for (const connection of this.#connections) connection.destroy(crashed())
    this.#connections.clear()
  }

  /** A lock ends with its process. */
  async releaseLocks(): Promise<void> {
    for (const lock of this.#locks) await lock.release()
    this.#locks.clear()
  }

  async #alive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#crashed) throw crashed()
    return work()
  }

  async #lock(storage: Storage, name: string): Promise<StorageLock | undefined> {
    const lock = await storage.lock(name)
    if (lock !== undefined) this.#locks.add(lock)
    return lock
  }

  async #connect(network: Network, options: ConnectOptions, receiver: NetworkReceiver): Promise<NetworkConnection> {
    if (this.#crashed) throw crashed()
    let ended = false
    let connection: NetworkConnection | undefined
    connection = await network.connect(options, {
      buffer: () => receiver.buffer(),
      received: (count) => receiver.received(count),
      closed: (error) => {
        ended = true
        if (connection !== undefined) this.#connections.delete(connection)
        receiver.closed(error)
      },
    })
    if (!ended) this.#connections.add(connection)
    if (this.#crashed) connection.destroy(crashed())
    return connection
  }
}

function crashed(): Error {
  return new Error('this life of the job has crashed, as the test wanted')
}
