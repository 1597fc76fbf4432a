/**
 * The shapes a writer knows: lists of keys it has met, each with the types its fields had so far. A list of keys is a shape from
 * the second object on, so objects that are used as maps stay objects with keys. All of it is bounded; when full it is forgotten.
 */
import { FIELD_ANY, FIELD_DOUBLE, FIELD_INT, FIELD_LETTERS, FIELD_TEXT, SHAPE_FIELDS_MAX } from './block-format.ts'

const KEYS_KNOWN_MAX = 4096

/** A list of keys with types. When a value does not fit, `widened` makes the shape that takes its place. */
export class WriterShape {
  readonly keys: readonly string[]
  readonly types: Uint8Array
  /** As it stands in the definitions. */
  readonly definition: string
  /** Its number in the block that is being written; meaningful while `block` is that block. */
  number = -1
  block = -1

  constructor(keys: readonly string[], types: Uint8Array) {
    this.keys = keys
    this.types = types
    const letters = Array.from(types, (type) => FIELD_LETTERS[type] ?? '').join('')
    this.definition = JSON.stringify([letters, keys])
  }

  widened(index: number, value: unknown): WriterShape {
    const types = this.types.slice()
    types[index] = types[index] === FIELD_INT && typeof value === 'number' ? FIELD_DOUBLE : FIELD_ANY
    return new WriterShape(this.keys, types)
  }
}

/** What is known of one list of keys: the shape that its next object tries first. */
export interface KeyList {
  readonly keys: readonly string[]
  shape: WriterShape
}

interface KeyNode {
  readonly next: Map<string, KeyNode>
  met: boolean
  list: KeyList | undefined
}

export class WriterShapes {
  #root: KeyNode = newNode()
  #known = 0

  /** The list of an object's keys; undefined when it is met for the first time or is no shape. */
  find(value: Readonly<Record<string, unknown>>): KeyList | undefined {
    const keys = Object.keys(value)
    if (keys.length > SHAPE_FIELDS_MAX) return undefined
    let node = this.#root
    for (const key of keys) {
      let next = node.next.get(key)
      if (next === undefined) {
        if (this.#known >= KEYS_KNOWN_MAX) return this.#forget()
        this.#known++
        next = newNode()
        node.next.set(key, next)
      }
      node = next
    }
    if (node.list !== undefined) return node.list
    if (!node.met) {
      node.met = true
      return undefined
    }
    const types = Uint8Array.from(keys, (key) => typeOf(value[key]))
    node.list = { keys, shape: new WriterShape(keys, types) }
    return node.list
  }

  #forget(): undefined {
    this.#root = newNode()
    this.#known = 0
    return undefined
  }
}

function newNode(): KeyNode {
  return { next: new Map(), met: false, list: undefined }
}

function typeOf(value: unknown): number {
  if (typeof value === 'string') return FIELD_TEXT
  if (typeof value === 'number') return isInt(value) ? FIELD_INT : FIELD_DOUBLE
  return FIELD_ANY
}

/** Fits 32 bits; minus zero does not. */
export function isInt(value: number): boolean {
  return value === (value | 0) && (value !== 0 || 1 / value > 0)
}
