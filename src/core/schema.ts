/**
 * How values become bytes and bytes become values. A schema knows nothing of Kafka, so that source and sink share it: the
 * shipped ones are symmetrical. Deserializing and serializing are synchronous, one value at a time.
 *
 * Text has a way of its own in both directions, because most values are text: a source that has a value as a string anyway
 * gives it to `deserializeText`, and a sink writes a returned string as UTF-8 straight into its batch.
 */
import { MillraceError } from '../base/index.ts'
import { type AsciiText, JsonShapes } from './json-shape.ts'
import type { RuntimeContext } from './operator.ts'

export interface DeserializationSchema<T> {
  open?(context: RuntimeContext): void | Promise<void>
  /** `undefined` emits nothing. Whatever it throws fails the task, with the place of the record added. */
  deserialize(bytes: Buffer | null): T | undefined
  /** When present it is called instead of `deserialize`, with the value decoded from UTF-8, and never for null. */
  deserializeText?(text: string): T | undefined
  /** When present it is called instead of `deserializeText` for values that are ASCII: bytes [from, to) of `ascii`. */
  deserializeAscii?(ascii: AsciiText, from: number, to: number): T | undefined
  /** Set when `deserializeText` lets nothing of the text itself live on; a faster kind of string is given then. */
  readonly textIsTransient?: boolean
  /** Set when null values (tombstones) are to be left out and counted; otherwise `deserialize` gets them. */
  readonly skipsNull?: boolean
}

export interface SerializationSchema<T> {
  open?(context: RuntimeContext): void | Promise<void>
  /** Text is written as UTF-8; null is a null value (a tombstone). */
  serialize(element: T): Uint8Array | string | null
}

/** The validating half of Standard Schema v1 (standardschema.dev), which Zod, Valibot, ArkType and others implement. */
export interface StandardSchema<T> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>
  }
}

export type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** UTF-8 text. */
export class SimpleStringSchema implements DeserializationSchema<string>, SerializationSchema<string> {
  readonly skipsNull = true

  deserialize(bytes: Buffer | null): string | undefined {
    return bytes === null ? undefined : bytes.toString('utf8')
  }

  deserializeText(text: string): string {
    return text
  }

  serialize(element: string): string {
    if (typeof element !== 'string') {
      throw new MillraceError('SERIALIZATION_FAILED', `SimpleStringSchema takes strings, not ${kindOf(element)}`)
    }
    return element
  }
}

/**
 * JSON. With a Standard Schema every value read is validated and its output type is inferred; without one, `T` is an
 * unchecked cast. Messages name the paths of what is wrong and never the contents: validators like to quote them.
 *
 * @example
 * new JsonSchema(z.object({ id: z.number() }))   // JsonSchema<{ id: number }>
 * new JsonSchema<Order>()                        // trusts whoever wrote the topic
 */
export class JsonSchema<T = unknown> implements DeserializationSchema<T>, SerializationSchema<T> {
  readonly skipsNull = true
  readonly textIsTransient = true
  readonly #schema: StandardSchema<T> | undefined
  readonly #shapes = new JsonShapes()

  constructor(schema?: StandardSchema<T>) {
    if (schema !== undefined && typeof schema['~standard']?.validate !== 'function') {
      throw new MillraceError(
        'OPTION_INVALID',
        'JsonSchema(schema): this is not a Standard Schema; give one of Zod, Valibot, ArkType or the like, or nothing',
      )
    }
    this.#schema = schema
  }

  deserialize(bytes: Buffer | null): T | undefined {
    return bytes === null ? undefined : this.deserializeText(bytes.toString('utf8'))
  }

  deserializeText(text: string): T {
    const value = parseJson(text)
    return this.#schema === undefined ? (value as T) : validated(this.#schema, value)
  }

  deserializeAscii(ascii: AsciiText, from: number, to: number): T {
    let value = this.#shapes.parse(ascii, from, to)
    if (value === undefined) {
      const text = ascii.text.slice(from - ascii.offset, to - ascii.offset)
      value = parseJson(text)
      this.#shapes.learn(text)
    }
    return this.#schema === undefined ? (value as T) : validated(this.#schema, value)
  }

  serialize(element: T): string {
    const text: string | undefined = JSON.stringify(element)
    if (text === undefined) {
      throw new MillraceError('SERIALIZATION_FAILED', `JSON has no form for ${kindOf(element)}`)
    }
    return text
  }
}

/** Like JSON.parse, but its error does not quote the text. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const position = /at position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1]
    const where = position === undefined ? '' : `, from position ${position} on`
    throw new MillraceError('DESERIALIZATION_FAILED', `a text of ${text.length} characters is not JSON${where}`)
  }
}

function validated<T>(schema: StandardSchema<T>, value: unknown): T {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise) {
    result.catch(() => undefined)
    throw new MillraceError(
      'USER_FUNCTION_ASYNC',
      `the schema (${schema['~standard'].vendor}) validates asynchronously; only synchronous validation is possible here: leave out async refinements and transforms`,
    )
  }
  if (result.issues !== undefined) throw invalid(result.issues)
  return result.value
}

function invalid(issues: readonly StandardIssue[]): MillraceError {
  const places = [...new Set(issues.map(pathOf))]
  const shown = places.slice(0, 5).join(', ') + (places.length > 5 ? ', ...' : '')
  const count = issues.length === 1 ? '1 problem' : `${issues.length} problems`
  return new MillraceError('DESERIALIZATION_FAILED', `the value does not fit its schema: ${count} at ${shown}`)
}

function pathOf(issue: StandardIssue): string {
  const keys = (issue.path ?? []).map((segment) => (typeof segment === 'object' ? segment.key : segment))
  return keys.length === 0 ? 'the root' : keys.map(String).join('.')
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value
}
