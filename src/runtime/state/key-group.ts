/**
 * Which key group a key belongs to, and which subtask has a key group: Flink's formulas (KeyGroupRangeAssignment, MathUtils), over
 * the bytes of the key as Java hashes them (`Arrays.hashCode`). They decide where stored state belongs, so they never change;
 * golden values from Flink's own classes are in test/golden/key-group.
 *
 * KEY_VERSION_1, the bytes of a key: a tag, then
 *
 *     1  string   its UTF-8; a surrogate without its other half as three bytes of its own
 *     2  number   its float64, big-endian; -0 as 0, every NaN as one
 *     3  bigint   two's complement, big-endian, as few bytes as hold it (Java: BigInteger.toByteArray)
 *     4  boolean  0 or 1
 *     5  tuple    of each part: u32 length, big-endian, then its bytes
 */
import { assert } from '../../base/index.ts'
import type { Key, KeyPart } from '../../core/index.ts'

const STRING = 1
const NUMBER = 2
const BIGINT = 3
const BOOLEAN = 4
const TUPLE = 5
/** Java's Double.doubleToLongBits of every NaN. */
const NAN_BITS = 0x7ff8000000000000n

/** Groups keys for one maximum parallelism. It allocates nothing for strings, numbers and booleans. */
export class KeyGrouping {
  readonly #maxParallelism: number
  readonly #number = new DataView(new ArrayBuffer(8))

  constructor(maxParallelism: number) {
    assert(
      maxParallelism > 0 && maxParallelism <= 1 << 15,
      `a maximum parallelism is 1 to 32768, not ${maxParallelism}`,
    )
    this.#maxParallelism = maxParallelism
  }

  groupOf(key: Key): number {
    return murmurHash(this.#hash(key)) % this.#maxParallelism
  }

  #hash(key: Key): number {
    switch (typeof key) {
      case 'string':
        return stringHash(key)
      case 'number': {
        setNumber(this.#number, 0, key)
        const high = this.#number.getInt32(0)
        const low = this.#number.getInt32(4)
        return withInt(withInt(31 + NUMBER, high), low)
      }
      case 'boolean':
        return (Math.imul(31, 31 + BOOLEAN) + (key ? 1 : 0)) | 0
      default: {
        let hash = 1
        for (const byte of serializeKey(key)) hash = (Math.imul(31, hash) + ((byte << 24) >> 24)) | 0
        return hash
      }
    }
  }
}

/** The subtask of `parallelism` that has a key group (Flink: computeOperatorIndexForKeyGroup). */
export function subtaskOfKeyGroup(maxParallelism: number, parallelism: number, keyGroup: number): number {
  return Math.floor((keyGroup * parallelism) / maxParallelism)
}

/** The bytes of a key, in KEY_VERSION_1. */
export function serializeKey(key: Key): Uint8Array {
  if (typeof key !== 'object') return serializePart(key)
  const parts = key.map(serializePart)
  const bytes = Buffer.alloc(parts.reduce((sum, part) => sum + 4 + part.length, 1))
  bytes[0] = TUPLE
  let at = 1
  for (const part of parts) {
    at = bytes.writeUInt32BE(part.length, at)
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

function serializePart(part: KeyPart): Uint8Array {
  switch (typeof part) {
    case 'string':
      return Uint8Array.of(STRING, ...stringBytes(part))
    case 'number': {
      const bytes = Buffer.alloc(9, NUMBER)
      setNumber(new DataView(bytes.buffer, bytes.byteOffset), 1, part)
      return bytes
    }
    case 'bigint':
      return Uint8Array.of(BIGINT, ...bigintBytes(part))
    case 'boolean':
      return Uint8Array.of(BOOLEAN, part ? 1 : 0)
    default:
      return assert(false, `a key is made of strings, numbers, bigints and booleans, not of ${typeof part}`) as never
  }
}

/** The bits of a NaN are not the language's to say, so they are written as such. */
function setNumber(view: DataView, at: number, value: number): void {
  if (Number.isNaN(value)) view.setBigUint64(at, NAN_BITS)
  else view.setFloat64(at, value === 0 ? 0 : value)
}

/** Java's Arrays.hashCode of the tag and the UTF-8 of a string. */
function stringHash(text: string): number {
  let hash = 31 + STRING
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return beyondAscii(text, i, hash)
    hash = (Math.imul(31, hash) + code) | 0
  }
  return hash
}

function beyondAscii(text: string, from: number, hash: number): number {
  for (let i = from; i < text.length; i++) {
    const code = text.codePointAt(i) ?? 0
    if (code < 0x80) {
      hash = Math.imul(31, hash) + code
      continue
    }
    if (code < 0x800) hash = Math.imul(31, hash) + (code >> 6) - 0x40
    else {
      if (code < 0x10000) hash = Math.imul(31, hash) + (code >> 12) - 0x20
      else {
        hash = Math.imul(31, hash) + (code >> 18) - 0x10
        hash = Math.imul(31, hash) + ((code >> 12) & 0x3f) - 0x80
        i++
      }
      hash = Math.imul(31, hash) + ((code >> 6) & 0x3f) - 0x80
    }
    hash = (Math.imul(31, hash) + (code & 0x3f) - 0x80) | 0
  }
  return hash | 0
}

function stringBytes(text: string): number[] {
  const bytes: number[] = []
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    const tail = (shift: number): number => 0x80 | ((code >> shift) & 0x3f)
    if (code < 0x80) bytes.push(code)
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), tail(0))
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), tail(6), tail(0))
    else bytes.push(0xf0 | (code >> 18), tail(12), tail(6), tail(0))
  }
  return bytes
}

function bigintBytes(value: bigint): number[] {
  let width = 1
  while (BigInt.asIntN(width * 8, value) !== value) width++
  const digits = BigInt.asUintN(width * 8, value)
    .toString(16)
    .padStart(width * 2, '0')
  return Array.from(Buffer.from(digits, 'hex'))
}

/** Four more bytes, the highest first. */
function withInt(hash: number, int: number): number {
  hash = Math.imul(31, hash) + (int >> 24)
  hash = Math.imul(31, hash) + ((int << 8) >> 24)
  hash = Math.imul(31, hash) + ((int << 16) >> 24)
  return (Math.imul(31, hash) + ((int << 24) >> 24)) | 0
}

/** Flink's MathUtils.murmurHash; never negative. */
function murmurHash(code: number): number {
  code = Math.imul(code, 0xcc9e2d51)
  code = (code << 15) | (code >>> 17)
  code = Math.imul(code, 0x1b873593)
  code = (code << 13) | (code >>> 19)
  code = (Math.imul(code, 5) + 0xe6546b64) | 0
  code ^= 4
  code ^= code >>> 16
  code = Math.imul(code, 0x85ebca6b)
  code ^= code >>> 13
  code = Math.imul(code, 0xc2b2ae35)
  code ^= code >>> 16
  if (code >= 0) return code
  return code === -0x80000000 ? 0 : -code
}
