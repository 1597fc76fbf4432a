/**
 * Where a job begins: it makes sources, holds the job's configuration and its steps, and runs them. An environment made by
 * hand runs on the caller's thread; one handed to `build` of a defined job only collects the steps, and whoever runs the
 * definition executes them. Settings made in code win over those given from outside (Flink's rule).
 */
import { MillraceError, type Storage, SystemClock, SystemRandom, TcpNetwork, TextLogger } from '../base/index.ts'
import { Configuration, type JobGraph, OPTIONS, type RuntimePorts, type Source, type Sync } from '../core/index.ts'
import {
  type JobEvent,
  type JobExecutionResult,
  type RunOptions,
  runJobGraph,
  type StartOptions,
} from '../runtime/index.ts'
import { DataStream, type StreamHost } from './data-stream.ts'
import { buildGraph } from './graph-builder.ts'
import { JobClient } from './job-client.ts'
import { jobStorage } from './job-storage.ts'
import { OnceValues } from './once-values.ts'
import { RuntimeExecutionMode } from './runtime-execution-mode.ts'
import { SequenceSource } from './sequence-source.ts'
import { atLeastOne } from './stream-step.ts'
import { Transformations } from './transformation.ts'
import { WatermarkStrategy } from './watermark-strategy.ts'

/** Flink's keys and their values, e.g. `{ 'execution.checkpointing.interval': '10 s' }`. */
export type ConfigurationInput = Configuration | Readonly<Record<string, string | number | boolean>>

export interface EnvironmentOptions {
  readonly configuration?: ConfigurationInput
  /** What the job reaches the world through; the real ones by default. */
  readonly ports?: Partial<RuntimePorts>
  readonly once?: OnceValues
  /** The job is a defined one of this name: whoever runs the definition executes it. */
  readonly definedJob?: string
}

export interface ExecuteOptions {
  /** Aborting it cancels the job; the result rejects with its reason. */
  readonly signal?: AbortSignal
  /** The job's own directory; by default what `execution.checkpointing.dir` says, else memory. */
  readonly storage?: Storage
  readonly start?: Partial<StartOptions>
  /** Where a savepoint or kept checkpoint lies that `start` names, by its path; by default a directory. For a `storage` of one's own. */
  readonly openStorage?: (path: string) => Storage
  readonly onEvent?: (event: JobEvent) => void
}

export interface GeneratorOptions {
  /** How many elements; without it the stream has no end. */
  readonly count?: number
  /** Over all subtasks; without it as fast as they are taken. */
  readonly elementsPerSecond?: number
  readonly name?: string
}

const DEFAULT_JOB_NAME = 'millrace-job'

export class StreamExecutionEnvironment {
  readonly #configuration: Configuration
  readonly #ports: RuntimePorts
  readonly #once: OnceValues
  readonly #definedJob: string | undefined
  readonly #transformations = new Transformations()
  readonly #host: StreamHost

  constructor(options: EnvironmentOptions = {}) {
    this.#configuration = new Configuration().with(configurationOf(options.configuration))
    this.#ports = { ...systemPorts(), ...options.ports }
    this.#once = options.once ?? new OnceValues()
    this.#definedJob = options.definedJob
    this.#host = {
      transformations: this.#transformations,
      startCollecting: (jobName) => this.#startCollecting(jobName),
    }
  }

  /** An environment that runs on the caller's thread. */
  static createLocalEnvironment(configuration: ConfigurationInput = {}): StreamExecutionEnvironment {
    return new StreamExecutionEnvironment({ configuration })
  }

  static getExecutionEnvironment(configuration: ConfigurationInput = {}): StreamExecutionEnvironment {
    return StreamExecutionEnvironment.createLocalEnvironment(configuration)
  }

  /** The configuration as it stands; `configure` changes it. */
  get configuration(): Configuration {
    return this.#configuration
  }

  enableCheckpointing(intervalMs: number): this {
    atLeastOne('enableCheckpointing', intervalMs)
    return this.configure({ [OPTIONS.checkpointIntervalMs.key]: intervalMs })
  }

  setParallelism(parallelism: number): this {
    return this.configure({ [OPTIONS.parallelism.key]: parallelism })
  }

  setMaxParallelism(maxParallelism: number): this {
    return this.configure({ [OPTIONS.maxParallelism.key]: maxParallelism })
  }

  setRuntimeMode(mode: RuntimeExecutionMode): this {
    if (!Object.values(RuntimeExecutionMode).includes(mode)) {
      throw new MillraceError('OPTION_INVALID', `setRuntimeMode: "${mode}" is none of STREAMING, BATCH, AUTOMATIC`)
    }
    return this.configure({ [OPTIONS.runtimeMode.key]: mode })
  }

  /** Settings by Flink's keys; an unknown key is refused with a suggestion. */
  configure(settings: ConfigurationInput): this {
    for (const [key, value] of configurationOf(settings).entries()) this.#configuration.set(key, value)
    return this
  }

  fromSource<T, Split, EnumeratorState>(
    source: Source<T, Split, EnumeratorState>,
    watermarks: WatermarkStrategy<NoInfer<T>>,
    name: string,
  ): DataStream<T> {
    const step = this.#transformations.add({
      type: 'source',
      name,
      inputs: [],
      content: {
        kind: 'source',
        source: source as Source<unknown, unknown, unknown>,
        watermarks: watermarks as WatermarkStrategy<unknown>,
      },
    })
    return new DataStream<T>(this.#host, { step })
  }

  /** The elements of an array, or the arguments themselves. They are kept in memory; meant for tests and trials. */
  fromData<T>(elements: readonly T[]): DataStream<T>
  fromData<T>(...elements: readonly T[]): DataStream<T>
  fromData<T>(...given: readonly (T | readonly T[])[]): DataStream<T> {
    const [only] = given
    const elements = given.length === 1 && Array.isArray(only) ? [...(only as readonly T[])] : (given as readonly T[])
    const source = new SequenceSource<T>({
      kind: 'data',
      count: elements.length,
      elementsPerSecond: undefined,
      generate: (index) => elements[index] as T,
    })
    return this.fromSource(source, WatermarkStrategy.noWatermarks(), 'Data')
  }

  /** Element i is `generate(i)`, which must depend on nothing else: after a restore it is asked again. */
  fromGenerator<T>(generate: (index: number) => Sync<T>, options: GeneratorOptions = {}): DataStream<T> {
    const { count, elementsPerSecond, name } = options
    if (count !== undefined && !(Number.isSafeInteger(count) && count >= 0)) {
      throw new MillraceError('OPTION_INVALID', `fromGenerator: count: ${count} must be a whole number of at least 0`)
    }
    if (elementsPerSecond !== undefined && !(Number.isFinite(elementsPerSecond) && elementsPerSecond > 0)) {
      throw new MillraceError(
        'OPTION_INVALID',
        `fromGenerator: elementsPerSecond: ${elementsPerSecond} must be above 0`,
      )
    }
    const source = new SequenceSource<T>({ kind: 'generator', count, elementsPerSecond, generate })
    return this.fromSource(source, WatermarkStrategy.noWatermarks(), name ?? 'Generator')
  }

  /** Computes a value once for all threads that build this job. It must be plain data. */
  once<T>(name: string, compute: () => T | Promise<T>): Promise<T> {
    return this.#once.get(name, compute) as Promise<T>
  }

  /** Runs the job to its end. */
  async execute(jobName?: string, options: ExecuteOptions = {}): Promise<JobExecutionResult> {
    const client = await this.executeAsync(jobName, options)
    return client.result()
  }

  /** Starts the job and answers a client for it. The environment is empty afterwards and can build another. */
  async executeAsync(jobName: string = DEFAULT_JOB_NAME, options: ExecuteOptions = {}): Promise<JobClient> {
    if (this.#definedJob !== undefined) {
      throw new MillraceError(
        'JOB_FILE_INVALID',
        `job "${this.#definedJob}" executes itself; a defined job only builds its streams, and is executed by whoever runs it`,
      )
    }
    const graph = this.buildGraph(jobName)
    this.#transformations.clear()
    return this.start(graph, { ...options, storage: options.storage ?? jobStorage(jobName, this.#configuration) })
  }

  /** Results that are handed over as they come cannot be taken back: without checkpoints there is no restart by default. */
  #startCollecting(jobName: string | undefined): Promise<JobClient> {
    const settings = this.#configuration
    const asked = settings.has('checkpointIntervalMs') || settings.has('restartStrategy')
    if (!asked) {
      this.configure({ [OPTIONS.restartStrategy.key]: 'none' })
    }
    return this.executeAsync(jobName)
  }

  /** The graph of what was asked for so far. Throws GRAPH_INVALID for one that could not run. */
  buildGraph(jobName: string = this.#definedJob ?? DEFAULT_JOB_NAME): JobGraph {
    const graph = buildGraph(jobName, this.#transformations.all, this.#configuration)
    if (this.#configuration.get('runtimeMode') === 'batch') {
      for (const node of graph.nodes) {
        if (node.kind !== 'source' || node.source.boundedness === 'bounded') continue
        throw new MillraceError(
          'GRAPH_INVALID',
          `source "${node.name}" (uid ${node.uid}) has no end, which runtime mode BATCH needs; bound it or use STREAMING`,
        )
      }
    }
    return graph
  }

  /** Starts a graph of this environment; for those who run defined jobs. */
  start(graph: JobGraph, options: StartGraphOptions): JobClient {
    const { signal, storage, start, openStorage, onEvent, threads } = options
    const execution = runJobGraph(graph, {
      configuration: this.#configuration,
      ports: this.#ports,
      ...(storage === undefined ? {} : { storage }),
      ...(start === undefined ? {} : { start }),
      ...(openStorage === undefined ? {} : { openStorage }),
      ...(signal === undefined ? {} : { signal }),
      ...(onEvent === undefined ? {} : { onEvent }),
      ...(threads === undefined ? {} : { threads }),
    })
    return new JobClient(execution, signal, storage?.location)
  }
}

type StartGraphOptions = Omit<ExecuteOptions, 'storage'> &
  Pick<RunOptions, 'threads'> & { readonly storage: Storage | undefined }

function configurationOf(input: ConfigurationInput | undefined): Configuration {
  return input instanceof Configuration ? input : new Configuration(input)
}

function systemPorts(): RuntimePorts {
  return {
    clock: new SystemClock(),
    random: new SystemRandom(),
    network: new TcpNetwork(),
    logger: new TextLogger({ write: (line) => process.stderr.write(line) }),
  }
}
