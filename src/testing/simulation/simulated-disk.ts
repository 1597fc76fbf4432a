/**
 * The disk of a simulation as the Storage of each process, of any directory on it. What resolved is durable. What was under way
 * when its process died may have happened or not; a new object that nobody was told of may lie there torn. A conditional put
 * happens whole or not at all.
 */
import { MillraceError, type Storage } from '../../base/index.ts'
import type { Dice } from './dice.ts'
import { type EventLoop, OUTSIDE } from './event-loop.ts'
import type { SimulatedProcess } from './simulated-process.ts'

export type DiskOperation = 'read' | 'list' | 'write' | 'put' | 'remove'

export interface DiskCall {
  readonly operation: DiskOperation
  /** Of the storage that was called. */
  readonly directory: string
  /** Within it. */
  readonly path: string
}

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

export class SimulatedDisk {
  /** By directory and path: `job/log/0000000001`. */
  readonly objects: Map<string, Buffer> = new Map()
  /** Asked at each operation. */
  fault: (process: SimulatedProcess) => DiskFault | undefined = () => undefined
  /** Told when an operation begins. */
  onBegin: (process: SimulatedProcess, call: DiskCall) => void = () => undefined
  /** Told when an operation has its effect, before the process is. */
  onEffect: (process: SimulatedProcess, call: DiskCall, result: unknown) => void = () => undefined
  readonly #loop: EventLoop
  readonly #dice: Dice

  constructor(loop: EventLoop, dice: Dice) {
    this.#loop = loop
    this.#dice = dice
  }

  storageOf(process: SimulatedProcess, directory: string): Storage {
    const at = (path: string): string => (path === '' ? directory : `${directory}/${path}`)
    const run = <T>(operation: DiskOperation, path: string, effect: (torn: boolean) => T): Promise<T> =>
      this.#do(process, { operation, directory, path }, effect)
    const whole = (content: Uint8Array | readonly Uint8Array[]): Buffer =>
      content instanceof Uint8Array ? Buffer.from(content) : Buffer.concat(content)
    return {
      location: directory,
      read: (path) => run('read', path, () => this.objects.get(at(path))),
      list: (folder) => run('list', folder, () => this.list(at(folder))),
      write: (path, content) => {
        const bytes = whole(content)
        return run('write', path, () => void this.objects.set(at(path), bytes))
      },
      create: (path) => {
        if (!this.objects.has(at(path))) this.objects.set(at(path), Buffer.alloc(0))
        return {
          write: (content) => {
            const bytes = whole(content)
            return run('write', path, (torn) => {
              this.objects.set(at(path), torn ? bytes.subarray(0, bytes.length >> 1) : bytes)
            })
          },
          discard: () => run('remove', path, () => this.remove(at(path))),
          abandon: () => undefined,
        }
      },
      stage: (folder) => ({
        write: () => run('write', `${folder}/staged`, () => undefined),
        discard: async () => undefined,
        abandon: () => undefined,
      }),
      putIfAbsent: (path, content) => {
        const bytes = Buffer.from(content)
        return run('put', path, () => {
          if (this.objects.has(at(path))) return 'exists'
          this.objects.set(at(path), bytes)
          return 'created'
        })
      },
      remove: (path) => run('remove', path, () => this.remove(at(path))),
      // A second process is on another machine, where the lock of the first is not seen: safety must not rest on it.
      lock: (name) => run('read', name, () => ({ release: async () => undefined })),
    }
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

  #do<T>(process: SimulatedProcess, call: DiskCall, effect: (torn: boolean) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!process.called(`${call.operation} ${call.path}`)) return
      process.whenAwake(() => this.#begin(process, call, effect, resolve, reject))
    })
  }

  #begin<T>(
    process: SimulatedProcess,
    call: DiskCall,
    effect: (torn: boolean) => T,
    resolve: (value: T) => void,
    reject: (error: Error) => void,
  ): void {
    const { operation, directory, path } = call
    this.onBegin(process, call)
    const { fails, extraMs = 0 } = this.fault(process) ?? {}
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
      if (fails !== 'before') this.onEffect(process, call, result)
      this.#loop.after(this.#dice.next() * 0.1, process, `disk: ${operation} is done`, () => {
        if (!process.called(`${operation} ${path} is done`)) return
        if (fails === undefined) resolve(result as T)
        else reject(new MillraceError('STORAGE_FAILED', `could not ${operation} ${directory}/${path}, as planned`))
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
