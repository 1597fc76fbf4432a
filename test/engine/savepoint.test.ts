/**
 * Starts at a kept checkpoint: begun once, gone on by the same command, gone back to by a rewind only, and refused while its
 * transactions are not known to have ended.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../src/base/index.ts'
import { assertExact, type LifeOptions, start } from './life.ts'
import { ModelWorld } from './model-world.ts'

const RETAIN = { 'execution.checkpointing.num-retained': 100 }

async function finish(world: ModelWorld, seed: number, options: LifeOptions = {}): Promise<string> {
  const end = await start(world, seed, { configure: RETAIN, ...options }).run()
  assert.ok(end.kind === 'ended', `${end.kind} ${end.kind === 'failed' ? end.error.message : ''}`)
  return end.result.outcome
}

const folders = async (world: ModelWorld): Promise<string[]> =>
  (await world.disk.list('')).filter((name) => name.startsWith('chk-'))

/** How often each record stands in the output, by its number within its split. */
function times(world: ModelWorld): Map<number, number> {
  const counts = new Map<number, number>()
  for (const value of world.output) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

test('a start at a kept checkpoint reads again exactly what came after it, and only once', async () => {
  const world = new ModelWorld(2, 400)
  assert.equal(await finish(world, 1), 'finished')
  assert.equal(world.output.length, 800)
  const [folder] = (await folders(world)).filter((name) => name.startsWith('chk-2-'))
  assert.ok(folder !== undefined, 'checkpoint 2 was kept')

  assert.equal(await finish(world, 2, { savepoint: { folder } }), 'finished')
  const counts = times(world)
  for (let split = 0; split < 2; split++) {
    const doubled = Array.from({ length: 400 }, (_, n) => counts.get(split * 1_000_000 + n) ?? 0)
    const from = doubled.indexOf(2)
    assert.ok(from > 0 && from < 400, `split ${split} is repeated from ${from}`)
    assert.deepEqual(doubled, [...new Array(from).fill(1), ...new Array(400 - from).fill(2)])
  }

  const before = world.output.length
  assert.equal(await finish(world, 3, { savepoint: { folder } }), 'already-finished')
  assert.equal(await finish(world, 4), 'already-finished')
  assert.equal(world.output.length, before)
  assert.equal(await finish(world, 5, { savepoint: { folder, rewind: true } }), 'finished')
  assert.equal(world.output.length, before + (before - 800))
})

test('a crash right after a start at a kept checkpoint goes on from that checkpoint, by either command', async () => {
  for (const options of [{}, { again: true }]) {
    const world = new ModelWorld(2, 400)
    await finish(world, 1)
    const [folder] = (await folders(world)).filter((name) => name.startsWith('chk-2-'))
    assert.ok(folder !== undefined)
    const crashed = start(world, 2, { configure: RETAIN, savepoint: { folder } })
    crashed.life.crashAt('attempt-written', 1)
    assert.equal((await crashed.run()).kind, 'crashed')
    await finish(world, 3, 'again' in options ? { savepoint: { folder } } : {})
    const replayed = world.output.length - 800
    assert.ok(replayed > 0 && replayed < 800, `${replayed} records were read again`)
    assert.ok([...times(world).values()].every((count) => count <= 2))
  }
})

test('a checkpoint whose transactions are not known to have ended is refused, and so is a folder without one', async () => {
  const world = new ModelWorld(2, 400)
  const first = start(world, 1, { configure: RETAIN })
  first.life.crashAt('completed-written', 1)
  assert.equal((await first.run()).kind, 'crashed')
  const [folder] = await folders(world)
  assert.ok(folder !== undefined)
  const refused = await start(world, 2, { savepoint: { folder } }).run()
  assert.ok(refused.kind === 'failed' && MillraceError.is(refused.error))
  assert.equal(refused.error.code, 'STATE_NOT_RESTORED')
  const missing = await start(world, 3, { savepoint: { folder: 'chk-99-9' } }).run()
  assert.ok(missing.kind === 'failed' && MillraceError.is(missing.error))
  assert.equal(missing.error.code, 'CHECKPOINT_DAMAGED')
  // Nothing was changed by either: the job itself goes on, exactly.
  assert.equal(await finish(world, 4), 'finished')
  assert.equal(world.output.length, 800)
})

/** Life 1 dies with checkpoint 2 as `joint` leaves it; the next goes on to the end, and keeps every folder. */
async function leftOverOf(joint: 'metadata-written' | 'completed-written'): Promise<ModelWorld> {
  const world = new ModelWorld(2, 400)
  const first = start(world, 1, { configure: RETAIN })
  first.life.crashAt(joint, 2)
  assert.equal((await first.run()).kind, 'crashed')
  if (joint === 'completed-written') world.expireAll()
  assert.equal(await finish(world, 2), 'finished')
  assert.equal(world.output.length, 800)
  return world
}

test('a checkpoint that never completed, or was void, is refused for ever, although later ones were committed', async () => {
  for (const joint of ['metadata-written', 'completed-written'] as const) {
    const world = await leftOverOf(joint)
    const all = await folders(world)
    const [folder] = all.filter((name) => name.startsWith('chk-2-1'))
    assert.ok(folder !== undefined, `it lies there: ${all.join(' ')}`)
    assert.ok(all.some((name) => Number(name.split('-')[1]) > 2))
    for (const rewind of [false, true]) {
      const refused = await start(world, 3, { configure: RETAIN, savepoint: { folder, rewind } }).run()
      assert.ok(refused.kind === 'failed' && MillraceError.is(refused.error), joint)
      assert.equal(refused.error.code, 'STATE_NOT_RESTORED')
      assert.match(refused.error.message, /the log beside it does not say that it completed/)
    }
    assert.equal(await finish(world, 4), 'already-finished')
    assert.equal(world.output.length, 800)
  }
})

test('the command that began at one of its own checkpoints may be repeated for ever: it goes on when that was removed', async () => {
  const world = new ModelWorld(2, 400)
  const first = start(world, 1)
  first.life.atJoint('completed-written', 2, () => void first.job().stop())
  assert.equal((await first.run()).kind, 'ended')
  const [folder] = await folders(world)
  assert.ok(folder !== undefined)
  const written = world.output.length
  assert.ok(written > 0 && written < 800)

  const command = { savepoint: { folder } }
  // It dies before anything of the lineage completed, and again when the folder is gone.
  for (const [seed, joint, nth] of [
    [2, 'attempt-written', 1],
    [3, 'completed-written', 8],
    [4, 'attempt-written', 1],
  ] as const) {
    const life = start(world, seed, command)
    life.life.crashAt(joint, nth)
    assert.equal((await life.run()).kind, 'crashed')
  }
  assert.ok(!(await folders(world)).includes(folder), 'newer ones are kept instead')
  assert.equal((await start(world, 5, command).run()).kind, 'ended')
  assertExact(world)
  // Who asks to go back needs it.
  const rewind = await start(world, 6, { savepoint: { folder, rewind: true } }).run()
  assert.ok(rewind.kind === 'failed' && MillraceError.is(rewind.error))
  assert.equal(rewind.error.code, 'CHECKPOINT_DAMAGED')
  assert.equal((await start(world, 7, command).run()).kind, 'ended')
  assertExact(world)
})
