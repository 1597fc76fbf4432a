/**
 * The engine with a source and a sink of the tests' own, crashed at every joint and at random ones, over many incarnations.
 * Whatever happens, the committed output is the input, once.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/base/index.ts'
import { Configuration } from '../../src/core/index.ts'
import { type JobExecutionResult, runJobGraph } from '../../src/runtime/index.ts'
import { Incarnation, ModelWorld, modelGraph } from './model-world.ts'

const JOINTS = [
  'attempt-written',
  'barrier-sent',
  'snapshot-written',
  'metadata-written',
  'record-linked',
  'completed-written',
  'all-ended',
  'committed-written',
  'transaction-ended',
  'final-checkpoint',
  'final-committed',
]

function start(world: ModelWorld, seed: number, configure: Readonly<Record<string, string | number>> = {}) {
  const life = new Incarnation(world, seed)
  const configuration = new Configuration({
    'execution.checkpointing.interval': 3,
    'restart-strategy.fixed-delay.delay': 1,
    ...configure,
  })
  const run = (): Promise<JobExecutionResult> =>
    runJobGraph(modelGraph(life, 2, 6), { configuration, ports: life.ports, storage: life.storage }).result()
  return { life, run }
}

function assertExact(world: ModelWorld): void {
  const expected = Array.from({ length: world.splits }, (_, split) =>
    Array.from({ length: world.recordsPerSplit }, (_unused, n) => split * 1_000_000 + n),
  ).flat()
  assert.deepEqual(
    [...world.output].sort((left, right) => left - right),
    expected,
  )
  for (let split = 0; split < world.splits; split++) {
    const own = world.output.filter((value) => Math.floor(value / 1_000_000) === split)
    assert.deepEqual(
      own,
      own.toSorted((left, right) => left - right),
      `order of split ${split}`,
    )
    assert.equal(world.published.get(split), world.recordsPerSplit)
  }
  assert.deepEqual(world.openIds(), [])
}

/** Runs incarnation after incarnation until one finishes; the first ones die as planned. Answers the joints hit. */
async function survive(world: ModelWorld, plan: readonly { readonly joint: string; readonly nth: number }[]) {
  const hits: string[] = []
  for (let n = 0; n < plan.length + 5; n++) {
    const { life, run } = start(world, 1000 + n)
    const death = plan[n]
    if (death !== undefined) life.crashAt(death.joint, death.nth)
    const finished = await Promise.race([run().then(() => true), life.crashed.then(() => false)])
    life.end()
    if (!finished && death !== undefined) hits.push(death.joint)
    if (finished && n >= plan.length) return hits
  }
  throw new Error('the job never finished')
}

test('without any crash the output is the input, and a second start does nothing', async () => {
  const world = new ModelWorld(3, 500)
  const first = await start(world, 1).run()
  assert.equal(first.outcome, 'finished')
  assertExact(world)
  assert.equal((await start(world, 2).run()).outcome, 'already-finished')
  assertExact(world)
})

for (const joint of JOINTS) {
  test(`a crash at ${joint}, early and late, loses and doubles nothing`, async () => {
    let hits = 0
    for (const nth of [1, 2, 3, 5]) {
      const world = new ModelWorld(3, 400)
      // Some joints are only passed while a crash is being recovered from.
      hits += (
        await survive(world, [
          { joint: 'completed-written', nth: 2 },
          { joint, nth },
        ])
      ).filter((hit, index) => index === 1 && hit === joint).length
      assertExact(world)
    }
    assert.ok(hits > 0, `${joint} was never reached`)
  })
}

test('random crashes over many incarnations lose and double nothing', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new SeededRandom(seed)
    const world = new ModelWorld(1 + Math.floor(random.next() * 4), 100 + Math.floor(random.next() * 400))
    const plan = Array.from({ length: 1 + Math.floor(random.next() * 5) }, () => ({
      joint: JOINTS[Math.floor(random.next() * JOINTS.length)] ?? '',
      nth: 1 + Math.floor(random.next() * 6),
    }))
    await survive(world, plan)
    assertExact(world)
  }
})
