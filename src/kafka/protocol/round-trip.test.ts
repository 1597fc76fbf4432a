/**
 * Properties of every generated codec in every version: what is written is read back, a version refuses what it cannot
 * carry, and no bytes, however damaged, do anything but give a ProtocolError. Seeds are fixed, so that a red run is the
 * same run tomorrow.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import {
  type AnyCodec,
  codecOf,
  completed,
  DEFINITIONS,
  defaultOf,
  type FieldDefinition,
  holds,
  type MessageDefinition,
  valuesOf,
  versionsOf,
  withoutDefaults,
} from '../../../test/golden/protocol/definitions.ts'
import { ProtocolError, ProtocolReader, ProtocolWriter } from './index.ts'

const SEED = 20260

function encode(codec: AnyCodec, value: unknown, version: number): Buffer {
  const writer = new ProtocolWriter({ capacity: 16 })
  codec.encode(writer, value, version)
  const announced = writer.byteLength
  const bytes = Buffer.concat(writer.finish())
  assert.equal(bytes.length, announced, 'byteLength is the length of what comes out')
  return bytes
}

function forEveryVersion(
  name: string,
  check: (definition: MessageDefinition, codec: AnyCodec, version: number) => void,
): void {
  test(name, () => {
    for (const definition of DEFINITIONS) {
      for (const version of versionsOf(definition)) check(definition, codecOf(definition.name), version)
    }
  })
}

suite('every message in every version', () => {
  forEveryVersion('what is encoded is decoded, absent fields as their defaults', (definition, codec, version) => {
    const property = fc.property(valuesOf(definition, version), (value) => {
      const bytes = encode(codec, value, version)
      const reader = new ProtocolReader(bytes)
      const decoded = codec.decode(reader, version)
      assert.deepEqual(decoded, completed(definition.fields, value))
      assert.equal(reader.remaining, 0)
      assert.ok(encode(codec, decoded, version).equals(bytes), 'encoding what was decoded gives the same bytes')
      const short = withoutDefaults(definition.fields, value)
      assert.ok(encode(codec, short, version).equals(bytes), 'a field left out is its default')
    })
    fc.assert(property, { seed: SEED, numRuns: 12 })
  })

  forEveryVersion('the version is checked first', (definition, codec, version) => {
    if (version !== definition.versions[0]) return
    for (const wrong of [definition.versions[0] - 1, definition.versions[1] + 1]) {
      assert.throws(() => encode(codec, {}, wrong), { code: 'KAFKA_VERSION_UNSUPPORTED' })
      const decode = (): unknown => codec.decode(new ProtocolReader(Buffer.alloc(64)), wrong)
      assert.throws(decode, { code: 'KAFKA_VERSION_UNSUPPORTED' })
    }
  })

  forEveryVersion(
    'a field the version lacks is refused when set, unless it may be ignored',
    (definition, codec, version) => {
      const plain = encode(codec, {}, version)
      for (const field of definition.fields.filter(({ versions }) => !holds(versions, version))) {
        const set = { [field.name]: otherThanDefault(field) }
        if (field.ignorable) assert.ok(encode(codec, set, version).equals(plain), `${field.name} is left out`)
        else assert.throws(() => encode(codec, set, version), { code: 'KAFKA_VERSION_UNSUPPORTED' }, field.name)
        assert.ok(encode(codec, { [field.name]: defaultOf(field) }, version).equals(plain), `${field.name} as default`)
      }
    },
  )

  forEveryVersion('null is refused where the version does not allow it', (definition, codec, version) => {
    for (const field of definition.fields) {
      const lengthy = field.array || ['string', 'bytes'].includes(field.type)
      if (!lengthy || !holds(field.versions, version)) continue
      if (holds(field.nullable, version)) encode(codec, { [field.name]: null }, version)
      else if (field.nullable !== undefined) {
        assert.throws(() => encode(codec, { [field.name]: null }, version), { code: 'KAFKA_PROTOCOL' }, field.name)
      }
    }
  })
})

function otherThanDefault(field: FieldDefinition): unknown {
  if (field.array)
    return [field.type === 'struct' ? {} : otherThanDefault({ name: '', type: field.type, versions: [0, 0] })]
  switch (field.type) {
    case 'struct':
      return { [String(field.fields?.[0]?.name)]: 77 }
    case 'string':
      return 'x'
    case 'uuid':
      return 'AAAAAAAAAAAAAAAAAAAAAQ'
    case 'bytes':
      return Buffer.from('x')
    case 'bool':
      return !(field.default ?? false)
    default:
      return 77
  }
}

suite('messages of newer peers', () => {
  forEveryVersion('tagged fields nobody knows are skipped', (definition, codec, version) => {
    if (definition.flexibleFrom === null || version < definition.flexibleFrom) return
    const bytes = encode(codec, {}, version)
    assert.equal(bytes.at(-1), 0, 'the message ends with the number of its tagged fields')
    // Two of them: 99 with three bytes, 300 with none.
    const newer = Buffer.concat([bytes.subarray(0, -1), Buffer.from([2, 99, 3, 1, 2, 3, 0xac, 0x02, 0])])
    const reader = new ProtocolReader(newer)
    assert.deepEqual(codec.decode(reader, version), completed(definition.fields, {}))
    assert.equal(reader.remaining, 0)
  })
})

suite('damaged bytes', () => {
  /** Either a message or a ProtocolError; anything else is thrown on. */
  function tolerated(codec: AnyCodec, bytes: Buffer, version: number): boolean {
    try {
      codec.decode(new ProtocolReader(bytes), version)
      return true
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      return false
    }
  }

  forEveryVersion('a message cut short anywhere is a ProtocolError', (definition, codec, version) => {
    for (const value of fc.sample(valuesOf(definition, version), { seed: SEED, numRuns: 1 })) {
      const bytes = encode(codec, value, version)
      const step = Math.ceil(bytes.length / 40)
      for (let length = 0; length < bytes.length; length += step) {
        assert.ok(!tolerated(codec, bytes.subarray(0, length), version), `${definition.name} cut at ${length}`)
      }
    }
  })

  let refused = 0
  forEveryVersion('a message with bytes changed is decoded or refused', (definition, codec, version) => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)), {
      minLength: 1,
      maxLength: 4,
    })
    const property = fc.property(valuesOf(definition, version), damage, (value, changes) => {
      const bytes = encode(codec, value, version)
      for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte
      if (!tolerated(codec, bytes, version)) refused++
    })
    fc.assert(property, { seed: SEED, numRuns: 8 })
  })

  forEveryVersion('noise is decoded or refused', (_definition, codec, version) => {
    const property = fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      if (!tolerated(codec, Buffer.from(noise), version)) refused++
    })
    fc.assert(property, { seed: SEED, numRuns: 8 })
  })

  test('much of the damage was noticed', () => assert.ok(refused > 1000, `${refused} refused`))
})
