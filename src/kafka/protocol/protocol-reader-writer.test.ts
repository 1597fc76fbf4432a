/**
 * The hand-written half of the protocol: limits of the primitive types, lengths that lie, tagged fields of newer peers,
 * and the gathering of large bytes without a copy.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ProtocolError, ProtocolReader, ProtocolWriter } from './index.ts'

function written(write: (writer: ProtocolWriter) => void): Buffer {
  const writer = new ProtocolWriter({ capacity: 1 })
  write(writer)
  return Buffer.concat(writer.finish())
}

function reader(...bytes: number[]): ProtocolReader {
  return new ProtocolReader(Uint8Array.from(bytes))
}

suite('numbers', () => {
  const integers = [
    ['int8', -128, 127, 1],
    ['int16', -32768, 32767, 2],
    ['uint16', 0, 65535, 2],
    ['int32', -2147483648, 2147483647, 4],
    ['uint32', 0, 4294967295, 4],
    ['int64', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 8],
  ] as const
  for (const [type, least, most, size] of integers) {
    test(`${type} holds its range and refuses everything else`, () => {
      for (const value of [least, most, 0, 1, Math.trunc(most / 3)]) {
        const bytes = written((writer) => writer[type](value))
        assert.equal(bytes.length, size)
        assert.equal(new ProtocolReader(bytes)[type](), value)
      }
      for (const value of [least - 1, most + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        assert.throws(() => written((writer) => writer[type](value)), ProtocolError)
      }
    })
  }

  test('an int64 that a number cannot hold exactly is refused, not rounded', () => {
    for (const value of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)]) {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(value)
      assert.throws(() => new ProtocolReader(bytes).int64(), ProtocolError)
    }
    for (const value of [2n ** 53n - 1n, 1n - 2n ** 53n, -1n, -(2n ** 32n), 2n ** 32n - 1n]) {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(value)
      assert.equal(new ProtocolReader(bytes).int64(), Number(value))
      assert.deepEqual(
        written((writer) => writer.int64(Number(value))),
        bytes,
      )
    }
  })

  test('Long.MAX_VALUE is Infinity where it means no limit', () => {
    const bytes = written((writer) => writer.int64OrInfinity(Number.POSITIVE_INFINITY))
    assert.equal(bytes.readBigInt64BE(), 2n ** 63n - 1n)
    assert.equal(new ProtocolReader(bytes).int64OrInfinity(), Number.POSITIVE_INFINITY)
    const plain = written((writer) => writer.int64OrInfinity(-7))
    assert.equal(new ProtocolReader(plain).int64OrInfinity(), -7)
  })

  test('doubles come back with their sign and their last bit', () => {
    for (const value of [0, -0, 0.1, Number.MAX_VALUE, Number.NEGATIVE_INFINITY]) {
      assert.ok(Object.is(new ProtocolReader(written((writer) => writer.float64(value))).float64(), value))
    }
  })

  test('varints take 1 to 5 bytes and no more than 32 bits', () => {
    const sizes = [
      [0x7f, 1],
      [0x80, 2],
      [0x3fff, 2],
      [0x4000, 3],
      [0x1f_ffff, 3],
      [0x20_0000, 4],
      [0xfff_ffff, 4],
      [0x1000_0000, 5],
      [0xffff_ffff, 5],
    ] as const
    for (const [value, size] of sizes) {
      const bytes = written((writer) => writer.uvarint(value))
      assert.equal(bytes.length, size)
      assert.equal(new ProtocolReader(bytes).uvarint(), value)
    }
    assert.throws(() => reader(0xff, 0xff, 0xff, 0xff, 0x1f).uvarint(), /more than 32 bits/)
    assert.throws(() => reader(0xff, 0xff, 0xff, 0xff, 0xff, 0x01).uvarint(), ProtocolError)
  })
})

suite('strings, bytes, identifiers', () => {
  test('a string is limited to what Java reads', () => {
    const longest = 'x'.repeat(32767)
    for (const flexible of [false, true]) {
      const bytes = written((writer) => writer.string(longest, flexible))
      assert.equal(new ProtocolReader(bytes).string(flexible), longest)
      assert.throws(() => written((writer) => writer.string(`${longest}x`, flexible)), /32768 bytes/)
    }
    const oversized = Buffer.concat([written((writer) => writer.uvarint(32769)), Buffer.alloc(32768)])
    assert.throws(() => new ProtocolReader(oversized).string(true), /a string of 32768 bytes/)
  })

  test('a uuid is 22 characters of base64url, with nothing lost', () => {
    const id = '_-8VZFLSRiuTzmAKmLYWhg'
    const bytes = written((writer) => writer.uuid(id))
    assert.equal(bytes.toString('base64url'), id)
    assert.equal(new ProtocolReader(bytes).uuid(), id)
    for (const wrong of ['', 'short', `${id}A`, '!!!!!!!!!!!!!!!!!!!!!!']) {
      assert.throws(() => written((writer) => writer.uuid(wrong)), /is no uuid/)
    }
  })

  test('bytes that are read are views, not copies', () => {
    const buffer = Buffer.from([0, 0, 0, 3, 1, 2, 3])
    const view = new ProtocolReader(buffer).bytes(false)
    buffer[5] = 9
    assert.deepEqual([...view], [1, 9, 3])
  })

  test('lengths that lie are refused before anything is allocated', () => {
    assert.throws(() => reader(0x7f, 0xff, 0xff, 0xff).bytes(false), /left/)
    assert.throws(() => reader(0xff, 0xff, 0xff, 0xfe).bytes(false), ProtocolError)
    assert.throws(() => reader(0x7f, 0xff, 0xff, 0xff).array(0, false, (r) => r.int8()), /an array of 2147483647/)
    assert.throws(() => reader(0xff, 0xff, 0xff, 0xff, 0x0f).array(0, true, (r) => r.int8()), /an array of/)
    assert.throws(() => reader(0xff, 0xff, 0xff, 0xfe, 0).array(0, false, (r) => r.int8()), /an array of -2/)
    assert.throws(() => reader(0xff, 0xfe).string(false), /a string of -2/)
    for (const read of ['string', 'bytes'] as const) assert.throws(() => reader(0)[read](true), /never null/)
    assert.throws(() => reader(0).array(0, true, (r) => r.int8()), /never null/)
  })

  test('nothing is read beyond the end that was given', () => {
    const part = new ProtocolReader(Buffer.from([1, 2, 3, 4, 5]), 1, 3)
    assert.equal(part.remaining, 2)
    assert.throws(() => part.int32(), ProtocolError)
    assert.equal(part.int16(), 0x0203)
    assert.throws(() => part.int8(), ProtocolError)
  })
})

suite('tagged fields', () => {
  for (const size of [0, 1, 127, 128, 5000, 20_000]) {
    test(`one of ${size} bytes has its size before it`, () => {
      const content = Buffer.alloc(size, 7)
      const bytes = written((writer) => {
        writer.int32(1)
        const outer = writer.beginTagged(3)
        const inner = writer.beginTagged(5)
        writer.bytes(content, false)
        writer.endTagged(inner)
        writer.endTagged(outer)
        writer.int32(2)
      })
      const back = new ProtocolReader(bytes)
      assert.equal(back.int32(), 1)
      assert.equal(back.uvarint(), 3)
      const end = back.taggedEnd()
      assert.equal(back.uvarint(), 5)
      assert.equal(back.taggedEnd(), end)
      assert.ok(back.bytes(false).equals(content))
      back.leaveTagged(end)
      assert.equal(back.int32(), 2)
      assert.equal(back.remaining, 0)
    })
  }

  test('unknown ones are skipped, one that overruns or lies about its size is refused', () => {
    const skipped = reader(2, 0, 1, 9, 200, 1, 2, 9, 9, 42)
    skipped.skipTaggedFields()
    assert.equal(skipped.int8(), 42)
    assert.throws(() => reader(1, 0, 3, 9).skipTaggedFields(), /tagged field of 3 bytes/)
    const lying = reader(3, 1, 1, 1, 1)
    const end = lying.taggedEnd()
    lying.int16()
    assert.throws(() => lying.leaveTagged(end), /wrong by -1/)
  })
})

suite('gathering', () => {
  const large = Buffer.alloc(4096, 1)
  const small = Buffer.alloc(4095, 2)

  test('large bytes are referenced and small ones copied, in order', () => {
    const writer = new ProtocolWriter({ framed: true })
    writer.bytes(large, false)
    writer.bytes(small, true)
    writer.nullableBytes([large, small, Buffer.from('end')], false)
    writer.int8(5)
    assert.equal(writer.byteLength, 4 + 4 + 4096 + 2 + 4095 + 4 + 4096 + 4095 + 3 + 1)
    const chunks = writer.finish()
    assert.equal(chunks.filter((chunk) => chunk === large).length, 2)
    const whole = Buffer.concat(chunks)
    const back = new ProtocolReader(whole)
    assert.equal(back.int32(), whole.length - 4, 'a framed message begins with its length')
    assert.ok(back.bytes(false).equals(large))
    assert.ok(back.bytes(true).equals(small))
    assert.ok(back.bytes(false).equals(Buffer.concat([large, small, Buffer.from('end')])))
    assert.equal(back.int8(), 5)
  })

  test('an empty message has no chunks and a framed one only its length', () => {
    assert.deepEqual(new ProtocolWriter().finish(), [])
    assert.deepEqual(Buffer.concat(new ProtocolWriter({ framed: true }).finish()), Buffer.alloc(4))
  })

  test('a writer is finished once', () => {
    const writer = new ProtocolWriter()
    writer.finish()
    assert.throws(() => writer.finish(), /finished once/)
  })
})
