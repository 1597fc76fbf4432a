import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  beginningOf,
  type KafkaSourceEnumeratorState,
  kafkaSourceEnumeratorStateSerializer,
} from './kafka-source-enumerator-state.ts'

const { serialize, deserialize } = kafkaSourceEnumeratorStateSerializer

/** Released forms: never change a line, only add. */
const GOLDEN: readonly (readonly [number, string, KafkaSourceEnumeratorState])[] = [
  [1, '000000000100000000', { initialDiscoveryFinished: false, splits: [], initialOffsets: new Map() }],
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
      initialOffsets: new Map([
        ['orders-3', { kind: 'earliest' }],
        ['orders-4', { kind: 'at', offset: 42 }],
      ]),
    },
  ],
  [2, '000000000100000000', { initialDiscoveryFinished: false, splits: [], initialOffsets: new Map() }],
  [
    2,
    '010000000100000002' +
      '00000018000000066f72646572730000000301000000000000000700' +
      '00' +
      '00000020000000066f72646572730000000401000000000000002a010000000000000064' +
      '01000000000000000b',
    {
      initialDiscoveryFinished: true,
      splits: [
        { topic: 'orders', partition: 3, startingOffset: { kind: 'at', offset: 7 }, stoppingOffset: undefined },
        { topic: 'orders', partition: 4, startingOffset: { kind: 'at', offset: 42 }, stoppingOffset: 100 },
      ],
      initialOffsets: new Map([
        ['orders-3', { kind: 'earliest' }],
        ['orders-4', { kind: 'at', offset: 11 }],
      ]),
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
  const refused = { code: 'STATE_INCOMPATIBLE' }
  for (const [version, hex] of GOLDEN) {
    const bytes = Buffer.from(hex, 'hex')
    assert.throws(() => deserialize(0, bytes), refused)
    assert.throws(() => deserialize(3, bytes), refused)
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => deserialize(version, bytes.subarray(0, length)), refused, `${length} bytes`)
    }
    assert.throws(() => deserialize(version, Buffer.concat([bytes, Buffer.of(0)])), refused)
  }
})

test('the beginning of a state is where each split first began, with the stop offset that was looked up then', () => {
  for (const [version, hex, state] of GOLDEN) {
    const beginning = beginningOf(deserialize(version, Buffer.from(hex, 'hex')))
    assert.deepEqual(
      beginning.splits,
      state.splits.map((split) => ({
        ...split,
        startingOffset: split.partition === 3 ? { kind: 'earliest' } : { kind: 'at', offset: version === 1 ? 42 : 11 },
      })),
    )
    assert.deepEqual({ ...beginning, splits: state.splits }, state)
  }
})
