/**
 * How much an LZ4 frame decompresses to, without decompressing it: frames need not say their size, and the codec would take
 * memory as it goes, so a small malicious batch could ask for gigabytes.
 *
 *   magic 04 22 4d 18 | flags | block size | [content size u64] | [dictionary u32] | header checksum
 *   ( block length u32, highest bit: stored as it is | bytes | [checksum u32] )* | 0 u32 | [content checksum u32]
 *
 * First a bound from the lengths of the blocks, which nearly always suffices; above the limit, the exact size from the tokens.
 */

const FRAME_MAGIC = 0x184d_2204
const STORED = 0x8000_0000

/** A number that the decompressed size does not exceed; it is above `bytesMax` only if the size really is. */
export function lz4FrameBytes(bytes: Buffer, bytesMax: number): number {
  const bound = sumOfBlocks(bytes, boundOfBlock)
  return bound <= bytesMax ? bound : sumOfBlocks(bytes, sizeOfBlock)
}

type BlockSize = (bytes: Buffer, start: number, end: number, blockBytesMax: number) => number

function sumOfBlocks(bytes: Buffer, sizeOf: BlockSize): number {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== FRAME_MAGIC) throw new Error('not an LZ4 frame')
  const flags = bytes[4] as number
  const sizeCode = ((bytes[5] as number) >> 4) & 7
  if (flags >> 6 !== 1 || sizeCode < 4) throw new Error('an LZ4 frame of an unknown version or block size')
  const blockBytesMax = 1 << (8 + 2 * sizeCode)
  const blockOverhead = (flags & 0x10) === 0 ? 4 : 8
  let at = 7 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4)
  let total = 0
  while (at + 4 <= bytes.length) {
    const word = bytes.readUInt32LE(at)
    if (word === 0) return total
    const length = word % STORED
    const end = at + 4 + length
    if (end > bytes.length) break
    total += word >= STORED ? length : sizeOf(bytes, at + 4, end, blockBytesMax)
    at += blockOverhead + length
  }
  throw new Error('an LZ4 frame ends before its end mark')
}

/** A match makes at most 255 bytes out of one. */
function boundOfBlock(_bytes: Buffer, start: number, end: number, blockBytesMax: number): number {
  return Math.min(blockBytesMax, (end - start) * 255)
}

/** A token's high half counts literals, which follow; its low half, plus 4, counts the match. 15 means: more bytes of count. */
function sizeOfBlock(bytes: Buffer, start: number, end: number, blockBytesMax: number): number {
  let total = 0
  let at = start
  while (at < end && total <= blockBytesMax) {
    const token = bytes[at++] as number
    let literals = token >> 4
    if (literals === 15) {
      let more = 255
      while (more === 255 && at < end) literals += more = bytes[at++] as number
    }
    at += literals
    total += literals
    if (at >= end) break
    at += 2
    let match = (token & 15) + 4
    if (match === 19) {
      let more = 255
      while (more === 255 && at < end) match += more = bytes[at++] as number
    }
    total += match
  }
  return Math.min(total, blockBytesMax)
}
