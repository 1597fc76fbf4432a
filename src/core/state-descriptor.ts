/**
 * How a function names its state (Flink: StateDescriptor). The name is what the state is found again by; a state of one name keeps
 * its kind for ever. Values are numbers, texts, bigints, booleans, dates, bytes, and arrays, maps, sets and plain objects of these.
 */
import { MillraceError } from '../base/index.ts'
import type { KeyPart, StateDescriptor } from './state.ts'

export class ValueStateDescriptor<T> implements StateDescriptor {
  readonly kind = 'value'
  readonly name: string
  /** Makes descriptors of different values different types. */
  declare protected readonly value: T

  constructor(name: string) {
    this.name = stateName(name)
  }
}

export class ListStateDescriptor<T> implements StateDescriptor {
  readonly kind = 'list'
  readonly name: string
  declare protected readonly element: T

  constructor(name: string) {
    this.name = stateName(name)
  }
}

export class MapStateDescriptor<K extends KeyPart, V> implements StateDescriptor {
  readonly kind = 'map'
  readonly name: string
  declare protected readonly entry: readonly [K, V]

  constructor(name: string) {
    this.name = stateName(name)
  }
}

function stateName(name: string): string {
  if (typeof name === 'string' && name !== '') return name
  throw new MillraceError('OPTION_INVALID', 'the name of a state must be a text that is not empty')
}
