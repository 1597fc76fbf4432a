/**
 * LZ4 frames, as Kafka uses them from message format 2 on, around a codec of single blocks.
 *
 *   magic 04 22 4d 18 | flags | block size | [content size u64] | [dictionary u32] | header checksum
 *   ( block length u32, highest bit: stored as it is | bytes | [checksum u32] )* | 0 u32 | [content checksum u32]
 *
 * Two reasons to look into frames ourselves. Frames need not say their size and the codec's frame reader takes memory as it
 * goes, so a small malicious batch could ask for gigabytes: here the size is bounded first. And it is slow: 430 MB/s, where its
 * block reader does 1700. Frames with checksums or linked blocks, which Kafka's own clients never write, still go there.
 */

export interface Lz4Codec {
  /** Both put the decompressed size (u32) before the block. */
  compressSync(bytes: Buffer): Buffer
  uncompressSync(bytes: Buffer): Buffer
  decompressFrameSync(bytes: Buffer): Buffer
}

const FRAME_MAGIC = 0x184d_2204
const STORED = 0x8000_0000
const INDEPENDENT_BLOCKS = 0x20
const BLOCK_CHECKSUM = 0x10
const CONTENT_SIZE = 0x08
const CONTENT_CHECKSUM = 0x04
const DICTIONARY = 0x01

/** Frame heads without options, by the largest block they allow; the last byte is the checksum of the two before it. */
const HEADS: readonly (readonly [number, Buffer])[] = [
  [1 << 16, Buffer.from('04224d18604082', 'hex')],
  [1 << 18, Buffer.from('04224d186050fb', 'hex')],
  [1 << 22, Buffer.from('04224d18607073', 'hex')],
]

export function toLz4Frame(codec: Lz4Codec, bytes: Buffer): Buffer {
  const [blockBytesMax, head] = HEADS.find(([max]) => bytes.length <= max) ?? (HEADS[2] as (typeof HEADS)[number])
  const parts: Buffer[] = [head]
  for (let start = 0; start < bytes.length; start += blockBytesMax) {
    const block = bytes.subarray(start, start + blockBytesMax)
    const compressed = codec.compressSync(block)
    const length = compressed.length - 4
    if (length < block.length) {
      // Where the codec put the decompressed size, the frame has the length of the block.
      compressed.writeUInt32LE(length, 0)
      parts.push(compressed)
    } else {
      const stored = Buffer.allocUnsafe(4)
      stored.writeUInt32LE(STORED + block.length)
      parts.push(stored, block)
    }
  }
  parts.push(Buffer.alloc(4))
  return Buffer.concat(parts)
}

export function fromLz4Frame(codec: Lz4Codec, bytes: Buffer, bytesMax: number, tooLarge: () => Error): Buffer {
  if (lz4FrameBytes(bytes, bytesMax) > bytesMax) throw tooLarge()
  const { flags, blockBytesMax, firstBlock } = frameHead(bytes)
  const optional = BLOCK_CHECKSUM | CONTENT_CHECKSUM | DICTIONARY
  if ((flags & (INDEPENDENT_BLOCKS | optional)) !== INDEPENDENT_BLOCKS) return codec.decompressFrameSync(bytes)
  const parts: Buffer[] = []
  for (let at = firstBlock; ; ) {
    const word = bytes.readUInt32LE(at)
    if (word === 0) return Buffer.concat(parts)
    const length = word % STORED
    const block = bytes.subarray(at + 4, at + 4 + length)
    if (word >= STORED) parts.push(block)
    else {
      const sized = Buffer.allocUnsafe(4 + length)
      sized.writeUInt32LE(boundOfBlock(bytes, at + 4, at + 4 + length, blockBytesMax))
      block.copy(sized, 4)
      parts.push(codec.uncompressSync(sized))
    }
    at += 4 + length
  }
}

/** A number that the decompressed size does not exceed; it is above `bytesMax` only if the size really is. */
export function lz4FrameBytes(bytes: Buffer, bytesMax: number): number {
  const bound = sumOfBlocks(bytes, boundOfBlock)
  return bound <= bytesMax ? bound : sumOfBlocks(bytes, sizeOfBlock)
}

function frameHead(bytes: Buffer): { flags: number; blockBytesMax: number; firstBlock: number } {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== FRAME_MAGIC) throw new Error('not an LZ4 frame')
  const flags = bytes[4] as number
  const sizeCode = ((bytes[5] as number) >> 4) & 7
  if (flags >> 6 !== 1 || sizeCode < 4) throw new Error('an LZ4 frame of an unknown version or block size')
  const firstBlock = 7 + ((flags & CONTENT_SIZE) === 0 ? 0 : 8) + ((flags & DICTIONARY) === 0 ? 0 : 4)
  return { flags, blockBytesMax: 1 << (8 + 2 * sizeCode), firstBlock }
}

type BlockSize = (bytes: Buffer, start: number, end: number, blockBytesMax: number) => number

/** Throws when the blocks do not lie within the bytes or have no end mark. */
function sumOfBlocks(bytes: Buffer, sizeOf: BlockSize): number {
  const { flags, blockBytesMax, firstBlock } = frameHead(bytes)
  const blockOverhead = (flags & BLOCK_CHECKSUM) === 0 ? 4 : 8
  let at = firstBlock
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
