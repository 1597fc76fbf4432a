/** Both forms of CRC-32C against published values and against each other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../base/index.ts'
import { crc32c, crc32cInJavaScript, nativeCrc32c } from './crc32c.ts'

// RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
const published: readonly [Buffer, number][] = [
  [Buffer.alloc(32), 0x8a91_36aa],
  [Buffer.alloc(32, 0xff), 0x62a8_ab43],
  [Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd_794e],
  [Buffer.from('123456789'), 0xe306_9283],
  [Buffer.alloc(0), 0],
]

test('published checksums come out', () => {
  for (const [bytes, expected] of published) {
    assert.equal(crc32c(bytes, 0, bytes.length), expected)
    assert.equal(crc32cInJavaScript(bytes, 0, bytes.length), expected)
  }
})

test('the native and the JavaScript form agree on any part of a buffer', { skip: nativeCrc32c() === null }, () => {
  const random = new SeededRandom(3)
  const native = nativeCrc32c()
  const bytes = Buffer.from(random.hex(3000), 'hex')
  for (let round = 0; round < 500; round++) {
    const start = Math.floor(random.next() * 1500)
    const end = start + Math.floor(random.next() * 1500)
    const expected = crc32cInJavaScript(bytes, start, end)
    assert.equal(native?.(bytes, start, end), expected)
    assert.equal(crc32c(bytes, start, end), expected)
  }
})
