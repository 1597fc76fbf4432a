/**
 * Finds the field that cannot be written, after the fact: the writer keeps no path while it works, so that naming the field
 * costs nothing as long as all is well.
 */
import { MillraceError } from '../../base/index.ts'
import { DEPTH_MAX } from './block-format.ts'
import { rawKindOf } from './raw-values.ts'

/** Thrown inside the writer, without a stack; replaced by the error below. */
export const REFUSED: unique symbol = Symbol('refused')

/** The error that names the field, by its place and never by its contents. `owner` says whose value it is: 'what operator "count" emits'. */
export function unserializable(owner: string, value: unknown): MillraceError {
  const found = find(value, '', [])
  const where = found === undefined || found.path === '' ? 'it' : `its field ${found.path}`
  return new MillraceError(
    'RECORD_NOT_SERIALIZABLE',
    `${owner} cannot be turned into bytes: ${where} is ${found?.what ?? 'of no kind that can be written'}. ` +
      'Use plain data; between threads a stream may have a serializer of its own (returns).',
  )
}

interface Found {
  readonly path: string
  readonly what: string
}

function find(value: unknown, path: string, above: readonly object[]): Found | undefined {
  switch (typeof value) {
    case 'function':
      return { path, what: value.name === '' ? 'a function' : `the function ${value.name}` }
    case 'symbol':
      return { path, what: 'a symbol' }
    case 'object':
      return value === null ? undefined : findInside(value, path, above)
    default:
      return undefined
  }
}

function findInside(value: object, path: string, above: readonly object[]): Found | undefined {
  if (above.includes(value)) return { path, what: 'an object that contains itself' }
  if (above.length >= DEPTH_MAX) return { path, what: `deeper than ${DEPTH_MAX} levels` }
  if (value instanceof Date || rawKindOf(value) !== undefined) return undefined
  const inside = [...above, value]
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Array.prototype)
    return first(
      (value as unknown[]).map((item, i): Entry => [`${path}[${i}]`, item]),
      inside,
    )
  if (prototype === Map.prototype) {
    const entries = [...(value as Map<unknown, unknown>)].flatMap(([key, item], i): Entry[] => [
      [`${path}<key ${i}>`, key],
      [`${path}<value ${i}>`, item],
    ])
    return first(entries, inside)
  }
  if (prototype === Set.prototype)
    return first(
      [...(value as Set<unknown>)].map((item, i): Entry => [`${path}<element ${i}>`, item]),
      inside,
    )
  if (!isPlainPrototype(prototype)) return { path, what: `an instance of ${className(value)}` }
  const fields = Object.entries(value).map(([key, item]): Entry => [field(path, key), item])
  return first(fields, inside)
}

type Entry = readonly [path: string, value: unknown]

function first(entries: readonly Entry[], above: readonly object[]): Found | undefined {
  for (const [path, value] of entries) {
    const found = find(value, path, above)
    if (found !== undefined) return found
  }
  return undefined
}

function field(path: string, key: string): string {
  if (!/^[\p{L}$_][\p{L}\p{N}$_]*$/u.test(key)) return `${path}[${JSON.stringify(key)}]`
  return path === '' ? key : `${path}.${key}`
}

function className(value: object): string {
  const made: unknown = value.constructor
  return typeof made === 'function' && made.name !== '' ? made.name : 'a class'
}

/** Of an object literal, also one of another realm. */
export function isPlainPrototype(prototype: unknown): boolean {
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}
