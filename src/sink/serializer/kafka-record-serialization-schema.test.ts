import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import { SimpleStringSchema } from '../../core/index.ts'
import { FlinkFixedPartitioner } from './kafka-partitioner.ts'
import { KafkaRecordSerializationSchema, type KafkaSinkContext } from './kafka-record-serialization-schema.ts'
import {
  DoubleSerializer,
  IntegerSerializer,
  LongSerializer,
  Serializer,
  StringSerializer,
} from './kafka-serializer.ts'

const context: KafkaSinkContext = {
  parallelInstanceId: 2,
  numberOfParallelInstances: 3,
  partitionsForTopic: () => [0, 1],
}

function refused(what: () => unknown, pattern: RegExp): void {
  assert.throws(what, (error) => {
    assert.ok(MillraceError.is(error) && error.code === 'OPTION_INVALID')
    assert.match(error.message, pattern)
    return true
  })
}

test('every part has its say in the record', () => {
  const built = KafkaRecordSerializationSchema.builder<string>()
    .setTopicSelector((element) => `topic-${element.length}`)
    .setKafkaKeySerializer(StringSerializer)
    .setValueSerializationSchema((element) => Buffer.from(element.toUpperCase()))
    .setPartitioner((_element, key, value, topic, partitions) => (key && value && topic ? (partitions.at(-1) ?? 0) : 0))
    .setHeaderProvider((element) => [{ key: 'of', value: Buffer.from(element) }])
    .setTimestampProvider((_element, timestamp) => (timestamp ?? 0) + 1)
    .build()
  assert.deepEqual(built.serialize('abc', context, 41), {
    topic: 'topic-3',
    key: 'abc',
    value: Buffer.from('ABC'),
    partition: 1,
    timestamp: 42,
    headers: [{ key: 'of', value: Buffer.from('abc') }],
  })
})

test('topic and value are required, by the names of their setters', () => {
  const builder = () => KafkaRecordSerializationSchema.builder<string>()
  refused(() => builder().setTopic('t').build(), /build: .*setValueSerializationSchema/)
  refused(() => builder().setValueSerializationSchema(new SimpleStringSchema()).build(), /build: .*setTopicSelector/)
})

test('a second setter of the same part is refused', () => {
  const full = KafkaRecordSerializationSchema.builder<string>()
    .setTopic('t')
    .setKeySerializationSchema(new SimpleStringSchema())
    .setValueSerializationSchema(new SimpleStringSchema())
    .setPartitioner(new FlinkFixedPartitioner())
    .setHeaderProvider(() => [])
    .setTimestampProvider(() => 1)
  refused(() => full.setTopic('u'), /setTopic: a topic is already set/)
  refused(() => full.setTopicSelector(() => 'u'), /setTopicSelector: a topic is already set/)
  refused(() => full.setKeySerializationSchema(String), /key serializer is already set/)
  refused(() => full.setKafkaKeySerializer(StringSerializer), /key serializer is already set/)
  refused(() => full.setValueSerializationSchema(String), /value serializer is already set/)
  refused(() => full.setKafkaValueSerializer(StringSerializer), /value serializer is already set/)
  refused(() => full.setPartitioner(() => 0), /partitioner is already set/)
  refused(() => full.setHeaderProvider(() => []), /header provider is already set/)
  refused(() => full.setTimestampProvider(() => 1), /timestamp provider is already set/)
})

test("the delivery guarantee is the sink's, and the message says where to set it", () => {
  refused(
    () => KafkaRecordSerializationSchema.builder<string>().setDeliveryGuarantee('EXACTLY_ONCE'),
    /KafkaSink\.builder\(\)\.setDeliveryGuarantee/,
  )
})

test('what is no serializer is refused where it is given', () => {
  const builder = KafkaRecordSerializationSchema.builder<string>()
  refused(() => builder.setKeySerializationSchema({} as never), /setKeySerializationSchema/)
  refused(() => builder.setKafkaKeySerializer(class {} as never), /setKafkaKeySerializer/)
  refused(() => builder.setPartitioner({} as never), /setPartitioner/)
  refused(() => builder.setTopic(''), /setTopic/)
})

test('the fixed partitioner writes each subtask to one partition', () => {
  for (const [subtask, partition] of [
    [0, 0],
    [1, 1],
    [2, 2],
    [3, 0],
  ] as const) {
    const partitioner = new FlinkFixedPartitioner().copy()
    partitioner.open(subtask, 4)
    assert.equal(partitioner.partition('x', null, null, 't', [0, 1, 2]), partition)
    assert.throws(() => partitioner.partition('x', null, null, 't', []), { code: 'KAFKA_UNKNOWN_PARTITION' })
  }
})

test('the simple serializers write what Java writes', () => {
  assert.deepEqual(new IntegerSerializer().serialize('t', -2), Buffer.from('fffffffe', 'hex'))
  assert.deepEqual(new LongSerializer().serialize('t', 258n), Buffer.from('0000000000000102', 'hex'))
  assert.deepEqual(new DoubleSerializer().serialize('t', 1.5), Buffer.from('3ff8000000000000', 'hex'))
  assert.equal(new LongSerializer().serialize('t', null), null)
})

test('Kafka-style serializers are told their configuration and whether they make keys', () => {
  class Tagged extends Serializer<string> {
    #tag = ''
    override configure(config: Readonly<Record<string, unknown>>, isKey: boolean): void {
      this.#tag = `${config.tag}:${isKey}`
    }
    override serialize(topic: string, data: string): string {
      return `${topic}:${this.#tag}:${data}`
    }
  }
  const built = KafkaRecordSerializationSchema.builder<string>()
    .setTopic('t')
    .setKafkaKeySerializer(Tagged, { tag: 'k' })
    .setKafkaValueSerializer(Tagged, { tag: 'v' })
    .build()
  const record = built.serialize('x', context, null)
  assert.equal(record?.key, 't:k:true:x')
  assert.equal(record?.value, 't:v:false:x')
})
