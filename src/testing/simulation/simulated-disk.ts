/**
 * The disk of a simulation as the Storage of each process. What resolved is durable. What was under way when its process died
 * may have happened or not; a new object that nobody was told of may lie there torn. A conditional put happens whole or not at all.
 */
import { MillraceError, type Storage } from '../../base/index.ts'
import type { Dice } from './dice.ts'
import { type EventLoop, OUTSIDE } from './event-loop.ts'
import type { SimulatedProcess } from './simulated-process.ts'

export type DiskOperation = 'read' | 'list' | 'write' | 'put' | 'remove'

export interface DiskFault {
  /** Fails before it did anything, or after; absent: it does not fail. */
  readonly fails?: 'before' | 'after'
  readonly extraMs?: number
}

/** An operation on its way to the disk. */
interface UnderWay {
  readonly operation: DiskOperation
  torn: boolean
  lost: boolean
}

const LOCATION = 'simulated-disk'

export class SimulatedDisk {
  readonly objects: Map<string, Buffer> = new Map()
  /** Asked at each operation. */
  fault: (process: SimulatedProcess, operation: DiskOperation, path: string) => DiskFault | undefined = () => undefined
  /** Told when an operation begins. */
  onBegin: (process: SimulatedProcess, operation: DiskOperation, path: string) => void = () => undefined
  /** Told when an operation has its effect, before the process is. */
  onEffect: (process: SimulatedProcess, operation: DiskOperation, path: string, result: unknown) => void = () =>
    undefined
  readonly #loop: EventLoop
  readonly #dice: Dice

  constructor(loop: EventLoop, dice: Dice) {
    this.#loop = loop
    this.#dice = dice
  }

  storageOf(process: SimulatedProcess): Storage {
    const storage: Storage = {
      location: LOCATION,
      read: (path) => this.#do(process, 'read', path, () => this.objects.get(path)),
      list: (folder) => this.#do(process, 'list', folder, () => this.list(folder)),
      write: (path, content) => {
        const whole = content instanceof Uint8Array ? Buffer.from(content) : Buffer.concat(content)
        return this.#do(process, 'write', path, () => void this.objects.set(path, whole))
      },
      writeNew: (path, content) => {
        const whole = content instanceof Uint8Array ? Buffer.from(content) : Buffer.concat(content)
        return this.#do(process, 'write', path, (torn) => {
          this.objects.set(path, torn ? whole.subarray(0, whole.length >> 1) : whole)
        })
      },
      putIfAbsent: (path, bytes) => {
        const whole = Buffer.from(bytes)
        return this.#do(process, 'put', path, () => {
          if (this.objects.has(path)) return 'exists'
          this.objects.set(path, whole)
          return 'created'
        })
      },
      remove: (path) => this.#do(process, 'remove', path, () => this.remove(path)),
      // A second process is on another machine, where the lock of the first is not seen: safety must not rest on it.
      lock: (name) => this.#do(process, 'read', name, () => ({ release: async () => undefined })),
    }
    return storage
  }

  list(folder: string): string[] {
    const prefix = folder === '' ? '' : `${folder}/`
    const names = new Set<string>()
    for (const path of this.objects.keys()) {
      if (path.startsWith(prefix)) names.add(path.slice(prefix.length).split('/')[0] ?? '')
    }
    return [...names].sort()
  }

  remove(path: string): void {
    for (const known of [...this.objects.keys()]) {
      if (known === path || known.startsWith(`${path}/`)) this.objects.delete(known)
    }
  }

  #do<T>(process: SimulatedProcess, operation: DiskOperation, path: string, effect: (torn: boolean) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!process.called(`${operation} ${path}`)) return
      process.whenAwake(() => this.#begin(process, operation, path, effect, resolve, reject))
    })
  }

  #begin<T>(
    process: SimulatedProcess,
    operation: DiskOperation,
    path: string,
    effect: (torn: boolean) => T,
    resolve: (value: T) => void,
    reject: (error: Error) => void,
  ): void {
    this.onBegin(process, operation, path)
    const { fails, extraMs = 0 } = this.fault(process, operation, path) ?? {}
    const underWay: UnderWay = { operation, torn: false, lost: false }
    const onDeath = (): void => this.#die(underWay)
    process.onDeath.push(onDeath)
    const slow = operation === 'read' || operation === 'list' ? 0.3 : 2
    const takesMs = 0.02 + this.#dice.next() * slow + extraMs
    this.#loop.after(takesMs, OUTSIDE, `disk: ${operation}`, () => {
      const at = process.onDeath.indexOf(onDeath)
      if (at >= 0) process.onDeath.splice(at, 1)
      if (underWay.lost) return
      const result = fails === 'before' ? undefined : effect(underWay.torn)
      if (fails !== 'before') this.onEffect(process, operation, path, result)
      this.#loop.after(this.#dice.next() * 0.1, process, `disk: ${operation} is done`, () => {
        if (!process.called(`${operation} ${path} is done`)) return
        if (fails === undefined) resolve(result as T)
        else reject(new MillraceError('STORAGE_FAILED', `could not ${operation} ${LOCATION}/${path}, as planned`))
      })
    })
  }

  /** The process of an operation under way died: nobody will be told how it went. */
  #die(underWay: UnderWay): void {
    const luck = this.#dice.next()
    if (luck < 0.4) underWay.lost = true
    else if (luck < 0.6 && underWay.operation === 'write') underWay.torn = true
  }
}
