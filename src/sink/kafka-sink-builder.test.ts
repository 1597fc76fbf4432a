import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../base/index.ts'
import { JsonSchema, SimpleStringSchema } from '../core/index.ts'
import { DeliveryGuarantee, TransactionNamingStrategy } from './delivery-guarantee.ts'
import { KafkaSink } from './kafka-sink.ts'
import type { KafkaSinkBuilder } from './kafka-sink-builder.ts'
import { KafkaRecordSerializationSchema } from './serializer/kafka-record-serialization-schema.ts'

const schema = KafkaRecordSerializationSchema.builder<string>()
  .setTopic('out')
  .setValueSerializationSchema(new SimpleStringSchema())
  .build()

function complete(): KafkaSinkBuilder<string> {
  return KafkaSink.builder<string>().setBootstrapServers('localhost:9092').setRecordSerializer(schema)
}

function refused(what: () => unknown, pattern: RegExp): void {
  assert.throws(what, (error) => {
    assert.ok(MillraceError.is(error), String(error))
    assert.equal(error.code, 'OPTION_INVALID')
    assert.match(error.message, pattern)
    return true
  })
}

test('the default is NONE, without a transactional side', () => {
  const sink = complete().build()
  assert.equal(sink.transactional, undefined)
  assert.equal(sink.describe().deliveryGuarantee, 'NONE')
})

test('what is required is asked for by the name of its setter', () => {
  refused(() => KafkaSink.builder<string>().setRecordSerializer(schema).build(), /build: .*setBootstrapServers/)
  refused(() => KafkaSink.builder<string>().setBootstrapServers('a:1').build(), /build: .*setRecordSerializer/)
  refused(() => complete().setDeliveryGuarantee('EXACTLY_ONCE').build(), /build: .*setTransactionalIdPrefix/)
  refused(() => complete().setBootstrapServers(' '), /setBootstrapServers/)
  refused(() => complete().setBootstrapServers('nonsense').build(), /bootstrap\.servers/)
})

test('options that contradict the guarantee are refused', () => {
  const exactly = (): KafkaSinkBuilder<string> =>
    complete().setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE).setTransactionalIdPrefix('p')
  assert.ok(exactly().build().transactional)
  assert.ok(exactly().setProperty('acks', -1).build())
  refused(() => exactly().setProperty('acks', 1).build(), /acks=1/)
  refused(() => exactly().setProperty('enable.idempotence', 'false').build(), /idempotence/)
  refused(() => exactly().setProperty('max.in.flight.requests.per.connection', 6).build(), /idempotence/)
  refused(() => exactly().setProperty('transactional.id', 'x'), /setTransactionalIdPrefix/)
  refused(() => complete().setDeliveryGuarantee('AT_LEAST_ONCE').setProperty('acks', '0').build(), /acks=0/)
  assert.ok(complete().setProperty('acks', '0').build())
})

test('prefixes are between one character and 64000 bytes of UTF-8', () => {
  refused(() => complete().setTransactionalIdPrefix(''), /setTransactionalIdPrefix/)
  assert.ok(complete().setTransactionalIdPrefix('ä'.repeat(32_000)))
  refused(() => complete().setTransactionalIdPrefix('ä'.repeat(32_001)), /64002 bytes/)
})

test('values outside of the unions are refused', () => {
  refused(() => complete().setDeliveryGuarantee('exactly' as 'NONE'), /NONE, AT_LEAST_ONCE, EXACTLY_ONCE/)
  refused(() => complete().setTransactionNamingStrategy('X' as 'POOLING'), /POOLING, INCREMENTING/)
  refused(() => complete().setProperty('linger.ms', undefined as unknown as string), /linger\.ms/)
  refused(() => complete().setProperty('linger.ms', 'soon').build(), /linger\.ms/)
})

test('a schema that was not built is recognised', () => {
  const unbuilt = KafkaRecordSerializationSchema.builder<string>().setTopic('x')
  refused(() => complete().setRecordSerializer(unbuilt as never), /did you forget \.build\(\)/)
})

test('one object says the same as the builder, and its errors name its fields', () => {
  const sink = KafkaSink.to({
    bootstrapServers: ['a:1', 'b:2'],
    topic: 'totals',
    valueSerializationSchema: new JsonSchema<{ total: number }>(),
    keySerializationSchema: (element) => String(element.total),
    deliveryGuarantee: DeliveryGuarantee.EXACTLY_ONCE,
    transactionalIdPrefix: 'totals-job',
    transactionNamingStrategy: TransactionNamingStrategy.INCREMENTING,
    properties: { 'linger.ms': '1 s', 'sasl.jaas.config': 'password' },
  })
  assert.deepEqual(sink.describe(), {
    kind: 'KafkaSink',
    topic: 'totals',
    deliveryGuarantee: 'EXACTLY_ONCE',
    transactionalIdPrefix: 'totals-job',
    transactionNamingStrategy: 'INCREMENTING',
    properties: {
      acks: 'all',
      'batch.size': 524_288,
      'bootstrap.servers': 'a:1,b:2',
      'enable.idempotence': true,
      'linger.ms': '1 s',
      'sasl.jaas.config': '***',
    },
  })
  refused(
    () => KafkaSink.to({ bootstrapServers: 'a:1', recordSerializer: schema, deliveryGuarantee: 'EXACTLY_ONCE' }),
    /KafkaSink\.to\(\.\.\.\): .*transactionalIdPrefix/,
  )
  refused(
    () => KafkaSink.to({ bootstrapServers: 'a:1', recordSerializer: schema, transactionalIdPrefix: '' }),
    /KafkaSink\.to\(\{ transactionalIdPrefix \}\)/,
  )
})

test('two exactly-once sinks with one prefix have one owner, with two prefixes two', () => {
  const owner = (servers: string, prefix: string): string | undefined =>
    complete()
      .setBootstrapServers(servers)
      .setDeliveryGuarantee('EXACTLY_ONCE')
      .setTransactionalIdPrefix(prefix)
      .build().transactional?.ownershipKey
  assert.equal(owner('a:1', 'p'), owner('b:2', 'p'))
  assert.notEqual(owner('a:1', 'p'), owner('a:1', 'q'))
})
