/**
 * Two processes that both believe to own the job: one falls asleep at a joint, another takes the job over, and the sleeper
 * wakes while the other runs or after it has ended. The sleeper may delay, but never harm (exactly-once, rule 9): the output
 * stays the input, once, the other never fails, and the sleeper ends as superseded.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JOINTS, MillraceError, SeededRandom } from '../../src/base/index.ts'
import { assertExact, type Life, type LifeEnd, type LifeOptions, start } from './life.ts'
import { ModelWorld } from './model-world.ts'

const PASSED = JOINTS.filter(
  (joint) =>
    !['flushed', 'sweep', 'before-init-producer-id', 'record-before-link', 'checkpoint-failed'].includes(joint),
)

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function pick(random: SeededRandom, below: number): number {
  return Math.floor(random.next() * below)
}

/** Several checkpoints under way. */
const SEVERAL: LifeOptions = {
  configure: { 'execution.checkpointing.max-concurrent-checkpoints': 3, 'execution.checkpointing.interval': 1 },
}

interface Twins {
  readonly sleeper: Life
  readonly slept: LifeEnd
  readonly other: Life
  readonly otherEnd: LifeEnd
}

/** Undefined when the first process ended before it came to that joint. */
async function twins(
  world: ModelWorld,
  at: { readonly joint: string; readonly nth: number; readonly wakeAfterTurns: number },
  options: { readonly sleeper?: LifeOptions; readonly other?: LifeOptions; readonly meanwhile?: () => void } = {},
): Promise<Twins | undefined> {
  const sleeper = start(world, 1, options.sleeper)
  let asleep = false
  sleeper.life.atJoint(at.joint, at.nth, () => {
    asleep = true
    sleeper.life.sleep()
  })
  const sleeping = sleeper.run()
  let ended = false
  void sleeping.then(() => {
    ended = true
  })
  while (!asleep && !ended) await turn()
  if (ended) return undefined
  options.meanwhile?.()
  const other = start(world, 2, options.other)
  const running = other.run()
  let done = false
  void running.then(() => {
    done = true
  })
  for (let turns = 0; turns < at.wakeAfterTurns && !done; turns++) await turn()
  sleeper.life.wake()
  const [slept, otherEnd] = await Promise.all([sleeping, running])
  return { sleeper, slept, other, otherEnd }
}

function assertHarmless({ slept, other, otherEnd }: Twins, where: string): void {
  if (otherEnd.kind === 'failed') throw otherEnd.error
  assert.equal(otherEnd.kind, 'ended', where)
  assert.deepEqual(
    other.events.filter(({ status }) => status === 'restarting').map(({ error }) => error),
    [],
    `the other was never made to restart: ${where}`,
  )
  if (otherEnd.kind === 'ended' && otherEnd.result.outcome === 'already-finished') {
    assert.equal(slept.kind, 'ended', where)
  } else {
    const code = slept.kind === 'failed' && MillraceError.is(slept.error) ? slept.error.code : slept
    assert.equal(code, 'SUPERSEDED', where)
  }
}

for (const joint of PASSED) {
  test(`a process that sleeps at ${joint} and wakes beside another one harms nothing`, async () => {
    let slept = 0
    for (const [nth, options] of [
      [1, {}],
      [2, {}],
      [5, {}],
      [1, SEVERAL],
      [4, SEVERAL],
    ] as const) {
      for (const wakeAfterTurns of [0, 9, 60, 5_000]) {
        const world = new ModelWorld(2, 120)
        // Some joints are only passed by a process that recovers.
        const first = start(world, 7)
        first.life.crashAt('completed-written', 1)
        await first.run()
        const both = await twins(world, { joint, nth, wakeAfterTurns }, { sleeper: options, other: options })
        if (both === undefined) break
        slept++
        assertHarmless(both, `${joint} ${nth}, woken after ${wakeAfterTurns}`)
        assertExact(world, { published: false })
      }
    }
    assert.ok(slept >= 4, `slept ${slept} times`)
  })
}

test('a process that sleeps while brokers expire its transactions and another voids its checkpoint cannot bring it back', async () => {
  let slept = 0
  for (const joint of ['completed-written', 'transaction-ended', 'record-linked', 'metadata-written']) {
    for (const nth of [1, 2, 3]) {
      for (const wakeAfterTurns of [0, 6, 12, 40, 2_000]) {
        const world = new ModelWorld(2, 120)
        const both = await twins(world, { joint, nth, wakeAfterTurns }, { meanwhile: () => world.expireAll() })
        if (both === undefined) break
        slept++
        assertHarmless(both, `${joint} ${nth}, woken after ${wakeAfterTurns}`)
        assertExact(world, { published: false })
      }
    }
  }
  assert.ok(slept >= 20, `slept ${slept} times`)
})

test('a sleeper that fails when it wakes does not come back by a restart of its own', async () => {
  const world = new ModelWorld(2, 120)
  const sleeper = start(world, 1, { configure: { 'restart-strategy.fixed-delay.delay': 30 } })
  let broken = false
  sleeper.life.onElement = (value) => {
    if (broken || value !== 60) return
    broken = true
    throw new Error('broken')
  }
  const sleeping = sleeper.run()
  while (sleeper.events.at(-1)?.status !== 'restarting') await turn()
  // It waits for its restart now, awake; the other takes the job over meanwhile.
  const other = start(world, 2)
  const [slept, ended] = await Promise.all([sleeping, other.run()])
  assert.equal(slept.kind === 'failed' && MillraceError.is(slept.error) && slept.error.code, 'SUPERSEDED')
  assert.equal(ended.kind, 'ended')
  assertExact(world, { published: false })
})

test('of two processes started at once exactly one runs the job', async () => {
  let superseded = 0
  for (let seed = 1; seed <= 15; seed++) {
    const random = new SeededRandom(seed)
    const world = new ModelWorld(2, 100)
    const first = start(world, 1)
    const running = first.run()
    for (let turns = pick(random, 40); turns > 0; turns--) await turn()
    const second = start(world, 2)
    const ends = await Promise.all([running, second.run()])
    const [one, other] = ends.map((end) => {
      if (end.kind === 'ended') return end.result.outcome
      return end.kind === 'failed' ? (end.error as MillraceError).code : end.kind
    })
    // A second one that finds each next place in the log taken until the end has nothing left to do.
    if (one === 'SUPERSEDED') superseded++
    else assert.equal(one, 'finished', `seed ${seed}`)
    assert.equal(other, one === 'SUPERSEDED' ? 'finished' : 'already-finished', `seed ${seed}`)
    assertExact(world, { published: false })
  }
  assert.ok(superseded >= 5, `superseded ${superseded} times`)
})

test('a fresh start beside a sleeper that wakes later is not disturbed by it', async () => {
  let superseded = 0
  for (const nth of [1, 3, 5]) {
    for (const wakeAfterTurns of [0, 10, 60, 2_000]) {
      const world = new ModelWorld(2, 120)
      const both = await twins(world, { joint: 'record-linked', nth, wakeAfterTurns }, { other: { fresh: true } })
      assert.ok(both !== undefined)
      assert.equal(both.otherEnd.kind, 'ended')
      // Woken early enough the former one may come to its own end before the fresh one gets its place in the log.
      if (both.slept.kind === 'failed') {
        assert.equal(MillraceError.is(both.slept.error) && both.slept.error.code, 'SUPERSEDED')
        superseded++
      }
      // What the former lineage had completed stands before what the new one wrote.
      const settled = world.output.splice(0, world.output.length - world.splits * world.recordsPerSplit)
      assert.equal(new Set(settled).size, settled.length)
      assertExact(world, { published: false })
    }
  }
  assert.ok(superseded >= 6, `superseded ${superseded} times`)
})

test('a fresh start that read an empty log and then slept aborts nothing of the one that began meanwhile', async () => {
  const world = new ModelWorld(2, 120)
  const late = start(world, 1, { fresh: true })
  const list = world.disk.list.bind(world.disk)
  world.disk.list = async (folder) => {
    const names = await list(folder)
    if (folder === 'log') {
      world.disk.list = list
      late.life.sleep()
    }
    return names
  }
  const lateEnd = late.run()
  while (!late.life.asleep) await turn()
  const early = start(world, 2)
  early.life.atJoint('completed-written', 2, () => early.life.sleep())
  const earlyEnd = early.run()
  while (!early.life.asleep) await turn()
  const completed = world.output.length + world.openRecords()
  assert.ok(completed > world.output.length)
  late.life.wake()
  const end = await lateEnd
  assert.equal(end.kind, 'ended')
  early.life.wake()
  await earlyEnd
  const settled = world.output.splice(0, world.output.length - world.splits * world.recordsPerSplit)
  assert.equal(settled.length, completed, 'what had completed was ended, not aborted')
  assertExact(world, { published: false })
})
