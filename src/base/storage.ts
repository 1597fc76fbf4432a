/**
 * Durable storage as a port, shaped so that a directory and an object store both fit: whole objects, atomic writes, and a
 * conditional put. Paths are relative to the storage's root and use '/'. An operation that resolved is durable: it survives
 * a crash of the process and of the machine. The storage itself keeps nothing in memory between calls.
 */

export interface StorageLock {
  /** Idempotent. */
  release(): Promise<void>
}

/** An object that has begun: whatever does not need its content is done meanwhile. */
export interface NewObject {
  /**
   * Once: its content, in one piece or in several that follow each other. The pieces are not touched until it resolves; then they are
   * durable.
   */
  write(content: Uint8Array | readonly Uint8Array[]): Promise<void>
  /** When it is not wanted after all; not while it is being written. Idempotent; what was put stays. */
  discard(): Promise<void>
  /** The same, but whatever is there stays: it is not for this process to touch any more. */
  abandon(): void
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
   * Begins an object that is new and that nobody looks for before its content is written. Until then it may be there empty or in part,
   * also after a crash; in turn it may be cheaper than `write`, the more so the earlier it begins. Beginning cannot fail: writing does, if it must.
   */
  create(path: string): NewObject
  /** Begins an object that is to be put into this folder, so that putting it has less left to do. Nobody sees it before. */
  stage(folder: string): NewObject
  /**
   * Writes the object only if there is none: exactly one of several concurrent writers is told 'created'. `staged`: these bytes, written
   * into this folder already; they are used up.
   */
  putIfAbsent(path: string, bytes: Uint8Array, staged?: NewObject): Promise<'created' | 'exists'>
  /** Removes an object, or a folder with all below it; nothing happens when it is absent. */
  remove(path: string): Promise<void>
  /**
   * A friendly lock against a second process on this machine: undefined when a living process holds it. It ends with the
   * process. Safety never rests on it.
   */
  lock(name: string): Promise<StorageLock | undefined>
}
