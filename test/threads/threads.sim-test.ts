/** A job without Kafka on real worker threads: it builds the same graph everywhere, and a thread that dies loses nothing. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type JobEvent, type JobExecutionResult, MillraceError, type RunJobOptions, runJob, startJob } from 'millrace'
import { silentLogger } from '../../src/base/index.ts'
import { assertExact, parsed } from './assert-exact.ts'
import { committedLines } from './file-sink.ts'
import job, { type Death } from './thread-job.fixture.ts'

const module = new URL('./thread-job.fixture.ts', import.meta.url)
/** For a job that hangs. */
const bounded = { timeout: 300_000 }
/** The most that a thread which is well may be kept from its event loop, on a machine that others use too. */
const PATIENT = '60 s'
/** Whoever waits for a thread in a loop waits so long. */
const IMPATIENT_MS = 3_000

interface Ran {
  readonly result: JobExecutionResult
  readonly events: readonly JobEvent[]
  readonly lines: readonly string[]
}

async function run(
  args: Record<string, string | number | boolean>,
  options: Partial<RunJobOptions> = {},
  configure: Record<string, string> = {},
): Promise<Ran> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-threads-'))
  const events: JobEvent[] = []
  try {
    const result = await runJob(job, {
      module,
      threads: 2,
      parallelism: 4,
      storage: 'memory',
      args: { directory, ...args },
      configuration: {
        'execution.checkpointing.interval': '50 ms',
        'restart-strategy.type': 'fixed-delay',
        'restart-strategy.fixed-delay.attempts': 3,
        'restart-strategy.fixed-delay.delay': '10 ms',
        'millrace.worker.watchdog-timeout': PATIENT,
        'millrace.worker.heap-size': '96mb',
        ...configure,
      },
      ports: { logger: silentLogger },
      onEvent: (event) => events.push(event),
      ...options,
    })
    return { result, events, lines: committedLines(directory) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

test(
  'the subtasks of a job run on its worker threads, and env.once was computed on the main thread',
  bounded,
  async () => {
    const { result, lines } = await run({})
    assertExact(lines, 20_000)
    assert.equal(result.recordsIn, 20_000)
    assert.equal(result.recordsOut, 20_000)
    const all = lines.map(parsed)
    const counted = new Set(all.map((line) => line.counted))
    assert.equal(counted.size, 2, 'every worker counted')
    assert.deepEqual(counted, new Set(all.map((line) => line.mapped)), 'every worker read')
    assert.ok(!counted.has('0'), 'nothing of the job runs on the main thread')
    assert.ok(
      all.some((line) => line.counted !== line.mapped),
      'records changed threads',
    )
    assert.deepEqual([...new Set(all.map(({ start }) => start))], ['main 0'])
  },
)

test('without threads the same job runs on the thread of the caller', bounded, async () => {
  const { lines } = await run({}, { threads: 0 })
  assertExact(lines, 20_000)
  assert.deepEqual([...new Set(lines.map((line) => parsed(line).counted))], ['0'])
})

const deaths: readonly [Death, why: RegExp][] = [
  ['throw', /the function throws/],
  ['exit', /worker thread \d died: it ended with exit code 7 \(subtasks on it: (\d-\d,? ?){4}\)/],
  ['uncaught', /worker thread \d died: nobody caught what it threw, "nobody catches this"/],
  ['rejection', /worker thread \d died: nobody caught what it threw, "nobody handles this"/],
  ['memory', /worker thread \d died: its memory is used up/],
  ['loop', new RegExp(`worker thread \\d died: it has not answered for ${IMPATIENT_MS} ms`)],
]
for (const [death, why] of deaths) {
  test(
    `a thread that dies by ${death} is a failure of its tasks: the job restarts and its output is exact`,
    bounded,
    async () => {
      const watchdog = death === 'loop' ? `${IMPATIENT_MS} ms` : PATIENT
      const { lines, events } = await run(
        { deaths: death, at: 11_000 },
        {},
        { 'millrace.worker.watchdog-timeout': watchdog },
      )
      assertExact(lines, 20_000)
      const failures = events.filter((event) => event.status === 'restarting')
      // The watchdog that finds a loop may find a thread that the machine kept waiting as well: for the same reason.
      if (death === 'loop') assert.ok(failures.length >= 1)
      else assert.equal(failures.length, 1)
      for (const { error } of failures) {
        assert.match([error, error?.cause].map((one) => String(one)).join(' '), why)
        if (death !== 'throw') assert.ok(MillraceError.is(error) && error.code === 'WORKER_DIED')
      }
    },
  )
}

test('a thread that dies as it passes a joint of the protocol loses and repeats nothing', bounded, async () => {
  for (const [joint, nth] of [
    ['barrier-sent', 5],
    ['flushed', 3],
    ['transaction-ended', 3],
  ] as const) {
    const root = mkdtempSync(join(tmpdir(), 'millrace-threads-'))
    const directory = join(root, 'out')
    const events: JobEvent[] = []
    const options = (args: Record<string, string | number>): RunJobOptions => ({
      module,
      threads: 2,
      parallelism: 4,
      args: { directory, ...args },
      configuration: {
        'execution.checkpointing.interval': '50 ms',
        'execution.checkpointing.dir': join(root, 'checkpoints'),
        'restart-strategy.type': 'fixed-delay',
        'restart-strategy.fixed-delay.attempts': 3,
        'restart-strategy.fixed-delay.delay': '10 ms',
      },
      ports: { logger: silentLogger },
      onEvent: (event) => events.push(event),
    })
    try {
      // It has input until the thread has died, however long that takes.
      const client = await startJob(job, options({ joints: `exit:${joint}:${nth}`, seconds: 60 }))
      const restarted = (): boolean => client.figures().restarts > 0 && client.status() === 'running'
      while (!restarted()) {
        assert.ok(!['finished', 'failed'].includes(client.status()), `${client.status()} before a death at ${joint}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await client.stop()
      assert.equal((await client.result()).outcome, 'stopped')
      assert.equal((await runJob(job, options({ seconds: 0.4 }))).outcome, 'finished')
      assertExact(committedLines(directory), 20_000)
      assert.equal(events.filter((event) => event.status === 'restarting').length, 1, joint)
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  }
})

test(
  'threads that die again and again, with several checkpoints under way, lose and repeat nothing',
  bounded,
  async () => {
    const { lines, events } = await run(
      { deaths: 'exit,throw,uncaught,rejection', at: 2_500 },
      {},
      {
        'execution.checkpointing.interval': '10 ms',
        'execution.checkpointing.max-concurrent-checkpoints': '3',
        'restart-strategy.fixed-delay.attempts': '20',
      },
    )
    assertExact(lines, 20_000)
    assert.ok(events.filter((event) => event.status === 'restarting').length >= 4)
  },
)

test(
  'a module that runs the job that it defines is refused on its workers, and starts no workers of workers',
  bounded,
  async () => {
    const path = fileURLToPath(new URL('./runs-itself.fixture.ts', import.meta.url))
    const child = spawn(process.execPath, ['--conditions=millrace-source', path], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr.on('data', (bytes) => {
      said += bytes
    })
    const [code] = await once(child, 'close')
    assert.equal(code, 1)
    assert.match(said, /job "runs-itself" is run by the module that its worker threads import/)
  },
)

test(
  'a job that builds another graph on a worker does not start, and the first difference is named',
  bounded,
  async () => {
    await assert.rejects(run({ unstable: true }), (error) => {
      assert.ok(MillraceError.is(error))
      assert.equal(error.code, 'JOB_FILE_INVALID')
      assert.match(
        error.message,
        /nodes\[1\]\.name of operator "tag" \(uid tag\) is "tag" on the main thread and "other" on worker thread [01]/,
      )
      assert.match(error.next, /env\.once/)
      return true
    })
  },
)
