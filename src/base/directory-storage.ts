/**
 * Storage in a directory of a POSIX file system. A write goes to a temporary name, is fsynced, takes its final name by
 * rename (or by link where it must not replace anything), and then the directory is fsynced: after a power cut the object
 * is there whole or not at all. Temporary names begin with a dot and end in `.tmp`; readers never see them. Only what nobody looks
 * for yet (`writeNew`) has its final name from the start.
 */

import { randomBytes } from 'node:crypto'
import { type FileHandle, link, mkdir, open, readdir, readFile, rename, rm, unlink } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { joint } from './joint.ts'
import { MillraceError } from './millrace-error.ts'
import { socketPath } from './socket-path.ts'
import type { StagedBytes, Storage, StorageLock } from './storage.ts'

/** Written at a time. */
const CHUNK_BYTES = 1024 * 1024

/** A folder that is there, and then will still be there after a power cut. */
interface KnownDirectory {
  readonly made: Promise<unknown>
  readonly durable: Promise<void>
}

export class DirectoryStorage implements Storage {
  readonly location: string
  readonly #known = new Map<string, KnownDirectory>()
  /** Counts what is made in folders, and syncs of folders. */
  #moment = 0
  #lastSync: { readonly path: string; readonly began: number; readonly done: Promise<void> } | undefined

  constructor(root: string) {
    this.location = resolve(root)
  }

  async read(path: string): Promise<Buffer | undefined> {
    try {
      return await readFile(this.#at(path))
    } catch (error) {
      if (isCode(error, 'ENOENT')) return undefined
      throw this.#failed('read', path, error)
    }
  }

  async list(folder: string): Promise<string[]> {
    try {
      const names = await readdir(this.#at(folder))
      return names.filter((name) => !isTemporary(name)).sort()
    } catch (error) {
      if (isCode(error, 'ENOENT')) return []
      throw this.#failed('list', folder, error)
    }
  }

  async write(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void> {
    try {
      const target = this.#at(path)
      const directory = this.#directory(dirname(target))
      await directory.made
      const temporary = await this.#writeTemporary(dirname(target), content)
      try {
        await rename(temporary, target)
      } catch (error) {
        await rm(temporary, { force: true })
        throw error
      }
      await Promise.all([directory.durable, syncDirectory(dirname(target))])
    } catch (error) {
      throw this.#failed('write', path, error)
    }
  }

  async writeNew(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void> {
    try {
      const target = this.#at(path)
      const directory = this.#directory(dirname(target))
      await directory.made
      const folder = new Folder(dirname(target))
      try {
        const file = await open(target, 'wx')
        const since = ++this.#moment
        try {
          for (const chunk of chunksOf(content)) await file.writeFile(chunk)
          // At once, as the file system can then do it in one go.
          await Promise.all([file.sync(), this.#syncOnce(dirname(target), folder, since), directory.durable])
        } finally {
          release(file)
        }
      } finally {
        folder.release()
      }
    } catch (error) {
      throw this.#failed('write', path, error)
    }
  }

  async stage(folder: string, bytes: Uint8Array): Promise<StagedFile> {
    try {
      const at = this.#at(folder)
      const directory = this.#directory(at)
      await directory.made
      const [temporary] = await Promise.all([this.#writeTemporary(at, bytes), directory.durable])
      return new StagedFile(temporary)
    } catch (error) {
      throw this.#failed('write into', folder, error)
    }
  }

  async putIfAbsent(path: string, bytes: Uint8Array, staged?: StagedBytes): Promise<'created' | 'exists'> {
    const file = staged instanceof StagedFile ? staged : await this.stage(dirname(path), bytes)
    const target = this.#at(path)
    const folder = new Folder(dirname(target))
    try {
      joint('record-before-link', { path })
      await link(file.path, target)
      await Promise.all([folder.sync(), file.discard()])
      return 'created'
    } catch (error) {
      await file.discard().catch(() => undefined)
      if (isCode(error, 'EEXIST')) return 'exists'
      throw this.#failed('create', path, error)
    } finally {
      folder.release()
    }
  }

  expect(folder: string): void {
    this.#directory(this.#at(folder))
  }

  async remove(path: string): Promise<void> {
    try {
      const target = this.#at(path)
      await rm(target, { recursive: true, force: true })
      this.#forget(target)
      await syncDirectory(dirname(target))
    } catch (error) {
      if (isCode(error, 'ENOENT')) return
      throw this.#failed('remove', path, error)
    }
  }

  async lock(name: string): Promise<StorageLock | undefined> {
    const path = socketPath(this.#at(name))
    await this.#directory(dirname(path)).made
    for (let attempt = 0; attempt < 5; attempt++) {
      const held = await listen(path)
      if (held !== undefined) return held
      if (await answers(path)) return undefined
      // The socket of a process that is gone: nobody answers on it.
      await rm(path, { force: true })
    }
    return undefined
  }

  #at(path: string): string {
    return join(this.location, path)
  }

  async #writeTemporary(folder: string, content: Uint8Array | readonly Uint8Array[]): Promise<string> {
    const temporary = join(folder, `.${randomBytes(8).toString('hex')}.tmp`)
    const file = await open(temporary, 'wx')
    try {
      for (const chunk of chunksOf(content)) await file.writeFile(chunk)
      await file.sync()
    } catch (error) {
      // A full disk must not be filled further by what did not fit.
      await rm(temporary, { force: true })
      throw error
    } finally {
      release(file)
    }
    return temporary
  }

  /** Makes the folder once, whoever asks how often at a time. */
  #directory(folder: string): KnownDirectory {
    const known = this.#known.get(folder)
    if (known !== undefined) return known
    const made = mkdir(folder, { recursive: true })
    const durable = made.then((first) => syncParents(folder, first))
    durable.catch(() => this.#known.delete(folder))
    const directory = { made, durable }
    this.#known.set(folder, directory)
    return directory
  }

  /** What is removed is not there the next time; what is not below it stays known. */
  #forget(removed: string): void {
    for (const known of this.#known.keys()) {
      if (known === removed || known.startsWith(`${removed}/`)) this.#known.delete(known)
    }
  }

  /** Makes durable which names a folder had at a moment: a sync that began since then, whoever asked for it, does. */
  #syncOnce(path: string, folder: Folder, since: number): Promise<void> {
    const last = this.#lastSync
    if (last !== undefined && last.path === path && last.began > since) return last.done
    const done = folder.sync()
    this.#lastSync = { path, began: ++this.#moment, done }
    return done
  }

  #failed(verb: string, path: string, error: unknown): MillraceError {
    if (MillraceError.is(error)) return error
    return new MillraceError('STORAGE_FAILED', `could not ${verb} ${this.#at(path)}`, {
      cause: error,
      next: 'Nothing that was reported as stored is affected; check the disk and the permissions of this path.',
    })
  }
}

/** A folder, opened while what is to be durable in it is being done. */
class Folder {
  readonly #handle: Promise<FileHandle>

  constructor(path: string) {
    this.#handle = open(path, 'r')
    this.#handle.catch(() => undefined)
  }

  async sync(): Promise<void> {
    const handle = await this.#handle
    await handle.sync()
  }

  release(): void {
    this.#handle.then(release, () => undefined)
  }
}

/** A file that has a temporary name only. */
class StagedFile implements StagedBytes {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  async discard(): Promise<void> {
    try {
      await unlink(this.path)
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error
    }
  }
}

/** Nobody waits for it: what was synced, closing cannot undo. */
function release(handle: FileHandle): void {
  handle.close().catch(() => undefined)
}

/**
 * What is written at a time: large pieces as they are, in slices, small ones put together. Each is a turn of the event loop, so that
 * however much there is to write, nothing else waits for it.
 */
function* chunksOf(content: Uint8Array | readonly Uint8Array[]): Generator<Uint8Array> {
  let small: Uint8Array[] = []
  let bytes = 0
  for (const piece of content instanceof Uint8Array ? [content] : content) {
    if (bytes > 0 && bytes + piece.byteLength > CHUNK_BYTES) {
      yield Buffer.concat(small)
      small = []
      bytes = 0
    }
    if (piece.byteLength < CHUNK_BYTES) {
      small.push(piece)
      bytes += piece.byteLength
      continue
    }
    for (let at = 0; at < piece.byteLength; at += CHUNK_BYTES) yield piece.subarray(at, at + CHUNK_BYTES)
  }
  if (bytes > 0) yield small.length === 1 && small[0] !== undefined ? small[0] : Buffer.concat(small)
}

function isTemporary(name: string): boolean {
  return name.startsWith('.') && name.endsWith('.tmp')
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** Each parent that got a new entry, so that the folder itself survives a power cut. */
async function syncParents(folder: string, first: string | undefined): Promise<void> {
  if (first === undefined) return
  const parents: Promise<void>[] = []
  for (let at = folder; at.length >= first.length; at = dirname(at)) parents.push(syncDirectory(dirname(at)))
  await Promise.all(parents)
}

async function syncDirectory(path: string): Promise<void> {
  const folder = new Folder(path)
  try {
    await folder.sync()
  } finally {
    folder.release()
  }
}

function listen(path: string): Promise<StorageLock | undefined> {
  return new Promise((resolvePromise, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error) => (isCode(error, 'EADDRINUSE') ? resolvePromise(undefined) : reject(error)))
    server.listen(path, () => {
      server.unref()
      resolvePromise({
        release: () => new Promise<void>((done) => (server.listening ? server.close(() => done()) : done())),
      })
    })
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolvePromise) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolvePromise(true)
    })
    socket.once('error', () => resolvePromise(false))
  })
}
