/** Storage in memory that knows which staged bytes were put, and which are neither put nor given up. */
import { MemoryStorage, type StagedBytes } from '../../base/index.ts'

export class StagingStorage extends MemoryStorage {
  readonly waiting: Set<StagedBytes> = new Set()
  used = 0

  override async stage(): Promise<StagedBytes> {
    const staged: StagedBytes = { discard: async () => void this.waiting.delete(staged) }
    this.waiting.add(staged)
    return staged
  }

  override async putIfAbsent(path: string, bytes: Uint8Array, staged?: StagedBytes): Promise<'created' | 'exists'> {
    if (staged !== undefined && this.waiting.delete(staged)) this.used++
    return super.putIfAbsent(path, bytes)
  }
}
