import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import {
  describeCommittable,
  describeRecords,
  type KafkaCommittable,
  KafkaCommittableSerializer,
} from './kafka-committable.ts'

const EXAMPLE: KafkaCommittable = {
  sinkUid: 'totals',
  clusterId: 'Mk3OEYBSD34fcwNTJENDM2Qk',
  transactionalId: 'orders-job-7-0-2',
  producerId: 9_007_199_254_740_991,
  epoch: 32_766,
  version: 2,
  barrier: 41,
  records: { totals: 12, 'große-töpfe': 1 },
  beganAtMs: 1_700_000_000_123,
}

const GOLDEN_1 =
  '{"sinkUid":"totals","clusterId":"Mk3OEYBSD34fcwNTJENDM2Qk","transactionalId":"orders-job-7-0-2",' +
  '"producerId":9007199254740991,"epoch":32766,"version":2,"barrier":41,' +
  '"records":{"totals":12,"große-töpfe":1},"beganAtMs":1700000000123}'

test('version 1 writes exactly these bytes and reads them back', () => {
  const serializer = new KafkaCommittableSerializer()
  assert.equal(serializer.version, 1)
  assert.deepEqual(Buffer.from(serializer.serialize(EXAMPLE)), Buffer.from(GOLDEN_1, 'utf8'))
  assert.deepEqual(serializer.deserialize(1, Buffer.from(GOLDEN_1, 'utf8')), EXAMPLE)
})

test('a newer version and damaged bytes are refused, never guessed at', () => {
  const serializer = new KafkaCommittableSerializer()
  const refused = (version: number, text: string): void =>
    assert.throws(
      () => serializer.deserialize(version, Buffer.from(text)),
      (error) => MillraceError.is(error) && error.code === 'STATE_INCOMPATIBLE',
      text,
    )
  refused(2, GOLDEN_1)
  refused(1, GOLDEN_1.slice(0, -1))
  refused(1, '[]')
  refused(1, GOLDEN_1.replace('"version":2', '"version":3'))
  refused(1, GOLDEN_1.replace('"epoch":32766', '"epoch":-1'))
  refused(1, GOLDEN_1.replace('"producerId":9007199254740991', '"producerId":9007199254740993'))
  refused(1, GOLDEN_1.replace('"totals":12', '"totals":"12"'))
  refused(1, GOLDEN_1.replace('"transactionalId":"orders-job-7-0-2",', ''))
})

test('messages name the transaction, its producer and what it holds', () => {
  assert.deepEqual(describeCommittable(EXAMPLE), {
    transactionalId: 'orders-job-7-0-2',
    producer: '9007199254740991/32766',
    barrier: 41,
    beganAtMs: 1_700_000_000_123,
    records: { totals: 12, 'große-töpfe': 1 },
  })
  assert.equal(describeRecords({ a: 1, b: 2 }), 'a: 1 record, b: 2 records')
})
