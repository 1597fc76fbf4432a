/**
 * One state of a keyed operator subtask: the value of each key. While a checkpoint is captured every change announces itself
 * first (`beforeChange`), so that the old value is stored; at other times that costs one comparison. The table remembers what it
 * found for the current key: reading and then updating looks it up once.
 */
import { assert } from '../../base/index.ts'
import type { Key, KeyPart, ListState, MapState, ValueState } from '../../core/index.ts'
import type { KeyGroups } from './hosted-state.ts'
import type { KeyGrouping } from './key-group.ts'
import { type Keyed, KeyTable } from './key-table.ts'
import { type PrimitiveKey, primitiveOf } from './primitive-key.ts'

export class Entry implements Keyed {
  readonly primitive: PrimitiveKey
  value: unknown
  readonly group: number
  /** The number of the last capture that has it, or in which it was made. */
  stamp: number
  /** Of a list: it was handed out, and is copied before it is added to. */
  shared = false
  next: this | undefined = undefined

  constructor(primitive: PrimitiveKey, value: unknown, group: number, stamp: number) {
    this.primitive = primitive
    this.value = value
    this.group = group
    this.stamp = stamp
  }
}

/** The key of what follows, and what was worked out for it. */
export class CurrentKey {
  key: Key = ''
  primitive: PrimitiveKey = ''
  /** Rises with each key that is set. */
  serial = 0
  readonly #grouping: KeyGrouping
  readonly #groups: KeyGroups
  #group = 0
  #groupAt = -1

  constructor(grouping: KeyGrouping, groups: KeyGroups) {
    this.#grouping = grouping
    this.#groups = groups
  }

  set(key: Key): void {
    this.key = key
    this.primitive = primitiveOf(key)
    this.serial++
  }

  /** Asked for new entries only, so that an element costs no hash. */
  get group(): number {
    if (this.#groupAt !== this.serial) {
      this.#groupAt = this.serial
      this.#group = this.#grouping.groupOf(this.key)
      const [first, last] = this.#groups
      assert(
        this.#group >= first && this.#group <= last,
        `a key of group ${this.#group} came to the subtask of groups ${first} to ${last}`,
      )
    }
    return this.#group
  }
}

/** The capture under way, if any: what tables need of it. */
export interface CaptureWatch {
  /** The number of the last capture that began. */
  readonly stamp: number
  readonly capturing: boolean
  /** Stores the entry as it is. */
  save(table: StateTable, entry: Entry): void
}

export class StateTable {
  readonly kind: 'value' | 'list' | 'map'
  readonly name: string
  readonly entries: KeyTable<Entry> = new KeyTable()
  /** Whether the operator asked for it. */
  claimed = false
  readonly #current: CurrentKey
  readonly #watch: CaptureWatch
  #found: Entry | undefined
  #foundAt = -1

  constructor(kind: StateTable['kind'], name: string, current: CurrentKey, watch: CaptureWatch) {
    this.kind = kind
    this.name = name
    this.#current = current
    this.#watch = watch
  }

  /** The entry of the current key. */
  find(): Entry | undefined {
    if (this.#foundAt === this.#current.serial) return this.#found
    this.#foundAt = this.#current.serial
    this.#found = this.entries.get(this.#current.primitive)
    return this.#found
  }

  /** For the current key, which has none. */
  create(value: unknown): void {
    const entry = new Entry(this.#current.primitive, value, this.#current.group, this.#watch.stamp)
    this.entries.add(entry)
    this.#found = entry
    this.#foundAt = this.#current.serial
  }

  remove(entry: Entry): void {
    this.beforeChange(entry)
    this.entries.delete(entry)
    this.#found = undefined
    this.#foundAt = this.#current.serial
  }

  /** Before an entry changes, goes, or is handed to someone who could change it. */
  beforeChange(entry: Entry): void {
    if (this.#watch.capturing && entry.stamp !== this.#watch.stamp) {
      this.#watch.save(this, entry)
    }
  }

  /** What a checkpoint held. */
  restore(primitive: PrimitiveKey, value: unknown, group: number): void {
    this.entries.add(new Entry(primitive, value, group, 0))
  }
}

export class TableValueState<T> implements ValueState<T> {
  readonly #table: StateTable

  constructor(table: StateTable) {
    this.#table = table
  }

  value(): T | undefined {
    const entry = this.#table.find()
    if (entry === undefined) return undefined
    if (typeof entry.value === 'object') this.#table.beforeChange(entry)
    return entry.value as T
  }

  update(value: T): void {
    if (value === undefined) {
      this.clear()
      return
    }
    const entry = this.#table.find()
    if (entry === undefined) {
      this.#table.create(value)
      return
    }
    this.#table.beforeChange(entry)
    entry.value = value
  }

  clear(): void {
    const entry = this.#table.find()
    if (entry !== undefined) this.#table.remove(entry)
  }
}

export class TableListState<T> implements ListState<T> {
  readonly #table: StateTable

  constructor(table: StateTable) {
    this.#table = table
  }

  get(): readonly T[] {
    const entry = this.#table.find()
    if (entry === undefined) return []
    this.#table.beforeChange(entry)
    entry.shared = true
    return entry.value as T[]
  }

  add(value: T): void {
    const entry = this.#table.find()
    if (entry === undefined) this.#table.create([value])
    else this.#own(entry).push(value)
  }

  addAll(values: Iterable<T>): void {
    for (const value of values) this.add(value)
  }

  update(values: readonly T[]): void {
    const entry = this.#table.find()
    if (values.length === 0) {
      if (entry !== undefined) this.#table.remove(entry)
    } else if (entry === undefined) {
      this.#table.create([...values])
    } else {
      this.#table.beforeChange(entry)
      entry.value = [...values]
      entry.shared = false
    }
  }

  clear(): void {
    const entry = this.#table.find()
    if (entry !== undefined) this.#table.remove(entry)
  }

  /** The list to add to: nobody else has it. */
  #own(entry: Entry): T[] {
    this.#table.beforeChange(entry)
    if (entry.shared) {
      entry.value = [...(entry.value as T[])]
      entry.shared = false
    }
    return entry.value as T[]
  }
}

export class TableMapState<K extends KeyPart, V> implements MapState<K, V> {
  readonly #table: StateTable

  constructor(table: StateTable) {
    this.#table = table
  }

  get size(): number {
    return this.#map()?.size ?? 0
  }

  get(key: K): V | undefined {
    const entry = this.#table.find()
    if (entry === undefined) return undefined
    const value = (entry.value as Map<K, V>).get(key)
    if (typeof value === 'object') this.#table.beforeChange(entry)
    return value
  }

  put(key: K, value: V): void {
    if (typeof key === 'object' || key === undefined) {
      throw new TypeError(`the key of a map state is a string, number, bigint or boolean, not ${typeof key}`)
    }
    const entry = this.#table.find()
    if (entry === undefined) {
      this.#table.create(new Map([[key, value]]))
      return
    }
    this.#table.beforeChange(entry)
    ;(entry.value as Map<K, V>).set(key, value)
  }

  has(key: K): boolean {
    return this.#map()?.has(key) ?? false
  }

  delete(key: K): void {
    const entry = this.#table.find()
    if (entry === undefined) return
    const map = entry.value as Map<K, V>
    if (!map.has(key)) return
    this.#table.beforeChange(entry)
    map.delete(key)
    if (map.size === 0) this.#table.remove(entry)
  }

  entries(): Iterable<readonly [K, V]> {
    return this.#handedOut()?.entries() ?? []
  }

  keys(): Iterable<K> {
    return this.#map()?.keys() ?? []
  }

  values(): Iterable<V> {
    return this.#handedOut()?.values() ?? []
  }

  clear(): void {
    const entry = this.#table.find()
    if (entry !== undefined) this.#table.remove(entry)
  }

  #map(): Map<K, V> | undefined {
    return this.#table.find()?.value as Map<K, V> | undefined
  }

  #handedOut(): Map<K, V> | undefined {
    const entry = this.#table.find()
    if (entry === undefined) return undefined
    this.#table.beforeChange(entry)
    return entry.value as Map<K, V>
  }
}
