/**
 * What is bytes already: Buffers, typed arrays, ArrayBuffers and DataViews. A kind is its place in RAW_KINDS, which is
 * durable: names are added at the end only.
 */
import { assert } from '../../base/index.ts'

const RAW_KINDS = [
  'Buffer',
  'ArrayBuffer',
  'DataView',
  'Uint8Array',
  'Int8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
] as const
const BUFFER = 0
const ARRAY_BUFFER = 1
const DATA_VIEW = 2
const LAST_OF_BYTES = 5

type ViewConstructor = new (buffer: ArrayBuffer, byteOffset: number, length: number) => ArrayBufferView

/** The kind of a value made of bytes; undefined when it is none, or is of a class of its own. */
export function rawKindOf(value: object): number | undefined {
  if (value instanceof ArrayBuffer)
    return Object.getPrototypeOf(value) === ArrayBuffer.prototype ? ARRAY_BUFFER : undefined
  if (!ArrayBuffer.isView(value)) return undefined
  if (Buffer.isBuffer(value)) return BUFFER
  const kind = RAW_KINDS.findIndex((name) => viewConstructor(name)?.prototype === Object.getPrototypeOf(value))
  return kind === -1 ? undefined : kind
}

/** Its bytes where they lie. */
export function bytesOf(value: object): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  assert(value instanceof ArrayBuffer, 'no bytes')
  return new Uint8Array(value)
}

/** Whether the bytes must begin at a multiple of 8 so that they can be viewed in place. */
export function isAligned(kind: number): boolean {
  return kind > LAST_OF_BYTES
}

/** Whether its value can lie in the midst of another buffer. */
export function canBeView(kind: number): boolean {
  return kind !== ARRAY_BUFFER
}

/** The value of a kind over bytes that are its own from now on: `bytes` is a copy, or a view that nobody writes to. */
export function rawValue(kind: number, bytes: Uint8Array<ArrayBuffer>): object {
  const { buffer, byteOffset, byteLength } = bytes
  if (kind === BUFFER) return Buffer.from(buffer, byteOffset, byteLength)
  if (kind === ARRAY_BUFFER)
    return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength)
  const name = RAW_KINDS[kind]
  const View = name === undefined ? undefined : viewConstructor(name)
  assert(View !== undefined, `no kind of bytes has number ${kind} here`)
  const width = kind === DATA_VIEW ? 1 : (View as unknown as { readonly BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT
  return new View(buffer, byteOffset, byteLength / width)
}

/** By name, because not every supported Node has the last of them. */
function viewConstructor(name: string): ViewConstructor | undefined {
  return (globalThis as unknown as Record<string, ViewConstructor | undefined>)[name]
}
