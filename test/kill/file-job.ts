/** The job without Kafka that is killed: numbers from the tests' own source, counted by key, into files. */
import { defineJob, type JobDefinition, WatermarkStrategy } from 'millrace'
import { FileWorld, fileSink, fileSource } from './file-world.ts'
import { RunningCount, slowly } from './kill-functions.ts'

const job: JobDefinition = defineJob('file-job', (env, params) => {
  const world = new FileWorld(params.required('world'))
  env
    .fromSource(fileSource(world, params.get('records', 1_000)), WatermarkStrategy.noWatermarks(), 'in')
    .uid('in')
    .map(slowly(params.get('records-per-checkpoint', 500), 10))
    .uid('slow')
    .keyBy(({ key }) => String(key))
    .process(new RunningCount())
    .uid('count')
    .sinkTo(fileSink(world))
    .uid('out')
})

export default job
