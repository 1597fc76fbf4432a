/**
 * Keys and values as strings, fast when a stretch of records is ASCII, right when it is not.
 *
 * The proof: one latin1 string of the whole stretch; its length in UTF-8 minus its length counts its bytes with the high bit.
 * Where these are exactly the continuation bytes of the stretch's own varints, every key, value and header is ASCII. (A record
 * has six varints and one attribute byte beside its payload; what else there is are continuation bytes.)
 *
 * Two kinds of string come out. `slice` is independent: hold it as long as you like. `transient` is cut out of the string
 * of the stretch, which is faster and keeps up to 64 KB (or one larger value) alive for as long as the short string lives: for
 * parsing at once, never for keeping. Invalid UTF-8 becomes U+FFFD, as with Buffer.toString.
 */
import type { RecordIndex } from './record-index.ts'
import { asTextBuffer, type TextBuffer } from './text-buffer.ts'

/** V8 copies substrings up to this length instead of pointing into their parent, so they are independent anyway. */
export const COPIED_LENGTH_MAX: number = 12

const UNTRIED_AFTER_FAILURE = 15

export class RecordText {
  #bytes: TextBuffer = asTextBuffer(Buffer.alloc(0))
  #start = 0
  #text = ''
  #ascii = false
  /** Stretches left to take without trying, after one that was not ASCII: the proof costs a tenth where it always fails. */
  #untried = 0

  /** Looks at a stretch; called once for each in which a string is asked for. */
  open(bytes: Buffer, index: RecordIndex): void {
    this.#bytes = asTextBuffer(bytes)
    this.#ascii = false
    this.#text = ''
    if (this.#untried > 0) {
      this.#untried--
      return
    }
    const text = this.#bytes.latin1Slice(index.start, index.end)
    const highBytes = Buffer.byteLength(text, 'utf8') - text.length
    const continuationBytes = index.end - index.start - index.payloadBytes - 7 * index.walked
    this.#start = index.start
    if (highBytes === continuationBytes) {
      this.#ascii = true
      this.#text = text
    } else this.#untried = UNTRIED_AFTER_FAILURE
  }

  /** Lets go of the stretch's string. */
  close(): void {
    this.#text = ''
  }

  /** Whether all keys, values and headers of the stretch are ASCII; then byte i is character i - `offset` of `text`. */
  get ascii(): boolean {
    return this.#ascii
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  get text(): string {
    return this.#text
  }

  get offset(): number {
    return this.#start
  }

  slice(start: number, length: number): string {
    if (!this.#ascii) return this.#bytes.utf8Slice(start, start + length)
    if (length > COPIED_LENGTH_MAX) return this.#bytes.latin1Slice(start, start + length)
    const from = start - this.#start
    return this.#text.substring(from, from + length)
  }

  transient(start: number, length: number): string {
    if (!this.#ascii) return this.#bytes.utf8Slice(start, start + length)
    const from = start - this.#start
    return this.#text.substring(from, from + length)
  }
}
