/**
 * Kafka's message definitions as the protocol tests need them: which fields a version has, what they may hold, what they
 * are when nobody set them. Independent of the generated code on purpose: both are derived from the definitions, and
 * the tests compare them.
 */
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import {
  ALL_APIS,
  type Codec,
  endTxnMarkerCodec,
  requestHeaderCodec,
  responseHeaderCodec,
  ZERO_UUID,
} from '../../../src/kafka/protocol/index.ts'

type Versions = readonly [number, number]

export interface FieldDefinition {
  readonly name: string
  /** `struct` or a primitive type. */
  readonly type: string
  readonly array?: true
  readonly versions: Versions
  readonly nullable?: Versions
  readonly ignorable?: true
  /** Absent when it is the type's own. */
  readonly default?: string | number | boolean | null
  readonly fields?: readonly FieldDefinition[]
}

export interface MessageDefinition {
  readonly name: string
  readonly versions: Versions
  readonly flexibleFrom: number | null
  readonly fields: readonly FieldDefinition[]
}

export type Fields = Record<string, unknown>
export type AnyCodec = Codec<unknown>

export const DEFINITIONS: readonly MessageDefinition[] = readLines('definitions.jsonl')

const CODECS: ReadonlyMap<string, AnyCodec> = new Map(
  [
    ...ALL_APIS.flatMap((api): AnyCodec[] => [api.request, api.response]),
    requestHeaderCodec as AnyCodec,
    responseHeaderCodec as AnyCodec,
    endTxnMarkerCodec as AnyCodec,
  ].map((codec) => [codec.name, codec]),
)

export function readLines<T>(file: string): T[] {
  const text = readFileSync(new URL(file, import.meta.url), 'utf8')
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as T]))
}

export function codecOf(name: string): AnyCodec {
  const codec = CODECS.get(name)
  if (codec === undefined) throw new Error(`no codec is named ${name}`)
  return codec
}

export function definitionOf(name: string): MessageDefinition {
  const definition = DEFINITIONS.find((candidate) => candidate.name === name)
  if (definition === undefined) throw new Error(`no message is named ${name}`)
  return definition
}

export function versionsOf({ versions: [first, last] }: MessageDefinition): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

export function holds(versions: Versions | undefined, version: number): boolean {
  return versions !== undefined && version >= versions[0] && version <= versions[1]
}

/** What a field is when the version has none or nobody set it. */
export function defaultOf(field: FieldDefinition): unknown {
  if (field.default === null) return null
  if (field.array) return []
  switch (field.type) {
    case 'struct':
      return completed(field.fields ?? [], {})
    case 'string':
      return field.default ?? ''
    case 'uuid':
      return ZERO_UUID
    case 'bytes':
      return Buffer.alloc(0)
    case 'bool':
      return field.default ?? false
    default:
      return field.default === 'Infinity' ? Number.POSITIVE_INFINITY : (field.default ?? 0)
  }
}

/** What a decoder gives for a message that was encoded from these fields: the absent ones with their defaults. */
export function completed(fields: readonly FieldDefinition[], value: Fields): Fields {
  return mapFields(fields, value, (field, item) => (item === undefined ? defaultOf(field) : item))
}

/** A value of the golden file, whose bytes are base64, as a decoder gives it. */
export function revived(fields: readonly FieldDefinition[], value: Fields): Fields {
  return mapFields(fields, value, (field, item) => {
    if (item === undefined) return defaultOf(field)
    const bytes = field.type === 'bytes' || field.type === 'records'
    return bytes && typeof item === 'string' ? Buffer.from(item, 'base64') : item
  })
}

/** The same message with every field left out that has its default, at any depth. */
export function withoutDefaults(fields: readonly FieldDefinition[], value: Fields): Fields {
  const result: Fields = {}
  for (const field of fields) {
    const item = value[field.name]
    const inner = field.fields
    if (item === undefined || isDeepStrictEqual(item, defaultOf(field))) continue
    if (inner === undefined || item === null) result[field.name] = item
    else if (Array.isArray(item)) result[field.name] = item.map((one) => withoutDefaults(inner, one as Fields))
    else result[field.name] = withoutDefaults(inner, item as Fields)
  }
  return result
}

function mapFields(
  fields: readonly FieldDefinition[],
  value: Fields,
  map: (field: FieldDefinition, item: unknown) => unknown,
): Fields {
  const result: Fields = {}
  for (const field of fields) {
    const item = value[field.name]
    const inner = field.fields
    if (inner === undefined || item === undefined || item === null) result[field.name] = map(field, item)
    else if (Array.isArray(item)) result[field.name] = item.map((one) => mapFields(inner, one as Fields, map))
    else result[field.name] = mapFields(inner, item as Fields, map)
  }
  return result
}

const integer = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max })
const bytes: fc.Arbitrary<Buffer> = fc
  .uint8Array({ maxLength: 12 })
  .map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength))

const PRIMITIVES: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  bool: fc.boolean(),
  int8: integer(-128, 127),
  int16: integer(-32768, 32767),
  uint16: integer(0, 65535),
  int32: integer(-2147483648, 2147483647),
  uint32: integer(0, 4294967295),
  int64: fc.maxSafeInteger(),
  float64: fc.double({ noNaN: true }),
  string: fc.string({ unit: 'binary', maxLength: 12 }),
  uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((id) => Buffer.from(id).toString('base64url')),
  bytes,
  records: bytes,
}

/** Values of one version: all fields it has and no other. */
export function valuesOf(definition: MessageDefinition, version: number): fc.Arbitrary<Fields> {
  return structs(definition.fields, version)
}

function structs(fields: readonly FieldDefinition[], version: number): fc.Arbitrary<Fields> {
  const present = fields.filter((field) => holds(field.versions, version))
  return fc.record(Object.fromEntries(present.map((field) => [field.name, fieldValues(field, version)])), {
    noNullPrototype: true,
  })
}

function fieldValues(field: FieldDefinition, version: number): fc.Arbitrary<unknown> {
  let values = field.type === 'struct' ? structs(field.fields ?? [], version) : PRIMITIVES[field.type]
  if (values === undefined) throw new Error(`no values for the type ${field.type}`)
  if (field.default === 'Infinity') values = fc.oneof(values, fc.constant(Number.POSITIVE_INFINITY))
  if (field.array) values = fc.array(values, { maxLength: 3 })
  return holds(field.nullable, version) ? fc.option(values, { freq: 4 }) : values
}
