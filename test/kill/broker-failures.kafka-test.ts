/**
 * The brokers fail instead of the job: one is killed and started again while the job runs, and transactions are expired by
 * it while the job is down. What can be repeated is repeated exactly; what cannot is a failure that names what was lost.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { KafkaServer } from '../../src/testing/index.ts'
import { describeEnd } from './job-process.ts'
import { createInput, KillScene, type KillSceneOptions } from './kill-scene.ts'
import type { JointPass } from './killer-plan.ts'

const LONG = process.env.MILLRACE_LONG === '1'
const MANY = LONG ? 500_000 : 100_000
const FEW = 30_000
const BROKER_KILLS = 3
/** Longer than a slow machine takes from the first record to the end of a transaction, with a start of the process in between. */
const TRANSACTION_TIMEOUT_MS = 25_000

for (const transactionVersion of [1, 2] as const) {
  describe(`transaction version ${transactionVersion}`, { timeout: LONG ? 1_800_000 : 900_000 }, () => {
    let server: KafkaServer
    let scenes = 0
    before(async () => {
      server = await KafkaServer.start({ transactionVersion })
      await createInput(server, 'many', MANY)
      await createInput(server, 'few', FEW)
    })
    after(() => server.close())

    it('a broker killed and started again three times while the job runs', async (t) => {
      await withScene({ input: 'many', records: MANY, recordsPerCheckpoint: LONG ? 5_000 : 50 }, async (scene) => {
        const life = scene.start({ configuration: { 'restart-strategy.fixed-delay.attempts': 100 }, lifeMs: 600_000 })
        let least = 0
        for (let kills = 0; kills < BROKER_KILLS; kills++) {
          least = completed(life.passes()) + (LONG ? 20 : 3)
          await life.reach((passes) => completed(passes) >= least)
          await server.nodes[0]?.kill()
          await sleep(300)
          await server.nodes[0]?.start()
        }
        if (!LONG) life.hurry()
        const end = await life.ended
        assert.equal(end.code, 0, describeEnd(end))
        const attempts = scene.log().filter((entry) => entry.kind === 'attempt').length
        t.diagnostic(`${completed(end.passes)} checkpoints, ${attempts} attempts`)
        await scene.assertExact()
      })
    })

    // They mostly wait for the brokers, and share nothing.
    describe('transactions that expire', { concurrency: 3 }, () => {
      it('transactions expired while the job was down, none of them committed: the job goes back one checkpoint', async () => {
        await withExpiry(async (scene) => {
          await scene.dieAt('completed-written', 3)
          await expiry(scene)
          const end = await scene.finish()
          assert.match(end.stderr, /checkpoint is void/)
          assert.deepEqual(kinds(scene, 'void'), [3])
          await scene.assertExact()
        })
      })

      it('transactions expired after one of their checkpoint was committed: the job stops and says what is lost', async () => {
        await withExpiry(async (scene) => {
          await scene.dieAt('completed-written', 3)
          const { passes } = await scene.dieAt('transaction-ended', 1)
          const ended = String(passes.find((pass) => pass.joint === 'transaction-ended')?.detail.transactionalId)
          await expiry(scene)
          const before = await scene.compare()
          const says = ['[TRANSACTIONS_LOST]', 'checkpoint 3', `${scene.name}-1-`, scene.output, 'on-lost-transactions']
          // Again and again the same: a supervisor does not make it go away.
          const { stderr } = await scene.failsWith(1, says)
          await scene.failsWith(1, says)
          assert(!stderr.includes(ended), 'the one that was committed is not among the lost ones')
          assert.deepEqual(await scene.compare(), before, 'nothing more was written')
          const lost = Number(/(\d+) records to out-/.exec(stderr)?.[1])
          await scene.finish({ configuration: { 'millrace.recovery.on-lost-transactions': 'continue' } })
          const { missing, doubled, disorder } = await scene.compare()
          assert.deepEqual({ missing: missing.length, doubled, disorder }, { missing: lost, doubled: [], disorder: [] })
          assert(lost > 0)
        })
      })

      it('transactions expired while the process slept: awake, it says so and repeats them exactly', async () => {
        await withExpiry(async (scene) => {
          const life = scene.start({ rules: [{ joint: 'completed-written', nth: 3, action: 'stop' }] })
          assert(await life.stopped())
          await expiry(scene)
          life.kill('SIGCONT')
          const end = await life.ended
          assert.match(
            end.stderr,
            /ended by somebody else or by its time limit|was aborted before it could be committed/,
          )
          if (end.code !== 0) await scene.finish()
          assert.deepEqual(kinds(scene, 'void'), [3])
          await scene.assertExact()
        })
      })
    })

    function withExpiry(play: (scene: KillScene) => Promise<void>): Promise<void> {
      const naming = scenes % 2 === 0 ? 'INCREMENTING' : 'POOLING'
      const parameters = { 'transaction-timeout-ms': TRANSACTION_TIMEOUT_MS, naming }
      return withScene({ input: 'few', records: FEW, recordsPerCheckpoint: 50, parameters }, play)
    }

    async function withScene(
      options: Omit<KillSceneOptions, 'server' | 'name'>,
      play: (scene: KillScene) => Promise<void>,
    ): Promise<void> {
      const scene = await KillScene.create({ server, name: `broker-${++scenes}`, ...options })
      try {
        await play(scene)
      } finally {
        scene.close()
      }
    }
  })
}

describe('the cluster goes from transaction version 1 to 2', { timeout: 900_000 }, () => {
  let server: KafkaServer
  before(async () => {
    server = await KafkaServer.start({ transactionVersion: 1 })
    await createInput(server, 'few', FEW)
  })
  after(() => server.close())

  it('while one job runs and another is down with a checkpoint to commit: both are exact', async () => {
    const options = { server, input: 'few', records: FEW, recordsPerCheckpoint: 50 }
    const [down, running] = await Promise.all([
      KillScene.create({ ...options, name: 'down' }),
      KillScene.create({ ...options, name: 'running' }),
    ])
    try {
      await down.dieAt('completed-written', 3)
      const life = running.start()
      await life.reach((passes) => completed(passes) >= 3)
      await server.setFeature('transaction.version', 2)
      const raised = completed(life.passes())
      await life.reach((passes) => completed(passes) > raised + 2)
      life.hurry()
      const end = await life.ended
      assert.equal(end.code, 0, describeEnd(end))
      await running.assertExact()
      await down.dieAt('completed-written', 3)
      await down.finish()
      assert.deepEqual(kinds(down, 'void'), [])
      await down.assertExact()
    } finally {
      down.close()
      running.close()
    }
  })
})

/** Waits until the broker has given up every transaction of the scene. */
async function expiry(scene: KillScene): Promise<void> {
  assert.notEqual((await scene.openTransactions()).length, 0, 'there is something to expire')
  await scene.assertNothingOpen(6 * TRANSACTION_TIMEOUT_MS)
}

function completed(passes: readonly JointPass[]): number {
  return passes.filter((pass) => pass.joint === 'completed-written').length
}

/** The checkpoints of the records of one kind in the log. */
function kinds(scene: KillScene, kind: string): unknown[] {
  return scene
    .log()
    .filter((entry) => entry.kind === kind)
    .map((entry) => entry.record.checkpoint)
}
