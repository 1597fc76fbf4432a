/**
 * Reads the values of a block in the order in which they were written. What it returns is independent of the block: text beyond
 * 12 characters is cut out of the bytes (V8 copies shorter substrings anyway), because a substring of the block's text would keep
 * all of it alive for as long as somebody's state holds one key. Bytes are copied, or with `views` given in place when they are
 * a good part of the block; `viewed` then says that the block's buffer must not be used again.
 */
import { assert, MillraceError } from '../../base/index.ts'
import {
  ARRAY,
  BARE_OBJECT,
  BIGINT_64,
  BIGINT_TEXT,
  DATE,
  DOUBLE,
  FALSE,
  FIRST_MARK,
  FIRST_SHAPE,
  FLAG_WIDE_TEXT,
  HEADER_BYTES,
  HOLE,
  INT,
  MAP,
  NULL,
  OBJECT,
  RAW,
  SET,
  SHAPED,
  TEXT,
  TRUE,
  UNDEFINED,
  VERSION_1,
} from './block-format.ts'
import { canBeView, isAligned, rawValue } from './raw-values.ts'
import { type FieldReader, type ReaderShape, ReaderShapes, setField } from './reader-shapes.ts'
import { type TextBytes, textBytes } from './text-bytes.ts'

/** V8 copies substrings up to this length instead of pointing into their parent. */
const COPIED_LENGTH_MAX = 12
/** A view keeps its block alive: at most this many times its own size. */
const VIEWED_SHARE = 4

export interface BlockReaderOptions {
  /** Decoders of shapes, shared by the readers of a thread so that they are learned once. */
  readonly shapes?: ReaderShapes
  /** Give larger Buffers and typed arrays as views of the block. */
  readonly views?: boolean
}

export class BlockReader implements FieldReader {
  readonly #views: boolean
  readonly #known: ReaderShapes
  #bytes: TextBytes = textBytes(new ArrayBuffer(0), 0, 0)
  #stream = new Uint8Array(0)
  #streamAt = 0
  #numbers = new Float64Array(0)
  #bigints = new BigInt64Array(0)
  #numbersAt = 0
  #ints = new Int32Array(0)
  #intsAt = 0
  #rawAt = HEADER_BYTES
  #text = ''
  #textAt = 0
  #textBegin = 0
  #wide = false
  #shapes: readonly ReaderShape[] = []
  #count = 0
  #viewed = false

  constructor(block: Uint8Array, options: BlockReaderOptions = {}) {
    this.#views = options.views ?? false
    this.#known = options.shapes ?? new ReaderShapes()
    this.open(block)
  }

  /** Turns to another block. */
  open(block: Uint8Array): void {
    assert(block.byteLength >= HEADER_BYTES, `a block of ${block.byteLength} bytes is damaged`)
    const own = block.byteOffset % 8 === 0 && block.buffer instanceof ArrayBuffer ? block : new Uint8Array(block)
    const buffer = own.buffer as ArrayBuffer
    const header = new DataView(buffer, own.byteOffset, HEADER_BYTES)
    const version = header.getUint8(0)
    if (version !== VERSION_1)
      throw new MillraceError(
        'STATE_INCOMPATIBLE',
        `a block of version ${version} cannot be read by this millrace, which knows version ${VERSION_1}. Nothing is lost; use the millrace that wrote it, or a newer one.`,
      )
    const [raw = 0, numbers = 0, ints = 0, stream = 0, definitions = 0, text = 0, count = 0] = lengthsOf(header)
    const numbersBegin = (HEADER_BYTES + raw + 7) & ~7
    const intsBegin = numbersBegin + numbers * 8
    const streamBegin = intsBegin + ints * 4
    const definitionsBegin = streamBegin + stream
    const textBegin = definitionsBegin + definitions
    assert(textBegin + text === own.byteLength, `a block of ${block.byteLength} bytes is damaged`)
    const at = own.byteOffset
    this.#bytes = textBytes(buffer, at, own.byteLength)
    this.#numbers = new Float64Array(buffer, at + numbersBegin, numbers)
    this.#bigints = new BigInt64Array(buffer, at + numbersBegin, numbers)
    this.#ints = new Int32Array(buffer, at + intsBegin, ints)
    this.#stream = new Uint8Array(buffer, at + streamBegin, stream)
    this.#wide = (header.getUint8(1) & FLAG_WIDE_TEXT) !== 0
    this.#text = this.#wide
      ? this.#bytes.ucs2Slice(textBegin, textBegin + text)
      : this.#bytes.latin1Slice(textBegin, textBegin + text)
    this.#textBegin = textBegin
    this.#shapes = definitions === 0 ? [] : this.#known.of(this.#bytes.utf8Slice(definitionsBegin, textBegin))
    this.#count = count
    this.#streamAt = this.#numbersAt = this.#intsAt = this.#textAt = 0
    this.#rawAt = HEADER_BYTES
    this.#viewed = false
  }

  /** Values of the whole block, marks and bare numbers not counted. */
  get count(): number {
    return this.#count
  }

  get done(): boolean {
    return this.#streamAt >= this.#stream.length && this.#numbersAt >= this.#numbers.length
  }

  /** True when a value that was read lies in the block's own buffer. */
  get viewed(): boolean {
    return this.#viewed
  }

  read(): unknown {
    return this.any()
  }

  readNumber(): number {
    return this.double()
  }

  /** The mark that comes next, taken; -1 when a value comes next, or nothing. */
  readMark(): number {
    const tag = this.#stream[this.#streamAt]
    if (tag === undefined || tag < FIRST_MARK) return -1
    this.#streamAt++
    return tag - FIRST_MARK
  }

  text(): string {
    const length = this.#length()
    const begin = this.#textAt
    const end = (this.#textAt = begin + length)
    if (length <= COPIED_LENGTH_MAX) return this.#text.substring(begin, end)
    if (this.#wide) return this.#bytes.ucs2Slice(this.#textBegin + begin * 2, this.#textBegin + end * 2)
    return this.#bytes.latin1Slice(this.#textBegin + begin, this.#textBegin + end)
  }

  int(): number {
    return this.#ints[this.#intsAt++] as number
  }

  double(): number {
    return this.#numbers[this.#numbersAt++] as number
  }

  any(): unknown {
    const tag = this.#stream[this.#streamAt++] as number
    if (tag >= FIRST_SHAPE) return this.#shaped(tag - FIRST_SHAPE)
    switch (tag) {
      case UNDEFINED:
        return undefined
      case NULL:
        return null
      case FALSE:
        return false
      case TRUE:
        return true
      case INT:
        return this.int()
      case DOUBLE:
        return this.double()
      case TEXT:
        return this.text()
      default:
        return this.#rare(tag)
    }
  }

  #rare(tag: number): unknown {
    switch (tag) {
      case SHAPED:
        return this.#shaped(this.#length())
      case BIGINT_64:
        return this.#bigints[this.#numbersAt++]
      case BIGINT_TEXT:
        return BigInt(this.text())
      case DATE:
        return new Date(this.double())
      case ARRAY:
        return this.#array()
      case OBJECT:
        return this.#keyed({})
      case BARE_OBJECT:
        return this.#keyed(Object.create(null) as Record<string, unknown>)
      case MAP:
        return this.#map()
      case SET:
        return this.#set()
      case RAW:
        return this.#raw()
      default:
        return assert(false, `a block has nothing of tag ${tag} here`)
    }
  }

  #shaped(number: number): unknown {
    const shape = this.#shapes[number]
    assert(shape !== undefined, 'a block says less or more than it holds')
    return shape.decode(this)
  }

  #array(): unknown[] {
    const length = this.#length()
    const array: unknown[] = []
    for (let i = 0; i < length; i++) {
      if (this.#stream[this.#streamAt] === HOLE) {
        this.#streamAt++
        array.length = i + 1
      } else array.push(this.any())
    }
    return array
  }

  #keyed(object: Record<string, unknown>): object {
    const fields = this.#length()
    for (let i = 0; i < fields; i++) setField(object, this.text(), this.any())
    return object
  }

  #map(): Map<unknown, unknown> {
    const size = this.#length()
    const map = new Map<unknown, unknown>()
    for (let i = 0; i < size; i++) map.set(this.any(), this.any())
    return map
  }

  #set(): Set<unknown> {
    const size = this.#length()
    const set = new Set<unknown>()
    for (let i = 0; i < size; i++) set.add(this.any())
    return set
  }

  #raw(): object {
    const kind = this.#length()
    const length = this.#length()
    const begin = isAligned(kind) ? (this.#rawAt + 7) & ~7 : this.#rawAt
    const end = (this.#rawAt = begin + length)
    if (this.#views && canBeView(kind) && length * VIEWED_SHARE >= this.#bytes.byteLength) {
      this.#viewed = true
      return rawValue(kind, this.#bytes.subarray(begin, end))
    }
    return rawValue(kind, new Uint8Array(this.#bytes.subarray(begin, end)))
  }

  #length(): number {
    let byte = this.#stream[this.#streamAt++] as number
    if (byte < 0x80) return byte
    let length = byte & 0x7f
    for (let shift = 7; byte >= 0x80; shift += 7) {
      byte = this.#stream[this.#streamAt++] as number
      length += (byte & 0x7f) * 2 ** shift
    }
    return length
  }
}

function lengthsOf(header: DataView): number[] {
  return Array.from({ length: 7 }, (_, i) => header.getUint32(4 + i * 4, true))
}
