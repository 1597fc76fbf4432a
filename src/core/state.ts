/**
 * Keyed state as operators see it (Flink: KeyedStateStore, TimerService). State and timers belong to the key that is current:
 * whoever hosts a keyed operator sets the key before each element and before each timer. Values are immutable by contract; what
 * changes is put back with `update` or `put`.
 */

/** What elements can be grouped by. Tuples are compared by their parts. */
export type KeyPart = string | number | bigint | boolean
export type Key = KeyPart | readonly KeyPart[]

export type KeySelector = (value: unknown) => Key

export interface StateDescriptor {
  readonly kind: 'value' | 'list' | 'map'
  /** Unique within its operator; state is found again by it. */
  readonly name: string
}

export interface ValueState<T> {
  /** Undefined when the key has none. */
  value(): T | undefined
  update(value: T): void
  clear(): void
}

export interface ListState<T> {
  /** Empty when the key has none. */
  get(): readonly T[]
  add(value: T): void
  addAll(values: Iterable<T>): void
  update(values: readonly T[]): void
  clear(): void
}

export interface MapState<K extends KeyPart, V> {
  get(key: K): V | undefined
  put(key: K, value: V): void
  has(key: K): boolean
  delete(key: K): void
  entries(): Iterable<readonly [K, V]>
  keys(): Iterable<K>
  values(): Iterable<V>
  readonly size: number
  clear(): void
}

export type TimeDomain = 'event' | 'processing'

export interface TimerService {
  /** Milliseconds since 1970 UTC. */
  currentProcessingTime(): number
  currentWatermark(): number
  /** For the current key; the same time twice is one timer. */
  registerEventTimeTimer(timestamp: number): void
  registerProcessingTimeTimer(timestamp: number): void
  deleteEventTimeTimer(timestamp: number): void
  deleteProcessingTimeTimer(timestamp: number): void
}

/** What a keyed operator gets from its host. The host snapshots and restores it; the operator only uses it. */
export interface KeyedContext {
  /** The key of what follows. The host calls it, not the operator. */
  setCurrentKey(key: Key): void
  readonly currentKey: Key
  value<T>(descriptor: StateDescriptor): ValueState<T>
  list<T>(descriptor: StateDescriptor): ListState<T>
  map<K extends KeyPart, V>(descriptor: StateDescriptor): MapState<K, V>
  readonly timers: TimerService
  /** What is called when a timer of this operator is due, with its key current. Set once, before `open` ends. */
  onTimer(callback: (timestamp: number, domain: TimeDomain) => void): void
}
