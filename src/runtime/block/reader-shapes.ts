/**
 * How objects of a shape are made again. The definitions of blocks repeat, so a decoder is kept by its definition; when it has
 * been used often it is compiled into one object literal, which makes the object in one step and with the fields' own types.
 * Where making code from strings is forbidden, the loop remains.
 */
import { assert } from '../../base/index.ts'
import { FIELD_ANY, FIELD_DOUBLE, FIELD_INT, FIELD_LETTERS, FIELD_TEXT } from './block-format.ts'

/** What decoders need of the reader. */
export interface FieldReader {
  text(): string
  int(): number
  double(): number
  any(): unknown
}

/** Compiling costs about as much as some hundred objects made by the loop. */
const COMPILED_AFTER_USES = 500
const BLOCKS_KNOWN_MAX = 64
const SHAPES_KNOWN_MAX = 1024

export class ReaderShape {
  readonly #types: readonly number[]
  readonly #keys: readonly string[]
  #uses = 0
  decode: (fields: FieldReader) => object

  constructor(letters: string, keys: readonly string[]) {
    this.#types = Array.from(letters, (letter) => FIELD_LETTERS.indexOf(letter))
    this.#keys = keys
    assert(this.#types.length === keys.length && !this.#types.includes(-1), 'a shape of a block is damaged')
    this.decode = (fields) => this.#loop(fields)
  }

  #loop(fields: FieldReader): object {
    if (++this.#uses === COMPILED_AFTER_USES) this.decode = compiled(this.#types, this.#keys) ?? this.decode
    const object: Record<string, unknown> = {}
    for (const [i, key] of this.#keys.entries()) setField(object, key, readField(fields, this.#types[i] ?? FIELD_ANY))
    return object
  }
}

/** `__proto__` is a field like others, not the prototype. */
export function setField(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  else object[key] = value
}

function readField(fields: FieldReader, type: number): unknown {
  if (type === FIELD_TEXT) return fields.text()
  if (type === FIELD_INT) return fields.int()
  return type === FIELD_DOUBLE ? fields.double() : fields.any()
}

const FIELD_CALLS = ['text', 'int', 'double', 'any']

/** Undefined where the process forbids code from strings. Keys enter the code as JSON strings only. */
function compiled(types: readonly number[], keys: readonly string[]): ((fields: FieldReader) => object) | undefined {
  const members = keys.map((key, i) => {
    // In brackets it is a field; without, it would be the prototype.
    const name = key === '__proto__' ? '["__proto__"]' : JSON.stringify(key)
    return `${name}: fields.${FIELD_CALLS[types[i] ?? FIELD_ANY]}()`
  })
  try {
    return new Function('fields', `return { ${members.join(', ')} }`) as (fields: FieldReader) => object
  } catch {
    return undefined
  }
}

/** The decoders known to the readers of one thread. */
export class ReaderShapes {
  readonly #blocks = new Map<string, readonly ReaderShape[]>()
  readonly #shapes = new Map<string, ReaderShape>()

  /** The shapes of a block by their number. */
  of(definitions: string): readonly ReaderShape[] {
    const known = this.#blocks.get(definitions)
    if (known !== undefined) return known
    const shapes = (JSON.parse(definitions) as [string, string[]][]).map(([letters, keys]) =>
      this.#shape(letters, keys),
    )
    if (this.#blocks.size >= BLOCKS_KNOWN_MAX) this.#blocks.clear()
    this.#blocks.set(definitions, shapes)
    return shapes
  }

  #shape(letters: string, keys: readonly string[]): ReaderShape {
    const name = JSON.stringify([letters, keys])
    const known = this.#shapes.get(name)
    if (known !== undefined) return known
    const shape = new ReaderShape(letters, keys)
    if (this.#shapes.size >= SHAPES_KNOWN_MAX) this.#shapes.clear()
    this.#shapes.set(name, shape)
    return shape
  }
}
