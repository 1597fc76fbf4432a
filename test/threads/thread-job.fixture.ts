/**
 * The job that worker threads import in these tests: numbers, a function that can go wrong in every way in which a thread can
 * die (once in the life of the job, at a given number), and a transactional sink of files.
 */
import { subscribe } from 'node:diagnostics_channel'
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
import type { JointMessage } from '../../src/base/index.ts'
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
  readonly #deaths: readonly Death[]
  readonly #at: number
  #count: ValueState<number> | undefined

  constructor(directory: string, deaths: readonly Death[], at: number) {
    this.#directory = directory
    this.#deaths = deaths
    this.#at = at
  }

  open(context: KeyedProcessFunctionContext): void {
    this.#count = context.getState(new ValueStateDescriptor<number>('count'))
  }

  processElement({ value, key, start, mapped }: Tagged, _context: unknown, out: Collector<string>): void {
    if (this.#at > 0 && value > 0 && value % this.#at === 0) this.#die(value)
    const count = (this.#count?.value() ?? 0) + 1
    this.#count?.update(count)
    out.collect(`${value} ${key} ${count} ${mapped} ${threadId} ${start}`)
  }

  /** Once at each multiple of `at`, in the ways that were named, in turn. */
  #die(value: number): void {
    if (!firstEver(this.#directory, `value-${value}`)) return
    die(this.#deaths[(value / this.#at - 1) % this.#deaths.length] ?? 'none')
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

/** Dies when this thread passes a joint for the nth time: the worker alone, or (`kill`) the whole process. Once in all. */
function dieAtJoint(directory: string, how: 'exit' | 'kill', joint: string, nth: number): void {
  let passes = 0
  subscribe('millrace:joint', (message) => {
    if ((message as JointMessage).name !== joint || ++passes !== nth || !firstEver(directory, `${how}-${joint}`)) return
    if (how === 'kill') process.kill(process.pid, 'SIGKILL')
    else process.exit(7)
  })
}

const job: JobDefinition = defineJob('threads', async (env, params) => {
  const directory = params.required('directory')
  const deaths = params.get('deaths', '').split(',').filter(Boolean) as Death[]
  const [at, count] = [params.get('at', 0), params.get('count', 20_000)]
  for (const rule of params.get('joints', '').split(',')) {
    const [how, joint = '', nth = '1'] = rule.split(':')
    if (how === 'kill' || (how === 'exit' && threadId !== 0)) dieAtJoint(directory, how, joint, Number(nth))
  }
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
    .process(new RunningCount(directory, deaths, at))
    .uid('count')
    .sinkTo(fileSink(directory))
    .uid('out')
})

export default job
