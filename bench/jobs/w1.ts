/** W1, drain: reads a topic to its end, makes a string of each value, and counts. */
import { defineJob, WatermarkStrategy } from 'millrace'
import { KafkaSource, OffsetsInitializer, SimpleStringSchema } from 'millrace/kafka'
import { DiscardingSink } from './discarding-sink.ts'
import { reportAtExit, seen } from './meter.ts'

export default defineJob('w1', async (env, params) => {
  await reportAtExit(env)
  const source = KafkaSource.builder()
    .setBootstrapServers(params.required('brokers'))
    .setTopics(params.required('in'))
    .setGroupId(params.required('group'))
    .setStartingOffsets(OffsetsInitializer.earliest())
    .setBounded(OffsetsInitializer.latest())
    .setValueOnlyDeserializer(new SimpleStringSchema())
    .build()

  env
    .fromSource(source, WatermarkStrategy.noWatermarks(), 'in')
    .uid('in')
    .filter(() => {
      seen()
      return false
    })
    .uid('count')
    .sinkTo(new DiscardingSink())
    .uid('nothing')
})
