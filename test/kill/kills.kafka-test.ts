/**
 * A bounded exactly-once job is killed with SIGKILL at every joint of the protocol and at random, and started again by the
 * same command each time. Whatever the order of deaths, the output is the input. Under both transaction versions, because
 * a transaction is begun and ended differently in each. MILLRACE_LONG=1 runs the long form and keeps its report.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { JOINTS, SeededRandom } from '../../src/base/index.ts'
import { KafkaServer } from '../../src/testing/index.ts'
import { DEATHS, die, FINAL_DEATHS, QUICK } from './deaths.ts'
import { JointCounts } from './joint-counts.ts'
import { createInput, KillScene } from './kill-scene.ts'

const LONG = process.env.MILLRACE_LONG === '1'
const RECORDS = LONG ? 500_000 : 100_000
const ROUNDS = LONG ? 2 : 1
const RANDOM_KILLS = LONG ? 20 : 3
const RECORDS_PER_CHECKPOINT = LONG ? 5_000 : 60
const LEAST_CHECKPOINTS = 10
const SEED = Number(process.env.MILLRACE_SEED ?? Date.now() % 1_000_000)
const REPORT = fileURLToPath(new URL('../results/kills-long.log', import.meta.url))

const NAMINGS: readonly string[] = ['POOLING', 'INCREMENTING']

const report: string[] = []
const seconds = (sinceMs: number): string => `${((performance.now() - sinceMs) / 1_000).toFixed(1)} s`

for (const transactionVersion of [1, 2] as const) {
  describe(`transaction version ${transactionVersion}`, { timeout: LONG ? 1_800_000 : 900_000 }, () => {
    const counts = new JointCounts()
    let server: KafkaServer
    before(async () => {
      server = await KafkaServer.start({ transactionVersion })
      await createInput(server, 'in', RECORDS)
    })
    after(() => server.close())

    it('killed at every joint, a job that is started again copies its input exactly', async (t) => {
      const beganMs = performance.now()
      const scene = await sceneOf('joints', 'POOLING')
      try {
        for (let round = 0; round < ROUNDS; round++) for (const death of DEATHS) await die(scene, death)
        for (const death of FINAL_DEATHS) await die(scene, death, QUICK)
        await finishAndCheck(scene)
      } finally {
        scene.close()
      }
      t.diagnostic(`${counts.lines(JOINTS).join(', ')}; ${seconds(beganMs)}`)
    })

    for (const naming of LONG ? NAMINGS : [NAMINGS[transactionVersion - 1] ?? '']) {
      it(`killed at random, with ${naming} ids, a job copies its input exactly`, async (t) => {
        const beganMs = performance.now()
        t.diagnostic(`MILLRACE_SEED=${SEED}`)
        const random = new SeededRandom(SEED + transactionVersion)
        const scene = await sceneOf(`random-${naming.toLowerCase()}`, naming)
        let kills = 0
        try {
          while (kills < RANDOM_KILLS && (await scene.dieAtRandom(random))) kills++
          // Random lives may be short: one that certainly got on.
          await scene.dieAt('completed-written', LEAST_CHECKPOINTS)
          for (const death of FINAL_DEATHS) await die(scene, death, QUICK)
          await finishAndCheck(scene)
        } finally {
          scene.close()
        }
        assert(kills >= RANDOM_KILLS, `the job ended after ${kills} of ${RANDOM_KILLS} kills`)
        t.diagnostic(`${kills} kills, ${seconds(beganMs)}`)
      })
    }

    it('every joint was hit', () => {
      const lines = counts.lines([...JOINTS, 'random'])
      report.push(`transaction version ${transactionVersion}, ${RECORDS} records`, ...lines, '')
      counts.assertAtLeast(JOINTS, LONG ? 2 : 1)
    })

    function sceneOf(name: string, naming: string): Promise<KillScene> {
      return KillScene.create({
        ...{
          server,
          name,
          input: 'in',
          records: RECORDS,
          counts,
          recordsPerCheckpoint: RECORDS_PER_CHECKPOINT,
          parameters: { naming },
        },
        configuration: { 'execution.checkpointing.tolerable-failed-checkpoints': 3 },
      })
    }
  })
}

after(() => {
  if (!LONG) return
  mkdirSync(fileURLToPath(new URL('../results', import.meta.url)), { recursive: true })
  writeFileSync(
    REPORT,
    `Kills, the long form: how often the process was killed at each joint (seed ${SEED})\n\n${report.join('\n')}`,
  )
})

async function finishAndCheck(scene: KillScene): Promise<void> {
  await scene.finish()
  await scene.assertExact()
  const checkpoints = scene.passes.filter((pass) => pass.joint === 'completed-written').length
  assert(checkpoints >= LEAST_CHECKPOINTS, `only ${checkpoints} checkpoints completed`)
  assert.match((await scene.finish()).stderr, /finished before/)
  await scene.assertExact()
}
