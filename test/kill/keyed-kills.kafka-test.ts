/**
 * A keyed job of four subtasks on two worker threads over Apache Kafka: its process is killed with SIGKILL at every joint and
 * at random, and its worker threads die in every way a thread can (memory used up, ended by the job's code, an exception out of
 * a timer, a loop for ever) at joints of their own and of the main thread. Each record of the output says how many of its key
 * there were, so that one record or one piece of state lost or repeated shows in every record behind it.
 * MILLRACE_LONG=1 is a hundred of each, and keeps its report.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { JOINTS, SeededRandom } from '../../src/base/index.ts'
import { KafkaServer } from '../../src/testing/index.ts'
import { DEATHS, FINAL_DEATHS, keepReport, killProcess, killWorkers, QUICK, THREAD_SETTINGS } from './deaths.ts'
import { JointCounts } from './joint-counts.ts'
import { createInput, KEYS, KillScene } from './kill-scene.ts'

const LONG = process.env.MILLRACE_LONG === '1'
const RECORDS = LONG ? 600_000 : 200_000
const RECORDS_PER_CHECKPOINT = 100
const KILLS = LONG ? 100 : DEATHS.length + FINAL_DEATHS.length
const WORKER_KILLS = LONG ? 100 : 12
const SEED = Number(process.env.MILLRACE_SEED ?? Date.now() % 1_000_000)

describe('a keyed job on two threads', { timeout: LONG ? 1_800_000 : 900_000 }, () => {
  const counts = new JointCounts()
  let server: KafkaServer
  before(async () => {
    server = await KafkaServer.start()
    await createInput(server, 'in', RECORDS)
  })
  after(() => server.close())

  it('whose process is killed at every joint and at random counts exactly', async (t) => {
    t.diagnostic(`MILLRACE_SEED=${SEED}`)
    const random = new SeededRandom(SEED)
    const { scene, workers } = await sceneOf('killed')
    const beganMs = performance.now()
    try {
      await killProcess(scene, KILLS, random)
      await scene.finish(QUICK)
      await scene.assertExact()
    } finally {
      scene.close()
    }
    assertAllCounted(workers)
    counts.assertAtLeast(JOINTS, 1)
    const lines = counts.lines([...JOINTS, 'random'])
    if (LONG)
      keepReport(
        'keyed-kills-long',
        `${KILLS} SIGKILLs of the process of a keyed job over Kafka, of four subtasks on two threads, ${RECORDS} records, seed ${SEED}`,
        lines,
      )
    t.diagnostic(`${lines.join(', ')}; ${((performance.now() - beganMs) / 1_000).toFixed(1)} s`)
  })

  it('whose worker threads die in every way goes on in its process and counts exactly', async (t) => {
    const { scene, workers } = await sceneOf('threads')
    const beganMs = performance.now()
    try {
      const lines = await killWorkers(scene, WORKER_KILLS, LONG ? 900_000 : 600_000)
      await scene.assertExact()
      if (LONG)
        keepReport(
          'keyed-worker-deaths-long',
          `${WORKER_KILLS} deaths of worker threads in one process of a keyed job over Kafka, of four subtasks on two threads, ${RECORDS} records`,
          lines,
        )
      t.diagnostic(lines.join(', '))
    } finally {
      scene.close()
    }
    assertAllCounted(workers)
    t.diagnostic(`${WORKER_KILLS} deaths, ${((performance.now() - beganMs) / 1_000).toFixed(1)} s`)
  })

  /** A scene, and how many records each worker counted. */
  async function sceneOf(name: string): Promise<{ readonly scene: KillScene; readonly workers: Map<number, number> }> {
    const workers = new Map<number, number>()
    const scene = await KillScene.create({
      server,
      name,
      input: 'in',
      records: RECORDS,
      counts,
      parallelism: 4,
      threads: 2,
      recordsPerCheckpoint: RECORDS_PER_CHECKPOINT,
      parameters: { keyed: 'yes' },
      configuration: THREAD_SETTINGS,
      idOf: (value) => {
        const { id, count, worker }: { id: number; count: number; worker: number } = JSON.parse(value)
        workers.set(worker, (workers.get(worker) ?? 0) + 1)
        return count === Math.floor(id / KEYS) + 1 ? id : Number.NaN
      },
    })
    return { scene, workers }
  }
})

function assertAllCounted(workers: ReadonlyMap<number, number>): void {
  assert.deepEqual([...workers.keys()].sort(), [0, 1], 'every worker counted records, and nobody else')
  for (const [worker, records] of workers) assert(records > RECORDS / 10, `worker ${worker} counted only ${records}`)
}
