/** A whole job on one thread whose parts fail at awkward moments: it ends with the right error, at once, and leaves nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage, MillraceError, type Network, SeededRandom, silentLogger } from '../base/index.ts'
import { Configuration, type JobGraph, type SourceReader, type SplitEnumerator } from '../core/index.ts'
import { SimulatedClock } from '../testing/index.ts'
import { type JobExecution, type RunOptions, runJobGraph } from './job-execution.ts'

const network: Network = { connect: () => Promise.reject(new Error('no network')) }
const JSON_BYTES = {
  version: 1,
  serialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  deserialize: (_version: number, bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()),
}

interface Parts {
  readonly createReader?: (subtask: number) => SourceReader<unknown>
  readonly createEnumerator?: () => SplitEnumerator<unknown>
}

/** A reader that never has anything. */
function idleReader(changes: Partial<SourceReader<unknown>> = {}): SourceReader<unknown> {
  return {
    addSplits: () => undefined,
    noMoreSplits: () => undefined,
    poll: () => 'waiting',
    available: () => new Promise(() => undefined),
    snapshotState: () => [],
    close: async () => undefined,
    ...changes,
  }
}

function idleEnumerator(changes: Partial<SplitEnumerator<unknown>> = {}): SplitEnumerator<unknown> {
  return { start: async () => undefined, snapshotState: () => null, close: async () => undefined, ...changes }
}

function graphOf(...sources: readonly Parts[]): JobGraph {
  const nodes = sources.map(({ createReader, createEnumerator }, id) => ({
    id,
    kind: 'source',
    uid: `in-${id}`,
    name: `in-${id}`,
    parallelism: 2,
    maxParallelism: 2,
    inputs: [],
    chaining: 'always',
    watermarks: {},
    source: {
      boundedness: 'bounded',
      splitSerializer: JSON_BYTES,
      enumeratorStateSerializer: JSON_BYTES,
      createReader: ({ subtask }: { subtask: number }) => createReader?.(subtask) ?? idleReader(),
      createEnumerator: () => createEnumerator?.() ?? idleEnumerator(),
    },
  }))
  return { jobName: 'job', nodes } as unknown as JobGraph
}

function run(graph: JobGraph, options: Partial<RunOptions> = {}): { job: JobExecution; clock: SimulatedClock } {
  const clock = new SimulatedClock()
  const job = runJobGraph(graph, {
    configuration: new Configuration({ 'execution.checkpointing.interval': 100 }),
    ports: { clock, random: new SeededRandom(1), network, logger: silentLogger },
    ...options,
  })
  return { job, clock }
}

async function ends(job: JobExecution, clock: SimulatedClock, ms: number): Promise<string> {
  let end = 'running'
  job.result().then(
    ({ outcome }) => {
      end = outcome
    },
    (error: unknown) => {
      end = error instanceof Error ? error.message : String(error)
    },
  )
  await clock.pass(ms)
  for (let turns = 0; turns < 30; turns++) await clock.nextTurn()
  return end
}

const BROKEN = (): never => {
  throw new Error('broken')
}

test('a part that cannot even be made fails the job at once: nothing waits for a task that never was', async () => {
  const closed: number[] = []
  const createReader = (subtask: number): SourceReader<unknown> =>
    subtask === 1 ? BROKEN() : idleReader({ close: async () => void closed.push(subtask) })
  const { job, clock } = run(graphOf({ createReader }))
  assert.equal(await ends(job, clock, 10), 'broken')
  assert.deepEqual(closed, [0], 'the task that was made is closed')
  assert.equal(clock.pendingTimers, 0)
})

test('an enumerator that cannot be made, or fails at its start, fails the job with its own error', async () => {
  for (const createEnumerator of [BROKEN, () => idleEnumerator({ start: async () => BROKEN() })]) {
    const { job, clock } = run(graphOf({ createEnumerator }))
    assert.equal(await ends(job, clock, 10), 'broken')
    assert.equal(job.status(), 'failed')
    assert.equal(clock.pendingTimers, 0)
  }
})

test('when a task fails while an enumerator starts, it is told to end, is closed, and no other one is started', async () => {
  const journal: string[] = []
  let fail: (error: Error) => void = () => undefined
  const createReader = (subtask: number): SourceReader<unknown> =>
    idleReader(subtask === 1 ? { available: () => new Promise((_, reject) => (fail = reject)) } : {})
  const first = (): SplitEnumerator<unknown> =>
    idleEnumerator({
      start: (signal) =>
        new Promise((resolve) => {
          journal.push('start first')
          // It ends in order, although it was told to break off.
          signal.addEventListener('abort', () => {
            journal.push('told')
            resolve()
          })
        }),
      close: async () => void journal.push('close first'),
    })
  const second = (): SplitEnumerator<unknown> => {
    journal.push('second was made')
    return idleEnumerator()
  }
  const { job, clock } = run(graphOf({ createReader, createEnumerator: first }, { createEnumerator: second }))
  await clock.pass(1)
  for (let turns = 0; turns < 30; turns++) await clock.nextTurn()
  fail(new Error('broken'))
  assert.equal(await ends(job, clock, 10), 'broken')
  assert.deepEqual(journal, ['start first', 'told', 'close first'])
})

test('a task that fails while another still opens: nothing is started for the sake of what is over', async () => {
  let opened: () => void = () => undefined
  const journal: string[] = []
  const createReader = (subtask: number): SourceReader<unknown> =>
    subtask === 0
      ? idleReader({ poll: BROKEN })
      : idleReader({
          open: () => new Promise((resolve) => (opened = resolve)),
          close: async () => void journal.push('closed'),
        })
  const createEnumerator = (): SplitEnumerator<unknown> => {
    journal.push('an enumerator was made')
    return idleEnumerator()
  }
  const { job, clock } = run(graphOf({ createReader, createEnumerator }))
  assert.equal(await ends(job, clock, 10), 'running', 'the other one must be over first')
  opened()
  assert.equal(await ends(job, clock, 10), 'broken')
  assert.deepEqual(journal, ['closed'])
})

test('tasks or enumerators that do not end are told by name after the bound, and the job does not restart', async () => {
  const forever = (): Promise<void> => new Promise(() => undefined)
  for (const [parts, who] of [
    [
      { createReader: (subtask: number) => idleReader({ poll: BROKEN, ...(subtask === 1 ? { close: forever } : {}) }) },
      /tasks 0-1 did not end within 30 s/,
    ],
    [
      { createReader: () => idleReader({ poll: BROKEN }), createEnumerator: () => idleEnumerator({ close: forever }) },
      /an enumerator did not end within 30 s/,
    ],
  ] as const) {
    const { job, clock } = run(graphOf(parts))
    assert.equal(await ends(job, clock, 29_000), 'running')
    assert.match(await ends(job, clock, 2_000), who)
    assert.equal(job.figures().restarts, 0)
    await assert.rejects(job.result(), (error) => MillraceError.is(error) && error.code === 'TASKS_LINGER')
  }
})

test('a record that is on its way when a task fails arrives before the next attempt begins', async () => {
  const storage = new MemoryStorage()
  const put = storage.putIfAbsent.bind(storage)
  let arrive: () => void = () => undefined
  storage.putIfAbsent = async (path, bytes) => {
    if (path.endsWith('2')) await new Promise<void>((resolve) => (arrive = resolve))
    return put(path, bytes)
  }
  let fail: (error: Error) => void = () => undefined
  const createReader = (): SourceReader<unknown> =>
    idleReader({ available: () => new Promise((_, reject) => (fail = reject)) })
  const { job, clock } = run(graphOf({ createReader }), { storage })
  assert.equal(await ends(job, clock, 150), 'running')
  fail(new Error('broken'))
  assert.equal(await ends(job, clock, 20_000), 'running')
  assert.equal(job.status(), 'running', 'nobody knows yet what the log says')
  assert.deepEqual(await storage.list('log'), ['0000000001'])
  arrive()
  assert.equal(await ends(job, clock, 2_000), 'running')
  assert.equal(job.figures().restarts, 1)
  assert.deepEqual((await storage.list('log')).slice(0, 3), ['0000000001', '0000000002', '0000000003'])
  const kinds = await Promise.all(
    [2, 3].map(
      async (number) =>
        JSON.parse((await storage.read(`log/000000000${number}`))?.toString().split('\n')[0] ?? '').record.kind,
    ),
  )
  assert.deepEqual(kinds, ['completed', 'attempt'])
  await Promise.all([job.cancel(), clock.pass(100)])
})

test('stopped before it runs, a job stops without a checkpoint; stopped after its end, its status stays', async () => {
  const { job, clock } = run(graphOf({}))
  const stopped = job.stop()
  assert.equal(job.status(), 'stopping')
  assert.equal(await ends(job, clock, 10), 'stopped')
  await stopped
  assert.equal(job.figures().checkpoints.completed, 0)
  await job.stop()
  assert.equal(job.status(), 'stopped')
})

test('an aborted signal cancels before anything was touched, with its reason; a text as reason too', async () => {
  for (const reason of [new Error('too late'), 'too late']) {
    const storage = new MemoryStorage()
    const { job, clock } = run(graphOf({}), { storage, signal: AbortSignal.abort(reason) })
    assert.equal(await ends(job, clock, 10), 'too late')
    assert.equal(job.status(), 'cancelled')
    assert.deepEqual(await storage.list(''), [])
  }
})

test('a second process on the same storage is refused, and takes nothing away from the first', async () => {
  const storage = new MemoryStorage()
  const { job, clock } = run(graphOf({}), { storage })
  await clock.pass(10)
  const second = run(graphOf({}), { storage })
  assert.match(await ends(second.job, second.clock, 10), /is running already on this machine/)
  assert.equal(await storage.lock('lock.sock'), undefined, 'the lock is still held')
  await Promise.all([job.cancel(), clock.pass(100)])
  assert.equal(job.status(), 'cancelled')
  const lock = await storage.lock('lock.sock')
  assert.notEqual(lock, undefined)
})

test('an ended job leaves no listener on the signal', async () => {
  const { signal } = new AbortController()
  let listeners = 0
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
  signal.addEventListener = (...args: Parameters<typeof add>): void => {
    listeners++
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>): void => {
    listeners--
    remove(...args)
  }
  const { job, clock } = run(graphOf({ createEnumerator: BROKEN }), { signal })
  assert.equal(await ends(job, clock, 10), 'broken')
  assert.equal(listeners, 0)
})
