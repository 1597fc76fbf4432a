/**
 * The generated codecs against Kafka's own: for every message and version, bytes that Kafka's Java classes made of
 * sample values. `scripts/generate-protocol.ts --golden` makes the file anew.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  codecOf,
  DEFINITIONS,
  definitionOf,
  type Fields,
  readLines,
  revived,
  versionsOf,
  withoutDefaults,
} from '../../../test/golden/protocol/definitions.ts'
import { ProtocolReader, ProtocolWriter } from './index.ts'

interface GoldenMessage {
  readonly message: string
  readonly samples: readonly { readonly value: Fields; readonly bytes: Readonly<Record<string, string>> }[]
}

const GOLDEN: readonly GoldenMessage[] = readLines('golden.jsonl')

suite('bytes made by Apache Kafka', () => {
  for (const { message, samples } of GOLDEN) {
    test(`${message}: every version is read and written like Java does`, () => {
      const definition = definitionOf(message)
      const codec = codecOf(message)
      for (const { value, bytes } of samples) {
        const expected = revived(definition.fields, value)
        for (const [versionText, base64] of Object.entries(bytes)) {
          const version = Number(versionText)
          const golden = Buffer.from(base64, 'base64')
          const reader = new ProtocolReader(golden)
          assert.deepEqual(codec.decode(reader, version), expected, `version ${version} decoded`)
          assert.equal(reader.remaining, 0, `version ${version} consumed`)
          for (const input of [expected, withoutDefaults(definition.fields, expected)]) {
            const writer = new ProtocolWriter()
            codec.encode(writer, input, version)
            assert.equal(Buffer.concat(writer.finish()).toString('hex'), golden.toString('hex'), `version ${version}`)
          }
        }
      }
    })
  }

  test('no message and no version is left out', () => {
    assert.deepEqual(
      GOLDEN.map(({ message }) => message),
      DEFINITIONS.map(({ name }) => name),
    )
    for (const { message, samples } of GOLDEN) {
      for (const version of versionsOf(definitionOf(message))) {
        const covered = samples.filter(({ bytes }) => bytes[version] !== undefined)
        assert.equal(covered.length, 4, `${message} version ${version} has its four samples`)
      }
    }
  })
})
