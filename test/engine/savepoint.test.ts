/**
 * Starts at a kept checkpoint: begun once, gone on by the same command, gone back to by a rewind only, and refused while its
 * transactions are not known to have ended.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../src/base/index.ts'
import { type LifeOptions, start } from './life.ts'
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
