export { DataStream, DataStreamSink, StreamStep } from './data-stream.ts'
export {
  describeGraph,
  firstDifference,
  type GraphDescription,
  graphHash,
  type NodeDescription,
} from './graph-description.ts'
export { JobClient } from './job-client.ts'
export { defineJob, isJobDefinition, type JobBuild, type JobDefinition } from './job-definition.ts'
export { checkJobName } from './job-name.ts'
export { type JobArguments, JobParameters } from './job-parameters.ts'
export { DEFAULT_CHECKPOINT_DIRECTORY, jobStorage } from './job-storage.ts'
export { OnceValues } from './once-values.ts'
export { PrintSink } from './print-sink.ts'
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
