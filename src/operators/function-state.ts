/**
 * The state that one function object asked for. A function object may serve several subtasks of one thread, and what `open` of
 * the last one put into its fields is what all of them use. So the handles are made once for the object, and are turned to the
 * subtask at work before each call into it: one comparison an element, and the handles move only when another subtask ran between.
 */
import type { KeyPart, ListState, MapState, StateDescriptor, ValueState } from '../core/index.ts'

/** The handles of one subtask: which handle leads to which state of its own. */
export class SubtaskState {
  readonly #turns: (() => void)[] = []

  add(turn: () => void): void {
    this.#turns.push(turn)
    turn()
  }

  turn(): void {
    for (const turn of this.#turns) turn()
  }
}

/** All handles of one function object, over all subtasks of the thread. */
export class FunctionState {
  readonly #handles = new Map<string, SharedValue<unknown> | SharedList<unknown> | SharedMap<KeyPart, unknown>>()
  #active: SubtaskState | undefined
  #opening: Promise<void> = Promise.resolve()

  /** Before each call into the function. */
  activate(subtask: SubtaskState): void {
    if (this.#active === subtask) return
    this.#active = subtask
    subtask.turn()
  }

  /** One `open` at a time, because it may wait between asking for state and using it. */
  opening(subtask: SubtaskState, open: () => Promise<void>): Promise<void> {
    const mine = this.#opening.then(() => {
      this.activate(subtask)
      return open()
    })
    this.#opening = mine.catch(() => undefined)
    return mine
  }

  value<T>(subtask: SubtaskState, descriptor: StateDescriptor, own: ValueState<T>): ValueState<T> {
    const handle = this.#handle(descriptor, 'keyed', () => new SharedValue<T>(own)) as SharedValue<T>
    subtask.add(() => {
      handle.target = own
    })
    return handle
  }

  /** `scope`: state of a key and state of the subtask are apart, whatever their names. */
  list<T>(
    subtask: SubtaskState,
    descriptor: StateDescriptor,
    scope: 'keyed' | 'operator',
    own: ListState<T>,
  ): ListState<T> {
    const handle = this.#handle(descriptor, scope, () => new SharedList<T>(own)) as SharedList<T>
    subtask.add(() => {
      handle.target = own
    })
    return handle
  }

  map<K extends KeyPart, V>(subtask: SubtaskState, descriptor: StateDescriptor, own: MapState<K, V>): MapState<K, V> {
    const handle = this.#handle(descriptor, 'keyed', () => new SharedMap<K, V>(own)) as unknown as SharedMap<K, V>
    subtask.add(() => {
      handle.target = own
    })
    return handle
  }

  #handle(descriptor: StateDescriptor, scope: string, make: () => unknown): unknown {
    const id = `${scope}\n${descriptor.kind}\n${descriptor.name}`
    let handle: unknown = this.#handles.get(id)
    if (handle === undefined) {
      handle = make()
      this.#handles.set(id, handle as SharedValue<unknown>)
    }
    return handle
  }
}

class SharedValue<T> implements ValueState<T> {
  target: ValueState<T>

  constructor(target: ValueState<T>) {
    this.target = target
  }

  value(): T | undefined {
    return this.target.value()
  }

  update(value: T): void {
    this.target.update(value)
  }

  clear(): void {
    this.target.clear()
  }
}

class SharedList<T> implements ListState<T> {
  target: ListState<T>

  constructor(target: ListState<T>) {
    this.target = target
  }

  get(): readonly T[] {
    return this.target.get()
  }

  add(value: T): void {
    this.target.add(value)
  }

  addAll(values: Iterable<T>): void {
    this.target.addAll(values)
  }

  update(values: readonly T[]): void {
    this.target.update(values)
  }

  clear(): void {
    this.target.clear()
  }
}

class SharedMap<K extends KeyPart, V> implements MapState<K, V> {
  target: MapState<K, V>

  constructor(target: MapState<K, V>) {
    this.target = target
  }

  get size(): number {
    return this.target.size
  }

  get(key: K): V | undefined {
    return this.target.get(key)
  }

  put(key: K, value: V): void {
    this.target.put(key, value)
  }

  has(key: K): boolean {
    return this.target.has(key)
  }

  delete(key: K): void {
    this.target.delete(key)
  }

  entries(): Iterable<readonly [K, V]> {
    return this.target.entries()
  }

  keys(): Iterable<K> {
    return this.target.keys()
  }

  values(): Iterable<V> {
    return this.target.values()
  }

  clear(): void {
    this.target.clear()
  }
}
