/**
 * The checkpoint folders of a job: `chk-N-ATTEMPT/`, never reused, because two attempts never share a number pair. Writing
 * ends with `_metadata`; a folder only counts once the log has its `completed` record with the digest returned here.
 */
import { joint, MillraceError, type Storage } from '../../base/index.ts'
import { type CheckpointContent, checkpointDamaged, decodeCheckpoint, encodeCheckpoint } from './checkpoint-metadata.ts'
import { sha256 } from './job-log-record.ts'

const FOLDER = /^chk-(\d+)-(\d+)$/

export interface StoredCheckpoint {
  readonly folder: string
  readonly digest: string
  readonly bytes: number
}

export class CheckpointStore {
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** Resolves when the checkpoint is durable. */
  async write(content: CheckpointContent): Promise<StoredCheckpoint> {
    const folder = `chk-${content.checkpoint}-${content.attempt}`
    const encoded = encodeCheckpoint(content)
    const { checkpoint } = content
    // At once, and in any order: neither counts before the log says that the checkpoint completed.
    await Promise.all([
      this.#storage.write(`${folder}/state`, encoded.state).then(() => joint('snapshot-written', { checkpoint })),
      this.#storage
        .write(`${folder}/_metadata`, encoded.metadata)
        .then(() => joint('metadata-written', { checkpoint })),
    ])
    return {
      folder,
      digest: sha256(encoded.metadata),
      bytes: encoded.state.byteLength + encoded.metadata.byteLength,
    }
  }

  /** Throws CHECKPOINT_DAMAGED when it is not exactly what was written. */
  async read(folder: string, digest: string): Promise<CheckpointContent> {
    const where = `${this.#storage.location}/${folder}`
    const metadata = await this.#storage.read(`${folder}/_metadata`)
    if (metadata === undefined) throw checkpointDamaged(where, 'its _metadata is missing')
    if (sha256(metadata) !== digest) throw checkpointDamaged(where, 'its _metadata is not the one that was written')
    const state = await this.#storage.read(`${folder}/state`)
    if (state === undefined) throw checkpointDamaged(where, 'its state file is missing')
    return decodeCheckpoint({ metadata, state }, where)
  }

  /** Removes what a failed checkpoint left; failing to is no failure. */
  async discard(checkpoint: number, attempt: number): Promise<void> {
    await this.#removeQuietly(`chk-${checkpoint}-${attempt}`)
  }

  /** Removes the folders of checkpoints below `lowest`; what cannot be removed now is tried again with the next ones. */
  async removeBelow(lowest: number): Promise<void> {
    await quietly(async () => {
      for (const name of await this.#storage.list('')) {
        const match = FOLDER.exec(name)
        if (match !== null && Number(match[1]) < lowest) await this.#removeQuietly(name)
      }
    })
  }

  #removeQuietly(folder: string): Promise<void> {
    return quietly(() => this.#storage.remove(folder))
  }
}

async function quietly(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!MillraceError.is(error)) throw error
  }
}
