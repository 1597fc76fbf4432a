/**
 * Lists of one operator subtask that belong to no key (Flink: operator list state). After a restore the elements of all former
 * subtasks, in their order, are dealt out in even shares. They are serialised in one go at the barrier, so they are for little.
 *
 * LISTS_VERSION_1: a block (BlockWriter's VERSION_1) that holds for each list its name and an array.
 */
import { assert, MillraceError } from '../../base/index.ts'
import type { ListState, StateDescriptor, VersionedBytes } from '../../core/index.ts'
import { BlockReader } from '../block/block-reader.ts'
import { BlockWriter } from '../block/block-writer.ts'
import type { HostedLists } from './hosted-state.ts'

const LISTS_VERSION_1 = 1

export interface OperatorListsOptions {
  readonly operatorName: string
  readonly uid: string
  readonly subtask: number
  readonly parallelism: number
  /** Of all subtasks of the checkpoint, in the same order for each. */
  readonly restored: readonly VersionedBytes[]
  readonly allowNonRestoredState: boolean
}

export class OperatorLists implements HostedLists {
  readonly #options: OperatorListsOptions
  readonly #lists = new Map<string, SubtaskList<unknown>>()
  /** Not asked for yet. */
  readonly #restored = new Map<string, readonly unknown[]>()
  #opened = false

  constructor(options: OperatorListsOptions) {
    this.#options = options
    for (const [name, elements] of this.#all()) this.#restored.set(name, this.#share(elements))
  }

  list<T>(descriptor: StateDescriptor): ListState<T> {
    const { name } = descriptor
    let list = this.#lists.get(name)
    if (list === undefined) {
      assert(!this.#opened, `list "${name}" of ${this.#owner} must be asked for in open`)
      list = new SubtaskList(this.#restored.get(name) ?? [])
      this.#restored.delete(name)
      this.#lists.set(name, list)
    }
    return list as SubtaskList<unknown> as ListState<T>
  }

  opened(): void {
    this.#opened = true
    if (this.#restored.size === 0 || this.#options.allowNonRestoredState) return
    const names = [...this.#restored.keys()].map((name) => `"${name}"`).join(', ')
    throw new MillraceError(
      'STATE_NOT_RESTORED',
      `the checkpoint holds lists ${names} that ${this.#owner} does not ask for`,
      {
        next:
          'Nothing was lost: the checkpoint is untouched. Ask for the list in open under its former name, or give it up with ' +
          '--allow-non-restored-state.',
      },
    )
  }

  snapshot(): VersionedBytes | undefined {
    const filled = [...this.#lists].filter(([, list]) => list.get().length > 0)
    if (filled.length === 0) return undefined
    const writer = new BlockWriter({ owner: `a list of ${this.#owner}` })
    for (const [name, list] of filled) {
      writer.write(name)
      writer.write(list.get())
    }
    return { version: LISTS_VERSION_1, bytes: writer.finish() }
  }

  get #owner(): string {
    return `operator "${this.#options.operatorName}" (uid ${this.#options.uid})`
  }

  #all(): Map<string, unknown[]> {
    const all = new Map<string, unknown[]>()
    for (const { version, bytes } of this.#options.restored) {
      if (version !== LISTS_VERSION_1) {
        throw new MillraceError(
          'STATE_INCOMPATIBLE',
          `the lists of ${this.#owner} have version ${version}, and this millrace knows ${LISTS_VERSION_1}`,
          { next: 'Nothing is lost; use the millrace that wrote them, or a newer one.' },
        )
      }
      const reader = new BlockReader(bytes)
      for (let left = reader.count / 2; left > 0; left--) {
        const name = reader.read() as string
        const elements = all.get(name) ?? []
        all.set(name, elements.concat(reader.read() as unknown[]))
      }
    }
    return all
  }

  #share(elements: readonly unknown[]): readonly unknown[] {
    const { subtask, parallelism } = this.#options
    const at = (index: number): number => Math.floor((index * elements.length) / parallelism)
    return elements.slice(at(subtask), at(subtask + 1))
  }
}

/** What is handed out does not change: adding then makes a list of its own. */
class SubtaskList<T> implements ListState<T> {
  #elements: T[]
  #shared = false

  constructor(elements: readonly T[]) {
    this.#elements = [...elements]
  }

  get(): readonly T[] {
    this.#shared = true
    return this.#elements
  }

  add(value: T): void {
    if (this.#shared) this.#elements = [...this.#elements]
    this.#shared = false
    this.#elements.push(value)
  }

  addAll(values: Iterable<T>): void {
    for (const value of values) this.add(value)
  }

  update(values: readonly T[]): void {
    this.#elements = [...values]
    this.#shared = false
  }

  clear(): void {
    this.update([])
  }
}
