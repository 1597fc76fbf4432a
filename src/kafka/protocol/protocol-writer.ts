/**
 * Writes Kafka's primitive types for the generated encoders, gathering instead of copying: large bytes and record
 * batches are referenced, so that a produce request leaves as one writev without its records having moved.
 * What always holds: a value that its type cannot carry exactly is a ProtocolError, never truncated; referenced bytes
 * must not be touched until they are sent; after `finish` the writer is spent.
 */
import { assert } from '../../base/index.ts'
import { ProtocolError } from './protocol-error.ts'

const TWO_TO_32 = 0x1_0000_0000
const STRING_BYTES_MAX = 0x7fff
/** From this size on bytes are referenced: below it a copy is cheaper than one more entry of a writev. */
const REFERENCE_BYTES_MIN = 4096

/** Bytes to be sent, in one piece or in several that are sent as one. */
export type BytesInput = Uint8Array | readonly Uint8Array[]

/** Encodes one element of an array. */
export type ElementEncoder<T> = (writer: ProtocolWriter, item: T, version: number, flexible: boolean) => void

export class ProtocolWriter {
  readonly #framed: boolean
  readonly #chunks: Uint8Array[] = []
  #chunkBytes = 0
  #buffer: Buffer
  /** Where the piece under construction begins in the buffer; what lies before is among the chunks. */
  #start = 0
  #position = 0
  #sizedDepth = 0
  #finished = false

  /** A framed message begins with its own length, as every request and response on a connection does. */
  constructor(options: { readonly framed?: boolean; readonly capacity?: number } = {}) {
    this.#framed = options.framed ?? false
    this.#buffer = Buffer.allocUnsafe(options.capacity ?? 512)
    if (this.#framed) this.int32(0)
  }

  get byteLength(): number {
    return this.#chunkBytes + this.#position - this.#start
  }

  bool(value: boolean): void {
    this.int8(value ? 1 : 0)
  }

  int8(value: number): void {
    if ((value << 24) >> 24 !== value) throw outOfRange('int8', value)
    const at = this.#reserve(1)
    this.#buffer[at] = value
  }

  int16(value: number): void {
    if ((value << 16) >> 16 !== value) throw outOfRange('int16', value)
    this.#put16(this.#reserve(2), value)
  }

  uint16(value: number): void {
    if ((value & 0xffff) !== value) throw outOfRange('uint16', value)
    this.#put16(this.#reserve(2), value)
  }

  int32(value: number): void {
    if ((value | 0) !== value) throw outOfRange('int32', value)
    this.#put32(this.#reserve(4), value)
  }

  uint32(value: number): void {
    if (value >>> 0 !== value) throw outOfRange('uint32', value)
    this.#put32(this.#reserve(4), value)
  }

  int64(value: number): void {
    if (!Number.isSafeInteger(value)) throw outOfRange('safe int64', value)
    const high = Math.floor(value / TWO_TO_32)
    const at = this.#reserve(8)
    this.#put32(at, high)
    this.#put32(at + 4, value - high * TWO_TO_32)
  }

  /** For fields in which Java's Long.MAX_VALUE means "no limit": Infinity here is that one value there. */
  int64OrInfinity(value: number): void {
    if (value !== Number.POSITIVE_INFINITY) {
      this.int64(value)
      return
    }
    this.int32(0x7fffffff)
    this.uint32(0xffffffff)
  }

  float64(value: number): void {
    const at = this.#reserve(8)
    this.#buffer.writeDoubleBE(value, at)
  }

  /** An unsigned varint of at most 32 bits. */
  uvarint(value: number): void {
    if (value >>> 0 !== value) throw outOfRange('uint32', value)
    const length = uvarintBytes(value)
    this.#putUvarint(this.#reserve(length), value, length)
  }

  uuid(value: string): void {
    const at = this.#reserve(16)
    if (value.length !== 22 || this.#buffer.write(value, at, 16, 'base64url') !== 16) {
      throw new ProtocolError(`"${value}" is no uuid (22 characters of base64url)`)
    }
  }

  string(value: string, flexible: boolean): void {
    this.nullableString(value, flexible, false)
  }

  /** `allowed` says whether null is allowed in the version being written; without it null is an error. */
  nullableString(value: string | null, flexible: boolean, allowed = true): void {
    if (value === null || value === undefined) {
      this.#null('string', flexible, allowed, 2)
      return
    }
    const length = Buffer.byteLength(value)
    if (length > STRING_BYTES_MAX) {
      throw new ProtocolError(`a string of ${length} bytes; Kafka allows ${STRING_BYTES_MAX}`)
    }
    if (flexible) this.uvarint(length + 1)
    else this.int16(length)
    const at = this.#reserve(length)
    if (length > 0) this.#buffer.write(value, at, length, 'utf8')
  }

  bytes(value: BytesInput, flexible: boolean): void {
    this.nullableBytes(value, flexible, false)
  }

  nullableBytes(value: BytesInput | null, flexible: boolean, allowed = true): void {
    if (value === null || value === undefined) {
      this.#null('bytes', flexible, allowed, 4)
      return
    }
    const single = value instanceof Uint8Array
    let length = 0
    if (single) length = value.length
    else for (const piece of value) length += piece.length
    if (flexible) this.uvarint(length + 1)
    else this.int32(length)
    if (single) this.#piece(value)
    else for (const piece of value) this.#piece(piece)
  }

  array<T>(value: readonly T[], version: number, flexible: boolean, encode: ElementEncoder<T>): void {
    this.nullableArray(value, version, flexible, encode, false)
  }

  nullableArray<T>(
    value: readonly T[] | null,
    version: number,
    flexible: boolean,
    encode: ElementEncoder<T>,
    allowed = true,
  ): void {
    if (value === null || value === undefined) {
      this.#null('array', flexible, allowed, 4)
      return
    }
    if (flexible) this.uvarint(value.length + 1)
    else this.int32(value.length)
    for (const item of value) encode(this, item, version, flexible)
  }

  /** Begins a tagged field, whose size stands before it and is known only afterwards. */
  beginTagged(tag: number): number {
    this.uvarint(tag)
    this.#sizedDepth++
    return this.#reserve(1) - this.#start
  }

  /** Ends the tagged field that `beginTagged` returned `mark` for. */
  endTagged(mark: number): void {
    const size = this.#position - this.#start - mark - 1
    const length = uvarintBytes(size)
    // One byte was left for the size, which suits nearly all; else the field moves on by what is missing.
    if (length > 1) {
      this.#reserve(length - 1)
      const from = this.#start + mark + 1
      this.#buffer.copyWithin(from + length - 1, from, from + size)
    }
    this.#putUvarint(this.#start + mark, size, length)
    this.#sizedDepth--
  }

  /** Refuses a value for a field that the version being written does not have and that must not be dropped silently. */
  lacks(field: string): never {
    throw new ProtocolError(`the version has no field ${field}, which is set`, 'KAFKA_VERSION_UNSUPPORTED')
  }

  /** The whole message in pieces, for one writev. */
  finish(): Uint8Array[] {
    assert(!this.#finished && this.#sizedDepth === 0, 'a protocol writer is finished once, outside of tagged fields')
    this.#finished = true
    this.#seal()
    const first = this.#chunks[0]
    if (this.#framed && first !== undefined) {
      const length = this.#chunkBytes - 4
      if (length > 0x7fffffff) throw outOfRange('int32 as message size', length)
      new DataView(first.buffer, first.byteOffset, 4).setInt32(0, length)
    }
    return this.#chunks
  }

  #null(what: string, flexible: boolean, allowed: boolean, lengthBytes: 2 | 4): void {
    if (!allowed) throw new ProtocolError(`null for ${what} that the version being written does not allow to be null`)
    if (flexible) this.uvarint(0)
    else if (lengthBytes === 2) this.int16(-1)
    else this.int32(-1)
  }

  #piece(value: Uint8Array): void {
    if (value.length >= REFERENCE_BYTES_MIN && this.#sizedDepth === 0) {
      this.#seal()
      this.#chunks.push(value)
      this.#chunkBytes += value.length
      return
    }
    const at = this.#reserve(value.length)
    this.#buffer.set(value, at)
  }

  #seal(): void {
    if (this.#position === this.#start) return
    this.#chunks.push(this.#buffer.subarray(this.#start, this.#position))
    this.#chunkBytes += this.#position - this.#start
    this.#start = this.#position
  }

  /** Makes room for the next bytes and returns where they go; `#buffer` may be another one afterwards. */
  #reserve(count: number): number {
    const at = this.#position
    if (at + count <= this.#buffer.length) {
      this.#position = at + count
      return at
    }
    const used = at - this.#start
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, used + count))
    this.#buffer.copy(grown, 0, this.#start, at)
    this.#buffer = grown
    this.#start = 0
    this.#position = used + count
    return used
  }

  #put16(at: number, value: number): void {
    const buffer = this.#buffer
    buffer[at] = value >> 8
    buffer[at + 1] = value
  }

  #put32(at: number, value: number): void {
    const buffer = this.#buffer
    buffer[at] = value >> 24
    buffer[at + 1] = value >> 16
    buffer[at + 2] = value >> 8
    buffer[at + 3] = value
  }

  #putUvarint(at: number, value: number, length: number): void {
    const buffer = this.#buffer
    const last = at + length - 1
    for (; at < last; at++) {
      buffer[at] = (value & 0x7f) | 0x80
      value >>>= 7
    }
    buffer[at] = value
  }
}

function uvarintBytes(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  return value < 0x1000_0000 ? 4 : 5
}

function outOfRange(type: string, value: number): ProtocolError {
  return new ProtocolError(`${value} is no ${type}`)
}
