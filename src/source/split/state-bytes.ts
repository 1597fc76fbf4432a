/**
 * Writes and reads the small binary forms of this room's state: integers big-endian, text as UTF-8 after its length. A reader
 * refuses what ends too early and what has bytes left, with MillraceError STATE_INCOMPATIBLE; it never guesses.
 */
import { assert, MillraceError } from '../../base/index.ts'

export class StateWriter {
  readonly #parts: Buffer[] = []

  uint8(value: number): void {
    this.#parts.push(Buffer.of(value))
  }

  uint32(value: number): void {
    const part = Buffer.alloc(4)
    part.writeUInt32BE(value)
    this.#parts.push(part)
  }

  int64(value: number): void {
    assert(Number.isSafeInteger(value), `${value} is not a whole number`)
    const part = Buffer.alloc(8)
    part.writeBigInt64BE(BigInt(value))
    this.#parts.push(part)
  }

  text(value: string): void {
    this.bytes(Buffer.from(value, 'utf8'))
  }

  bytes(value: Uint8Array): void {
    this.uint32(value.length)
    this.#parts.push(Buffer.from(value))
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

export class StateReader {
  readonly #bytes: Buffer
  readonly #what: string
  #position = 0

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#what = what
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#take(1))
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  int64(): number {
    const value = Number(this.#bytes.readBigInt64BE(this.#take(8)))
    if (!Number.isSafeInteger(value)) throw this.damaged(`${value} is out of range`)
    return value
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  bytes(): Buffer {
    const length = this.uint32()
    const start = this.#take(length)
    return this.#bytes.subarray(start, start + length)
  }

  finish(): void {
    const left = this.#bytes.length - this.#position
    if (left > 0) throw this.damaged(`${left} bytes are left`)
  }

  damaged(why: string): MillraceError {
    return new MillraceError('STATE_INCOMPATIBLE', `the stored ${this.#what} cannot be read: ${why}`)
  }

  #take(count: number): number {
    const start = this.#position
    if (start + count > this.#bytes.length) throw this.damaged('its bytes end too early')
    this.#position = start + count
    return start
  }
}

/** The error for a version that this release does not know. */
export function unknownVersion(what: string, version: number, newest: number): MillraceError {
  return new MillraceError(
    'STATE_INCOMPATIBLE',
    `the stored ${what} has version ${version}, and this release reads up to ${newest}: it was written by a newer release; start that one`,
  )
}
