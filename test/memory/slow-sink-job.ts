/** A job whose sink takes a thousand records a second, whatever the source could give; each becomes an object of JSON. */
import { defineJob, type JobDefinition, type SinkWriter, WatermarkStrategy } from 'millrace'
import { JsonSchema, KafkaSource, OffsetsInitializer } from 'millrace/kafka'

const PER_SECOND = 1_000
const TICK_MS = 20

class SlowWriter<T> implements SinkWriter<T, never> {
  #allowed = 0
  #taken = 0
  #opened = Promise.withResolvers<void>()
  readonly #timer = setInterval(() => {
    this.#allowed = Math.min(PER_SECOND, this.#allowed + (PER_SECOND * TICK_MS) / 1000)
    this.#opened.resolve()
    this.#opened = Promise.withResolvers<void>()
  }, TICK_MS)

  get blocked(): boolean {
    return this.#allowed <= 0
  }

  writable(): Promise<void> {
    return this.blocked ? this.#opened.promise : Promise.resolve()
  }

  write(): void {
    this.#allowed--
    this.#taken++
  }

  async prepareCommit(): Promise<never[]> {
    process.stderr.write(`taken ${this.#taken}\n`)
    return []
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
  }
}

const job: JobDefinition = defineJob('slow-sink', (env, params) => {
  env.enableCheckpointing(1_000)
  const source = KafkaSource.builder()
    .setBootstrapServers(params.required('brokers'))
    .setTopics(params.required('in'))
    .setStartingOffsets(OffsetsInitializer.earliest())
    .setValueOnlyDeserializer(new JsonSchema<{ readonly id: number }>())
    .build()
  env
    .fromSource(source, WatermarkStrategy.noWatermarks(), 'in')
    .uid('in')
    .sinkTo({ createWriter: () => new SlowWriter(), describe: () => ({ kind: 'slow' }) })
    .uid('slow')
})

export default job
