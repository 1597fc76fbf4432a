import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  isFinished,
  type KafkaPartitionSplit,
  kafkaPartitionSplitSerializer,
  splitId,
} from './kafka-partition-split.ts'

const { serialize, deserialize } = kafkaPartitionSplitSerializer

/** Released forms: never change a line, only add. */
const GOLDEN: readonly (readonly [number, string, KafkaPartitionSplit])[] = [
  [
    1,
    '000000066f7264657273000000030000',
    { topic: 'orders', partition: 3, startingOffset: { kind: 'earliest' }, stoppingOffset: undefined },
  ],
  [
    1,
    '000000066f72646572730000000301000000000000002a01001fffffffffffff',
    {
      topic: 'orders',
      partition: 3,
      startingOffset: { kind: 'at', offset: 42 },
      stoppingOffset: Number.MAX_SAFE_INTEGER,
    },
  ],
  [
    1,
    '000000026772000000000001000000000000000a',
    { topic: 'gr', partition: 0, startingOffset: { kind: 'earliest' }, stoppingOffset: 10 },
  ],
]

test('the bytes of every released version are read, and the current one writes them', () => {
  for (const [version, hex, split] of GOLDEN) {
    assert.deepEqual(deserialize(version, Buffer.from(hex, 'hex')), split)
    if (version === kafkaPartitionSplitSerializer.version) {
      assert.equal(Buffer.from(serialize(split)).toString('hex'), hex)
    }
  }
})

test('newer, cut off, overlong and senseless bytes are refused', () => {
  const [, hex] = GOLDEN[1] as (typeof GOLDEN)[1]
  const bytes = Buffer.from(hex, 'hex')
  const refused = { code: 'STATE_INCOMPATIBLE' }
  assert.throws(() => deserialize(2, bytes), { ...refused, message: /version 2/ })
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => deserialize(1, bytes.subarray(0, length)), refused, `${length} bytes`)
  }
  assert.throws(() => deserialize(1, Buffer.concat([bytes, Buffer.of(0)])), { ...refused, message: /1 bytes are left/ })
  const wrongKind = Buffer.from(bytes)
  wrongKind[14] = 7
  assert.throws(() => deserialize(1, wrongKind), { ...refused, message: /start kind 7/ })
})

test('a view into larger bytes is read as itself', () => {
  const [, hex, split] = GOLDEN[1] as (typeof GOLDEN)[1]
  const around = Buffer.concat([Buffer.alloc(5, 0xff), Buffer.from(hex, 'hex'), Buffer.alloc(5, 0xff)])
  assert.deepEqual(deserialize(1, new Uint8Array(around).subarray(5, around.length - 5)), split)
})

test('a split is finished when its position is not before its stop', () => {
  const at = (offset: number, stoppingOffset?: number): KafkaPartitionSplit => ({
    topic: 'orders',
    partition: 1,
    startingOffset: { kind: 'at', offset },
    stoppingOffset,
  })
  assert.equal(splitId(at(0)), 'orders-1')
  assert.equal(isFinished(at(5)), false)
  assert.equal(isFinished(at(5, 6)), false)
  assert.equal(isFinished(at(5, 5)), true)
  assert.equal(isFinished({ ...at(0, 1), startingOffset: { kind: 'earliest' } }), false)
  assert.equal(isFinished({ ...at(0, 0), startingOffset: { kind: 'earliest' } }), true)
})
