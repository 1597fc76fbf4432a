/**
 * Turns a message of the model into TypeScript: one interface, one encoder and one decoder per structure. The code is
 * straight-line, a statement a field in the order of the wire, with a test of the version only where versions differ;
 * what a field's kind needs beyond that is in ProtocolReader and ProtocolWriter.
 */
import {
  coverage,
  type Field,
  type FieldType,
  type Message,
  type PrimitiveType,
  type Range,
  type Struct,
} from './definition.ts'

/** Names the generated functions use for themselves. */
const OWN_NAMES = new Set(['w', 'r', 'm', 'v', 'f', 'tag', 'end', 'tags', 'mark'])

export function emitMessage(message: Message): string {
  return message.structs.map((struct) => emitStruct(struct, message)).join('\n')
}

export function emitCodecArguments(message: Message): string {
  const { name, versions, flexibleFrom } = message
  return `'${name}', ${versions.from}, ${versions.to}, ${flexibleFrom}, encode${name}, decode${name}`
}

function emitStruct(struct: Struct, message: Message): string {
  for (const field of struct.fields) {
    if (OWN_NAMES.has(field.name)) throw new Error(`${struct.name}.${field.name} clashes with a name of the generator`)
  }
  const context = new StructContext(struct, message)
  return [emitInterface(struct), emitEncoder(context), emitDecoder(context), emitIsDefault(context)].join('')
}

class StructContext {
  readonly struct: Struct
  /** Whether the version is flexible: a constant where it cannot vary, else the local `f`. */
  readonly flexible: 'true' | 'false' | 'f'
  readonly flexibleTest: string
  readonly inFields: readonly Field[]
  readonly tagged: readonly Field[]
  readonly root: boolean
  /** Structures that are fields, not elements, are compared with their default. */
  readonly compared: boolean

  constructor(struct: Struct, message: Message) {
    this.struct = struct
    const { from, to } = struct.versions
    this.flexible = from >= message.flexibleFrom ? 'true' : to < message.flexibleFrom ? 'false' : 'f'
    this.flexibleTest = `v >= ${message.flexibleFrom}`
    this.inFields = struct.fields.filter((field) => field.tag === undefined)
    this.tagged = struct.fields
      .filter((field) => field.tag !== undefined)
      .sort((left, right) => Number(left.tag) - Number(right.tag))
    this.root = struct === message.root
    this.compared = message.structs.some((parent) =>
      parent.fields.some((field) => field.type.kind === 'struct' && field.type.struct === struct),
    )
  }

  test(range: Range): string {
    const { from, to } = this.struct.versions
    const tests: string[] = []
    if (range.from === range.to && from !== to) return `v === ${range.from}`
    if (range.from > from) tests.push(`v >= ${range.from}`)
    if (range.to < to) tests.push(`v <= ${range.to}`)
    return tests.join(' && ')
  }

  flexibleOf(field: Field): string {
    return field.neverFlexible ? 'false' : this.flexible
  }

  /** The head of a function body: the local `f` where the body needs it. */
  head(body: string): string {
    return this.flexible === 'f' && /\bf\b/.test(body) ? `  const f = ${this.flexibleTest}\n` : ''
  }
}

// Interfaces.

function emitInterface(struct: Struct): string {
  const lines = struct.fields.map((field) => {
    const full = coverage(field.versions, struct.versions) === 'all'
    const { from, to } = field.versions
    const versions = from === to ? `v${from}` : to === struct.versions.to ? `v${from}+` : `v${from}-${to}`
    const type = typeOf(field.type) + (isNullable(field) ? ' | null' : '')
    return `  readonly ${field.name}: ${type}${full ? '' : ` // ${versions}`}\n`
  })
  return `export interface ${struct.name} {\n${lines.join('')}}\n`
}

/** Records may be absent altogether, whatever the version says of null on the wire. */
function isNullable(field: Field): boolean {
  return field.nullable !== undefined || field.default === null
}

function typeOf(type: FieldType): string {
  if (type.kind === 'struct') return type.struct.name
  if (type.kind === 'array') return `readonly ${typeOf(type.element)}[]`
  if (type.name === 'bool') return 'boolean'
  if (type.name === 'string' || type.name === 'uuid') return 'string'
  return type.name === 'bytes' || type.name === 'records' ? 'Buffer' : 'number'
}

// Encoders.

function emitEncoder(context: StructContext): string {
  let body = ''
  for (const field of context.inFields) body += emitEncodeField(context, field)
  body += emitEncodeTagged(context)
  body = context.head(body) + body
  const { name } = context.struct
  const used = unusedParameters(body, ['m', 'v'])
  return `function encode${name}(w: ProtocolWriter, ${used.m}: Input<${name}>, ${used.v}: number): void {\n${body}}\n`
}

/** The compiler refuses parameters that are not used unless their name says so. */
function unusedParameters<Name extends string>(body: string, names: readonly Name[]): Record<Name, string> {
  const entries = names.map((name) => [name, new RegExp(`\\b${name}\\b`).test(body) ? name : `_${name}`])
  return Object.fromEntries(entries)
}

function emitEncodeField(context: StructContext, field: Field): string {
  const write = writeCall(context, field, inputOf(field))
  const test = context.test(field.versions)
  if (test === '') return `  ${write}\n`
  const refuse = field.ignorable ? '' : `  else if (${isSet(field)}) w.lacks('${field.name}')\n`
  return `  if (${test}) ${write}\n${refuse}`
}

function emitEncodeTagged(context: StructContext): string {
  const { flexible, tagged } = context
  if (flexible === 'false') return ''
  if (tagged.length === 0) return flexible === 'true' ? '  w.uvarint(0)\n' : '  if (f) w.uvarint(0)\n'
  let head = ''
  let fields = ''
  for (const field of tagged) {
    const test = context.test(field.versions)
    head += `  const ${field.name} = ${test === '' ? '' : `${test} && `}${isSet(field, test !== '')}\n`
    if (test !== '' && !field.ignorable) head += `  if (!(${test}) && ${isSet(field, true)}) w.lacks('${field.name}')\n`
    fields += `    if (${field.name}) {\n      const mark = w.beginTagged(${field.tag})\n`
    fields += `      ${writeCall(context, field, inputOf(field), 'true')}\n      w.endTagged(mark)\n    }\n`
  }
  const count = tagged.map((field) => `+${field.name}`).join(' + ')
  const body = `    w.uvarint(${count})\n${fields}`
  return flexible === 'true' ? head + body.replace(/^ {2}/gm, '') : `${head}  if (f) {\n${body}  }\n`
}

function writeCall(
  context: StructContext,
  field: Field,
  value: string,
  flexible: string = context.flexibleOf(field),
): string {
  const { type } = field
  if (type.kind === 'struct') return `encode${type.struct.name}(w, ${value}, v)`
  const nullable = isNullable(field)
  let allowed = ''
  if (nullable) {
    const cover = coverage(field.nullable, field.versions)
    if (cover === 'none') allowed = ', false'
    else if (cover === 'some' && field.nullable !== undefined) allowed = `, ${context.test(field.nullable)}`
  }
  if (type.kind === 'array') {
    const method = nullable ? 'nullableArray' : 'array'
    return `w.${method}(${value}, v, ${flexible}, ${elementName('write', 'encode', type.element)}${allowed})`
  }
  const method = methodOf(type.name, field.default)
  if (!hasLength(type.name)) return `w.${method}(${value})`
  return `w.${nullable ? nullableName(method) : method}(${value}, ${flexible}${allowed})`
}

/** The value of a field as given, or its default. */
function inputOf(field: Field): string {
  const fallback = defaultInput(field)
  if (isNullable(field) && field.default !== null)
    return `m.${field.name} === undefined ? ${fallback} : m.${field.name}`
  return `m.${field.name} ?? ${fallback}`
}

/** A condition: the field is given and is not its default. */
function isSet(field: Field, inside = false): string {
  const name = `m.${field.name}`
  const { type } = field
  if (type.kind === 'struct') return `${name} !== undefined && !isDefault${type.struct.name}(${name})`
  if (field.default === null) return `(${name} ?? null) !== null`
  if (type.kind === 'array' || type.name === 'bytes') {
    const filled = `(${name}?.length ?? 0) > 0`
    if (!isNullable(field)) return filled
    return inside ? `(${name} === null || ${filled})` : `${name} === null || ${filled}`
  }
  if (isNullable(field)) return `${name} !== undefined && ${name} !== ${defaultInput(field)}`
  return `(${name} ?? ${defaultInput(field)}) !== ${defaultInput(field)}`
}

function defaultInput(field: Field): string {
  if (field.default === null) return 'null'
  if (field.type.kind === 'struct') return '{}'
  if (field.type.kind === 'array') return '[]'
  return defaultValue(field)
}

/** The default of a decoded field. */
function defaultValue(field: Field): string {
  const { type } = field
  if (field.default === null) return 'null'
  if (type.kind === 'struct') return `decodedDefault${type.struct.name}`
  if (type.kind === 'array') return '[]'
  if (type.name === 'uuid') return 'ZERO_UUID'
  if (type.name === 'bytes') return 'Buffer.alloc(0)'
  return type.name === 'string' ? `'${field.default}'` : String(field.default)
}

/** Whether a structure equals its default, which decides if a tagged field is written at all. */
function emitIsDefault(context: StructContext): string {
  if (!context.compared) return ''
  const { name, fields } = context.struct
  const tests = fields.map((field) => `(${isSet(field)})`).join(' || ')
  const defaults = fields.map((field) => `${field.name}: ${defaultValue(field)}`).join(', ')
  return (
    `function isDefault${name}(m: Input<${name}>): boolean {\n  return !(${tests})\n}\n` +
    `const decodedDefault${name}: ${name} = { ${defaults} }\n`
  )
}

// Decoders.

function emitDecoder(context: StructContext): string {
  let body = ''
  for (const field of context.inFields) {
    const test = context.test(field.versions)
    const read = readCall(context, field)
    body += `  const ${field.name} = ${test === '' ? read : `${test} ? ${read} : ${defaultValue(field)}`}\n`
  }
  body += emitDecodeTagged(context)
  body += `  return { ${context.struct.fields.map((field) => field.name).join(', ')} }\n`
  body = context.head(body) + body
  const { name } = context.struct
  const used = unusedParameters(body, ['v'])
  return `function decode${name}(r: ProtocolReader, ${used.v}: number): ${name} {\n${body}}\n`
}

function emitDecodeTagged(context: StructContext): string {
  const { flexible, tagged } = context
  if (flexible === 'false') return ''
  if (tagged.length === 0) return flexible === 'true' ? '  r.skipTaggedFields()\n' : '  if (f) r.skipTaggedFields()\n'
  let head = ''
  let cases = ''
  for (const field of tagged) {
    const type = typeOf(field.type) + (isNullable(field) ? ' | null' : '')
    head += `  let ${field.name}: ${type} = ${defaultValue(field)}\n`
    const test = context.test(field.versions)
    const condition = `tag === ${field.tag}${test === '' ? '' : ` && ${test}`}`
    cases += `if (${condition}) ${field.name} = ${readCall(context, field, 'true')}\n    else `
  }
  const loop =
    `for (let tags = r.uvarint(); tags > 0; tags--) {\n    const tag = r.uvarint()\n    const end = r.taggedEnd()\n` +
    `    ${cases}r.skipTagged(end)\n    r.leaveTagged(end)\n  }\n`
  return `${head}  ${flexible === 'true' ? '' : 'if (f) '}${loop}`
}

function readCall(context: StructContext, field: Field, flexible: string = context.flexibleOf(field)): string {
  const { type } = field
  if (type.kind === 'struct') return `decode${type.struct.name}(r, v)`
  let method: string
  let parameters = ''
  if (type.kind === 'array') {
    method = 'array'
    parameters = `v, ${flexible}, ${elementName('read', 'decode', type.element)}`
  } else {
    method = methodOf(type.name, field.default)
    if (!hasLength(type.name)) return `r.${method}()`
    parameters = flexible
  }
  const plain = `r.${method}(${parameters})`
  const nullable = `r.${nullableName(method)}(${parameters})`
  const cover = coverage(field.nullable, field.versions)
  if (cover !== 'some' || field.nullable === undefined) return cover === 'all' ? nullable : plain
  const choice = `${context.test(field.nullable)} ? ${nullable} : ${plain}`
  return context.test(field.versions) === '' ? choice : `(${choice})`
}

function elementName(primitive: 'read' | 'write', struct: 'decode' | 'encode', element: FieldType): string {
  if (element.kind === 'struct') return `${struct}${element.struct.name}`
  if (element.kind === 'array') throw new Error('arrays of arrays are not supported')
  return `${primitive}${capitalised(element.name)}`
}

function methodOf(type: PrimitiveType, fallback: Field['default']): string {
  if (type === 'records') return 'bytes'
  return fallback === Number.POSITIVE_INFINITY ? 'int64OrInfinity' : type
}

function hasLength(type: PrimitiveType): boolean {
  return type === 'string' || type === 'bytes' || type === 'records'
}

function nullableName(method: string): string {
  return `nullable${capitalised(method)}`
}

function capitalised(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1)
}
