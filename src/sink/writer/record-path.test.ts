import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock, MillraceError, SystemClock } from '../../base/index.ts'
import { Counter, MetricRegistry, NO_TIMESTAMP, type RuntimeContext, subtaskIndex } from '../../core/index.ts'
import { FlinkFixedPartitioner } from '../serializer/kafka-partitioner.ts'
import {
  KafkaRecordSerializationSchema,
  type KafkaRecordSerializationSchemaBuilder,
  type ProducerRecordHeader,
} from '../serializer/kafka-record-serialization-schema.ts'
import { createRecordPath, type RecordPath } from './record-path.ts'
import type { RecordTopic } from './record-producer.ts'

type Appended = [partition: number, timestamp: number, key: unknown, value: unknown, headers: unknown]

class RecordedTopic implements RecordTopic {
  readonly name: string
  partitionCount: number
  readonly appended: Appended[] = []

  constructor(name: string, partitionCount: number) {
    this.name = name
    this.partitionCount = partitionCount
  }

  append(
    partition: number,
    timestamp: number,
    key: Uint8Array | string | null,
    value: Uint8Array | string | null,
    headers?: readonly ProducerRecordHeader[],
  ): void {
    this.appended.push([partition, timestamp, key, value, headers])
  }
}

class FixedClock extends SystemClock {
  override now(): number {
    return 777
  }
}

function pathOf<T>(schema: KafkaRecordSerializationSchema<T>, subtask = 1) {
  const clock: Clock = new FixedClock()
  const context: RuntimeContext = {
    jobName: 'j',
    operatorName: 'o',
    uid: 'u',
    subtask: subtaskIndex(subtask),
    parallelism: 4,
    maxParallelism: 128,
    metrics: new MetricRegistry(),
  }
  const sent = new Counter()
  const skipped = new Counter()
  const gate = {
    isOpen: false,
    begun: 0,
    begin(): void {
      this.begun++
      this.isOpen = true
    },
  }
  const path: RecordPath<T> = createRecordPath(schema, { gate, clock, context, sent, skipped })
  return { path, sent, skipped, gate }
}

const plain = (): KafkaRecordSerializationSchemaBuilder<string> =>
  KafkaRecordSerializationSchema.builder<string>()
    .setTopic('t')
    .setValueSerializationSchema((element) => element)

test("a record carries its element's timestamp, and the time of writing when there is none", () => {
  const topic = new RecordedTopic('t', 2)
  const { path } = pathOf(plain().build())
  path.learn(topic)
  path.append('a', 5)
  path.append('b', NO_TIMESTAMP)
  path.append('c', -1)
  path.append('d', 0)
  assert.deepEqual(
    topic.appended.map(([, timestamp]) => timestamp),
    [5, 777, 777, 0],
  )
})

test('a timestamp provider is asked, and told null for an element without one', () => {
  const topic = new RecordedTopic('t', 2)
  const asked: (number | null)[] = []
  const schema = plain()
    .setTimestampProvider((element, timestamp) => {
      asked.push(timestamp)
      return element === 'none' ? null : 9
    })
    .build()
  const { path } = pathOf(schema)
  path.learn(topic)
  path.append('a', 5)
  path.append('none', NO_TIMESTAMP)
  assert.deepEqual(asked, [5, null])
  assert.deepEqual(
    topic.appended.map(([, timestamp]) => timestamp),
    [9, 777],
  )
})

test('the transaction begins with the first record that is really appended', () => {
  const { path, gate, sent, skipped } = pathOf<string>({
    serialize: (element) => (element === 'skip' ? null : { topic: 't', value: element }),
  })
  path.learn(new RecordedTopic('t', 1))
  assert.equal(path.append('skip', 0), true)
  assert.equal(gate.begun, 0)
  path.append('a', 0)
  path.append('b', 0)
  assert.equal(gate.begun, 1)
  assert.deepEqual([sent.value, skipped.value], [2, 1])
})

test('nothing has happened to an element whose topic is not known yet', () => {
  let serialized = 0
  const schema = KafkaRecordSerializationSchema.builder<string>()
    .setTopicSelector((element) => element)
    .setValueSerializationSchema((element) => {
      serialized++
      return element
    })
    .build()
  const { path, gate, sent } = pathOf(schema)
  assert.equal(path.append('new', 0), false)
  assert.equal(path.missing, 'new')
  assert.deepEqual([serialized, gate.begun, sent.value], [0, 0, 0])
  const topic = new RecordedTopic('new', 1)
  path.learn(topic)
  assert.equal(path.append('new', 0), true)
  assert.equal(topic.appended.length, 1)
})

test('a schema that asks for the partitions of an unknown topic is called again when they are known', () => {
  const topic = new RecordedTopic('t', 3)
  const { path } = pathOf<string>({
    serialize: (element, context) => ({
      topic: 't',
      value: element,
      partition: context.partitionsForTopic('t').length - 1,
      timestamp: 4,
      headers: [{ key: 'h', value: null }],
    }),
  })
  assert.equal(path.append('a', 0), false)
  assert.equal(path.missing, 't')
  path.learn(topic)
  assert.equal(path.append('a', 0), true)
  topic.partitionCount = 5
  path.append('b', 0)
  assert.deepEqual(topic.appended, [
    [2, 4, null, 'a', [{ key: 'h', value: null }]],
    [4, 4, null, 'b', [{ key: 'h', value: null }]],
  ])
})

test('subtasks that share one fixed partitioner still write to their own partitions', async () => {
  const schema = plain().setPartitioner(new FlinkFixedPartitioner()).build()
  const partitions: number[] = []
  const paths = [0, 1, 2].map((subtask) => pathOf(schema, subtask).path)
  for (const path of paths) await path.open()
  for (const path of paths) {
    const topic = new RecordedTopic('t', 2)
    path.learn(topic)
    path.append('a', 0)
    partitions.push(topic.appended[0]?.[0] ?? -1)
  }
  assert.deepEqual(partitions, [0, 1, 0])
})

test('what is no key, value, partition or topic is refused, with the topic named', () => {
  const refused = (schema: KafkaRecordSerializationSchema<string>, code: string, pattern: RegExp): void => {
    const { path, sent } = pathOf(schema)
    path.learn(new RecordedTopic('t', 2))
    assert.throws(
      () => path.append('x', 0),
      (error) => {
        assert.ok(MillraceError.is(error), String(error))
        assert.equal(error.code, code)
        assert.match(error.message, pattern)
        return true
      },
    )
    assert.equal(sent.value, 0)
  }
  const value = (result: unknown) =>
    KafkaRecordSerializationSchema.builder<string>()
      .setTopic('t')
      .setValueSerializationSchema(() => result as string)
      .build()
  refused(value(Promise.reject(new Error('x'))), 'USER_FUNCTION_ASYNC', /value.*"t".*asyncMap/)
  refused(value(5), 'SERIALIZATION_FAILED', /value.*"t".*number/)
  refused(
    plain()
      .setKeySerializationSchema(() => ({}) as string)
      .build(),
    'SERIALIZATION_FAILED',
    /key.*"t"/,
  )
  refused(
    plain()
      .setPartitioner(() => 2)
      .build(),
    'KAFKA_UNKNOWN_PARTITION',
    /partition 2 .*"t".*0 to 1/,
  )
  refused({ serialize: () => ({ topic: '', value: 'x' }) }, 'SERIALIZATION_FAILED', /name of a topic/)
})
