/**
 * A process is put to sleep before and after it writes a record of the log, and before it asks for a producer id; a second
 * process, as if on another machine, takes the job over; then the first one wakes. It may delay, it may not harm: it says
 * that it was superseded and ends, and the output is the input. On one machine, a second start is refused beforehand.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { KafkaServer } from '../../src/testing/index.ts'
import { describeEnd, type JobProcess } from './job-process.ts'
import { NOTHING_IS_SLOW, type StartOptions } from './job-scene.ts'
import { createInput, KillScene } from './kill-scene.ts'
import type { KillerRule } from './killer-plan.ts'

const LONG = process.env.MILLRACE_LONG === '1'
const RECORDS = LONG ? 4_000 : 20_000
/** Long: on a slow machine no transaction of a living process is to expire. */
const TRANSACTION_TIMEOUT_MS = 600_000
/** For a process that is to be at work for as long as the test wants: at most some hundred records a second. */
const LASTING: StartOptions = { parameters: { 'records-per-checkpoint': 1 } }
/** More than the job ever passes: the long form goes on until an occurrence is not reached any more. */
const OCCURRENCES_MAX = 60

type Sleep = Omit<KillerRule, 'action'>

/** The first record is the attempt's; then come completed checkpoints; the last ones say that all is committed, and the end. */
const SHORT: Readonly<Record<1 | 2, readonly Sleep[]>> = {
  1: [
    { joint: 'record-linked', nth: 1 },
    { joint: 'record-before-link', nth: 3 },
    { joint: 'record-before-link', nth: 2, after: 'final-checkpoint' },
    { joint: 'record-linked', nth: 2, after: 'final-checkpoint' },
    { joint: 'before-init-producer-id', nth: 4 },
  ],
  2: [
    { joint: 'record-before-link', nth: 1 },
    { joint: 'record-linked', nth: 3 },
    { joint: 'record-before-link', nth: 3, after: 'final-checkpoint' },
    { joint: 'record-linked', nth: 3, after: 'final-checkpoint' },
    { joint: 'before-init-producer-id', nth: 1 },
  ],
}

const IN_TURN = ['record-before-link', 'record-linked', 'before-init-producer-id'] as const

for (const transactionVersion of [1, 2] as const) {
  describe(`transaction version ${transactionVersion}`, { timeout: LONG ? 1_800_000 : 900_000 }, () => {
    let server: KafkaServer
    let scenes = 0
    before(async () => {
      server = await KafkaServer.start({ transactionVersion })
      await createInput(server, 'in', RECORDS)
    })
    after(() => server.close())

    for (const sleep of SHORT[transactionVersion]) {
      it(`asleep at ${nameOf(sleep)} while another process finishes, it wakes and harms nothing`, async () => {
        assert(await wakesAfterTheEnd(sleep), 'the process never came to where it was to sleep')
      })
    }

    it('asleep before InitProducerId while another process is at work, it wakes and ends, and the other goes on', async () => {
      await wakesAtWork({ joint: 'before-init-producer-id', nth: transactionVersion })
    })

    it('asleep behind its record of a completed checkpoint, it wakes and ends, and the other goes on', async () => {
      await wakesAtWork({ joint: 'record-linked', nth: 3 })
    })

    for (const joint of LONG ? IN_TURN : []) {
      it(`asleep at each occurrence of ${joint} in turn, it wakes and harms nothing`, async (t) => {
        let nth = 1
        while (nth < OCCURRENCES_MAX && (await wakesAfterTheEnd({ joint, nth }))) nth++
        t.diagnostic(`${nth - 1} occurrences of ${joint}`)
        assert(nth > 3, `only ${nth - 1} occurrences`)
      })
    }

    // What follows is the same whatever a transaction is begun and ended by.
    if (transactionVersion === 1 && !LONG) return

    it('asleep before its attempt is written, it wakes and takes the job over, and the other gives way', async () => {
      await withScene(async (scene) => {
        const first = await asleep(scene, { joint: 'record-before-link', nth: 1 })
        assert(first !== undefined)
        const second = scene.start(LASTING)
        await second.reach((passes) => completed(passes) >= 2)
        first.kill('SIGCONT')
        assertSuperseded(await second.ended)
        assert.equal((await first.ended).code, 0, describeEnd(await first.ended))
        await scene.expireWhatWasSuperseded()
        await scene.assertExact()
      })
    })

    it('a second start while the first one lives is refused and disturbs nothing', async () => {
      await withScene(async (scene) => {
        const first = scene.start(LASTING)
        await first.reach((passes) => completed(passes) >= 1)
        await scene.failsWith(2, ['[ALREADY_RUNNING]', 'kill-job', scene.directory])
        await goesOn(first)
        const end = await first.ended
        assert.equal(end.code, 0, describeEnd(end))
        assert.equal(scene.log().filter((entry) => entry.kind === 'attempt').length, 1)
        await scene.assertExact()
      })
    })

    /** False when the job finished before it came to where it was to sleep. */
    function wakesAfterTheEnd(sleep: Sleep): Promise<boolean> {
      return withScene(async (scene) => {
        const first = await asleep(scene, sleep)
        if (first === undefined) return false
        const slept = scene.log()
        await scene.finish()
        first.kill('SIGCONT')
        const end = await first.ended
        // Before its attempt it owned nothing, and behind `finished` it has nothing left to do.
        if (slept.length === 0 || slept.at(-1)?.kind === 'finished') assert.equal(end.code, 0, describeEnd(end))
        else assertSuperseded(end)
        await scene.expireWhatWasSuperseded()
        await scene.assertExact()
        assert.match((await scene.finish()).stderr, /finished before/)
        return true
      })
    }

    async function wakesAtWork(sleep: Sleep): Promise<void> {
      await withScene(async (scene) => {
        const first = await asleep(scene, sleep)
        assert(first !== undefined)
        const second = scene.start(LASTING)
        await second.reach((passes) => completed(passes) >= 2)
        first.kill('SIGCONT')
        assertSuperseded(await first.ended)
        await goesOn(second)
        const end = await second.ended
        assert.equal(end.code, 0, describeEnd(end))
        await scene.expireWhatWasSuperseded()
        await scene.assertExact()
      })
    }

    async function withScene<T>(play: (scene: KillScene) => Promise<T>): Promise<T> {
      const scene = await KillScene.create({
        ...{
          server,
          name: `superseded-${++scenes}`,
          input: 'in',
          records: RECORDS,
          recordsPerCheckpoint: LONG ? 400 : 60,
        },
        parameters: {
          'transaction-timeout-ms': TRANSACTION_TIMEOUT_MS,
          naming: scenes % 2 === 0 ? 'INCREMENTING' : 'POOLING',
        },
      })
      try {
        return await play(scene)
      } finally {
        scene.close()
      }
    }
  })
}

/** It completes further checkpoints, and then hurries to its end. */
async function goesOn(life: JobProcess): Promise<void> {
  const before = completed(life.passes())
  await life.reach((passes) => completed(passes) > before + 1)
  life.hurry()
}

async function asleep(scene: KillScene, sleep: Sleep): Promise<JobProcess | undefined> {
  const parameters = sleep.after === 'final-checkpoint' ? NOTHING_IS_SLOW : {}
  const life = scene.start({ rules: [{ ...sleep, action: 'stop' }], parameters })
  if (!(await life.stopped())) {
    assert.equal((await life.ended).code, 0, describeEnd(await life.ended))
    return undefined
  }
  scene.forgetLock()
  return life
}

function assertSuperseded(end: Awaited<JobProcess['ended']>): void {
  assert.equal(end.code, 1, describeEnd(end))
  assert.match(end.stderr, /superseded.*\[SUPERSEDED\]/, describeEnd(end))
}

function completed(passes: Awaited<JobProcess['ended']>['passes']): number {
  return passes.filter((pass) => pass.joint === 'completed-written').length
}

function nameOf({ joint, nth, after: behind }: Sleep): string {
  return `${joint} (${behind === undefined ? '' : `behind ${behind}, `}occurrence ${nth})`
}
