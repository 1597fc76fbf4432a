/**
 * Zigzag varints (int32) and varlongs (int64) of Kafka's record format, with plain numbers and no BigInt: timestamp deltas
 * are varlongs, so one is read and written for every record.
 *
 * Writing takes and returns positions. Reading goes through a cursor, because a function cannot return a value and a
 * position without allocating. A malformed or overlong varint does not throw: it puts the cursor past the end of its bytes,
 * so that the one check at the end of a record ("did its fields fill its length?") finds it, whatever happened before.
 * A varlong beyond 2^53 is read as the nearest number, since only timestamps use them; offsets are checked by their reader.
 */

/** Bytes that `writeVarint` takes; `value` is an int32. */
export function varintSize(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  return zigzag < 0x80 ? 1 : zigzag < 0x4000 ? 2 : zigzag < 0x20_0000 ? 3 : zigzag < 0x1000_0000 ? 4 : 5
}

/** Writes an int32 and returns the position behind it. */
export function writeVarint(bytes: Uint8Array, position: number, value: number): number {
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  while (zigzag > 0x7f) {
    bytes[position++] = (zigzag & 0x7f) | 0x80
    zigzag >>>= 7
  }
  bytes[position++] = zigzag
  return position
}

const isNarrow = (value: number): boolean => value <= 0x3fff_ffff && value >= -0x4000_0000

/** Bytes that `writeVarlong` takes; `value` is an integer within 64 bits. */
export function varlongSize(value: number): number {
  if (isNarrow(value)) return varintSize(value)
  let rest = Math.floor((value < 0 ? -value - 1 : value) / 64)
  let size = 1
  for (; rest > 0; size++) rest = Math.floor(rest / 128)
  return size
}

/** Writes an integer within 64 bits and returns the position behind it. */
export function writeVarlong(bytes: Uint8Array, position: number, value: number): number {
  if (isNarrow(value)) return writeVarint(bytes, position, value)
  // The zigzag form 2m or 2m+1 may need 54 bits for a safe integer, so the lowest bit is never added to the rest.
  const magnitude = value < 0 ? -value - 1 : value
  let byte = ((magnitude % 64) << 1) | (value < 0 ? 1 : 0)
  let rest = Math.floor(magnitude / 64)
  while (rest > 0) {
    bytes[position++] = byte | 0x80
    byte = rest % 128
    rest = Math.floor(rest / 128)
  }
  bytes[position++] = byte
  return position
}

const NO_BYTES: Uint8Array = new Uint8Array(0)

/** A cursor that is used again for every batch; `position > bytes.length` means that something malformed was met. */
export class VarintCursor {
  bytes: Uint8Array = NO_BYTES
  position = 0

  /** An int32. */
  varint(): number {
    // One and two bytes are most of what batches hold; a look past the end gives undefined, which is below nothing.
    const bytes = this.bytes
    const position = this.position
    const byte = bytes[position] as number
    if (byte < 0x80) {
      this.position = position + 1
      return (byte >>> 1) ^ -(byte & 1)
    }
    const second = bytes[position + 1] as number
    if (second < 0x80) {
      this.position = position + 2
      return (((byte & 0x7f) >>> 1) | (second << 6)) ^ -(byte & 1)
    }
    return this.#wideVarint()
  }

  /** An int64 as the nearest number. */
  varlong(): number {
    // One and two bytes are most of what batches hold; a look past the end gives undefined, which is below nothing.
    const bytes = this.bytes
    const position = this.position
    const byte = bytes[position] as number
    if (byte < 0x80) {
      this.position = position + 1
      return (byte >>> 1) ^ -(byte & 1)
    }
    const second = bytes[position + 1] as number
    if (second < 0x80) {
      this.position = position + 2
      return (((byte & 0x7f) >>> 1) | (second << 6)) ^ -(byte & 1)
    }
    return this.#wideVarlong()
  }

  #wideVarint(): number {
    const bytes = this.bytes
    let position = this.position
    let zigzag = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = bytes[position++]
      if (byte === undefined || (shift === 28 && byte > 0x0f)) break
      zigzag |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.position = position
        return (zigzag >>> 1) ^ -(zigzag & 1)
      }
    }
    return this.#malformed()
  }

  #wideVarlong(): number {
    const bytes = this.bytes
    let position = this.position
    let low = 0
    let high = 0
    let scale = 1
    for (let index = 0; index < 10; index++) {
      const byte = bytes[position++]
      if (byte === undefined || (index === 9 && byte > 1)) break
      if (index < 4) low |= (byte & 0x7f) << (7 * index)
      else {
        high += (byte & 0x7f) * scale
        scale *= 128
      }
      if (byte < 0x80) {
        this.position = position
        // 2^28 / 2: the lowest bit is the sign, so the rest is halved before it is put together.
        const magnitude = (low >>> 1) + high * 0x800_0000
        return (low & 1) === 0 ? magnitude : -magnitude - 1
      }
    }
    return this.#malformed()
  }

  #malformed(): number {
    this.position = this.bytes.length + 1
    return 0
  }
}
