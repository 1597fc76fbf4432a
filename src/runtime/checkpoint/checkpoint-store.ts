/**
 * The checkpoint folders of a job: `chk-N-ATTEMPT/`, never reused, because two attempts never share a number pair. Writing
 * ends with `_metadata`; a folder only counts once the log has its `completed` record with the digest returned here.
 */
import { createHash } from 'node:crypto'
import { type Clock, joint, MillraceError, type NewObject, type Storage } from '../../base/index.ts'
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

/** The files of a checkpoint that has begun. */
interface Files {
  readonly state: NewObject
  readonly metadata: NewObject
}

export class CheckpointStore {
  readonly #storage: Storage
  readonly #clock: Clock
  /** By folder: expected, and not written yet. */
  readonly #expected = new Map<string, Files>()

  constructor(storage: Storage, clock: Clock) {
    this.#storage = storage
    this.#clock = clock
  }

  /** A checkpoint is near that will probably be written: what can be done before its content is known, begins. */
  expect(checkpoint: number, attempt: number): void {
    const folder = folderOf(checkpoint, attempt)
    if (!this.#expected.has(folder)) this.#expected.set(folder, this.#begin(folder))
  }

  /**
   * Resolves when the checkpoint is durable and `beside` is over, which is told what it will be stored as, as soon as that is known.
   * However large it is, nothing else on this thread waits for it.
   */
  async write(
    content: CheckpointContent,
    beside: (stored: StoredCheckpoint) => Promise<void> = async () => undefined,
  ): Promise<StoredCheckpoint> {
    const { checkpoint } = content
    const folder = folderOf(checkpoint, content.attempt)
    const pieces = content.parts.map((part) => part.bytes)
    const files = this.#expected.get(folder) ?? this.#begin(folder)
    this.#expected.delete(folder)
    // At once, and in any order: neither counts before the log says that the checkpoint completed.
    const state = files.state.write(pieces).then(() => joint('snapshot-written', { checkpoint }))
    const described = digestOf(pieces, this.#clock).then((digest) => {
      const metadata = encodeMetadata(content, digest)
      const stateBytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0)
      const stored = { folder, digest: sha256(metadata), bytes: stateBytes + metadata.byteLength }
      const written = files.metadata.write(metadata).then(() => joint('metadata-written', { checkpoint }))
      return all([written, beside(stored)]).then(() => stored)
    })
    const [stored] = await all([described, state])
    return stored
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
    await this.#giveUp(folderOf(checkpoint, attempt))
  }

  /** Gives up what was expected and not written. It does not fail. */
  async close(options: { readonly abandon: boolean }): Promise<void> {
    const expected = [...this.#expected]
    if (!options.abandon) {
      await Promise.allSettled(expected.map(([folder]) => this.#giveUp(folder)))
      return
    }
    this.#expected.clear()
    for (const [, { state, metadata }] of expected) {
      state.abandon()
      metadata.abandon()
    }
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

  #begin(folder: string): Files {
    return {
      state: this.#storage.create(`${folder}/state`),
      metadata: this.#storage.create(`${folder}/_metadata`),
    }
  }

  async #giveUp(folder: string): Promise<void> {
    const files = this.#expected.get(folder)
    this.#expected.delete(folder)
    await Promise.allSettled([files?.state.discard(), files?.metadata.discard()])
    await this.#removeQuietly(folder)
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

function folderOf(checkpoint: number, attempt: number): string {
  return `chk-${checkpoint}-${attempt}`
}

/** Both results, or the first error, but not before both are over: what failed is removed then, and must not come back. */
async function all<A, B>(both: [Promise<A>, Promise<B>]): Promise<[A, B]> {
  await Promise.allSettled(both)
  return Promise.all(both)
}

async function quietly(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!MillraceError.is(error)) throw error
  }
}
