import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type KafkaSourceEnumeratorState,
  kafkaSourceEnumeratorStateSerializer,
} from './kafka-source-enumerator-state.ts'

const { serialize, deserialize } = kafkaSourceEnumeratorStateSerializer

/** Released forms: never change a line, only add. */
const GOLDEN: readonly (readonly [number, string, KafkaSourceEnumeratorState])[] = [
  [1, '000000000100000000', { initialDiscoveryFinished: false, splits: [] }],
  [
    1,
    '010000000100000002' +
      '00000010000000066f7264657273000000030000' +
      '0000001800000006' +
      '6f72646572730000000401000000000000002a00',
    {
      initialDiscoveryFinished: true,
      splits: [
        { topic: 'orders', partition: 3, startingOffset: { kind: 'earliest' }, stoppingOffset: undefined },
        { topic: 'orders', partition: 4, startingOffset: { kind: 'at', offset: 42 }, stoppingOffset: undefined },
      ],
    },
  ],
]

test('the bytes of every released version are read, and the current one writes them', () => {
  for (const [version, hex, state] of GOLDEN) {
    assert.deepEqual(deserialize(version, Buffer.from(hex, 'hex')), state)
    if (version === kafkaSourceEnumeratorStateSerializer.version) {
      assert.equal(Buffer.from(serialize(state)).toString('hex'), hex)
    }
  }
})

test('newer, cut off and overlong bytes are refused', () => {
  const [, hex] = GOLDEN[1] as (typeof GOLDEN)[1]
  const bytes = Buffer.from(hex, 'hex')
  const refused = { code: 'STATE_INCOMPATIBLE' }
  assert.throws(() => deserialize(2, bytes), refused)
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => deserialize(1, bytes.subarray(0, length)), refused, `${length} bytes`)
  }
  assert.throws(() => deserialize(1, Buffer.concat([bytes, Buffer.of(0)])), refused)
})
