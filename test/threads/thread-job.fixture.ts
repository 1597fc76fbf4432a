/**
 * The job that worker threads import in these tests: numbers, a function that can go wrong in every way in which a thread can
 * die (once in the life of the job, at a given number), and a transactional sink of files.
 */
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'
import {
  type Collector,
  defineJob,
  type JobDefinition,
  type KeyedProcessFunction,
  type KeyedProcessFunctionContext,
  type ValueState,
  ValueStateDescriptor,
} from 'millrace'
import { fileSink } from './file-sink.ts'

export const KEYS = 50

export type Death = 'none' | 'throw' | 'exit' | 'uncaught' | 'rejection' | 'memory' | 'loop'

/** True for the first who asks, in whatever thread and process. */
function firstEver(directory: string, what: string): boolean {
  try {
    closeSync(openSync(join(directory, `${what}.marker`), 'wx'))
    return true
  } catch {
    return false
  }
}

interface Tagged {
  readonly value: number
  readonly key: number
  readonly start: string
  /** The thread that read it. */
  readonly mapped: number
}

/** Emits each number with how many of its key there were: any loss or repetition before it shows. */
class RunningCount implements KeyedProcessFunction<number, Tagged, string> {
  readonly #directory: string
  readonly #death: Death
  readonly #at: number
  #count: ValueState<number> | undefined

  constructor(directory: string, death: Death, at: number) {
    this.#directory = directory
    this.#death = death
    this.#at = at
  }

  open(context: KeyedProcessFunctionContext): void {
    this.#count = context.getState(new ValueStateDescriptor<number>('count'))
  }

  processElement({ value, key, start, mapped }: Tagged, _context: unknown, out: Collector<string>): void {
    if (value === this.#at && this.#death !== 'none' && firstEver(this.#directory, this.#death)) die(this.#death)
    const count = (this.#count?.value() ?? 0) + 1
    this.#count?.update(count)
    out.collect(`${value} ${key} ${count} ${mapped} ${threadId} ${start}`)
  }
}

function die(how: Death): void {
  switch (how) {
    case 'none':
      return
    case 'throw':
      throw new Error('the function throws')
    case 'exit':
      process.exit(7)
      return
    case 'uncaught':
      setImmediate(() => {
        throw new Error('nobody catches this')
      })
      return
    case 'rejection':
      void Promise.reject(new Error('nobody handles this'))
      return
    case 'memory': {
      const kept: number[][] = []
      for (;;) kept.push(new Array<number>(100_000).fill(kept.length + 0.5))
    }
    case 'loop':
      for (;;);
  }
}

const job: JobDefinition = defineJob('threads', async (env, params) => {
  const directory = params.required('directory')
  const [death, at, count] = [params.get('death', 'none') as Death, params.get('at', 0), params.get('count', 20_000)]
  const start = await env.once('start', () => `main ${threadId}`)
  // What a job file must not do: whoever builds it on a worker gets another graph.
  const name = params.get('unstable', false) && threadId !== 0 ? 'other' : 'tag'
  env
    .fromGenerator((index) => index, { count, elementsPerSecond: count / params.get('seconds', 0.4) })
    .uid('in')
    .map((value) => ({ value, key: value % KEYS, start, mapped: threadId }))
    .name(name)
    .uid('tag')
    .keyBy(({ key }) => key)
    .process(new RunningCount(directory, death, at))
    .uid('count')
    .sinkTo(fileSink(directory))
    .uid('out')
})

export default job
