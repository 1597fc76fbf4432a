/**
 * Storage in a directory of a POSIX file system. A write goes to a temporary name, is made durable, takes its final name by
 * rename (or by link where it must not replace anything), and then the directory is fsynced: after a power cut the object
 * is there whole or not at all. Temporary names begin with a dot and end in `.tmp`; readers never see them. Only what nobody looks
 * for yet (`create`) has its final name from the start.
 */

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, mkdir, open, readdir, readFile, rename, rm, unlink } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { joint } from './joint.ts'
import { MillraceError } from './millrace-error.ts'
import { socketPath } from './socket-path.ts'
import type { NewObject, Storage, StorageLock } from './storage.ts'

/** Written at a time. */
const CHUNK_BYTES = 1024 * 1024
/**
 * Whether a write may be durable when it resolves, which is one wait of a thread less than a sync behind it. Elsewhere such writes may stop at
 * the cache of the drive (macOS), or there are none.
 */
const WRITES_THROUGH = process.platform === 'linux'
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (WRITES_THROUGH ? constants.O_DSYNC : 0)

/** A folder that was made. */
interface KnownDirectory {
  /** Tells the first of its parents that had to be made. */
  readonly made: Promise<string | undefined>
  /** It is there after a power cut too. */
  durable: Promise<void> | undefined
}

export class DirectoryStorage implements Storage {
  readonly location: string
  readonly #known = new Map<string, KnownDirectory>()
  /** The sync of a folder that was asked for and has not begun. */
  #waitingSync: { readonly path: string; readonly done: Promise<void> } | undefined

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
    const target = this.#at(path)
    const folder = dirname(target)
    const failed = (error: unknown): MillraceError => this.#failed('write', path, error)
    const temporary = this.#temporary(folder, failed)
    await temporary.write(content)
    try {
      await rename(temporary.path, target)
      await this.#syncNames(folder)
    } catch (error) {
      await temporary.discard().catch(() => undefined)
      throw failed(error)
    }
  }

  create(path: string): NewObject {
    const target = this.#at(path)
    const folder = dirname(target)
    return new NewFile({
      path: target,
      folder: this.#directory(folder).made,
      place: () => Promise.all([this.#durable(folder), this.#syncNames(folder)]),
      failed: (error) => this.#failed('write', path, error),
    })
  }

  stage(folder: string): NewObject {
    return this.#temporary(this.#at(folder), (error) => this.#failed('write into', folder, error))
  }

  async putIfAbsent(path: string, bytes: Uint8Array, staged?: NewObject): Promise<'created' | 'exists'> {
    const target = this.#at(path)
    const failed = (error: unknown): MillraceError => this.#failed('create', path, error)
    const file = staged instanceof NewFile ? staged : this.#temporary(dirname(target), failed)
    if (file !== staged) await file.write(bytes)
    const folder = new Folder(dirname(target))
    try {
      joint('record-before-link', { path })
      await link(file.path, target)
      await Promise.all([folder.sync(), file.discard()])
      return 'created'
    } catch (error) {
      await file.discard().catch(() => undefined)
      if (isCode(error, 'EEXIST')) return 'exists'
      throw failed(error)
    } finally {
      folder.release()
    }
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
    await this.#durable(dirname(path))
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

  /** Its name need not last, only its folder. */
  #temporary(folder: string, failed: (error: unknown) => MillraceError): NewFile {
    const path = join(folder, `.${randomBytes(8).toString('hex')}.tmp`)
    return new NewFile({ path, folder: this.#directory(folder).made, place: () => this.#durable(folder), failed })
  }

  /** Makes the folder once, whoever asks how often at a time. */
  #directory(folder: string): KnownDirectory {
    const known = this.#known.get(folder)
    if (known !== undefined) return known
    const directory: KnownDirectory = { made: mkdir(folder, { recursive: true }), durable: undefined }
    directory.made.catch(() => this.#known.delete(folder))
    this.#known.set(folder, directory)
    return directory
  }

  #durable(folder: string): Promise<void> {
    const directory = this.#directory(folder)
    if (directory.durable === undefined) {
      directory.durable = directory.made.then((first) => syncParents(folder, first))
      directory.durable.catch(() => this.#known.delete(folder))
    }
    return directory.durable
  }

  /** What is removed is not there the next time; what is not below it stays known. */
  #forget(removed: string): void {
    for (const known of this.#known.keys()) {
      if (known === removed || known.startsWith(`${removed}/`)) this.#known.delete(known)
    }
  }

  /** Makes durable which names a folder has now: a sync that has not begun yet does, whoever asked for it. */
  #syncNames(path: string): Promise<void> {
    const waiting = this.#waitingSync
    if (waiting?.path === path) return waiting.done
    const folder = new Folder(path)
    const done = folder.opened
      .then(() => {
        if (this.#waitingSync === sync) this.#waitingSync = undefined
        return folder.sync()
      })
      .finally(() => folder.release())
    const sync = { path, done }
    this.#waitingSync = sync
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
  readonly opened: Promise<FileHandle>

  constructor(path: string) {
    this.opened = open(path, 'r')
    this.opened.catch(() => undefined)
  }

  async sync(): Promise<void> {
    const handle = await this.opened
    await handle.sync()
  }

  release(): void {
    this.opened.then(release, () => undefined)
  }
}

interface NewFileOptions {
  readonly path: string
  /** Resolves when it is there. */
  readonly folder: Promise<unknown>
  /** Makes durable what its name needs. */
  readonly place: () => Promise<unknown>
  readonly failed: (error: unknown) => MillraceError
}

class NewFile implements NewObject {
  readonly path: string
  readonly #file: Promise<FileHandle>
  readonly #placed: Promise<unknown>
  readonly #failed: (error: unknown) => MillraceError

  constructor({ path, folder, place, failed }: NewFileOptions) {
    this.path = path
    this.#file = folder.then(() => open(path, NEW_FILE))
    this.#placed = this.#file.then(place)
    // Who writes is told.
    this.#placed.catch(() => undefined)
    this.#failed = failed
  }

  async write(content: Uint8Array | readonly Uint8Array[]): Promise<void> {
    try {
      const file = await this.#file
      const pieces = content instanceof Uint8Array ? [content] : content
      const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0)
      if (WRITES_THROUGH && bytes > 0 && bytes <= CHUNK_BYTES) {
        for (const chunk of chunksOf(pieces)) await file.writeFile(chunk)
      } else {
        await this.#writeAndSync(pieces)
      }
      release(file)
      await this.#placed
    } catch (error) {
      // A full disk must not be filled further by what did not fit.
      await this.discard().catch(() => undefined)
      throw this.#failed(error)
    }
  }

  async discard(): Promise<void> {
    const file = await this.#file.catch(() => undefined)
    if (file === undefined) return
    release(file)
    try {
      await unlink(this.path)
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error
    }
  }

  abandon(): void {
    this.#file.then(release, () => undefined)
  }

  /** However many chunks: the disk is waited for once. */
  async #writeAndSync(pieces: readonly Uint8Array[]): Promise<void> {
    const file = await open(this.path, 'r+')
    try {
      for (const chunk of chunksOf(pieces)) await file.writeFile(chunk)
      await file.sync()
    } finally {
      release(file)
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
function* chunksOf(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  let small: Uint8Array[] = []
  let bytes = 0
  for (const piece of pieces) {
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
