export { DataStream, DataStreamSink, KeyedStream, type NumericField } from './data-stream.ts'
export { JobClient } from './job-client.ts'
export { defineJob, isJobDefinition, type JobBuild, type JobDefinition } from './job-definition.ts'
export { type JobArguments, JobParameters } from './job-parameters.ts'
export { checkpointDirectory } from './job-storage.ts'
export { buildJob, type RunJobOptions, runJob, startJob } from './run-job.ts'
export { RuntimeExecutionMode } from './runtime-execution-mode.ts'
export {
  type ConfigurationInput,
  type EnvironmentOptions,
  type ExecuteOptions,
  type GeneratorOptions,
  StreamExecutionEnvironment,
} from './stream-execution-environment.ts'
export { WatermarkStrategy } from './watermark-strategy.ts'
