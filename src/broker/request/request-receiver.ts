/**
 * Bytes of one connection to whole requests. A length is believed only as far as the bytes have come: room grows with them,
 * so that a peer who announces much and sends nothing costs nothing.
 * What always holds: a request handed on is never touched again; views into it may be kept.
 */
const SCRATCH_BYTES = 64 * 1024
const LENGTH_BYTES = 4
/** A request up to this size gets its whole buffer at once. */
const TRUSTED_BYTES = 1024 * 1024
/** The least that a request can be: key, version and correlation id. */
const REQUEST_BYTES_MIN = 8

export class RequestReceiver {
  readonly #bytesMax: number
  readonly #request: (frame: Buffer) => void
  readonly #refused: (why: string) => void
  #scratch: Buffer = Buffer.allocUnsafeSlow(4 * 1024)
  #scratchFilled = 0
  #frame: Buffer | undefined
  #frameFilled = 0
  #frameLength = 0
  #over = false

  constructor(bytesMax: number, request: (frame: Buffer) => void, refused: (why: string) => void) {
    this.#bytesMax = bytesMax
    this.#request = request
    this.#refused = refused
  }

  buffer(): Uint8Array {
    return this.#frame === undefined
      ? this.#scratch.subarray(this.#scratchFilled)
      : this.#frame.subarray(this.#frameFilled)
  }

  received(count: number): void {
    if (this.#over) return
    if (this.#frame !== undefined) this.#takeFrame(this.#frame, count)
    else this.#takeScratch(this.#scratchFilled + count)
  }

  /** What arrives from now on is dropped. */
  end(): void {
    this.#over = true
    this.#frame = undefined
    this.#scratchFilled = 0
  }

  #takeFrame(frame: Buffer, count: number): void {
    this.#frameFilled += count
    if (this.#frameFilled === this.#frameLength) {
      this.#frame = undefined
      this.#request(frame)
    } else if (this.#frameFilled === frame.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#frameLength, frame.length * 2))
      frame.copy(grown)
      this.#frame = grown
    }
  }

  #takeScratch(filled: number): void {
    const scratch = this.#scratch
    let at = 0
    while (filled - at >= LENGTH_BYTES && !this.#over) {
      const length = scratch.readInt32BE(at)
      if (length < REQUEST_BYTES_MIN || length > this.#bytesMax) {
        this.end()
        this.#refused(`a request of ${length} bytes; from ${REQUEST_BYTES_MIN} to ${this.#bytesMax} are possible`)
        return
      }
      const start = at + LENGTH_BYTES
      const there = Math.min(length, filled - start)
      const frame = Buffer.allocUnsafe(Math.min(length, Math.max(TRUSTED_BYTES, there)))
      scratch.copy(frame, 0, start, start + there)
      at = start + there
      if (there < length) {
        this.#frame = frame
        this.#frameFilled = there
        this.#frameLength = length
        break
      }
      this.#request(frame)
    }
    if (this.#over) return
    scratch.copy(scratch, 0, at, filled)
    this.#scratchFilled = filled - at
    // A connection that was filled once is busy and gets the larger buffer.
    if (filled === scratch.length && scratch.length < SCRATCH_BYTES) {
      this.#scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
      scratch.copy(this.#scratch, 0, 0, this.#scratchFilled)
    }
  }
}
