/** Jobs from end to end on the caller's thread: what they read, write, answer and refuse. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MillraceError, silentLogger } from '../base/index.ts'
import { defineJob, isJobDefinition } from './job-definition.ts'
import { buildJob, runJob, startJob } from './run-job.ts'
import { StreamExecutionEnvironment } from './stream-execution-environment.ts'

/** For a job that hangs. */
const bounded = { timeout: 100_000 }

function environment(configuration: Readonly<Record<string, string | number>> = {}): StreamExecutionEnvironment {
  return new StreamExecutionEnvironment({ configuration, ports: { logger: silentLogger } })
}

async function collect<T>(results: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const element of results) all.push(element)
  return all
}

const sorted = (values: readonly number[]): number[] => [...values].sort((left, right) => left - right)
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

test('a bounded stream goes through its operators in order and ends', bounded, async () => {
  const env = environment()
  const results = await collect(
    env
      .fromData([1, 2, 3, 4])
      .filter((value) => value % 2 === 0)
      .map((value) => value * 10)
      .flatMap((value) => [value, value + 1])
      .executeAndCollect(),
  )
  assert.deepEqual(results, [20, 21, 40, 41])
})

test('with several subtasks each element comes exactly once', bounded, async () => {
  const env = environment({ 'parallelism.default': 3 })
  const results = await collect(env.fromGenerator((index) => index, { count: 10_000 }).executeAndCollect())
  assert.deepEqual(sorted(results), upTo(10_000))
})

test('the result counts what was read and written', bounded, async () => {
  const env = environment()
  const written: number[] = []
  env
    .fromData([1, 2, 3])
    .map((value) => {
      written.push(value)
      return value
    })
    .filter(() => false)
    .print()
  const result = await env.execute('counted')
  assert.deepEqual(written, [1, 2, 3])
  assert.equal(result.jobName, 'counted')
  assert.equal(result.recordsIn, 3)
  assert.equal(result.recordsOut, 0)
})

test('an environment is empty after execution and builds the next job', bounded, async () => {
  const env = environment()
  assert.deepEqual(await collect(env.fromData([1]).executeAndCollect('first')), [1])
  assert.deepEqual(await collect(env.fromData([2]).executeAndCollect('second')), [2])
})

test('a job that fails rejects with the failure, and a loop over its results throws it', bounded, async () => {
  const env = environment()
  const failing = env.fromData([1, 2]).map((value) => {
    if (value === 2) throw new Error('two is too much')
    return value
  })
  await assert.rejects(
    collect(failing.executeAndCollect()),
    (error) => MillraceError.is(error) && /two is too much/.test(`${error.message} ${String(error.cause)}`),
  )
})

test('without checkpoints, results that were handed over are never repeated by a restart', bounded, async () => {
  const env = environment({ 'restart-strategy.type': 'fixed-delay', 'restart-strategy.fixed-delay.delay': '5 ms' })
  const seen: number[] = []
  const stream = env
    .fromGenerator((index) => index, { count: 100, elementsPerSecond: 500 })
    .map((value) => {
      if (value === 20) throw new Error('at twenty')
      return value
    })
  await assert.rejects(
    async () => {
      for await (const value of stream.executeAndCollect()) seen.push(value)
    },
    (error) => MillraceError.is(error) && error.code === 'NOT_SUPPORTED' && /enableCheckpointing/.test(error.message),
  )
  assert.deepEqual(seen, upTo(20))
})

test('with checkpoints, results come exactly once although the job fails and restarts between', bounded, async () => {
  const env = environment({
    'execution.checkpointing.interval': '20 ms',
    'restart-strategy.type': 'fixed-delay',
    'restart-strategy.fixed-delay.attempts': 3,
    'restart-strategy.fixed-delay.delay': '10 ms',
    'parallelism.default': 2,
  })
  let failures = 0
  const results = await collect(
    env
      .fromGenerator((index) => index, { count: 400, elementsPerSecond: 2_000 })
      .map((value) => {
        if (value === 199 + failures * 50 && failures < 3) {
          failures++
          throw new Error('once in a while')
        }
        return value
      })
      .executeAndCollect(),
  )
  assert.equal(failures, 3)
  assert.deepEqual(sorted(results), upTo(400))
})

test('leaving the loop cancels the job', bounded, async () => {
  const env = environment()
  const seen: number[] = []
  let last = 0
  const stream = env.fromGenerator((index) => {
    last = index
    return index
  })
  for await (const value of stream.executeAndCollect()) {
    seen.push(value)
    if (seen.length === 5) break
  }
  const atEnd = last
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.deepEqual(seen, [0, 1, 2, 3, 4])
  assert.equal(last, atEnd)
})

test('a slow reader holds the job back instead of filling memory', bounded, async () => {
  const env = environment()
  let last = 0
  let whenRead = 0
  const stream = env.fromGenerator((index) => {
    last = index
    return index
  })
  for await (const value of stream.executeAndCollect()) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    // Behind the loop nothing holds the job back until it is cancelled.
    whenRead = last
    if (value === 3) break
  }
  assert.ok(whenRead < 4_000, `read ahead as far as ${whenRead}`)
})

test('an aborted signal cancels, and the result rejects with its reason as given', bounded, async () => {
  const env = environment()
  env
    .fromGenerator((index) => index)
    .filter(() => false)
    .print()
  const controller = new AbortController()
  const running = env.execute('forever', { signal: controller.signal })
  setTimeout(() => controller.abort('enough'), 20)
  await assert.rejects(running, (reason) => reason === 'enough')
})

test('disposing of a client cancels its job', bounded, async () => {
  const env = environment()
  env
    .fromGenerator((index) => index)
    .filter(() => false)
    .print()
  const client = await env.executeAsync('forever')
  await client[Symbol.asyncDispose]()
  assert.equal(client.status(), 'cancelled')
  await assert.rejects(client.result(), (error) => MillraceError.is(error) && error.code === 'CANCELLED')
})

test('a generator keeps its pace', bounded, async () => {
  const env = environment({ 'parallelism.default': 2 })
  const begin = performance.now()
  const results = await collect(
    env.fromGenerator((index) => index, { count: 50, elementsPerSecond: 200 }).executeAndCollect(),
  )
  const tookMs = performance.now() - begin
  assert.equal(results.length, 50)
  assert.ok(tookMs >= 200, `50 elements at 200 a second took ${tookMs} ms`)
})

test('a defined job is built with its parameters, runs under its name, and resumes as finished', bounded, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-job-'))
  try {
    const seen: string[] = []
    const job = defineJob('greetings', async (env, params) => {
      const greeting = params.get('greeting', 'hello')
      const year = await env.once('year', () => 2026)
      env
        .fromData(['a', 'b'])
        .map((name) => {
          seen.push(`${greeting} ${name} ${year}`)
          return name
        })
        .filter(() => false)
        .print()
    })
    assert.ok(isJobDefinition(job))
    const options = {
      args: ['--greeting', 'hi'],
      configuration: { 'execution.checkpointing.dir': directory },
      ports: { logger: silentLogger },
    }
    const result = await runJob(job, options)
    assert.equal(result.outcome, 'finished')
    assert.deepEqual(seen, ['hi a 2026', 'hi b 2026'])
    assert.deepEqual(await readdir(directory), ['greetings'])
    const again = await runJob(job, options)
    assert.equal(again.outcome, 'already-finished')
    assert.equal(seen.length, 2)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

test('a job that was stopped goes on with the next element when it is started again', bounded, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-job-'))
  try {
    const seen: number[] = []
    const job = defineJob('counting', (env, params) => {
      env
        .fromGenerator((index) => index, { count: 300, elementsPerSecond: params.get('rate', 10_000) })
        .map((value) => seen.push(value))
        .filter(() => false)
        .print()
    })
    const options = {
      parallelism: 2,
      configuration: { 'execution.checkpointing.dir': directory },
      ports: { logger: silentLogger },
    }
    // It goes on for seconds, and makes up for at most one of them when the machine was busy elsewhere.
    const client = await startJob(job, { ...options, args: { rate: 50 } })
    while (seen.length < 20) await new Promise((resolve) => setTimeout(resolve, 5))
    await client.stop()
    assert.ok(seen.length < 300, 'stopped before the end')
    await runJob(job, { ...options, parallelism: 1 })
    assert.deepEqual(sorted(seen), upTo(300))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

test('what is no job definition is refused saying what to write', bounded, async () => {
  await assert.rejects(
    runJob({ name: 'x', build: () => undefined }),
    (error) => MillraceError.is(error) && error.code === 'JOB_FILE_INVALID' && /export default/.test(error.message),
  )
})

test('a defined job that executes itself is refused', bounded, async () => {
  const job = defineJob('impatient', async (env) => {
    env.fromData([1]).print()
    await env.execute()
  })
  await assert.rejects(buildJob(job), (error) => MillraceError.is(error) && error.code === 'JOB_FILE_INVALID')
})
