/** Storage in memory that knows which staged objects were put, and which are neither put nor given up. */
import { MemoryStorage, type NewObject } from '../../base/index.ts'

export class StagingStorage extends MemoryStorage {
  readonly waiting: Set<NewObject> = new Set()
  used = 0

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
