/**
 * Kafka's message definitions (JSON with comments) as a model without its conveniences: names are final, version ranges
 * are cut to the versions there are, defaults are values, common structures stand where they are used. The emitter and
 * the maker of samples both work on this, so that neither knows the file format.
 */

export interface Range {
  readonly from: number
  readonly to: number
}

export type PrimitiveType =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'float64'
  | 'string'
  | 'uuid'
  | 'bytes'
  | 'records'

export type FieldType =
  | { readonly kind: 'primitive'; readonly name: PrimitiveType }
  | { readonly kind: 'struct'; readonly struct: Struct }
  | { readonly kind: 'array'; readonly element: FieldType }

export interface Field {
  readonly name: string
  readonly type: FieldType
  readonly versions: Range
  /** The versions in which null is allowed, if any. */
  readonly nullable: Range | undefined
  readonly tag: number | undefined
  /** Never flexible, although the message is: the client id of request headers. */
  readonly neverFlexible: boolean
  readonly ignorable: boolean
  /** Undefined for structures, whose default is that of their fields. Infinity stands for Java's Long.MAX_VALUE. */
  readonly default: string | number | boolean | null | undefined
}

export interface Struct {
  /** Unique over all messages, so that all can be exported side by side. */
  readonly name: string
  /** The versions in which it can occur. */
  versions: Range
  readonly fields: readonly Field[]
}

export interface Message {
  readonly apiKey: number | undefined
  readonly name: string
  readonly versions: Range
  readonly flexibleFrom: number
  readonly latestVersionUnstable: boolean
  readonly root: Struct
  /** Every structure once, the innermost first, the message itself last. */
  readonly structs: readonly Struct[]
}

interface RawField {
  readonly name: string
  readonly type: string
  readonly versions: string
  readonly nullableVersions?: string
  readonly taggedVersions?: string
  readonly flexibleVersions?: string
  readonly tag?: number
  readonly ignorable?: boolean | string
  readonly default?: string | number | boolean
  readonly fields?: readonly RawField[]
}

interface RawMessage {
  readonly apiKey?: number
  readonly name: string
  readonly validVersions: string
  readonly flexibleVersions: string
  readonly latestVersionUnstable?: boolean
  readonly fields: readonly RawField[]
  readonly commonStructs?: readonly { readonly name: string; readonly fields: readonly RawField[] }[]
}

const PRIMITIVES = new Set<string>(
  'bool int8 int16 uint16 int32 uint32 int64 float64 string uuid bytes records'.split(' '),
)
const LONG_MAX = '9223372036854775807'

export function parseMessage(text: string): Message {
  return new MessageParser(JSON.parse(withoutComments(text)) as RawMessage).message()
}

/** Whether a range holds in all versions of another, in none, or in some. */
export function coverage(range: Range | undefined, context: Range): 'all' | 'none' | 'some' {
  if (range === undefined || range.from > context.to || range.to < context.from) return 'none'
  return range.from <= context.from && range.to >= context.to ? 'all' : 'some'
}

function withoutComments(text: string): string {
  return text.replace(/"(?:\\.|[^"\\])*"|\/\/[^\n]*/g, (match) => (match.startsWith('//') ? '' : match))
}

function parseRange(text: string | undefined, context: Range): Range | undefined {
  if (text === undefined || text === 'none') return undefined
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text)
  if (match === null) throw new Error(`"${text}" is no range of versions`)
  const first = Number(match[1])
  const last = match[2] === '+' ? context.to : Number(match[3] ?? match[1])
  const range = { from: Math.max(first, context.from), to: Math.min(last, context.to) }
  return range.from <= range.to ? range : undefined
}

class MessageParser {
  readonly #raw: RawMessage
  readonly #versions: Range
  readonly #structs = new Map<string, Struct>()
  readonly #common: ReadonlyMap<string, readonly RawField[]>

  constructor(raw: RawMessage) {
    this.#raw = raw
    const versions = parseRange(raw.validVersions, { from: 0, to: Number.MAX_SAFE_INTEGER })
    if (versions === undefined) throw new Error(`${raw.name} has no valid version`)
    this.#versions = versions
    this.#common = new Map((raw.commonStructs ?? []).map((struct) => [struct.name, struct.fields]))
  }

  message(): Message {
    const raw = this.#raw
    const root = this.#struct(raw.name, raw.name, raw.fields, this.#versions)
    return {
      apiKey: raw.apiKey,
      name: raw.name,
      versions: this.#versions,
      flexibleFrom: parseRange(raw.flexibleVersions, this.#versions)?.from ?? Number.POSITIVE_INFINITY,
      latestVersionUnstable: raw.latestVersionUnstable ?? false,
      root,
      structs: [...this.#structs.values()],
    }
  }

  #struct(rawName: string, name: string, rawFields: readonly RawField[], versions: Range): Struct {
    const known = this.#structs.get(rawName)
    if (known !== undefined) {
      // A common structure used twice occurs wherever one of its uses does.
      const union = { from: Math.min(known.versions.from, versions.from), to: Math.max(known.versions.to, versions.to) }
      if (union.from !== known.versions.from || union.to !== known.versions.to) {
        this.#structs.delete(rawName)
        return this.#struct(rawName, name, rawFields, union)
      }
      return known
    }
    const fields: Field[] = []
    for (const raw of rawFields) {
      const field = this.#field(raw, versions)
      if (field !== undefined) fields.push(field)
    }
    const struct = { name, versions, fields }
    this.#structs.set(rawName, struct)
    return struct
  }

  /** Undefined when no version that is left has the field. */
  #field(raw: RawField, context: Range): Field | undefined {
    const versions = parseRange(raw.versions, context)
    if (versions === undefined) return undefined
    const tagged = parseRange(raw.taggedVersions, context)
    if (tagged !== undefined && (tagged.from !== versions.from || tagged.to !== versions.to)) {
      throw new Error(`${this.#raw.name}.${raw.name} is tagged in some of its versions only, which is not supported`)
    }
    const type = this.#type(raw, raw.type, versions)
    const nullable = parseRange(raw.nullableVersions, versions)
    if (type.kind === 'struct' && nullable !== undefined) {
      throw new Error(`${this.#raw.name}.${raw.name} is a nullable structure, which is not supported`)
    }
    return {
      name: raw.name.charAt(0).toLowerCase() + raw.name.slice(1),
      type,
      versions,
      nullable,
      tag: tagged === undefined ? undefined : raw.tag,
      neverFlexible: raw.flexibleVersions === 'none',
      ignorable: String(raw.ignorable ?? false) === 'true',
      default: defaultOf(raw, type),
    }
  }

  #type(raw: RawField, name: string, versions: Range): FieldType {
    if (name.startsWith('[]')) return { kind: 'array', element: this.#type(raw, name.slice(2), versions) }
    if (PRIMITIVES.has(name)) return { kind: 'primitive', name: name as PrimitiveType }
    const fields = raw.fields ?? this.#common.get(name)
    if (fields === undefined) throw new Error(`${this.#raw.name}.${raw.name} has the unknown type ${name}`)
    return { kind: 'struct', struct: this.#struct(name, structName(this.#raw.name, name), fields, versions) }
  }
}

/** FetchRequest + FetchTopic -> FetchRequestTopic: the message's name once, then what the structure adds to it. */
function structName(message: string, struct: string): string {
  if (struct.startsWith(message)) return struct
  const api = message.replace(/(Request|Response)$/, '')
  const own = struct.replace(new RegExp(`${api}(?=[A-Z]|$)`), '').replace(/(Request|Response)$/, '')
  return message + (own === '' ? struct : own)
}

function defaultOf(raw: RawField, type: FieldType): Field['default'] {
  const text = raw.default === undefined ? undefined : String(raw.default)
  if (text === 'null') return null
  if (type.kind === 'struct') return undefined
  if (type.kind === 'array') return ''
  switch (type.name) {
    case 'records':
      return null
    case 'bool':
      return text === 'true'
    case 'string':
    case 'uuid':
    case 'bytes':
      return text ?? ''
    default:
      return text === LONG_MAX ? Number.POSITIVE_INFINITY : Number(text ?? 0)
  }
}
