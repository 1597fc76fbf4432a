/** Storage in memory that knows what has begun: which objects are neither written nor given up, nor, when staged, put. */
import { MemoryStorage, type NewObject } from '../../base/index.ts'

export class StagingStorage extends MemoryStorage {
  readonly waiting: Set<NewObject> = new Set()
  /** Paths, in the order of their beginning. */
  readonly begun: Set<string> = new Set()
  used = 0

  override create(path: string): NewObject {
    const created = super.create(path)
    const over = (): void => void this.begun.delete(path)
    this.begun.add(path)
    return {
      write: (content) => created.write(content).then(over),
      discard: () => created.discard().then(over),
      abandon: over,
    }
  }

  override stage(): NewObject {
    const staged: NewObject = {
      write: async () => undefined,
      discard: async () => void this.waiting.delete(staged),
      abandon: () => undefined,
    }
    this.waiting.add(staged)
    return staged
  }

  override async putIfAbsent(path: string, bytes: Uint8Array, staged?: NewObject): Promise<'created' | 'exists'> {
    if (staged !== undefined && this.waiting.delete(staged)) this.used++
    return super.putIfAbsent(path, bytes)
  }
}
