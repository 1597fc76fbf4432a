/**
 * A defined job on worker threads: what the main thread hands to each worker so that it builds the same graph, and how the
 * worker builds it. Functions cannot cross threads, so a worker imports the job's file; the two graphs are compared before
 * anything runs, and the first difference is told in the job file's own words.
 */
import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { type Logger, MillraceError } from '../base/index.ts'
import type { JobGraph, RuntimePorts } from '../core/index.ts'
import type { ThreadSettings } from '../runtime/index.ts'
import {
  describeGraph,
  firstDifference,
  type GraphDescription,
  graphHash,
  plainDescription,
} from './graph-description.ts'
import { isJobDefinition, type JobDefinition } from './job-definition.ts'
import { JobParameters } from './job-parameters.ts'
import { OnceValues } from './once-values.ts'
import { StreamExecutionEnvironment } from './stream-execution-environment.ts'

/** All that a worker needs to build the graph. Plain data. */
export interface WorkerJob {
  readonly module: string
  readonly name: string
  readonly parameters: Readonly<Record<string, string>>
  readonly configuration: Readonly<Record<string, string>>
  readonly once: Readonly<Record<string, unknown>>
  readonly description: GraphDescription
  readonly hash: string
}

const ON_WORKER: unique symbol = Symbol.for('millrace.on-worker') as never

/** Sources run as they are, built ones as JavaScript: the entry is beside this file and has its extension. */
export function workerEntry(): URL {
  return new URL(`./worker-entry${extname(import.meta.url)}`, import.meta.url)
}

/** How many workers a job gets: 0 is the caller's thread. */
export function threadsOf(graph: JobGraph, module: string | undefined, asked: number | undefined): number {
  const widest = Math.max(...graph.nodes.map((node) => node.parallelism))
  if (asked !== undefined && !(Number.isSafeInteger(asked) && asked >= 0)) {
    throw new MillraceError('OPTION_INVALID', `threads: ${asked} must be a whole number of at least 0`)
  }
  if (module === undefined) {
    if (asked === undefined || asked === 0) return 0
    throw new MillraceError(
      'OPTION_INVALID',
      `threads: ${asked} worker threads must import the job's file: give module: import.meta.url of it`,
    )
  }
  if (asked !== undefined) return Math.min(asked, widest)
  return widest === 1 ? 0 : Math.min(widest, availableParallelism())
}

export function threadSettings(
  job: WorkerJob,
  configuration: StreamExecutionEnvironment['configuration'],
  flags: readonly string[] = [],
): ThreadSettings {
  return {
    entry: workerEntry(),
    data: job,
    watchdogMs: configuration.get('watchdogTimeoutMs'),
    heapBytes: configuration.get('workerHeapBytes'),
    ...(flags.length === 0 ? {} : { execArgv: [...ownFlags(process.execArgv), ...flags] }),
  }
}

/** Flags of node that a thread may have of its own, with their values. A thread that is given others as well does not start. */
const THREAD_FLAGS = /^(?:-C|--conditions|-r|--require|--import|--no-warnings|--enable-source-maps)(=|$)/
const WITHOUT_VALUE: ReadonlySet<string> = new Set(['--no-warnings', '--enable-source-maps'])

export function ownFlags(flags: readonly string[]): string[] {
  return flags.flatMap((flag, index) => {
    const found = THREAD_FLAGS.exec(flag)
    if (found === null) return []
    const value = flags[index + 1]
    return found[1] === '=' || WITHOUT_VALUE.has(flag) || value === undefined ? [flag] : [flag, value]
  })
}

export function workerJobOf(options: {
  readonly job: JobDefinition
  readonly graph: JobGraph
  readonly module: string
  readonly parameters: JobParameters
  readonly configuration: StreamExecutionEnvironment['configuration']
  readonly once: Readonly<Record<string, unknown>>
}): WorkerJob {
  const { job, graph, module, parameters, configuration, once } = options
  const description = plainDescription(describeGraph(graph))
  return {
    module,
    name: job.name,
    parameters: parameters.toRecord(),
    configuration: Object.fromEntries(configuration.entries()),
    once,
    description,
    hash: graphHash(description),
  }
}

/** On the worker. `data` is a WorkerJob of the same version of this package. */
export async function buildOnWorker(
  data: unknown,
  worker: number,
  ports: Omit<RuntimePorts, 'logger'>,
  logger: Logger,
): Promise<JobGraph> {
  const given = data as WorkerJob
  Object.assign(globalThis, { [ON_WORKER]: true })
  const job = await importJob(given)
  const env = new StreamExecutionEnvironment({
    configuration: given.configuration,
    definedJob: job.name,
    once: new OnceValues(given.once, false),
    ports: { ...ports, logger },
  })
  await job.build(env, JobParameters.of(given.parameters))
  const graph = env.buildGraph()
  const description = plainDescription(describeGraph(graph))
  if (graphHash(description) === given.hash) return graph
  const difference = firstDifference(given.description, description, 'on the main thread', `on worker thread ${worker}`)
  throw new MillraceError(
    'JOB_FILE_INVALID',
    `job "${job.name}" builds another graph on each thread: ${difference ?? 'the two descriptions have different hashes'}`,
    {
      next:
        'Nothing ran. What may differ between threads (time, chance, what was fetched) must come from params or ' +
        "from env.once('name', ...), which computes it once for all.",
    },
  )
}

/** Whoever runs a job in its own file would start workers that start workers. */
export function refuseOnWorker(job: JobDefinition): void {
  if (!(ON_WORKER in globalThis)) return
  throw new MillraceError(
    'JOB_FILE_INVALID',
    `job "${job.name}" is run by the module that its worker threads import; run it from another module, or only ` +
      'where isMainThread of node:worker_threads says so',
  )
}

async function importJob({ module, name }: WorkerJob): Promise<JobDefinition> {
  const exported: unknown = await import(module)
  const values = typeof exported === 'object' && exported !== null ? Object.values(exported) : []
  const job = values.find((value): value is JobDefinition => isJobDefinition(value) && value.name === name)
  if (job !== undefined) return job
  throw new MillraceError('JOB_FILE_INVALID', `${module} exports no job "${name}", so worker threads cannot build it`, {
    next: `Nothing ran. Export it: export default defineJob('${name}', (env, params) => { ... })`,
  })
}
