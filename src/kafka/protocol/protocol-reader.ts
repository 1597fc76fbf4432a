/**
 * Reads Kafka's primitive types from one buffer, for the generated decoders.
 * Strings are copied out; bytes and records are views into the buffer, so keeping one keeps the whole response alive.
 * What always holds: nothing is read past the end, no length is believed before it was compared with the bytes that
 * are left, and whatever is wrong with the bytes is a ProtocolError naming the position.
 */
import { ProtocolError } from './protocol-error.ts'

const TWO_TO_32 = 0x1_0000_0000
/** Java allows this many bytes in a string, in both the old and the compact form. */
const STRING_BYTES_MAX = 0x7fff

/** Decodes one element of an array. */
export type ElementDecoder<T> = (reader: ProtocolReader, version: number, flexible: boolean) => T

export class ProtocolReader {
  readonly #buffer: Buffer
  readonly #end: number
  #offset: number

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#end = Math.min(end, bytes.length)
    this.#offset = start
  }

  get offset(): number {
    return this.#offset
  }

  get remaining(): number {
    return this.#end - this.#offset
  }

  bool(): boolean {
    return this.int8() !== 0
  }

  int8(): number {
    return (this.#byte(this.#take(1)) << 24) >> 24
  }

  int16(): number {
    const at = this.#take(2)
    return (((this.#byte(at) << 8) | this.#byte(at + 1)) << 16) >> 16
  }

  uint16(): number {
    return this.int16() & 0xffff
  }

  int32(): number {
    const at = this.#take(4)
    const high = (this.#byte(at) << 24) | (this.#byte(at + 1) << 16)
    return high | (this.#byte(at + 2) << 8) | this.#byte(at + 3)
  }

  uint32(): number {
    return this.int32() >>> 0
  }

  /** A 64-bit integer as a number; one that a number cannot hold exactly is an error, never rounded. */
  int64(): number {
    const high = this.int32()
    const value = high * TWO_TO_32 + this.uint32()
    if (!Number.isSafeInteger(value)) throw this.malformed('an int64 beyond 2^53')
    return value
  }

  /** For fields in which Java's Long.MAX_VALUE means "no limit": that one value is Infinity here. */
  int64OrInfinity(): number {
    const high = this.int32()
    const low = this.uint32()
    if (high === 0x7fffffff && low === 0xffffffff) return Number.POSITIVE_INFINITY
    this.#offset -= 8
    return this.int64()
  }

  float64(): number {
    return this.#buffer.readDoubleBE(this.#take(8))
  }

  /** An unsigned varint of at most 32 bits. */
  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte(this.#take(1))
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    const last = this.#byte(this.#take(1))
    if (last > 0x0f) throw this.malformed('a varint of more than 32 bits')
    return (value | (last << 28)) >>> 0
  }

  uuid(): string {
    const at = this.#take(16)
    return this.#buffer.toString('base64url', at, at + 16)
  }

  string(flexible: boolean): string {
    const value = this.nullableString(flexible)
    if (value === null) throw this.malformed('null for a string that is never null')
    return value
  }

  nullableString(flexible: boolean): string | null {
    const length = flexible ? this.uvarint() - 1 : this.int16()
    if (length === -1) return null
    if (length < 0 || length > STRING_BYTES_MAX) throw this.malformed(`a string of ${length} bytes`)
    const at = this.#take(length)
    return this.#buffer.toString('utf8', at, at + length)
  }

  bytes(flexible: boolean): Buffer {
    const value = this.nullableBytes(flexible)
    if (value === null) throw this.malformed('null for bytes that are never null')
    return value
  }

  nullableBytes(flexible: boolean): Buffer | null {
    const length = flexible ? this.uvarint() - 1 : this.int32()
    if (length === -1) return null
    const at = this.#take(length)
    return this.#buffer.subarray(at, at + length)
  }

  array<T>(version: number, flexible: boolean, decode: ElementDecoder<T>): T[] {
    const value = this.nullableArray(version, flexible, decode)
    if (value === null) throw this.malformed('null for an array that is never null')
    return value
  }

  nullableArray<T>(version: number, flexible: boolean, decode: ElementDecoder<T>): T[] | null {
    const length = flexible ? this.uvarint() - 1 : this.int32()
    if (length === -1) return null
    // Every element takes at least one byte, so a longer array cannot be honest.
    if (length < 0 || length > this.remaining) throw this.malformed(`an array of ${length} elements`)
    const items: T[] = []
    for (let i = 0; i < length; i++) items.push(decode(this, version, flexible))
    return items
  }

  /** The size of a tagged field; returns the offset at which the field ends. */
  taggedEnd(): number {
    const size = this.uvarint()
    if (size > this.remaining) throw this.malformed(`a tagged field of ${size} bytes`)
    return this.#offset + size
  }

  /** Leaves a tagged field that was read: its content must have been exactly as long as it said. */
  leaveTagged(end: number): void {
    if (this.#offset !== end) throw this.malformed(`a tagged field whose size is wrong by ${this.#offset - end} bytes`)
  }

  /** Leaves a tagged field unread, as newer peers may send some that are not known here. */
  skipTagged(end: number): void {
    this.#offset = end
  }

  /** All tagged fields of a structure that knows none. */
  skipTaggedFields(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint()
      this.skipTagged(this.taggedEnd())
    }
  }

  malformed(what: string): ProtocolError {
    return new ProtocolError(`${what}, before byte ${this.#offset} of ${this.#end}`)
  }

  /** Claims the next bytes and returns where they begin. */
  #take(count: number): number {
    const at = this.#offset
    if (count < 0 || count > this.#end - at) throw this.malformed(`${count} bytes wanted, ${this.#end - at} left`)
    this.#offset = at + count
    return at
  }

  /** Only for bytes that were claimed. */
  #byte(at: number): number {
    return this.#buffer[at] as number
  }
}
