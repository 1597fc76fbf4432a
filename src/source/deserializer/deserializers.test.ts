import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JsonSchema, type SplitOutput } from '../../core/index.ts'
import { BatchReader, BatchWriter, type RecordView } from '../../kafka/index.ts'
import {
  BooleanDeserializer,
  type ConsumerRecord,
  DoubleDeserializer,
  IntegerDeserializer,
  JsonKeyValueDeserializationSchema,
  KafkaDeserializer,
  KafkaRecordDeserializationSchema,
  LongDeserializer,
  StringDeserializer,
  UUIDDeserializer,
} from '../index.ts'
import { recordDecoder } from './record-decoder.ts'

interface Given {
  readonly key?: string | Buffer | null
  readonly value: string | Buffer | null
  readonly headers?: readonly { readonly key: string; readonly value: Buffer | null }[]
}

/** Runs a schema over records as the reader does. */
function decode<T>(schema: KafkaRecordDeserializationSchema<T>, ...records: readonly Given[]): T[] {
  const values: T[] = []
  const output: SplitOutput<T> = {
    blocked: false,
    emit: (value) => void values.push(value),
    emitWatermark: () => undefined,
    emitIdle: () => undefined,
  }
  const decoder = recordDecoder(schema)
  walk(records, (record) => decoder.decode(record, output))
  return values
}

function walk(records: readonly Given[], visit: (record: RecordView) => void): void {
  const writer = new BatchWriter(1 << 20)
  for (const [index, { key = null, value, headers = [] }] of records.entries()) {
    writer.append(1_000 + index, key, value, headers)
  }
  const bytes = writer.close({ producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false })
  const reader = new BatchReader()
  reader.reset('orders', 3, Buffer.from(bytes), 0)
  assert.ok(reader.nextBatch())
  while (reader.next()) visit(reader)
}

const { valueOnly, of } = KafkaRecordDeserializationSchema

test('a whole record shows what Kafka shows, and stays true when the reader has moved on', () => {
  const kept: ConsumerRecord[] = []
  decode(
    of((record) => {
      kept.push(record)
      return undefined
    }),
    {
      key: 'k',
      value: 'v1',
      headers: [
        { key: 'h', value: Buffer.from('x') },
        { key: 'h', value: null },
      ],
    },
    { key: null, value: null },
  )
  const [first, second] = kept
  assert.ok(first && second)
  assert.deepEqual(
    [first.topic, first.partition, first.offset, first.timestamp, first.timestampType, first.leaderEpoch],
    ['orders', 3, 0n, 1_000, 'CreateTime', -1],
  )
  assert.equal(first.key?.toString(), 'k')
  assert.equal(first.value?.toString(), 'v1')
  assert.deepEqual([first.serializedKeySize, first.serializedValueSize], [1, 2])
  assert.deepEqual(
    first.headers.map(({ key, value }) => [key, value?.toString()]),
    [
      ['h', 'x'],
      ['h', undefined],
    ],
  )
  assert.deepEqual([second.key, second.value, second.offset], [null, null, 1n])
  assert.deepEqual([second.serializedKeySize, second.serializedValueSize, second.headers.length], [-1, -1, 0])
})

test('a record schema may emit any number of values', () => {
  const schema: KafkaRecordDeserializationSchema<string> = {
    deserialize: (record, out) => {
      for (const letter of String(record.value)) out.collect(letter)
    },
  }
  assert.deepEqual(decode(schema, { value: 'ab' }, { value: '' }, { value: 'c' }), ['a', 'b', 'c'])
})

test('null values reach functions and record schemas as null, and are left out by the shipped value schemas', () => {
  const nulls = [{ value: 'a' }, { value: null }]
  assert.deepEqual(
    decode(
      valueOnly((bytes) => (bytes === null ? 'gone' : String(bytes))),
      ...nulls,
    ),
    ['a', 'gone'],
  )
  assert.deepEqual(
    decode(
      of((record) => record.value === null),
      ...nulls,
    ),
    [false, true],
  )
  assert.deepEqual(decode(valueOnly(StringDeserializer), ...nulls), ['a'])
  assert.deepEqual(decode(valueOnly(new JsonSchema()), { value: '1' }, { value: null }, { value: 'null' }), [1, null])
})

test('an own value schema gets null values unless it says that it skips them', () => {
  const own = { deserialize: (bytes: Buffer | null) => bytes?.length ?? -1 }
  assert.deepEqual(decode(valueOnly(own), { value: 'ab' }, { value: null }), [2, -1])
  assert.deepEqual(decode(valueOnly({ ...own, skipsNull: true }), { value: 'ab' }, { value: null }), [2])
})

test('undefined emits nothing', () => {
  const even = (bytes: Buffer | null): number | undefined => (Number(bytes) % 2 === 0 ? Number(bytes) : undefined)
  assert.deepEqual(decode(valueOnly(even), { value: '1' }, { value: '2' }), [2])
})

test('a deserializer that answers with a promise is refused with the place of the record', () => {
  for (const schema of [valueOnly(async (bytes) => bytes), of(async (record) => record.key)]) {
    assert.throws(() => decode(schema as KafkaRecordDeserializationSchema<unknown>, { value: 'a' }), {
      code: 'USER_FUNCTION_ASYNC',
      message: /orders-3 at offset 0/,
    })
  }
})

test('what a user function throws is kept as the cause', () => {
  const cause = new RangeError('too long')
  const schema = valueOnly(() => {
    throw cause
  })
  assert.throws(() => decode(schema, { value: 'a' }), { code: 'DESERIALIZATION_FAILED', cause })
})

test('text decodes fast or slow to the same, also beyond ASCII', () => {
  const texts = ['plain', 'grün', '😀', '', 'a longer text that is not copied but cut out of its batch']
  const given = texts.map((value) => ({ value }))
  assert.deepEqual(decode(valueOnly(StringDeserializer), ...given), texts)
  assert.deepEqual(
    decode(
      valueOnly((bytes) => String(bytes)),
      ...given,
    ),
    texts,
  )
  const slow: string[] = []
  walk(given, (record) => slow.push(record.value()?.toString('utf8') ?? ''))
  assert.deepEqual(slow, texts)
})

test('Kafka-style deserializers read what Java writes', () => {
  const hex = (text: string): Given => ({ value: Buffer.from(text, 'hex') })
  assert.deepEqual(decode(valueOnly(IntegerDeserializer), hex('fffffffe')), [-2])
  assert.deepEqual(decode(valueOnly(LongDeserializer), hex('7fffffffffffffff')), [2n ** 63n - 1n])
  assert.deepEqual(decode(valueOnly(DoubleDeserializer), hex('3ff8000000000000')), [1.5])
  assert.deepEqual(decode(valueOnly(BooleanDeserializer), hex('01'), hex('00'), { value: null }), [true, false])
  assert.deepEqual(decode(valueOnly(UUIDDeserializer), { value: '123E4567-e89b-12d3-a456-426614174000' }), [
    '123e4567-e89b-12d3-a456-426614174000',
  ])
  assert.throws(() => decode(valueOnly(IntegerDeserializer), hex('00')), {
    code: 'DESERIALIZATION_FAILED',
    message: /IntegerDeserializer takes 4 bytes, not 1/,
  })
  const latin = { 'value.deserializer.encoding': 'latin1' }
  assert.deepEqual(decode(valueOnly(StringDeserializer, latin), hex('fc')), ['ü'])
  assert.throws(() => valueOnly(StringDeserializer, { 'deserializer.encoding': 'klingon' }), { code: 'OPTION_INVALID' })
})

test('an own Kafka-style deserializer is configured and gets topic and headers', () => {
  class Tagged extends KafkaDeserializer<string> {
    #prefix = ''

    override configure(config: Readonly<Record<string, unknown>>, isKey: boolean): void {
      this.#prefix = `${String(config.prefix)}:${isKey}`
    }

    deserialize(topic: string, data: Buffer | null, headers: readonly { key: string }[]): string {
      return `${this.#prefix} ${topic} ${String(data)} ${headers.length}`
    }
  }
  assert.deepEqual(decode(valueOnly(Tagged, { prefix: 'p' }), { value: 'v', headers: [{ key: 'h', value: null }] }), [
    'p:false orders v 1',
  ])
})

test('key and value as JSON in one object', () => {
  const record = { key: '{"id":1}', value: '[2]' }
  assert.deepEqual(decode(new JsonKeyValueDeserializationSchema(), record, { key: null, value: null }), [
    { key: { id: 1 }, value: [2] },
    {},
  ])
  assert.deepEqual(decode(new JsonKeyValueDeserializationSchema(true), record), [
    { key: { id: 1 }, value: [2], metadata: { offset: 0, topic: 'orders', partition: 3 } },
  ])
})
