/** Several byte strings as one: a 32-bit count, then each with its 32-bit length. Big-endian. */
export function packList(items: readonly Uint8Array[]): Buffer {
  const packed = Buffer.alloc(items.reduce((sum, item) => sum + 4 + item.byteLength, 4))
  let at = packed.writeUInt32BE(items.length, 0)
  for (const item of items) {
    at = packed.writeUInt32BE(item.byteLength, at)
    packed.set(item, at)
    at += item.byteLength
  }
  return packed
}

/** Throws RangeError on bytes that are no packed list. */
export function unpackList(bytes: Uint8Array): Buffer[] {
  const packed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const count = packed.readUInt32BE(0)
  const items: Buffer[] = []
  let at = 4
  for (let i = 0; i < count; i++) {
    const length = packed.readUInt32BE(at)
    at += 4
    if (at + length > packed.length) throw new RangeError(`item ${i} of a packed list reaches beyond its end`)
    items.push(packed.subarray(at, at + length))
    at += length
  }
  return items
}
