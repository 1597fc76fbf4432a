/**
 * Durable storage as a port, shaped so that a directory and an object store both fit: whole objects, atomic writes, and a
 * conditional put. Paths are relative to the storage's root and use '/'. An operation that resolved is durable: it survives
 * a crash of the process and of the machine. The storage itself keeps nothing in memory between calls.
 */

export interface StorageLock {
  /** Idempotent. */
  release(): Promise<void>
}

/** Bytes that `Storage.stage` made durable. */
export interface StagedBytes {
  /** When they are not to be put after all. Idempotent; nothing happens once they are put. */
  discard(): Promise<void>
}

export interface Storage {
  /** For messages: where this storage is. */
  readonly location: string
  /** The whole object, or undefined when there is none. */
  read(path: string): Promise<Buffer | undefined>
  /** The names directly below a folder, in ascending order; empty when there is no such folder. */
  list(folder: string): Promise<string[]>
  /**
   * Writes the whole object, given in one piece or in several that follow each other; readers see the old one or the new one,
   * never a part. The pieces are not touched until it resolves.
   */
  write(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void>
  /**
   * Writes an object that is new and that nobody looks for before this resolves. Until then a part of it may be there, also
   * after a crash; in turn it may be cheaper than `write`. The pieces are not touched until it resolves.
   */
  writeNew(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void>
  /**
   * Makes bytes durable that are to be put into this folder, so that putting them, which somebody waits for, has less left to do. Nobody sees
   * them before.
   */
  stage(folder: string, bytes: Uint8Array): Promise<StagedBytes>
  /**
   * Writes the object only if there is none: exactly one of several concurrent writers is told 'created'. `staged`: what `stage` answered
   * for these bytes and this folder; it is used up.
   */
  putIfAbsent(path: string, bytes: Uint8Array, staged?: StagedBytes): Promise<'created' | 'exists'>
  /** Begins to make ready a folder that is about to be written to. It cannot fail: writing does, if it must. */
  expect(folder: string): void
  /** Removes an object, or a folder with all below it; nothing happens when it is absent. */
  remove(path: string): Promise<void>
  /**
   * A friendly lock against a second process on this machine: undefined when a living process holds it. It ends with the
   * process. Safety never rests on it.
   */
  lock(name: string): Promise<StorageLock | undefined>
}
