/**
 * What a record costs in the reader, beside fetching: walking, decoding, emitting to an output that counts. Batches of 1,000
 * records of about 120 bytes, as in the W1 case. Run: node src/source/reader/kafka-source-reader.bench.ts
 */
import { JsonSchema, SimpleStringSchema, type SourceReaderContext } from '../../core/index.ts'
import { KafkaRecordDeserializationSchema } from '../index.ts'
import type { KafkaSourceBuilder } from '../kafka-source-builder.ts'
import { ScriptedKafka } from '../scripted-kafka.test-double.ts'
import { ReaderHarness } from '../source-harness.test-double.ts'

const BATCHES = 1_000
const RECORDS = 1_000

class CountingOutput {
  blocked = false
  count = 0

  emit(value: unknown): void {
    if (value !== undefined) this.count++
  }

  emitWatermark(): void {}

  emitIdle(): void {}
}

function fill(kafka: ScriptedKafka): void {
  const log = kafka.topic('orders', 1).log('orders', 0)
  const values = Array.from({ length: RECORDS }, (_, index) =>
    JSON.stringify({ id: index, user: `user-${index % 97}`, amount: index * 3, note: 'x'.repeat(70) }),
  )
  for (let batch = 0; batch < BATCHES; batch++) log.append(...values)
}

function measure(
  name: string,
  kafka: ScriptedKafka,
  configure: (builder: KafkaSourceBuilder<unknown>) => unknown,
): void {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 4; round++) {
    const builder = kafka.sourceBuilder().setTopics('orders')
    configure(builder)
    const output = new CountingOutput()
    const context: SourceReaderContext<unknown> = {
      ...new ReaderHarness<unknown>().context,
      output: { forSplit: () => output, releaseSplit: () => undefined },
    }
    const reader = builder.build().createReader(context)
    reader.addSplits([
      { topic: 'orders', partition: 0, startingOffset: { kind: 'at', offset: 0 }, stoppingOffset: undefined },
    ])
    reader.poll(1)
    const began = performance.now()
    while (reader.poll(1_000) === 'more');
    const took = performance.now() - began
    if (output.count !== BATCHES * RECORDS) throw new Error(`${output.count} records`)
    best = Math.min(best, took)
  }
  const perRecordNs = (best * 1e6) / (BATCHES * RECORDS)
  process.stdout.write(`${name.padEnd(28)} ${perRecordNs.toFixed(0).padStart(6)} ns a record\n`)
}

const kafka = new ScriptedKafka()
fill(kafka)
const { of, valueOnly } = KafkaRecordDeserializationSchema
measure('bytes', kafka, (builder) => builder.setDeserializer(valueOnly((bytes) => bytes)))
measure('text', kafka, (builder) => builder.setValueOnlyDeserializer(new SimpleStringSchema()))
measure('JSON', kafka, (builder) => builder.setValueOnlyDeserializer(new JsonSchema()))
measure('whole records', kafka, (builder) => builder.setDeserializer(of((record) => record)))
