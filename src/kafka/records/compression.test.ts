/** Foreign forms of the codecs, and that no claim of a size costs memory. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { SeededRandom } from '../../base/index.ts'
import { COMPRESSION_CODECS, compress, DecompressedTooLarge, decompress } from './compression.ts'
import { lz4FrameBytes } from './lz4-frame.ts'

const require = createRequire(import.meta.url)
const text = Buffer.from(Array.from({ length: 30_000 }, (_, index) => `line ${index % 977} of some text\n`).join(''))

test('every codec gives back what it was given, empty and large', () => {
  for (const codec of COMPRESSION_CODECS) {
    for (const bytes of [text, text.subarray(0, 1), text.subarray(0, 65_536), text.subarray(0, 65_537)]) {
      assert.deepEqual(decompress(codec, compress(codec, bytes), 1 << 22), bytes, codec)
    }
  }
})

test('levels of gzip and zstd are used', () => {
  assert.ok(compress('gzip', text, 9).length < compress('gzip', text, 1).length)
  assert.ok(compress('zstd', text, 19).length < compress('zstd', text, 1).length)
})

test('a raw snappy block without the head of the Java library is read', () => {
  const raw = (require('snappy') as { compressSync(bytes: Buffer): Buffer }).compressSync(text)
  assert.deepEqual(decompress('snappy', raw, 1 << 22), text)
  assert.throws(() => decompress('snappy', raw, text.length - 1), DecompressedTooLarge)
})

test('snappy that claims far more than it holds is refused before memory is taken', () => {
  const claim = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x01, 0, 0, 0])
  assert.throws(() => decompress('snappy', claim, 1 << 30), /claims more/)
  const head = compress('snappy', text).subarray(0, 16)
  assert.throws(
    () => decompress('snappy', Buffer.concat([head, Buffer.from([0, 0, 0, 8]), claim]), 1 << 30),
    /claims more/,
  )
  assert.throws(() => decompress('snappy', Buffer.concat([head, Buffer.from([0, 0, 1, 0]), claim]), 1 << 30), /not fit/)
  assert.throws(() => decompress('snappy', Buffer.concat([head, Buffer.from([0xff, 0, 0, 0])]), 1 << 30), /not fit/)
})

test('the size of an LZ4 frame is bounded from its blocks, and exact where the bound does not suffice', () => {
  const zeros = Buffer.alloc(3_000_000)
  const frame = compress('lz4', zeros)
  assert.ok(lz4FrameBytes(frame, 1 << 30) >= zeros.length)
  assert.equal(lz4FrameBytes(frame, 0), zeros.length)
  const ordinary = compress('lz4', text)
  assert.equal(lz4FrameBytes(ordinary, 0), text.length)
  assert.deepEqual(decompress('lz4', frame, zeros.length), zeros)
  assert.throws(() => decompress('lz4', frame, zeros.length - 1), DecompressedTooLarge)
})

test('LZ4 frames with checksums are read, and wrong ones refused', () => {
  const codec = require('lz4-napi') as { compressFrameSync(bytes: Buffer, options: object): Buffer }
  const frame = codec.compressFrameSync(text, { contentChecksum: true, blockChecksums: true })
  assert.equal(lz4FrameBytes(frame, 0), text.length)
  assert.deepEqual(decompress('lz4', frame, 1 << 22), text)
  frame[frame.length - 1] = (frame.at(-1) ?? 0) ^ 1
  assert.throws(() => decompress('lz4', frame, 1 << 22))
})

test('LZ4 blocks that do not shrink are stored, and frames of several blocks are read', () => {
  const noise = Buffer.from(new SeededRandom(9).hex(100_000), 'hex')
  const mixed = Buffer.concat([noise, text, ...Array.from({ length: 100 }, () => noise)])
  const frame = compress('lz4', mixed)
  assert.ok(mixed.length > 1 << 23 && frame.length <= mixed.length + 40)
  assert.deepEqual(decompress('lz4', frame, mixed.length), mixed)
  assert.deepEqual(decompress('lz4', compress('lz4', noise), 1 << 20), noise)
  const codec = require('lz4-napi') as { decompressFrameSync(bytes: Buffer): Buffer }
  for (const bytes of [mixed, text, text.subarray(0, 9)]) {
    assert.deepEqual(codec.decompressFrameSync(compress('lz4', bytes)), bytes, 'another reader accepts it')
  }
})

test('LZ4 frames of linked blocks are read', () => {
  // Made by lz4 1.9.4 with -BD -B4, with a checksum of the content.
  const frame = readFileSync(new URL('../../../test/golden/records/linked-blocks.lz4', import.meta.url))
  const expected = Buffer.from(new SeededRandom(12).hex(500).repeat(100))
  assert.deepEqual(decompress('lz4', frame, expected.length + 100_000), expected)
  assert.throws(() => decompress('lz4', frame, expected.length - 1), DecompressedTooLarge)
})

test('an LZ4 frame that is cut off anywhere is refused', () => {
  const frame = compress('lz4', text.subarray(0, 3000))
  for (let length = 0; length < frame.length - 1; length++) {
    assert.throws(() => decompress('lz4', frame.subarray(0, length), 1 << 22), `cut at ${length}`)
  }
})
