/** Objects in a directory: whole or not there, exactly one winner, and a lock that a dead process does not keep. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { DirectoryStorage } from './directory-storage.ts'
import { MillraceError } from './millrace-error.ts'

function temporary(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-storage-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const isStorageFailed = (error: unknown): boolean => MillraceError.is(error) && error.code === 'STORAGE_FAILED'

test('a new object is there whole when its writing resolved, never replaces another, and shares its folder with others', async (context) => {
  const storage = new DirectoryStorage(temporary(context))
  const pieces = [Buffer.from('one'), Buffer.alloc(3 * 1024 * 1024, 7), Buffer.from('two')]
  await Promise.all([storage.create('chk/state').write(pieces), storage.create('chk/meta').write(Buffer.from('m'))])
  assert.deepEqual(await storage.list('chk'), ['meta', 'state'])
  assert.deepEqual(await storage.read('chk/state'), Buffer.concat(pieces))
  const second = storage.create('chk/meta')
  await assert.rejects(second.write(Buffer.from('other')), isStorageFailed)
  await second.discard()
  assert.deepEqual(await storage.read('chk/meta'), Buffer.from('m'))
})

test('what was written is read back, in folders that are made as needed; what is absent is undefined', async (context) => {
  const root = join(temporary(context), 'not/yet/there')
  const storage = new DirectoryStorage(root)
  assert.equal(await storage.read('a/b/c'), undefined)
  assert.deepEqual(await storage.list('a'), [])
  await storage.write('a/b/c', Buffer.from('one'))
  await storage.write('a/b/c', Buffer.from('two'))
  await storage.write('a/d', Buffer.alloc(0))
  assert.equal((await storage.read('a/b/c'))?.toString(), 'two')
  assert.deepEqual(await storage.list('a'), ['b', 'd'])
  assert.deepEqual(await new DirectoryStorage(root).read('a/d'), Buffer.alloc(0))
})

test('names come in order, and temporary ones are never seen by readers nor left behind', async (context) => {
  const root = temporary(context)
  const storage = new DirectoryStorage(root)
  for (const name of ['10', '2', '1']) await storage.write(`log/${name}`, Buffer.from(name))
  await storage.putIfAbsent('log/1', Buffer.from('again'))
  assert.deepEqual(readdirSync(join(root, 'log')).sort(), ['1', '10', '2'], 'nothing else lies there')
  writeFileSync(join(root, 'log', '.0123.tmp'), 'of a process that was killed')
  assert.deepEqual(await storage.list('log'), ['1', '10', '2'])
})

test('staged bytes are seen by nobody until they are put, or gone when they are not; neither leaves anything behind', async (context) => {
  const root = temporary(context)
  const storage = new DirectoryStorage(root)
  const wanted = Buffer.from('wanted')
  const [staged, other] = [storage.stage('log'), storage.stage('log')]
  await Promise.all([staged.write(wanted), other.write(Buffer.from('other'))])
  assert.deepEqual(await storage.list('log'), [])
  assert.equal(readdirSync(join(root, 'log')).length, 2, 'they are on the disk')
  assert.equal(await storage.putIfAbsent('log/1', wanted, staged), 'created')
  assert.equal((await storage.read('log/1'))?.toString(), 'wanted')
  await other.discard()
  await Promise.all([other.discard(), staged.discard()])
  const late = storage.stage('log')
  await late.write(Buffer.from('late'))
  assert.equal(await storage.putIfAbsent('log/1', Buffer.from('late'), late), 'exists')
  assert.equal((await storage.read('log/1'))?.toString(), 'wanted')
  assert.deepEqual(readdirSync(join(root, 'log')), ['1'])
})

test('what was begun may be written at any time, given up, and begun again; its folder may be removed between', async (context) => {
  const root = temporary(context)
  const storage = new DirectoryStorage(root)
  const begun = [storage.create('chk/state'), storage.create('chk/other'), storage.stage('log')]
  await Promise.all(begun.map((object) => object.discard()))
  await Promise.all(begun.map((object) => object.discard()))
  assert.deepEqual([...readdirSync(join(root, 'chk')), ...readdirSync(join(root, 'log'))], [])
  await storage.remove('log')
  for (const content of ['', 'second']) {
    await storage.create('chk/state').write(Buffer.from(content))
    assert.equal((await storage.read('chk/state'))?.toString(), content)
    await storage.remove('chk')
    assert.deepEqual(await storage.list(''), [])
  }
})

test('of several that create the same object at once exactly one is told so, and its bytes stand', async (context) => {
  const root = temporary(context)
  const storages = Array.from({ length: 8 }, () => new DirectoryStorage(root))
  const outcomes = await Promise.all(
    storages.map((storage, index) => storage.putIfAbsent('log/1', Buffer.from(`of ${index}`))),
  )
  assert.equal(outcomes.filter((outcome) => outcome === 'created').length, 1)
  assert.equal((await storages[0]?.read('log/1'))?.toString(), `of ${outcomes.indexOf('created')}`)
  assert.deepEqual(readdirSync(join(root, 'log')), ['1'])
})

test('a folder is removed with all below it, what is absent is no error, and the folder can be written again', async (context) => {
  const root = temporary(context)
  const storage = new DirectoryStorage(root)
  await storage.write('chk/a/b', Buffer.from('x'))
  await storage.remove('chk')
  await storage.remove('chk')
  await storage.remove('other/deep')
  assert.equal(existsSync(join(root, 'chk')), false)
  await storage.write('chk/a/b', Buffer.from('y'))
  assert.equal((await storage.read('chk/a/b'))?.toString(), 'y')
})

test('what the system refuses is told with the path, and leaves no temporary file', async (context) => {
  const root = temporary(context)
  const storage = new DirectoryStorage(root)
  await storage.write('folder/x', Buffer.from('x'))
  // The name is taken by a folder: the rename fails after the bytes were written.
  await assert.rejects(storage.write('folder', Buffer.from('y')), (error) => {
    assert.ok(isStorageFailed(error))
    assert.match(String(error), new RegExp(`${root}/folder`))
    return true
  })
  await assert.rejects(storage.read('folder'), isStorageFailed)
  await assert.rejects(storage.write('folder/x/below-a-file', Buffer.from('y')), isStorageFailed)
  assert.deepEqual(readdirSync(root), ['folder'])
})

test('a lock is held by one, and free again after its release, which may be repeated', async (context) => {
  const root = temporary(context)
  const [first, second] = [new DirectoryStorage(root), new DirectoryStorage(root)]
  const lock = await first.lock('lock.sock')
  assert.ok(lock !== undefined)
  assert.equal(await second.lock('lock.sock'), undefined)
  assert.notEqual(await second.lock('other.sock'), undefined)
  await lock.release()
  await lock.release()
  const next = await second.lock('lock.sock')
  assert.ok(next !== undefined)
  await next.release()
})

test('a lock in a folder whose path is too long for a socket works as well', async (context) => {
  const root = join(temporary(context), 'a'.repeat(100))
  const lock = await new DirectoryStorage(root).lock('lock.sock')
  assert.ok(lock !== undefined)
  assert.equal(await new DirectoryStorage(root).lock('lock.sock'), undefined)
  await lock.release()
})

test('the socket of a process that was killed keeps nobody out; that of a living one does', async (context) => {
  const root = temporary(context)
  const module = new URL('./directory-storage.ts', import.meta.url).href
  const script = `
    const { DirectoryStorage } = await import(${JSON.stringify(module)})
    const lock = await new DirectoryStorage(${JSON.stringify(root)}).lock('lock.sock')
    console.log(lock === undefined ? 'refused' : 'held')
    setInterval(() => undefined, 1000)`
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = new Promise((resolve) => holder.once('exit', resolve))
  context.after(() => holder.kill('SIGKILL'))
  const said = await new Promise<string>((resolve) =>
    holder.stdout.once('data', (data) => resolve(String(data).trim())),
  )
  assert.equal(said, 'held')
  const storage = new DirectoryStorage(root)
  assert.equal(await storage.lock('lock.sock'), undefined)
  holder.kill('SIGKILL')
  await gone
  assert.ok(existsSync(join(root, 'lock.sock')), 'the socket was left behind')
  const lock = await storage.lock('lock.sock')
  assert.ok(lock !== undefined)
  await lock.release()
})
