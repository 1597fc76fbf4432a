/**
 * Sample values of a message in one version, in the JSON form that Kafka's own converters read: the fields the version
 * has, bytes as base64. They are the input of the golden bytes, so they are the same at every run.
 */
import { coverage, type Field, type FieldType, type Message, type PrimitiveType, type Struct } from './definition.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/**
 * `full` fills every field; `sparse` prefers nulls, empty arrays and the ends of the number ranges; `defaults` has one
 * element in every array of structures, and nothing in it but defaults.
 */
export type SampleKind = 'full' | 'sparse' | 'defaults'

const ENDS: Partial<Record<PrimitiveType, readonly number[]>> = {
  int8: [-128, 127],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-2147483648, 2147483647],
  uint32: [0, 4294967295],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
}
const ZERO_UUID = Buffer.alloc(16).toString('base64url')
const ALPHABET = ['a', 'b', 'K', '-', '_', '7', 'ü', '€', '😀']

export class SampleMaker {
  readonly #version: number
  readonly #kind: SampleKind
  #seed: number

  constructor(message: Message, version: number, kind: SampleKind) {
    this.#version = version
    this.#kind = kind
    this.#seed = 1
    // Not the version: neighbouring versions then differ in the fields they have, not in the values.
    for (const character of message.name + kind) this.#seed = Math.imul(this.#seed, 31) + character.charCodeAt(0)
  }

  struct(struct: Struct): Json {
    const value: Record<string, Json> = {}
    for (const field of struct.fields) {
      const here = { from: this.#version, to: this.#version }
      // Drawn in any case, so that the values of the other fields do not depend on it.
      const nullable = coverage(field.nullable, here) === 'all'
      const drawn = this.#kind === 'defaults' ? this.#default(field, nullable) : this.#field(field, nullable)
      if (coverage(field.versions, here) === 'all' && drawn !== undefined) value[field.name] = drawn
    }
    return value
  }

  #field(field: Field, nullable: boolean): Json {
    if (this.#draw(3) === 0 && this.#kind === 'sparse' && nullable) return null
    return this.#value(field.type)
  }

  /** Undefined for what JSON has no number for: such fields are tagged, and may be absent. */
  #default(field: Field, nullable: boolean): Json | undefined {
    const { type } = field
    if (type.kind === 'struct') return this.struct(type.struct)
    if (type.kind === 'array') return type.element.kind === 'struct' ? [this.struct(type.element.struct)] : []
    if (field.default === null) return nullable ? null : ''
    if (type.name === 'uuid') return ZERO_UUID
    return field.default === Number.POSITIVE_INFINITY ? undefined : field.default
  }

  #value(type: FieldType): Json {
    if (type.kind === 'struct') return this.struct(type.struct)
    if (type.kind === 'array') {
      const length = this.#kind === 'sparse' ? this.#draw(2) : 1 + this.#draw(2)
      return Array.from({ length }, () => this.#value(type.element))
    }
    switch (type.name) {
      case 'bool':
        return this.#kind === 'full' || this.#draw(2) === 0
      case 'string':
        return Array.from({ length: this.#length() }, () => ALPHABET[this.#draw(ALPHABET.length)]).join('')
      case 'uuid':
        return this.#bytes(16).toString('base64url')
      case 'bytes':
      case 'records':
        return this.#bytes(this.#length()).toString('base64')
      case 'float64':
        return this.#draw(1_000_000) / 7
      default: {
        const [least, most] = ENDS[type.name] ?? [0, 0]
        if (this.#kind === 'sparse') return (this.#draw(2) === 0 ? least : most) ?? 0
        return 1 + this.#draw(type.name === 'int8' ? 126 : 30_000) * (type.name === 'int64' ? 1_000_003 : 1)
      }
    }
  }

  #length(): number {
    return this.#kind === 'full' ? 1 + this.#draw(6) : this.#draw(2) * 2
  }

  #bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#draw(256)))
  }

  /** A linear congruential generator; its high bits are good enough here. */
  #draw(limit: number): number {
    this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) | 0
    return Math.floor(((this.#seed >>> 8) / 0x100_0000) * limit)
  }
}
