/**
 * Runs a defined job from another program, on the caller's thread. Its checkpoints are durable by default (`.millrace/` in the
 * current directory): a definition has a name, and running it again resumes it.
 */
import { MillraceError, type Storage } from '../base/index.ts'
import { Configuration, OPTIONS, type RuntimePorts } from '../core/index.ts'
import type { JobExecutionResult } from '../runtime/index.ts'
import type { JobClient } from './job-client.ts'
import { isJobDefinition, type JobDefinition } from './job-definition.ts'
import { type JobArguments, JobParameters } from './job-parameters.ts'
import { DEFAULT_CHECKPOINT_DIRECTORY, jobStorage } from './job-storage.ts'
import { OnceValues } from './once-values.ts'
import {
  type ConfigurationInput,
  type ExecuteOptions,
  StreamExecutionEnvironment,
} from './stream-execution-environment.ts'
import { refuseOnWorker, threadSettings, threadsOf, workerJobOf } from './worker-job.ts'

export interface RunJobOptions extends Omit<ExecuteOptions, 'storage'> {
  /** The same as the configuration's `parallelism.default`, and wins over it. */
  readonly parallelism?: number
  /**
   * Worker threads: subtask i runs on worker i mod `threads`. 0 is the caller's thread. By default, with `module` given and a
   * parallelism above 1, as many as there are subtasks or cores, whichever is less.
   */
  readonly threads?: number
  /** `import.meta.url` of the file that exports the job; worker threads import it. Without it all runs on the caller's thread. */
  readonly module?: string | URL
  /** Flags of node for the worker threads, beside those of the process, e.g. `--cpu-prof`. */
  readonly execArgv?: readonly string[]
  readonly args?: JobArguments
  readonly configuration?: ConfigurationInput
  /** The job's own directory, or `memory` for none; by default below `execution.checkpointing.dir`. */
  readonly storage?: Storage | 'memory'
  readonly ports?: Partial<RuntimePorts>
}

/** Runs the job to its end; rejects with a MillraceError when it fails for good, or with the signal's reason. */
export async function runJob(job: JobDefinition, options: RunJobOptions = {}): Promise<JobExecutionResult> {
  const client = await startJob(job, options)
  return client.result()
}

/** Starts the job and answers a client for it. */
export async function startJob(job: JobDefinition, options: RunJobOptions = {}): Promise<JobClient> {
  const { env, settings, parameters, once } = await build(job, options)
  const graph = env.buildGraph()
  const storage = storageOf(job, env, options)
  const module = options.module === undefined ? undefined : String(options.module)
  const { threads: asked, execArgv, ...rest } = options
  const count = threadsOf(graph, module, asked)
  if (count === 0 || module === undefined) return env.start(graph, { ...rest, storage })
  const values = await once.toRecord()
  const worker = workerJobOf({ job, graph, module, parameters, configuration: settings, once: values })
  const threads = { count, ...threadSettings(worker, env.configuration, execArgv) }
  return env.start(graph, { ...rest, storage, threads })
}

/** Calls the job's `build` on a new environment that has its configuration; nothing runs. */
export async function buildJob(job: JobDefinition, options: RunJobOptions = {}): Promise<StreamExecutionEnvironment> {
  const { env } = await build(job, options)
  return env
}

interface BuiltJob {
  readonly env: StreamExecutionEnvironment
  /** What the environment began with. */
  readonly settings: Configuration
  readonly parameters: JobParameters
  readonly once: OnceValues
}

async function build(job: JobDefinition, options: RunJobOptions): Promise<BuiltJob> {
  if (!isJobDefinition(job)) {
    throw new MillraceError(
      'JOB_FILE_INVALID',
      "this is no job definition; write: export default defineJob('name', (env, params) => { ... })",
    )
  }
  refuseOnWorker(job)
  const { configuration, parallelism, ports } = options
  const settings = new Configuration().with(
    configuration instanceof Configuration ? configuration : new Configuration(configuration),
  )
  if (parallelism !== undefined) settings.set(OPTIONS.parallelism.key, parallelism)
  const once = new OnceValues()
  const env = new StreamExecutionEnvironment({
    configuration: settings,
    definedJob: job.name,
    once,
    ...(ports === undefined ? {} : { ports }),
  })
  const parameters = JobParameters.of(options.args)
  await job.build(env, parameters)
  return { env, settings, parameters, once }
}

function storageOf(job: JobDefinition, env: StreamExecutionEnvironment, options: RunJobOptions): Storage | undefined {
  if (options.storage === 'memory') return undefined
  return options.storage ?? jobStorage(job.name, env.configuration, DEFAULT_CHECKPOINT_DIRECTORY)
}
