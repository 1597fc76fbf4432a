/**
 * The checkpoint folders of a job: `chk-N-ATTEMPT/`, never reused, because two attempts never share a number pair. Writing
 * ends with `_metadata`; a folder only counts once the log has its `completed` record with the digest returned here.
 */
import { createHash } from 'node:crypto'
import { type Clock, joint, MillraceError, type Storage } from '../../base/index.ts'
import { type CheckpointContent, checkpointDamaged, decodeCheckpoint, encodeMetadata } from './checkpoint-metadata.ts'
import { sha256 } from './job-log-record.ts'

/** Digested at a time, in about half a millisecond. */
const PIECE_BYTES = 1024 * 1024
const FOLDER = /^chk-(\d+)-(\d+)$/

export interface StoredCheckpoint {
  readonly folder: string
  readonly digest: string
  readonly bytes: number
}

export class CheckpointStore {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor(storage: Storage, clock: Clock) {
    this.#storage = storage
    this.#clock = clock
  }

  /** Resolves when the checkpoint is durable. However large it is, nothing else on this thread waits for it. */
  async write(content: CheckpointContent): Promise<StoredCheckpoint> {
    const folder = `chk-${content.checkpoint}-${content.attempt}`
    const { checkpoint } = content
    const pieces = content.parts.map((part) => part.bytes)
    // At once, and in any order: neither counts before the log says that the checkpoint completed.
    const [, metadata] = await both(
      this.#storage.writeNew(`${folder}/state`, pieces).then(() => joint('snapshot-written', { checkpoint })),
      this.#writeMetadata(folder, content, pieces),
    )
    const stateBytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0)
    return { folder, digest: sha256(metadata), bytes: stateBytes + metadata.byteLength }
  }

  async #writeMetadata(folder: string, content: CheckpointContent, pieces: readonly Uint8Array[]): Promise<Buffer> {
    const metadata = encodeMetadata(content, await digestOf(pieces, this.#clock))
    await this.#storage.writeNew(`${folder}/_metadata`, metadata)
    joint('metadata-written', { checkpoint: content.checkpoint })
    return metadata
  }

  /** Throws CHECKPOINT_DAMAGED when it is not exactly what was written. */
  async read(folder: string, digest: string): Promise<CheckpointContent> {
    const where = `${this.#storage.location}/${folder}`
    const metadata = await this.#storage.read(`${folder}/_metadata`)
    if (metadata === undefined) throw checkpointDamaged(where, 'its _metadata is missing')
    if (sha256(metadata) !== digest) throw checkpointDamaged(where, 'its _metadata is not the one that was written')
    const state = await this.#storage.read(`${folder}/state`)
    if (state === undefined) throw checkpointDamaged(where, 'its state file is missing')
    return decodeCheckpoint({ metadata, state }, where, await digestOf([state], this.#clock))
  }

  /** Removes what a failed checkpoint left; failing to is no failure. */
  async discard(checkpoint: number, attempt: number): Promise<void> {
    await this.#removeQuietly(`chk-${checkpoint}-${attempt}`)
  }

  /**
   * Removes the folders of checkpoints below `lowest`, as long as `goesOn` says so before each; what cannot be removed now is tried again with
   * the next ones.
   */
  async removeBelow(lowest: number, goesOn: () => boolean = () => true): Promise<void> {
    await quietly(async () => {
      for (const name of await this.#storage.list('')) {
        const match = FOLDER.exec(name)
        if (match === null || Number(match[1]) >= lowest) continue
        if (!goesOn()) return
        await this.#removeQuietly(name)
      }
    })
  }

  #removeQuietly(folder: string): Promise<void> {
    return quietly(() => this.#storage.remove(folder))
  }
}

/** SHA-256 of the pieces together, with a turn of the event loop after every so many bytes. */
export async function digestOf(pieces: readonly Uint8Array[], clock: Clock): Promise<string> {
  const hash = createHash('sha256')
  let sinceTurn = 0
  for (const piece of pieces) {
    for (let at = 0; at < piece.byteLength; at += PIECE_BYTES) {
      const slice = piece.subarray(at, at + PIECE_BYTES)
      if (sinceTurn + slice.byteLength > PIECE_BYTES) {
        await clock.nextTurn()
        sinceTurn = 0
      }
      hash.update(slice)
      sinceTurn += slice.byteLength
    }
  }
  return hash.digest('hex')
}

/** Both results, or the first error, but not before both are over: what failed is removed then, and must not come back. */
async function both<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second])
  return Promise.all([first, second])
}

async function quietly(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!MillraceError.is(error)) throw error
  }
}
