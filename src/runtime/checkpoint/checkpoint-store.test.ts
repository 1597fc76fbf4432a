/** Checkpoint folders: exactly what was written, or refused. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DirectoryStorage, MemoryStorage, MillraceError, SystemClock } from '../../base/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import type { CheckpointContent } from './checkpoint-metadata.ts'
import { CheckpointStore } from './checkpoint-store.ts'
import { StagingStorage } from './staging-storage.test-double.ts'

function content(checkpoint: number, attempt = 1): CheckpointContent {
  const bytes = Buffer.from(`state of ${checkpoint}`)
  return {
    job: 'j',
    checkpoint,
    attempt,
    lineage: 'l',
    id: `id-${checkpoint}-${attempt}`,
    at: 5,
    final: false,
    parts: [{ uid: 'map', role: 'operator', subtask: 0, version: 1, bytes }],
  }
}

test('a checkpoint is read back as it was written, from a folder named by number and attempt', async () => {
  const storage = new MemoryStorage()
  const store = new CheckpointStore(storage, new SimulatedClock())
  const stored = await store.write(content(3, 2))
  assert.equal(stored.folder, 'chk-3-2')
  assert.deepEqual(await store.read(stored.folder, stored.digest), content(3, 2))
  assert.deepEqual(await storage.list('chk-3-2'), ['_metadata', 'state'])
})

test('`_metadata` is written last: a crash before it leaves no checkpoint', async () => {
  const storage = new MemoryStorage()
  const order: string[] = []
  const write = storage.write.bind(storage)
  storage.write = async (path, bytes) => {
    order.push(path)
    await write(path, bytes)
  }
  await new CheckpointStore(storage, new SimulatedClock()).write(content(1))
  assert.deepEqual(order, ['chk-1-1/state', 'chk-1-1/_metadata'])
})

test('damage of each file, and either one missing, is told with the folder', async () => {
  for (const file of ['state', '_metadata'] as const) {
    for (const damage of ['missing', 'changed', 'cut', 'empty', 'swapped'] as const) {
      const storage = new MemoryStorage()
      const store = new CheckpointStore(storage, new SimulatedClock())
      const { folder, digest } = await store.write(content(1))
      const other = await store.write(content(2))
      const path = `${folder}/${file}`
      const bytes = (await storage.read(path)) ?? Buffer.alloc(0)
      const changed = Buffer.from(bytes)
      changed[5] = (changed[5] ?? 0) ^ 4
      if (damage === 'missing') await storage.remove(path)
      else if (damage === 'changed') await storage.write(path, changed)
      else if (damage === 'cut') await storage.write(path, bytes.subarray(0, -1))
      else if (damage === 'empty') await storage.write(path, Buffer.alloc(0))
      else await storage.write(path, (await storage.read(`${other.folder}/${file}`)) ?? Buffer.alloc(0))
      await assert.rejects(store.read(folder, digest), (error) => {
        assert.ok(MillraceError.is(error) && error.code === 'CHECKPOINT_DAMAGED', `${file} ${damage}`)
        assert.match(error.message, /memory\/chk-1-1/)
        return true
      })
    }
  }
})

test('the digest in the log decides: another checkpoint in the same folder is refused', async () => {
  const store = new CheckpointStore(new MemoryStorage(), new SimulatedClock())
  const first = await store.write(content(1))
  await store.write({ ...content(1), id: 'another' })
  await assert.rejects(store.read(first.folder, first.digest), /not the one that was written/)
})

test('folders below the lowest go, of any attempt; others and foreign names stay', async () => {
  const storage = new MemoryStorage()
  const store = new CheckpointStore(storage, new SimulatedClock())
  for (const [checkpoint, attempt] of [
    [1, 1],
    [2, 1],
    [2, 4],
    [3, 1],
    [10, 4],
  ] as const) {
    await store.write(content(checkpoint, attempt))
  }
  await storage.write('log/0000000001', Buffer.from('x'))
  await storage.write('chk-1-1-backup/state', Buffer.from('x'))
  await store.removeBelow(3, () => false)
  assert.equal((await storage.list('')).includes('chk-1-1'), true, 'nothing is removed any more')
  await store.removeBelow(3)
  assert.deepEqual(await storage.list(''), ['chk-1-1-backup', 'chk-10-4', 'chk-3-1', 'log'])
  await store.discard(10, 3)
  await store.discard(10, 4)
  assert.deepEqual(await storage.list(''), ['chk-1-1-backup', 'chk-3-1', 'log'])
})

test('what was expected is written, or given up with its folder, or left alone when the job has another owner', async () => {
  const storage = new StagingStorage()
  const store = new CheckpointStore(storage, new SimulatedClock())
  const expect = async (...checkpoints: readonly number[]): Promise<void> => {
    for (const checkpoint of checkpoints) {
      store.expect(checkpoint, 1)
      store.expect(checkpoint, 1)
      await storage.write(`chk-${checkpoint}-1/state`, Buffer.alloc(0))
    }
  }
  await expect(1, 2, 3)
  assert.equal(storage.begun.size, 6)
  const stored = await store.write(content(1))
  assert.deepEqual(await store.read(stored.folder, stored.digest), content(1))
  await store.discard(2, 1)
  assert.deepEqual([...storage.begun], ['chk-3-1/state', 'chk-3-1/_metadata'])
  await store.close({ abandon: false })
  assert.deepEqual([storage.begun.size, await storage.list('')], [0, ['chk-1-1']])
  await expect(4)
  await store.close({ abandon: true })
  assert.deepEqual([storage.begun.size, await storage.list('')], [0, ['chk-1-1', 'chk-4-1']])
})

test('storage that cannot remove or list fails no checkpoint', async () => {
  const storage = new MemoryStorage()
  const store = new CheckpointStore(storage, new SimulatedClock())
  await store.write(content(1))
  storage.remove = () => Promise.reject(new MillraceError('STORAGE_FAILED', 'read only'))
  await store.removeBelow(2)
  await store.discard(1, 1)
  storage.list = () => Promise.reject(new MillraceError('STORAGE_FAILED', 'away'))
  await store.removeBelow(2)
})

test('state of many sizes, large parts among small and empty ones, is read back as it was written', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-store-'))
  try {
    const store = new CheckpointStore(new DirectoryStorage(folder), new SystemClock())
    const sizes = [0, 1, 3_000_000, 17, 1024 * 1024, 0, 1024 * 1024 - 1, 2, 1024 * 1024 + 1, ...Array(2_000).fill(999)]
    const parts = sizes.map((size, subtask) => ({
      uid: 'state',
      role: 'operator' as const,
      subtask,
      version: 1,
      bytes: Buffer.alloc(size, subtask + 1),
    }))
    const stored = await store.write({ ...content(1), parts })
    assert.deepEqual(await store.read(stored.folder, stored.digest), { ...content(1), parts })
    const other = await store.write({ ...content(2), parts: [] })
    assert.deepEqual(await store.read(other.folder, other.digest), { ...content(2), parts: [] })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('large state is digested in slices with a turn of the event loop between them, small state at once', async () => {
  let turns = 0
  const clock = new SimulatedClock()
  clock.nextTurn = async () => {
    turns++
  }
  const store = new CheckpointStore(new MemoryStorage(), clock)
  await store.write(content(1))
  assert.equal(turns, 0)
  const part = { uid: 'state', role: 'operator' as const, subtask: 0, version: 1 }
  const large = [1_500_000, 10, 8_500_000].map((size) => ({ ...part, bytes: Buffer.alloc(size, 7) }))
  const stored = await store.write({ ...content(2), parts: large })
  assert.ok(turns >= 9, `${turns} turns`)
  await store.read(stored.folder, stored.digest)
  assert.ok(turns >= 18, `${turns} turns`)
})

test('when one file cannot be written, the other is finished first, so that what is removed then does not come back', async () => {
  const storage = new MemoryStorage()
  const write = storage.write.bind(storage)
  let finish = (): void => undefined
  storage.write = (path, bytes) => {
    if (path.endsWith('_metadata')) return Promise.reject(new MillraceError('STORAGE_FAILED', 'disk full'))
    return new Promise<void>((resolve) => (finish = resolve)).then(() => write(path, bytes))
  }
  let failed = false
  const writing = new CheckpointStore(storage, new SimulatedClock()).write(content(1)).catch(() => {
    failed = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(failed, false)
  finish()
  await writing
  assert.equal(failed, true)
})
