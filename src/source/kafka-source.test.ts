import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../base/index.ts'
import { SimpleStringSchema } from '../core/index.ts'
import { TopicPatternSubscriber } from './kafka-subscriber.ts'
import { ScriptedKafka } from './scripted-kafka.test-double.ts'
import { testPorts } from './source-harness.test-double.ts'
import type { KafkaPartitionSplit } from './split/kafka-partition-split.ts'
import { TopicPartition, TopicPartitionMap } from './topic-partition.ts'

const splits: readonly KafkaPartitionSplit[] = [
  { topic: 'orders', partition: 0, startingOffset: { kind: 'at', offset: 5 }, stoppingOffset: 9 },
  { topic: 'orders', partition: 1, startingOffset: { kind: 'earliest' }, stoppingOffset: undefined },
]

test('positions of a restored checkpoint are published for the group, and only those that are known', async () => {
  const kafka = new ScriptedKafka().topic('orders', 2)
  const builder = kafka.sourceBuilder().setTopics('orders').setValueOnlyDeserializer(new SimpleStringSchema())
  await builder.build().publishPositions(splits, testPorts())
  assert.deepEqual(kafka.calls, [], 'there is no group')
  await builder.setGroupId('g').build().publishPositions(splits, testPorts())
  assert.deepEqual(kafka.calls, ['commit orders-0:5'])
  await builder.setProperty('commit.offsets.on.checkpoint', false).build().publishPositions(splits, testPorts())
  assert.equal(kafka.calls.length, 1)
  assert.equal(kafka.openClients, 0)
})

test('publishing that fails is logged and nothing else', async () => {
  const kafka = new ScriptedKafka().topic('orders', 2)
  kafka.failure = () => new MillraceError('KAFKA_TIMEOUT', 'no answer')
  const builder = kafka.sourceBuilder().setTopics('orders').setValueOnlyDeserializer(new SimpleStringSchema())
  const ports = testPorts()
  await builder.setGroupId('g').build().publishPositions(splits, ports)
  assert.match(ports.logger.lines[0] ?? '', /could not be committed.*no answer/)
  assert.equal(kafka.openClients, 0)
})

test('a pattern matches whole names, and a topic deleted in between is no failure', async () => {
  const kafka = new ScriptedKafka().topic('orders', 1).topic('orders-old', 1).topic('my-orders', 1)
  const admin = kafka.connect({}, testPorts()).admin
  const found = async (pattern: RegExp): Promise<string[]> =>
    (await new TopicPatternSubscriber(pattern).getSubscribedTopicPartitions(admin)).map(String)
  assert.deepEqual(await found(/orders/), ['orders-0'])
  assert.deepEqual(await found(/orders|my-.*/gy), ['orders-0', 'my-orders-0'])
  assert.deepEqual(await found(/ORDERS.*/i), ['orders-0', 'orders-old-0'])
  kafka.delay = async (call) => {
    if (call === 'listTopics') return
    kafka.delay = () => undefined
    kafka.deleteTopic('orders-old')
  }
  assert.deepEqual(await found(/orders.*/), ['orders-0'])
})

test('partitions are keys by value', () => {
  const map = new TopicPartitionMap([[new TopicPartition('a', 1), 'x']])
  map.set({ topic: 'a', partition: 1 }, 'y').set({ topic: 'a-1', partition: 2 }, 'z')
  assert.equal(map.get({ topic: 'a', partition: 1 }), 'y')
  assert.equal(map.size, 2)
  assert.deepEqual(
    [...map].map(([partition, value]) => `${partition}=${value}`),
    ['a-1=y', 'a-1-2=z'],
  )
})
