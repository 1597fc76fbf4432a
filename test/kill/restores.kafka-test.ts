/**
 * Restores that must neither double nor lose: after checkpoints that failed or timed out, between two checkpoints whose
 * transactions have different ids, after a failure inside the process while a checkpoint is being completed, with a damaged
 * log, and from another directory than before.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { JointName } from '../../src/base/index.ts'
import { KafkaServer } from '../../src/testing/index.ts'
import { describeEnd } from './job-process.ts'
import { createInput, KillScene, type KillSceneOptions } from './kill-scene.ts'
import type { JointPass, KillerRule } from './killer-plan.ts'

const LONG = process.env.MILLRACE_LONG === '1'
const RECORDS = 30_000
const TOLERANT = { 'execution.checkpointing.tolerable-failed-checkpoints': 50 }

/** Where a function throws, as if by chance, and the process restarts the job by itself: three times in one life. */
const THROWS: readonly (readonly Omit<KillerRule, 'action'>[])[] = [
  [
    { joint: 'record-before-link', nth: 3 },
    { joint: 'completed-written', nth: 3 },
    { joint: 'flushed', nth: 9 },
  ],
  [
    { joint: 'record-linked', nth: 3 },
    { joint: 'barrier-sent', nth: 7 },
    { joint: 'transaction-ended', nth: 7 },
  ],
]

for (const transactionVersion of [1, 2] as const) {
  describe(`transaction version ${transactionVersion}`, { timeout: 900_000 }, () => {
    let server: KafkaServer
    let scenes = 0
    before(async () => {
      server = await KafkaServer.start({ transactionVersion })
      await createInput(server, 'in', RECORDS)
    })
    after(() => server.close())

    it('checkpoints that time out, then one that completes, then a kill', async () => {
      const configuration = { ...TOLERANT, 'execution.checkpointing.timeout': 5_000 }
      await withScene({ configuration }, async (scene) => {
        const life = scene.start({
          rules: [
            { joint: 'all-ended', nth: 2, action: 'stop' },
            { joint: 'completed-written', nth: 1, after: 'checkpoint-failed', action: 'kill' },
          ],
        })
        if (!(await life.stopped())) assert.fail(`it ended before its third barrier: ${describeEnd(await life.ended)}`)
        // What is written from here on is not acknowledged until long after the timeouts of the checkpoints that follow.
        const [node] = server.nodes
        const failedBefore = count(life.passes(), 'checkpoint-failed')
        const twoFailed = (passes: readonly JointPass[]): boolean =>
          count(passes, 'checkpoint-failed') >= failedBefore + 2
        node?.pause()
        try {
          life.kill('SIGCONT')
          for (;;) {
            await life.reach((passes) => twoFailed(passes) || isEnding(passes))
            if (twoFailed(life.passes())) break
            // One whose records had all been acknowledged already needs the broker for its commit alone, and waits for it. Once more.
            node?.resume()
            await life.reach((passes) => !isEnding(passes))
            node?.pause()
          }
        } finally {
          node?.resume()
        }
        const end = await life.ended
        assert.equal(end.signal, 'SIGKILL', describeEnd(end))
        await scene.finish()
        await scene.assertExact()
      })
    })

    it('three checkpoints that cannot be stored, then one that completes, then a kill', async () => {
      await withScene({ configuration: TOLERANT }, async (scene) => {
        const inTheWay = (
          [
            [1, 'all-ended'],
            [2, 'checkpoint-failed'],
            [3, 'checkpoint-failed'],
          ] as const
        ).map(([checkpoint, joint]) => ({ joint, nth: 1, where: { checkpoint }, action: 'break-checkpoint' }) as const)
        const kill = { joint: 'completed-written', nth: 2, action: 'kill' } as const
        const end = await scene.start({ rules: [...inTheWay, kill] }).ended
        assert.equal(end.signal, 'SIGKILL', describeEnd(end))
        assert.equal(count(end.passes, 'checkpoint-failed'), 3)
        await scene.finish()
        await scene.assertExact()
      })
    })

    for (const [joint, nth] of [
      ['flushed', 6],
      ['metadata-written', 3],
    ] as const) {
      it(`restored at a checkpoint while the next one is ${joint}, under other ids`, async () => {
        await withScene({}, async (scene) => {
          const { passes } = await scene.dieAt(joint, nth)
          assert.equal(count(passes, 'all-ended'), 2, 'the transactions of the second checkpoint have ended')
          const last = scene.log().at(-1)
          assert.deepEqual([last?.kind, last?.record.checkpoint], ['completed', 2], 'and the log does not say so')
          await scene.finish()
          assert.equal(scene.log().filter((entry) => entry.kind === 'void').length, 0)
          await scene.assertExact()
        })
      })
    }

    for (const [index, places] of THROWS.entries()) {
      it(`a function that throws while a checkpoint is being completed (${index + 1})`, async () => {
        await withScene({}, async (scene) => {
          const end = await scene.finish({ rules: places.map((place) => ({ ...place, action: 'throw' })) })
          assert.match(end.stderr, /the function throws, as planned/)
          const attempts = scene.log().filter((entry) => entry.kind === 'attempt').length
          assert.equal(attempts, 1 + places.length, `each failure is one restart: ${describeEnd(end)}`)
          await scene.assertExact()
        })
      })
    }

    // What follows is the same whatever a transaction is begun and ended by.
    if (transactionVersion === 1 && !LONG) return

    it('a checkpoint that cannot be stored restarts a job that tolerates none', async () => {
      await withScene({}, async (scene) => {
        const end = await scene.finish({ rules: [{ joint: 'all-ended', nth: 2, action: 'break-checkpoint' }] })
        assert.match(end.stderr, /could not write .*chk-3-1/)
        assert.equal(scene.log().filter((entry) => entry.kind === 'attempt').length, 2)
        await scene.assertExact()
      })
    })

    it('the same start twice: stopped by SIGTERM it resumes, finished it says so', async () => {
      await withScene({}, async (scene) => {
        const life = scene.start()
        await life.reach((passes) => count(passes, 'completed-written') >= 3)
        life.kill('SIGTERM')
        const end = await life.ended
        assert.equal(end.code, 0, describeEnd(end))
        assert.match(end.stderr, /stopped with a last checkpoint/)
        assert.equal(scene.log().at(-1)?.kind, 'stopped')
        await scene.assertNothingOpen()
        assert.match((await scene.finish()).stderr, /kill-job finished:/)
        await scene.assertExact()
        for (let again = 0; again < 2; again++) assert.match((await scene.finish()).stderr, /finished before/)
        await scene.assertExact()
      })
    })

    it('a torn record of the log stops the start, which names it and touches nothing', async () => {
      await withScene({}, async (scene) => {
        await scene.dieAt('completed-written', 3)
        const path = scene.log().at(-1)?.path ?? ''
        const whole = readFileSync(path)
        for (const bytes of [0, 30, whole.length - 1]) {
          writeFileSync(path, whole.subarray(0, bytes))
          await scene.failsWith(1, ['[LOG_DAMAGED]', path])
        }
        writeFileSync(path, whole.toString().replace('"completed"', '"committed"'))
        await scene.failsWith(1, ['[LOG_DAMAGED]', path])
        writeFileSync(path, whole)
        await scene.finish()
        await scene.assertExact()
      })
    })

    it('from another directory, the start is refused while transactions of its prefix are open; --fresh goes on', async () => {
      await withScene({}, async (scene) => {
        await scene.dieAt('completed-written', 1)
        const checkpoints = join(scene.root, 'elsewhere')
        const open = await scene.openTransactions()
        assert.notEqual(open.length, 0)
        const [first = ''] = open.map((one) => one.split(' ')[0])
        await scene.failsWith(2, ['[FOREIGN_TRANSACTIONS]', first, checkpoints, '--fresh'], { checkpoints })
        assert.deepEqual((await scene.openTransactions()).sort(), open.sort(), 'the refused start changed nothing')
        await scene.finish({ checkpoints, flags: ['--fresh'] })
        // Nothing of the first run was committed, so the fresh one alone makes the output.
        await scene.assertExact()
      })
    })

    it('kills while several checkpoints are under way, each listing what an older one is ending', async (t) => {
      const configuration = { 'execution.checkpointing.max-concurrent-checkpoints': 3 }
      await withScene({ configuration, intervalMs: 4, recordsPerCheckpoint: 100 }, async (scene) => {
        let overlapping = 0
        for (const [joint, nth] of [
          ['flushed', 5],
          ['metadata-written', 3],
          ['completed-written', 4],
          ['transaction-ended', 5],
          ['all-ended', 3],
        ] as const) {
          const { passes } = await scene.dieAt(joint, nth)
          overlapping += countOverlaps(passes)
        }
        await scene.finish()
        await scene.assertExact()
        t.diagnostic(`${overlapping} checkpoints were begun before their predecessor was at its end`)
        assert.ok(overlapping > 0)
      })
    })

    async function withScene(
      options: Partial<KillSceneOptions>,
      play: (scene: KillScene) => Promise<void>,
    ): Promise<void> {
      const name = `restores-${++scenes}`
      const naming = scenes % 2 === 0 ? 'INCREMENTING' : 'POOLING'
      const scene = await KillScene.create({
        server,
        name,
        input: 'in',
        records: RECORDS,
        recordsPerCheckpoint: 60,
        parameters: { naming },
        ...options,
      })
      try {
        await play(scene)
      } finally {
        scene.close()
      }
    }
  })
}

function count(passes: readonly { readonly joint: JointName }[], joint: JointName): number {
  return passes.filter((pass) => pass.joint === joint).length
}

/** A checkpoint has completed, and its transactions are not ended yet. */
function isEnding(passes: readonly JointPass[]): boolean {
  return count(passes, 'completed-written') > count(passes, 'all-ended')
}

/** How many checkpoints were begun before the transactions of their predecessor were ended. */
function countOverlaps(passes: readonly JointPass[]): number {
  const ended = new Set<unknown>()
  const overlapping = new Set<number>()
  let first = Number.POSITIVE_INFINITY
  for (const { joint, detail } of passes) {
    const checkpoint = Number(detail.checkpoint)
    if (joint === 'all-ended') ended.add(checkpoint)
    if (joint !== 'barrier-sent') continue
    first = Math.min(first, checkpoint)
    if (checkpoint > first && !ended.has(checkpoint - 1)) overlapping.add(checkpoint)
  }
  return overlapping.size
}
