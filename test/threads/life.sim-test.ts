/** A job on worker threads is stopped, cancelled and started again: it goes on where it was, and no thread is left behind. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type JobClient, type RunJobOptions, startJob } from 'millrace'
import { silentLogger } from '../../src/base/index.ts'
import { assertExact } from './assert-exact.ts'
import { committedLines } from './file-sink.ts'
import job from './thread-job.fixture.ts'

/** Four lives, each of which starts threads and writes to the disk. */
const bounded = { timeout: 300_000 }
const RECORDS = 20_000

/** `seconds`: how long the source takes at least; whoever ends a job before its end leaves it the time to be slow. */
function startIn(directory: string, seconds: number, options: Partial<RunJobOptions> = {}): Promise<JobClient> {
  return startJob(job, {
    module: new URL('./thread-job.fixture.ts', import.meta.url),
    threads: 2,
    parallelism: 4,
    args: { directory: join(directory, 'out'), count: RECORDS, seconds },
    configuration: {
      'execution.checkpointing.interval': '50 ms',
      'execution.checkpointing.dir': join(directory, 'checkpoints'),
    },
    ports: { logger: silentLogger },
    ...options,
  })
}

async function until(client: JobClient, records: number): Promise<void> {
  while (client.figures().checkpoints.completed < 3 || client.figures().recordsIn < records) {
    assert.ok(['recovering', 'running', 'created'].includes(client.status()), client.status())
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-life-'))
  try {
    await work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Handles that keep this process alive. */
function workers(): number {
  return process.getActiveResourcesInfo().filter((name) => /worker|messageport/i.test(name)).length
}

/** A port to a thread that is gone closes a turn of the event loop after the thread. */
async function noneLeft(before: number): Promise<void> {
  for (let turns = 0; workers() > before && turns < 100; turns++) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(workers(), before, 'no thread is left behind')
}

test('a stopped job and a cancelled one go on where they were, with other numbers of threads', bounded, () =>
  inDirectory(async (directory) => {
    const before = workers()
    const stopped = await startIn(directory, 60)
    await until(stopped, 200)
    assert.ok(workers() > before, 'threads are seen')
    await stopped.stop()
    assert.equal((await stopped.result()).outcome, 'stopped')
    await noneLeft(before)
    const written = committedLines(join(directory, 'out')).length
    assert.ok(written >= 200 && written < RECORDS, `${written} were written before the stop`)

    const cancelled = await startIn(directory, 60, { threads: 3 })
    await until(cancelled, 1)
    await cancelled.cancel()
    await assert.rejects(cancelled.result(), { code: 'CANCELLED' })
    await noneLeft(before)

    const last = await startIn(directory, 0.1, { threads: 1 })
    assert.equal((await last.result()).outcome, 'finished')
    assertExact(committedLines(join(directory, 'out')), RECORDS)
    const again = await startIn(directory, 0.1)
    assert.equal((await again.result()).outcome, 'already-finished')
  }),
)

test('figures and metrics of worker threads reach the caller', bounded, () =>
  inDirectory(async (directory) => {
    const client = await startIn(directory, 60)
    const read = () => [0, 1, 2, 3].map((subtask) => client.metrics().get(`in.${subtask}.numRecordsOut`) ?? 0)
    // Each thread tells its figures in its own time, and they may start seconds apart.
    while (!read().every((records) => records > 0) || client.figures().recordsOut === 0) {
      assert.ok(['recovering', 'running', 'created'].includes(client.status()), `${client.status()} with ${read()}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await client.stop()
    const first = await client.result()
    assert.equal(first.outcome, 'stopped')
    const rest = await (await startIn(directory, 0.1)).result()
    assert.equal(rest.outcome, 'finished')
    assert.deepEqual([first.recordsIn + rest.recordsIn, first.recordsOut + rest.recordsOut], [RECORDS, RECORDS])
  }),
)
