/**
 * Storage in memory, for environments made by hand without a directory and for tests. It ends with the process, and so does
 * whatever was stored: a job on it has no exactly-once beyond its own process.
 */
import type { NewObject, Storage, StorageLock } from './storage.ts'

export class MemoryStorage implements Storage {
  readonly location: string = 'memory'
  readonly #objects = new Map<string, Buffer>()
  readonly #locks = new Set<string>()

  async read(path: string): Promise<Buffer | undefined> {
    return this.#objects.get(path)
  }

  async list(folder: string): Promise<string[]> {
    const prefix = folder === '' ? '' : `${folder}/`
    const names = new Set<string>()
    for (const path of this.#objects.keys()) {
      if (path.startsWith(prefix)) names.add(path.slice(prefix.length).split('/')[0] ?? '')
    }
    return [...names].sort()
  }

  async write(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void> {
    this.#objects.set(path, content instanceof Uint8Array ? Buffer.from(content) : Buffer.concat(content))
  }

  create(path: string): NewObject {
    return { write: (content) => this.write(path, content), discard: () => this.remove(path), abandon: () => undefined }
  }

  stage(_folder: string): NewObject {
    return { write: async () => undefined, discard: async () => undefined, abandon: () => undefined }
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    if (this.#objects.has(path)) return 'exists'
    this.#objects.set(path, Buffer.from(bytes))
    return 'created'
  }

  async remove(path: string): Promise<void> {
    for (const known of [...this.#objects.keys()]) {
      if (known === path || known.startsWith(`${path}/`)) this.#objects.delete(known)
    }
  }

  async lock(name: string): Promise<StorageLock | undefined> {
    if (this.#locks.has(name)) return undefined
    this.#locks.add(name)
    return {
      release: async () => {
        this.#locks.delete(name)
      },
    }
  }
}
