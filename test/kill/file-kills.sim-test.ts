/**
 * A job without Kafka, of a source, operators and a sink of the tests' own, in processes and threads that die in earnest: the
 * same deaths as those of keyed-kills.kafka-test.ts. Each record of the output says how many of its key there were, so that
 * anything lost or repeated shows. MILLRACE_LONG=1 is a hundred of each, and keeps its report.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { JOINTS, SeededRandom } from '../../src/base/index.ts'
import {
  DEATHS,
  type Death,
  FINAL_DEATHS,
  keepReport,
  killProcess,
  killWorkers,
  QUICK,
  THREAD_SETTINGS,
} from './deaths.ts'
import { FILE_KEYS, FileWorld, SPLITS } from './file-world.ts'
import { JobScene } from './job-scene.ts'
import { JointCounts } from './joint-counts.ts'

const LONG = process.env.MILLRACE_LONG === '1'
/** So many that a life cannot come to their end while a checkpoint takes seconds: see `slowly`. */
const RECORDS = LONG ? 600_000 : 60_000
const RECORDS_PER_CHECKPOINT = LONG ? 100 : 30
const FEW: readonly Death[] = [
  { joint: 'flushed', nth: 3 },
  { joint: 'completed-written', nth: 2 },
  { joint: 'transaction-ended', nth: 1 },
  { joint: 'sweep', nth: 2 },
]
const KILLS = LONG ? 100 : FEW.length + FINAL_DEATHS.length
const WORKER_KILLS = LONG ? 100 : 5
const SEED = Number(process.env.MILLRACE_SEED ?? Date.now() % 1_000_000)

describe('a job without Kafka on two threads', { timeout: LONG ? 1_800_000 : 900_000 }, () => {
  it('whose process is killed at joints and at random counts exactly', async (t) => {
    t.diagnostic(`MILLRACE_SEED=${SEED}`)
    const counts = new JointCounts()
    const { scene, world } = sceneOf(counts)
    try {
      await killProcess(scene, KILLS, new SeededRandom(SEED), LONG ? DEATHS : FEW)
      await scene.finish(QUICK)
      assertExact(world)
    } finally {
      scene.close()
    }
    if (LONG) counts.assertAtLeast(JOINTS, 1)
    const lines = counts.lines([...JOINTS, 'random'])
    if (LONG)
      keepReport(
        'file-kills-long',
        `${KILLS} SIGKILLs of the process of a job without Kafka, of four subtasks on two threads, ${RECORDS} records, seed ${SEED}`,
        lines,
      )
    t.diagnostic(lines.join(', '))
  })

  it('whose worker threads die in every way goes on in its process and counts exactly', async (t) => {
    const { scene, world } = sceneOf()
    try {
      const lines = await killWorkers(scene, WORKER_KILLS, LONG ? 900_000 : 600_000)
      assertExact(world)
      if (LONG)
        keepReport(
          'file-worker-deaths-long',
          `${WORKER_KILLS} deaths of worker threads in one process of a job without Kafka, of four subtasks on two threads, ${RECORDS} records`,
          lines,
        )
      t.diagnostic(lines.join(', '))
    } finally {
      scene.close()
    }
  })
})

function sceneOf(counts?: JointCounts): { readonly scene: JobScene; readonly world: FileWorld } {
  const scene = new JobScene({
    jobFile: fileURLToPath(new URL('./file-job.ts', import.meta.url)),
    jobName: 'file-job',
    counts,
    parallelism: 4,
    threads: 2,
    configuration: THREAD_SETTINGS,
    parameters: { records: RECORDS, 'records-per-checkpoint': RECORDS_PER_CHECKPOINT },
  })
  return { scene, world: new FileWorld(join(scene.root, 'world')) }
}

function assertExact(world: FileWorld): void {
  assert.deepEqual(world.open(), [], 'no transaction is left open')
  const seen = new Uint8Array(RECORDS)
  const workers = new Map<number, number>()
  for (const line of world.committed()) {
    const { id, count, worker }: { id: number; count: number; worker: number } = JSON.parse(line)
    assert.equal(count, Math.floor(id / FILE_KEYS) + 1, `the count of record ${id}`)
    seen[id] = (seen[id] ?? 0) + 1
    workers.set(worker, (workers.get(worker) ?? 0) + 1)
  }
  const wrong = [...seen.entries()].filter(([, times]) => times !== 1)
  assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} records are not there once`)
  assert.deepEqual(
    world.positions(),
    Array.from({ length: SPLITS }, () => RECORDS / SPLITS),
  )
  assert.deepEqual([...workers.keys()].sort(), [0, 1], 'every worker counted records, and nobody else')
}
