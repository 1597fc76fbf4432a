/**
 * What goes wrong without killing the process: a task throws, storage fails, a flush is not acknowledged in time, brokers
 * expire transactions, somebody stops or cancels or begins anew. The committed output stays the input, once.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError, SeededRandom } from '../../src/base/index.ts'
import { assertExact, finish, inputOf, type Life, type LifeOptions, start } from './life.ts'
import { ModelWorld } from './model-world.ts'

function restartsOf({ events }: Life): number {
  return events.filter(({ status }) => status === 'restarting').length
}

/** Several checkpoints under way, so that a younger one lists transactions of an older one that are being ended. */
const SEVERAL: LifeOptions = {
  configure: { 'execution.checkpointing.max-concurrent-checkpoints': 3, 'execution.checkpointing.interval': 1 },
}

function codeOf(end: Awaited<ReturnType<Life['run']>>): string {
  assert.equal(end.kind, 'failed')
  return end.kind === 'failed' && MillraceError.is(end.error) ? end.error.code : ''
}

/** The number in a record's split at which the caller's action is run, once. */
function atRecord(life: Life, n: number, action: () => void): void {
  let done = false
  life.life.onElement = (value) => {
    if (done || value % 1_000_000 !== n) return
    done = true
    action()
  }
}

test('a task that throws once is restarted in the same process, from the last checkpoint', async () => {
  for (const at of [0, 1, 50, 150, 299]) {
    const world = new ModelWorld(3, 300)
    const life = start(world, at)
    atRecord(life, at, () => {
      throw new Error('the user function is broken')
    })
    const end = await life.run()
    assert.equal(end.kind, 'ended')
    assert.equal(restartsOf(life), 1)
    assertExact(world)
    assert.deepEqual(world.openIds(), [])
    // The figures of the process count on over its attempts: what was read again counts again.
    assert.ok(life.job().figures().recordsIn >= 900)
    assert.equal(life.job().figures().restarts, 1)
  }
})

test('a task that always throws fails the job with its error once the restarts are used up', async () => {
  const world = new ModelWorld(2, 200)
  const life = start(world, 1, { configure: { 'restart-strategy.fixed-delay.attempts': 2 } })
  life.life.onElement = (value) => {
    if (value === 100) throw new Error('record 100 is poison')
  }
  const end = await life.run()
  assert.equal(end.kind === 'failed' && end.error.message, 'record 100 is poison')
  assert.equal(restartsOf(life), 2)
  assert.equal((await finish(world, 2)).outcome, 'finished')
  assertExact(world)
})

test('tolerated checkpoint failures are followed by one that lists what they flushed, crash or not', async () => {
  for (const crash of [undefined, 'metadata-written', 'completed-written', 'transaction-ended'] as const) {
    const world = new ModelWorld(2, 300)
    const first = start(world, 1, { configure: { 'execution.checkpointing.tolerable-failed-checkpoints': 2 } })
    let failed = 0
    first.life.storageFault = (operation, path) => {
      if (operation !== 'write' || !/^chk-(3|4|7|9)-/.test(path)) return undefined
      failed++
      return path.endsWith('state') ? 'before' : 'after'
    }
    first.life.onJoint(({ name, detail }) => {
      if (name === crash && detail.checkpoint === 5) first.life.crash()
    })
    const end = await first.run()
    assert.equal(end.kind, crash === undefined ? 'ended' : 'crashed')
    assert.ok(failed >= 2, `${failed} writes failed`)
    if (crash !== undefined) await finish(world, 2)
    else assert.equal(restartsOf(first), 0)
    assertExact(world)
    assert.deepEqual(world.openIds(), [])
  }
})

test('a flush that is not acknowledged in time fails its checkpoint, and its records come with the next', async () => {
  const world = new ModelWorld(2, 400)
  const configure = {
    'execution.checkpointing.tolerable-failed-checkpoints': 6,
    'execution.checkpointing.timeout': 15,
  }
  const life = start(world, 1, { configure })
  life.life.flushStalls = (checkpoint) => checkpoint === 3 || checkpoint === 12
  let failed = 0
  life.life.onJoint(({ name }) => {
    if (name === 'checkpoint-failed') failed++
  })
  assert.equal((await life.run()).kind, 'ended')
  assert.ok(failed >= 2, `${failed} checkpoints failed`)
  assert.equal(restartsOf(life), 0)
  assertExact(world)
})

test('one checkpoint failure too many restarts the job from the last completed checkpoint', async () => {
  const world = new ModelWorld(2, 300)
  const life = start(world, 1)
  let left = 1
  life.life.storageFault = (operation, path) =>
    operation === 'write' && path.startsWith('chk-4-') && left-- > 0 ? 'before' : undefined
  assert.equal((await life.run()).kind, 'ended')
  assert.equal(restartsOf(life), 1)
  assertExact(world)
  assert.deepEqual(world.openIds(), [])
})

for (const fault of ['before', 'after'] as const) {
  test(`a log record whose writing fails ${fault} it took effect is found out by reading the log again`, async () => {
    for (const number of [2, 3, 5, 6]) {
      const world = new ModelWorld(2, 300)
      const life = start(world, number)
      let left = 1
      life.life.storageFault = (operation, path) =>
        operation === 'put' && Number(path.slice(4)) === number && left-- > 0 ? fault : undefined
      assert.equal((await life.run()).kind, 'ended')
      assert.equal(restartsOf(life), 1, `record ${number}`)
      assertExact(world)
      assert.deepEqual(world.openIds(), [])
    }
  })
}

test('the attempt record of a restart whose writing is told as failed although it succeeded is no other owner', async () => {
  const world = new ModelWorld(2, 200)
  const life = start(world, 1)
  atRecord(life, 100, () => {
    let left = 1
    life.life.storageFault = (operation) => (operation === 'put' && left-- > 0 ? 'after' : undefined)
    throw new Error('broken')
  })
  assert.equal((await life.run()).kind, 'ended')
  assert.equal(restartsOf(life), 2)
  assertExact(world)
})

test('storage that is away for a while costs restarts, not the job', async () => {
  const world = new ModelWorld(2, 300)
  const life = start(world, 1, { configure: { 'restart-strategy.fixed-delay.attempts': 10 } })
  let away = 0
  life.life.atJoint('completed-written', 3, () => {
    away = 12
  })
  life.life.storageFault = () => (away-- > 0 ? 'before' : undefined)
  assert.equal((await life.run()).kind, 'ended')
  assert.ok(restartsOf(life) > 1)
  assertExact(world)
  assert.deepEqual(world.openIds(), [])
})

test('transactions that all expired before their commit void their checkpoint, and nothing is lost', async () => {
  for (const options of [{}, SEVERAL]) {
    for (const nth of [1, 2, 5, 6, 7]) {
      const world = new ModelWorld(3, 300)
      const first = start(world, 1, options)
      first.life.crashAt('completed-written', nth)
      assert.equal((await first.run()).kind, 'crashed')
      world.expireAll()
      await finish(world, 2, options)
      assertExact(world)
      assert.deepEqual(world.openIds(), [])
    }
  }
})

test('a final checkpoint whose transactions expired is void: the end of input is read again', async () => {
  const world = new ModelWorld(3, 100)
  const first = start(world, 1)
  let final = false
  first.life.atJoint('final-checkpoint', 1, () => {
    final = true
  })
  first.life.onJoint(({ name }) => {
    if (final && name === 'completed-written') first.life.crash()
  })
  assert.equal((await first.run()).kind, 'crashed')
  world.expireAll()
  assert.equal((await finish(world, 2)).outcome, 'finished')
  assertExact(world)
})

test('transactions that expire in a running job before they are ended send it back one checkpoint, losing nothing', async () => {
  for (const options of [{}, SEVERAL]) {
    for (const nth of [1, 2, 5, 6, 7]) {
      const world = new ModelWorld(2, 300)
      const life = start(world, 1, options)
      life.life.atJoint('completed-written', nth, () => world.expireAll())
      assert.equal((await life.run()).kind, 'ended')
      assert.equal(restartsOf(life), 1)
      assertExact(world)
      assert.deepEqual(world.openIds(), [])
    }
  }
})

/** Leaves a completed checkpoint of two transactions, of which one was ended and the other expired. */
async function loseOne(world: ModelWorld): Promise<void> {
  const first = start(world, 1)
  first.life.crashAt('completed-written', 3)
  assert.equal((await first.run()).kind, 'crashed')
  const second = start(world, 2)
  second.life.crashAt('transaction-ended', 1)
  assert.equal((await second.run()).kind, 'crashed')
  world.expireAll()
}

test('a transaction lost after others of its checkpoint were ended stops the job by name, again and again', async () => {
  const world = new ModelWorld(2, 300)
  await loseOne(world)
  for (const seed of [3, 4]) {
    const end = await start(world, seed).run()
    assert.equal(codeOf(end), 'TRANSACTIONS_LOST')
    assert.match(end.kind === 'failed' ? end.error.message : '', /model-1-[01]-\d of sink out .*, \d+ records to out/)
  }
})

test('told to go on without a lost transaction, the job loses exactly the records that it named', async () => {
  const world = new ModelWorld(2, 300)
  await loseOne(world)
  const refused = await start(world, 3).run()
  const named = Number(/(\d+) records to out/.exec(refused.kind === 'failed' ? refused.error.message : '')?.[1])
  await finish(world, 4, { configure: { 'millrace.recovery.on-lost-transactions': 'continue' } })
  const seen = new Set(world.output)
  const missing = inputOf(world).filter((value) => !seen.has(value))
  assert.equal(missing.length, named)
  assert.ok(named > 0)
  assertExact(world, { without: new Set(missing) })
})

test('a fresh start settles what had completed, aborts the rest and reads everything again', async () => {
  const world = new ModelWorld(2, 200)
  const first = start(world, 1)
  first.life.crashAt('completed-written', 4)
  assert.equal((await first.run()).kind, 'crashed')
  const before = world.output.length
  const fresh = start(world, 2, { fresh: true })
  fresh.life.crashAt('barrier-sent', 1)
  assert.equal((await fresh.run()).kind, 'crashed')
  const settled = [...world.output]
  assert.ok(settled.length > before, 'the completed checkpoint was ended')
  // The start after the crash goes on in the new lineage, though it is not told to be fresh.
  await finish(world, 3)
  assert.deepEqual(world.output.slice(0, settled.length), settled)
  world.output.splice(0, settled.length)
  assertExact(world)
  assert.deepEqual(world.openIds(), [])
})

test('an empty directory with open transactions of the own prefix refuses, and a fresh start aborts them', async () => {
  const world = new ModelWorld(2, 200)
  const former = start(world, 1)
  former.life.crashAt('metadata-written', 2)
  assert.equal((await former.run()).kind, 'crashed')
  for (const name of await world.disk.list('')) await world.disk.remove(name)
  const open = world.openIds()
  assert.ok(open.length > 0)
  assert.equal(codeOf(await start(world, 2).run()), 'FOREIGN_TRANSACTIONS')
  assert.deepEqual(world.openIds(), open, 'the refusal changed nothing')
  assert.deepEqual(await world.disk.list('log'), [], 'and wrote nothing')
  const settled = world.output.length
  await finish(world, 3, { fresh: true })
  world.output.splice(0, settled)
  assertExact(world)
})

test('stopped at any moment, a job resumes where it stopped', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new SeededRandom(seed)
    const world = new ModelWorld(2, 150)
    let ends = 0
    for (let n = 0; n < 6 && ends === 0; n++) {
      const life = start(world, n)
      let turns = Math.floor(random.next() * 90)
      const ended = life.run()
      while (turns-- > 0) await new Promise((resolve) => setImmediate(resolve))
      await life.job().stop()
      const end = await ended
      assert.equal(end.kind, 'ended')
      if (end.kind !== 'ended') break
      if (end.result.outcome === 'finished') ends++
      else assert.equal(end.result.outcome, 'stopped')
    }
    if (ends === 0) await finish(world, 99)
    assertExact(world)
    assert.deepEqual(world.openIds(), [])
  }
})

test('cancelled at any moment, a job ends with the reason and resumes from its last checkpoint', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new SeededRandom(seed)
    const world = new ModelWorld(2, 150)
    for (let n = 0; n < 4; n++) {
      const life = start(world, n)
      let turns = Math.floor(random.next() * 90)
      const ended = life.run()
      while (turns-- > 0) await new Promise((resolve) => setImmediate(resolve))
      await life.job().cancel()
      const end = await ended
      if (end.kind === 'ended') continue
      assert.equal(codeOf(end), 'CANCELLED')
      assert.equal(life.job().status(), 'cancelled')
    }
    await finish(world, 99)
    assertExact(world)
    assert.deepEqual(world.openIds(), [])
  }
})

test('failures are kept with their time, attempt and task, the last sixteen of them, that which ended the job included', async () => {
  const world = new ModelWorld(2, 400)
  const life = start(world, 1, { configure: { 'restart-strategy.fixed-delay.attempts': 19 } })
  let thrown = 0
  life.life.onElement = (value) => {
    if (value === 50 + thrown) throw new Error(`failure ${++thrown}`)
  }
  const end = await life.run()
  assert.equal(end.kind, 'failed')
  const failures = life.job().failures()
  assert.deepEqual(
    failures.map(({ message }) => message),
    Array.from({ length: 16 }, (_, index) => `failure ${index + 5}`),
  )
  assert.ok(failures.every(({ task }) => task?.uid === 'numbers' && task.subtask === 0))
  assert.ok(
    failures.every(({ at, attempt }, index) => index === 0 || (at > (failures[index - 1]?.at ?? 0) && attempt > 1)),
  )
  const refused = start(world, 2, { configure: { 'execution.checkpointing.tolerable-failed-checkpoints': 0 } })
  refused.life.storageFault = (operation) => (operation === 'write' ? 'before' : undefined)
  await refused.run()
  const last = refused.job().failures().at(-1)
  assert.deepEqual([last?.code, last?.task], ['CHECKPOINT_FAILED', undefined])
})
