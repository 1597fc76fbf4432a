/**
 * Writes values into blocks. Text is gathered in one string and numbers in typed arrays, so that an element costs some stores and
 * no call into native code; `finish` lays the columns behind each other in the buffer that goes out. Only bytes (Buffers, typed
 * arrays) go into that buffer at once, so they are copied once.
 *
 * A writer is used for many blocks, because it learns the shapes of objects. A value that cannot be written throws
 * RECORD_NOT_SERIALIZABLE with the path of the field and leaves the block as it was.
 */
import { assert } from '../../base/index.ts'
import {
  ARRAY,
  BARE_OBJECT,
  BIGINT_64,
  BIGINT_TEXT,
  DATE,
  DEPTH_MAX,
  DOUBLE,
  FALSE,
  FIELD_DOUBLE,
  FIELD_INT,
  FIELD_TEXT,
  FIRST_MARK,
  FIRST_SHAPE,
  FLAG_WIDE_TEXT,
  HEADER_BYTES,
  HOLE,
  INT,
  MAP,
  NEAR_SHAPES,
  NULL,
  OBJECT,
  RAW,
  SET,
  SHAPE_FIELDS_MAX,
  SHAPED,
  TEXT,
  TRUE,
  UNDEFINED,
  VERSION_1,
} from './block-format.ts'
import { bytesOf, isAligned, rawKindOf } from './raw-values.ts'
import { textBytes } from './text-bytes.ts'
import { isPlainPrototype, REFUSED, unserializable } from './unserializable.ts'
import { isInt, type KeyList, type WriterShape, WriterShapes } from './writer-shapes.ts'

/** Room kept free in the stream, so that the fields of one shape are stored without looking: tag and lengths of each. */
const STREAM_ROOM = (SHAPE_FIELDS_MAX + 2) * 6
const NUMBER_ROOM = SHAPE_FIELDS_MAX + 2
/** Columns that one large block made longer than this many elements are not kept for the next. */
const KEPT_ELEMENTS_MAX = 1 << 18
const STREAM_BYTES = 4096
const NUMBERS = 1024
/** Objects within objects keep their own last shape down to this depth. */
const RECENT_DEPTHS = 8

export interface BlockWriterOptions {
  /** Whose values these are, for errors: 'what operator "count" emits'. */
  readonly owner?: string
}

export class BlockWriter {
  readonly #owner: string
  readonly #shapes = new WriterShapes()
  readonly #recent: (KeyList | undefined)[] = new Array<KeyList | undefined>(RECENT_DEPTHS).fill(undefined)
  #stream = new Uint8Array(STREAM_BYTES)
  #streamAt = 0
  #numbers = new Float64Array(NUMBERS)
  #bigints = new BigInt64Array(this.#numbers.buffer)
  #numbersAt = 0
  #ints = new Int32Array(NUMBERS)
  #intsAt = 0
  #text = ''
  #definitions = ''
  #shapesDefined = 0
  /** Which block of this writer's this is: a shape belongs to it when it says so. */
  #block = 0
  #count = 0
  /** The buffer that goes out, as soon as something lies in it; raw bytes from HEADER_BYTES on. */
  #out = new ArrayBuffer(0)
  #rawEnd = HEADER_BYTES

  constructor(options: BlockWriterOptions = {}) {
    this.#owner = options.owner ?? 'the value'
  }

  /** Values written, marks and bare numbers not counted. */
  get count(): number {
    return this.#count
  }

  get empty(): boolean {
    return this.#streamAt === 0 && this.#numbersAt === 0
  }

  /** What `finish` would return, nearly: text is taken for latin1. */
  get byteLength(): number {
    return (
      this.#rawEnd +
      this.#numbersAt * 8 +
      this.#intsAt * 4 +
      this.#streamAt +
      this.#text.length +
      this.#definitions.length
    )
  }

  write(value: unknown): void {
    const stream = this.#streamAt
    const numbers = this.#numbersAt
    const ints = this.#intsAt
    const text = this.#text
    const raw = this.#rawEnd
    try {
      this.#value(value, 0)
    } catch (error) {
      this.#streamAt = stream
      this.#numbersAt = numbers
      this.#intsAt = ints
      this.#text = text
      this.#rawEnd = raw
      throw error === REFUSED ? unserializable(this.#owner, value) : error
    }
    this.#count++
  }

  /** A number that the reader asks for with `readNumber`: it has no tag. */
  writeNumber(value: number): void {
    if (this.#numbersAt + NUMBER_ROOM > this.#numbers.length) this.#reserve()
    this.#numbers[this.#numbersAt++] = value
  }

  /** A mark between values, 0 to 15, that the reader asks for with `readMark`. */
  writeMark(mark: number): void {
    assert(mark >= 0 && mark < 16, 'a mark is 0 to 15')
    if (this.#streamAt + STREAM_ROOM > this.#stream.length) this.#reserve()
    this.#stream[this.#streamAt++] = FIRST_MARK + mark
  }

  /** Gives a buffer that is needed no more, for the next block. */
  offer(buffer: ArrayBuffer): void {
    if (this.#rawEnd === HEADER_BYTES && buffer.byteLength > this.#out.byteLength) this.#out = buffer
  }

  /** The block, over a buffer of its own that nobody else holds. The writer is empty afterwards. */
  finish(): Uint8Array<ArrayBuffer> {
    const text = this.#text
    const definitions = this.#definitions === '' ? '' : `[${this.#definitions}]`
    const definitionBytes = Buffer.byteLength(definitions)
    const ascii = Buffer.byteLength(text) === text.length
    const rawBytes = this.#rawEnd - HEADER_BYTES
    const numbersBegin = align8(this.#rawEnd)
    const intsBegin = numbersBegin + this.#numbersAt * 8
    const streamBegin = intsBegin + this.#intsAt * 4
    const definitionsBegin = streamBegin + this.#streamAt
    const textBegin = definitionsBegin + definitionBytes
    this.#room(textBegin + text.length * (ascii ? 1 : 2))
    const out = textBytes(this.#out, 0, this.#out.byteLength)
    out.fill(0, this.#rawEnd, numbersBegin)
    new Float64Array(this.#out, numbersBegin, this.#numbersAt).set(this.#numbers.subarray(0, this.#numbersAt))
    new Int32Array(this.#out, intsBegin, this.#intsAt).set(this.#ints.subarray(0, this.#intsAt))
    out.set(this.#stream.subarray(0, this.#streamAt), streamBegin)
    out.utf8Write(definitions, definitionsBegin)
    let wide = false
    let written = out.latin1Write(text, textBegin)
    if (!ascii && out.latin1Slice(textBegin, textBegin + written) !== text) {
      wide = true
      written = out.ucs2Write(text, textBegin)
    }
    const header = new DataView(this.#out, 0, HEADER_BYTES)
    header.setUint8(0, VERSION_1)
    header.setUint8(1, wide ? FLAG_WIDE_TEXT : 0)
    header.setUint16(2, 0, true)
    const lengths = [rawBytes, this.#numbersAt, this.#intsAt, this.#streamAt, definitionBytes, written, this.#count]
    for (const [i, length] of lengths.entries()) header.setUint32(4 + i * 4, length, true)
    const block = new Uint8Array(this.#out, 0, textBegin + written)
    this.#out = new ArrayBuffer(0)
    this.reset()
    return block
  }

  /** Drops what was written since the last block. */
  reset(): void {
    this.#streamAt = 0
    this.#numbersAt = 0
    this.#intsAt = 0
    this.#text = ''
    this.#definitions = ''
    this.#shapesDefined = 0
    this.#block++
    this.#count = 0
    this.#rawEnd = HEADER_BYTES
    if (this.#stream.length > KEPT_ELEMENTS_MAX) this.#stream = new Uint8Array(STREAM_BYTES)
    if (this.#ints.length > KEPT_ELEMENTS_MAX) this.#ints = new Int32Array(NUMBERS)
    if (this.#numbers.length > KEPT_ELEMENTS_MAX) {
      this.#numbers = new Float64Array(NUMBERS)
      this.#bigints = new BigInt64Array(this.#numbers.buffer)
    }
  }

  #value(value: unknown, depth: number): void {
    if (
      this.#streamAt + STREAM_ROOM > this.#stream.length ||
      this.#numbersAt + NUMBER_ROOM > this.#numbers.length ||
      this.#intsAt + NUMBER_ROOM > this.#ints.length
    )
      this.#reserve()
    switch (typeof value) {
      case 'string':
        this.#stream[this.#streamAt++] = TEXT
        this.#length(value.length)
        this.#text += value
        return
      case 'number':
        if (isInt(value)) {
          this.#stream[this.#streamAt++] = INT
          this.#ints[this.#intsAt++] = value
        } else {
          this.#stream[this.#streamAt++] = DOUBLE
          this.#numbers[this.#numbersAt++] = value
        }
        return
      case 'object':
        if (value === null) this.#stream[this.#streamAt++] = NULL
        else if (value.constructor === Object) this.#plain(value as Record<string, unknown>, depth)
        else this.#object(value, depth)
        return
      case 'boolean':
        this.#stream[this.#streamAt++] = value ? TRUE : FALSE
        return
      case 'undefined':
        this.#stream[this.#streamAt++] = UNDEFINED
        return
      case 'bigint':
        this.#bigint(value)
        return
      default:
        throw REFUSED
    }
  }

  #plain(value: Record<string, unknown>, depth: number): void {
    if (depth >= DEPTH_MAX) throw REFUSED
    const recent = depth < RECENT_DEPTHS ? this.#recent[depth] : undefined
    if (recent !== undefined && this.#shaped(value, recent, depth)) return
    this.#unfamiliar(value, depth)
  }

  #unfamiliar(value: Record<string, unknown>, depth: number): void {
    if (!isPlainPrototype(Object.getPrototypeOf(value))) throw REFUSED
    const list = this.#shapes.find(value)
    if (list !== undefined) {
      if (depth < RECENT_DEPTHS) this.#recent[depth] = list
      if (this.#shaped(value, list, depth)) return
    }
    this.#keyed(OBJECT, value, depth)
  }

  /** Writes an object as one of a list of keys; false, and nothing written, when its keys are others. */
  #shaped(value: Record<string, unknown>, list: KeyList, depth: number): boolean {
    const stream = this.#streamAt
    const numbers = this.#numbersAt
    const ints = this.#intsAt
    const text = this.#text
    const raw = this.#rawEnd
    for (;;) {
      const misfit = this.#fields(value, list.shape, depth)
      if (misfit === FITS) return true
      this.#streamAt = stream
      this.#numbersAt = numbers
      this.#intsAt = ints
      this.#text = text
      this.#rawEnd = raw
      if (misfit === OTHER_KEYS) return false
      list.shape = list.shape.widened(misfit, value[list.keys[misfit] ?? ''])
    }
  }

  /** Writes the fields as far as they are those of the shape. Answers the index of the first that has another type. */
  #fields(value: Record<string, unknown>, shape: WriterShape, depth: number): number {
    if (shape.block !== this.#block) this.#define(shape)
    if (shape.number < NEAR_SHAPES) this.#stream[this.#streamAt++] = FIRST_SHAPE + shape.number
    else {
      this.#stream[this.#streamAt++] = SHAPED
      this.#length(shape.number)
    }
    const { keys, types } = shape
    let index = 0
    for (const key in value) {
      if (keys[index] !== key) return OTHER_KEYS
      const field = value[key]
      const type = types[index]
      if (type === FIELD_TEXT) {
        if (typeof field !== 'string') return index
        this.#length(field.length)
        this.#text += field
      } else if (type === FIELD_DOUBLE) {
        if (typeof field !== 'number') return index
        this.#numbers[this.#numbersAt++] = field
      } else if (type === FIELD_INT) {
        if (typeof field !== 'number' || !isInt(field)) return index
        this.#ints[this.#intsAt++] = field
      } else {
        this.#value(field, depth + 1)
        if (this.#streamAt + STREAM_ROOM > this.#stream.length) this.#reserve()
        if (this.#numbersAt + NUMBER_ROOM > this.#numbers.length) this.#reserve()
        if (this.#intsAt + NUMBER_ROOM > this.#ints.length) this.#reserve()
      }
      index++
    }
    return index === keys.length ? FITS : OTHER_KEYS
  }

  #define(shape: WriterShape): void {
    shape.block = this.#block
    shape.number = this.#shapesDefined++
    this.#definitions += this.#definitions === '' ? shape.definition : `,${shape.definition}`
  }

  /** An object with its keys. */
  #keyed(tag: number, value: Record<string, unknown>, depth: number): void {
    const keys = Object.keys(value)
    this.#tag(tag, keys.length)
    for (const key of keys) {
      this.#tail(key)
      this.#value(value[key], depth + 1)
    }
  }

  #object(value: object, depth: number): void {
    if (depth >= DEPTH_MAX) throw REFUSED
    const prototype: unknown = Object.getPrototypeOf(value)
    const kind = rawKindOf(value)
    if (kind !== undefined) this.#raw(kind, bytesOf(value))
    else if (prototype === Array.prototype) this.#array(value as unknown[], depth)
    else if (prototype === Date.prototype) {
      this.#stream[this.#streamAt++] = DATE
      this.#numbers[this.#numbersAt++] = (value as Date).getTime()
    } else if (prototype === Map.prototype) {
      const map = value as Map<unknown, unknown>
      this.#tag(MAP, map.size)
      for (const [key, item] of map) {
        this.#value(key, depth + 1)
        this.#value(item, depth + 1)
      }
    } else if (prototype === Set.prototype) {
      const set = value as Set<unknown>
      this.#tag(SET, set.size)
      for (const item of set) this.#value(item, depth + 1)
    } else if (prototype === null) this.#keyed(BARE_OBJECT, value as Record<string, unknown>, depth)
    else if (isPlainPrototype(prototype)) this.#unfamiliar(value as Record<string, unknown>, depth)
    else throw REFUSED
  }

  #array(value: readonly unknown[], depth: number): void {
    this.#tag(ARRAY, value.length)
    for (let i = 0; i < value.length; i++) {
      const item = value[i]
      if (item === undefined && !(i in value)) this.#tag(HOLE)
      else this.#value(item, depth + 1)
    }
  }

  #bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) === value) {
      this.#stream[this.#streamAt++] = BIGINT_64
      this.#bigints[this.#numbersAt++] = value
      return
    }
    this.#stream[this.#streamAt++] = BIGINT_TEXT
    this.#tail(value.toString())
  }

  #raw(kind: number, bytes: Uint8Array): void {
    if (isAligned(kind)) {
      const begin = align8(this.#rawEnd)
      this.#room(begin)
      new Uint8Array(this.#out, this.#rawEnd, begin - this.#rawEnd).fill(0)
      this.#rawEnd = begin
    }
    this.#room(this.#rawEnd + bytes.byteLength)
    new Uint8Array(this.#out).set(bytes, this.#rawEnd)
    this.#rawEnd += bytes.byteLength
    this.#tag(RAW, kind)
    this.#length(bytes.byteLength)
  }

  /** A tag and a number, in a place where the room of the caller may be used up. */
  #tag(tag: number, number?: number): void {
    if (this.#streamAt + STREAM_ROOM > this.#stream.length) this.#reserve()
    this.#stream[this.#streamAt++] = tag
    if (number !== undefined) this.#length(number)
  }

  #tail(text: string): void {
    if (this.#streamAt + STREAM_ROOM > this.#stream.length) this.#reserve()
    this.#length(text.length)
    this.#text += text
  }

  #length(length: number): void {
    while (length > 0x7f) {
      this.#stream[this.#streamAt++] = (length & 0x7f) | 0x80
      length >>>= 7
    }
    this.#stream[this.#streamAt++] = length
  }

  /** Doubles what is nearly full. */
  #reserve(): void {
    if (this.#streamAt + STREAM_ROOM > this.#stream.length) {
      const larger = new Uint8Array(this.#stream.length * 2)
      larger.set(this.#stream)
      this.#stream = larger
    }
    if (this.#numbersAt + NUMBER_ROOM > this.#numbers.length) {
      const larger = new Float64Array(this.#numbers.length * 2)
      // As integers: the bits of a bigint may be those of a NaN, which a move as a number may change.
      this.#bigints = new BigInt64Array(larger.buffer)
      this.#bigints.set(new BigInt64Array(this.#numbers.buffer))
      this.#numbers = larger
    }
    if (this.#intsAt + NUMBER_ROOM > this.#ints.length) {
      const larger = new Int32Array(this.#ints.length * 2)
      larger.set(this.#ints)
      this.#ints = larger
    }
  }

  /** Makes the buffer that goes out hold at least `bytes`. Grows by half, so that raw bytes are copied again seldom. */
  #room(bytes: number): void {
    if (this.#out.byteLength >= bytes) return
    const larger = new ArrayBuffer(this.#rawEnd === HEADER_BYTES ? bytes : Math.max(bytes, this.#out.byteLength * 1.5))
    new Uint8Array(larger).set(new Uint8Array(this.#out, 0, Math.min(this.#rawEnd, this.#out.byteLength)))
    this.#out = larger
  }
}

/** What `#fields` answers when all went well, or when it is not that shape at all. */
const FITS = -1
const OTHER_KEYS = -2

function align8(bytes: number): number {
  return (bytes + 7) & ~7
}
