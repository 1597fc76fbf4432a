/** Starts incarnations of the model job and says how each ended; what every engine test is written with. */
import assert from 'node:assert/strict'
import type { Storage } from '../../src/base/index.ts'
import { Configuration, type JobGraph } from '../../src/core/index.ts'
import {
  type JobEvent,
  type JobExecution,
  type JobExecutionResult,
  runJobGraph,
  type StartOptions,
} from '../../src/runtime/index.ts'
import { modelGraph } from './model-job.ts'
import { Incarnation, type ModelWorld } from './model-world.ts'

export type LifeEnd =
  | { readonly kind: 'ended'; readonly result: JobExecutionResult }
  | { readonly kind: 'failed'; readonly error: Error }
  | { readonly kind: 'crashed' }

export interface LifeOptions {
  readonly configure?: Readonly<Record<string, string | number>>
  readonly fresh?: boolean
  /** So many tasks write, behind an edge from those that read. */
  readonly sinks?: number
  /** Another job than the model's own. */
  readonly graph?: (life: Incarnation) => JobGraph
  /** Begin at this folder of the model's disk, or go back to it. */
  readonly savepoint?: { readonly folder: string; readonly rewind?: boolean }
}

export interface Life {
  readonly life: Incarnation
  readonly events: readonly JobEvent[]
  /** The job, once `run` was called. */
  job(): JobExecution
  run(): Promise<LifeEnd>
}

function startOf({ fresh, savepoint }: LifeOptions): Partial<StartOptions> {
  if (savepoint === undefined) return { mode: fresh === true ? 'fresh' : 'resume' }
  return { mode: savepoint.rewind === true ? 'rewind' : 'savepoint', savepoint: `model/${savepoint.folder}` }
}

/** A folder of the job's own storage as a storage: `model` is its root. */
function folderOf(storage: Storage, path: string): Storage {
  const below = path.split('/').slice(1).join('/')
  const at = (name: string): string => (below === '' ? name : `${below}/${name}`)
  return { ...storage, read: (name) => storage.read(at(name)), list: (name) => storage.list(at(name)) }
}

export function start(world: ModelWorld, seed: number, options: LifeOptions = {}): Life {
  const life = new Incarnation(world, seed)
  const configuration = new Configuration({
    'execution.checkpointing.interval': 3,
    'restart-strategy.type': 'fixed-delay',
    'restart-strategy.fixed-delay.attempts': 3,
    'restart-strategy.fixed-delay.delay': 1,
    ...options.configure,
  })
  const events: JobEvent[] = []
  let running: JobExecution | undefined
  const work = async (): Promise<LifeEnd> => {
    const { ports, storage } = life
    const start = startOf(options)
    const onEvent = (event: JobEvent): void => {
      events.push(event)
    }
    const openStorage = (path: string): Storage => folderOf(storage, path)
    const graph = options.graph?.(life) ?? modelGraph(life, 2, 6, options.sinks)
    running = runJobGraph(graph, { configuration, ports, storage, start, onEvent, openStorage })
    try {
      return { kind: 'ended', result: await running.result() }
    } catch (error) {
      assert.ok(error instanceof Error)
      return { kind: 'failed', error }
    }
  }
  const job = (): JobExecution => {
    assert.ok(running !== undefined, 'the job was not started')
    return running
  }
  const run = (): Promise<LifeEnd> =>
    Promise.race([
      life.live(work),
      life.crashed.then(() => ({ kind: 'crashed' as const })),
      life.tooOld.then(() => assert.fail(`a life hangs; its last event: ${JSON.stringify(events.at(-1))}`)),
    ])
  return { life, events, job, run }
}

/** A life that is expected to come to the end of the input. */
export async function finish(world: ModelWorld, seed: number, options: LifeOptions = {}): Promise<JobExecutionResult> {
  const end = await start(world, seed, options).run()
  if (end.kind === 'failed') throw end.error
  assert.equal(end.kind, 'ended')
  return end.kind === 'ended' ? end.result : assert.fail()
}

export function inputOf(world: ModelWorld): number[] {
  return Array.from({ length: world.splits }, (_, split) =>
    Array.from({ length: world.recordsPerSplit }, (_unused, n) => split * 1_000_000 + n),
  ).flat()
}

/**
 * The committed output is the input, each once, in the order of its split; `without` was lost and said to be.
 * `published: false`: a superseded process may still have shown older positions, which nothing depends on.
 */
export function assertExact(
  world: ModelWorld,
  options: { readonly without?: ReadonlySet<number>; readonly published?: boolean } = {},
): void {
  assert.deepEqual(
    [...world.output].sort((left, right) => left - right),
    inputOf(world).filter((value) => options.without?.has(value) !== true),
  )
  for (let split = 0; split < world.splits; split++) {
    const own = world.output.filter((value) => Math.floor(value / 1_000_000) === split)
    assert.deepEqual(
      own,
      own.toSorted((left, right) => left - right),
      `order of split ${split}`,
    )
    if (options.published !== false) assert.equal(world.published.get(split), world.recordsPerSplit)
  }
}
