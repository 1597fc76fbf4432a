/**
 * The job that worker threads import in these tests: numbers, a function that can go wrong in every way in which a thread can
 * die (once in the life of the job, at a given number), and a transactional sink of files.
 */
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { defineJob, type JobDefinition } from 'millrace'
import { fileSink } from './file-sink.ts'

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
    .map((value) => {
      if (value === at && death !== 'none' && firstEver(directory, death)) die(death)
      return `${value} ${threadId} ${start}`
    })
    .name(name)
    .uid('tag')
    .sinkTo(fileSink(directory))
    .uid('out')
})

export default job
