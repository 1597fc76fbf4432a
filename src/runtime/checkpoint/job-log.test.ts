/** The log of a job: who gets a number, who is superseded, and what stops the job. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage, MillraceError, SeededRandom, type Storage } from '../../base/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import { JobLog } from './job-log.ts'
import type { AttemptRecord, LogRecord } from './job-log-record.ts'
import { StagingStorage } from './staging-storage.test-double.ts'

let seeds = 0
const openLog = (storage: Storage): JobLog =>
  new JobLog({ storage, clock: new SimulatedClock(), random: new SeededRandom(++seeds) })

function attempt(log: JobLog): AttemptRecord {
  const lineage = { id: 'l', begin: { kind: 'fresh' } } as const
  return { kind: 'attempt', lineage, sinks: [], firstCheckpoint: log.history.highestCheckpoint + 1 }
}

function completed(checkpoint: number, more: { committed?: number; fencedBelow?: number } = {}): LogRecord {
  const folder = `chk-${checkpoint}-1`
  return { kind: 'completed', checkpoint, lineage: 'l', folder, digest: 'd', final: false, records: {}, ...more }
}

async function begun(storage: Storage): Promise<JobLog> {
  const log = openLog(storage)
  await log.read()
  assert.notEqual(await log.begin(attempt(log)), undefined)
  return log
}

const codeIs = (code: string) => (error: unknown) => MillraceError.is(error) && error.code === code
const path = (number: number): string => `log/${String(number).padStart(10, '0')}`

/** Storage whose calls can be told to fail or to be preceded by something. */
class TroubledStorage extends MemoryStorage {
  before: (call: string, path: string) => void | Promise<void> = () => undefined
  after: (call: string, path: string) => void = () => undefined

  override async read(at: string): Promise<Buffer | undefined> {
    await this.before('read', at)
    return super.read(at)
  }

  override async putIfAbsent(at: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    await this.before('put', at)
    const outcome = await super.putIfAbsent(at, bytes)
    this.after('put', at)
    return outcome
  }
}

test('what was appended is read back in order by another process', async () => {
  const storage = new MemoryStorage()
  const log = await begun(storage)
  await log.append(completed(1))
  await log.append({ kind: 'committed', checkpoint: 1 })
  await log.append(completed(2))
  await log.append({ kind: 'stopped' })
  const other = openLog(storage)
  const history = await other.read()
  assert.deepEqual(history, log.history)
  assert.equal(history.last?.record.checkpoint, 2)
  assert.deepEqual(
    history.unsettled.map((past) => past.record.checkpoint),
    [2],
  )
  assert.equal(history.end, 'stopped')
  assert.deepEqual(
    await storage.list('log'),
    [1, 2, 3, 4, 5].map((number) => path(number).slice(4)),
  )
})

test('a staged record takes no place; appending the very same one uses it, any other one gives it up', async () => {
  const storage = new StagingStorage()
  const log = await begun(storage)
  await log.stage(completed(1))
  assert.deepEqual(await storage.list('log'), [path(1).slice(4)])
  await log.append(completed(1))
  assert.deepEqual([storage.used, storage.waiting.size], [1, 0])

  await log.stage(completed(2))
  await log.stage(completed(3))
  await log.append(completed(2, { committed: 1 }))
  assert.deepEqual([storage.used, storage.waiting.size], [1, 0], 'what was staged says less')

  log.expect()
  log.expect()
  assert.equal(storage.waiting.size, 1)
  await log.stage(completed(3))
  assert.equal(storage.waiting.size, 1, 'it is what was expected')
  log.expect()
  await log.unstage()
  assert.equal(storage.waiting.size, 0)
  await log.append(completed(3))
  assert.equal(storage.used, 1)
  const history = await openLog(storage).read()
  assert.deepEqual(history, log.history)
  assert.deepEqual(
    history.completed.map((past) => past.committed),
    [true, false, false],
  )
})

test('an empty log is the beginning; an attempt gets its place as its number', async () => {
  const storage = new MemoryStorage()
  const log = openLog(storage)
  assert.equal((await log.read()).empty, true)
  assert.equal(await log.begin(attempt(log)), 1)
  await log.append(completed(1))
  assert.equal((await begun(storage)).attempt, 3)
})

test('of two processes that begin at once one gets the number, and the other must read again', async () => {
  const storage = new MemoryStorage()
  const [first, second] = [openLog(storage), openLog(storage)]
  await first.read()
  await second.read()
  const places = await Promise.all([first.begin(attempt(first)), second.begin(attempt(second))])
  assert.deepEqual(places.toSorted(), [1, undefined])
  const loser = places[0] === undefined ? first : second
  assert.equal(loser.attempt, 0)
  assert.equal((await loser.read()).empty, false)
  assert.equal(await loser.begin(attempt(loser)), 2)
})

test('a higher number of another process supersedes: the next record, and the mere look, say so', async () => {
  const storage = new MemoryStorage()
  const sleeper = await begun(storage)
  await begun(storage)
  await assert.rejects(sleeper.checkOwnership(), codeIs('SUPERSEDED'))
  await assert.rejects(sleeper.append(completed(1)), codeIs('SUPERSEDED'))
  assert.equal((await openLog(storage).read()).completed.length, 0, 'nothing of the superseded one counts')
})

test('a record created in time is followed by the look: another that came in between supersedes', async () => {
  const storage = new TroubledStorage()
  const log = await begun(storage)
  let other: JobLog | undefined
  const put = storage.putIfAbsent.bind(storage)
  storage.putIfAbsent = async (at, bytes) => {
    const outcome = await put(at, bytes)
    storage.putIfAbsent = put
    other = await begun(storage)
    return outcome
  }
  await assert.rejects(log.append(completed(1)), codeIs('SUPERSEDED'))
  // Its record stands and was seen by the new owner, who must settle it.
  assert.equal(other?.history.last?.record.checkpoint, 1)
})

test('a begin is followed by the look as well: no side effect precedes it', async () => {
  const storage = new MemoryStorage()
  const log = openLog(storage)
  await log.read()
  const put = storage.putIfAbsent.bind(storage)
  storage.putIfAbsent = async (at, bytes) => {
    const outcome = await put(at, bytes)
    storage.putIfAbsent = put
    await begun(storage)
    return outcome
  }
  await assert.rejects(log.begin(attempt(log)), codeIs('SUPERSEDED'))
})

test('a restart in the process goes on after its own attempts, never after those of another', async () => {
  const storage = new MemoryStorage()
  const log = await begun(storage)
  await log.read()
  assert.equal(await log.begin(attempt(log)), 2)
  await begun(storage)
  await assert.rejects(log.read(), codeIs('SUPERSEDED'))
})

test('many records are replaced by a base that says the same', async () => {
  const storage = new MemoryStorage()
  const log = await begun(storage)
  for (let checkpoint = 1; checkpoint <= 230; checkpoint++) {
    await log.append(completed(checkpoint, checkpoint === 1 ? {} : { committed: checkpoint - 1 }))
    await log.prune()
  }
  const names = await storage.list('log')
  assert.ok(names.length < 200, `${names.length} records are left`)
  assert.notEqual(names[0], path(1).slice(4))
  const history = await openLog(storage).read()
  assert.deepEqual(history, log.history)
  assert.equal(history.last?.record.checkpoint, 230)
  assert.deepEqual(
    history.unsettled.map((past) => past.record.checkpoint),
    [230],
  )
  assert.equal(history.highestCheckpoint, 230)
  assert.equal(history.lastAttempt, 1)
})

/** A process at number 1, and another that has taken over, written much and pruned. */
async function prunedBeside(): Promise<{ storage: MemoryStorage; sleeper: JobLog; owner: JobLog }> {
  const storage = new MemoryStorage()
  const sleeper = await begun(storage)
  const owner = await begun(storage)
  for (let checkpoint = 1; checkpoint <= 205; checkpoint++) await owner.append(completed(checkpoint))
  await owner.prune()
  assert.equal(await storage.read(path(2)), undefined)
  return { storage, sleeper, owner }
}

test('a pruned slot taken again by a process that slept is superseded by the base, and its record says nothing', async () => {
  const { storage, sleeper, owner } = await prunedBeside()
  await assert.rejects(sleeper.append(completed(1)), codeIs('SUPERSEDED'))
  assert.notEqual(await storage.read(path(2)), undefined, 'its record was created')
  await owner.append(completed(206))
  const history = await openLog(storage).read()
  assert.equal(history.last?.record.checkpoint, 206)
  assert.deepEqual(history, owner.history)
})

test('a process that read an empty log and slept until it was pruned is superseded, although its attempt has the same number', async () => {
  const storage = new MemoryStorage()
  const sleeper = openLog(storage)
  assert.ok((await sleeper.read()).empty)
  const owner = await begun(storage)
  for (let checkpoint = 1; checkpoint <= 205; checkpoint++) await owner.append(completed(checkpoint))
  await owner.prune()
  assert.equal(await storage.read(path(1)), undefined)
  await assert.rejects(sleeper.begin(attempt(sleeper)), codeIs('SUPERSEDED'))
  assert.notEqual(await storage.read(path(1)), undefined, 'its record was created')
  await owner.append(completed(206))
})

test('records below a base may be missing, half pruned or torn', async () => {
  const { storage, owner } = await prunedBeside()
  await storage.write(path(5), Buffer.from('torn'))
  await storage.write(path(9), Buffer.from('{}'))
  assert.deepEqual(await openLog(storage).read(), owner.history)
})

test('a log that is pruned while it is being read is read again', async () => {
  const storage = new TroubledStorage()
  const owner = await begun(storage)
  for (let checkpoint = 1; checkpoint <= 205; checkpoint++) await owner.append(completed(checkpoint))
  let pruned = false
  storage.before = async (call, at) => {
    if (call !== 'read' || at !== path(100) || pruned) return
    pruned = true
    await owner.prune()
  }
  assert.deepEqual(await openLog(storage).read(), owner.history)
  assert.ok(pruned)
})

test('an unreadable, torn or missing record stops the job and names the file', async () => {
  const damages: readonly ((storage: MemoryStorage, bytes: Buffer) => Promise<void>)[] = [
    (storage, bytes) => storage.write(path(3), bytes.subarray(0, bytes.length - 10)),
    (storage, bytes) => storage.write(path(3), bytes.subarray(0, 20)),
    (storage) => storage.write(path(3), Buffer.alloc(0)),
    (storage, bytes) =>
      storage.write(path(3), Buffer.from(bytes.toString().replace('"checkpoint":2', '"checkpoint":3'))),
    (storage) => storage.remove(path(3)),
  ]
  for (const damage of damages) {
    const storage = new MemoryStorage()
    const log = await begun(storage)
    for (const checkpoint of [1, 2, 3]) await log.append(completed(checkpoint))
    const bytes = await storage.read(path(3))
    assert.ok(bytes !== undefined)
    await damage(storage, bytes)
    await assert.rejects(openLog(storage).read(), (error) => {
      assert.ok(codeIs('LOG_DAMAGED')(error))
      assert.match(String(error), /log\/0000000003/)
      return true
    })
  }
})

test('a log whose first records are missing stops the job', async () => {
  const storage = new MemoryStorage()
  const log = await begun(storage)
  for (const checkpoint of [1, 2, 3]) await log.append(completed(checkpoint))
  await storage.remove(path(1))
  await assert.rejects(openLog(storage).read(), codeIs('LOG_DAMAGED'))
})

test('an append that was told as failed and had succeeded is no other owner, and the next reading knows it', async () => {
  const storage = new TroubledStorage()
  const log = await begun(storage)
  storage.after = () => {
    throw new MillraceError('STORAGE_FAILED', 'the directory could not be synced')
  }
  await assert.rejects(log.append(completed(1)), codeIs('STORAGE_FAILED'))
  storage.after = () => undefined
  assert.equal(log.history.last, undefined)
  await log.checkOwnership()
  assert.equal((await log.read()).last?.record.checkpoint, 1)
  assert.equal(await log.begin(attempt(log)), 3)
})

test('a begin that was told as failed and had succeeded is the own one; the same place taken by another is not', async () => {
  for (const mine of [true, false]) {
    const storage = new TroubledStorage()
    const log = await begun(storage)
    const fail = (): never => {
      throw new MillraceError('STORAGE_FAILED', 'the network is gone')
    }
    if (mine) storage.after = fail
    else storage.before = (call) => (call === 'put' ? fail() : undefined)
    await assert.rejects(log.begin(attempt(log)), codeIs('STORAGE_FAILED'))
    storage.after = () => undefined
    storage.before = () => undefined
    if (!mine) await begun(storage)
    if (mine) {
      await log.checkOwnership()
      await log.read()
      assert.equal(await log.begin(attempt(log)), 3)
    } else {
      await assert.rejects(log.checkOwnership(), codeIs('SUPERSEDED'))
      await assert.rejects(log.read(), codeIs('SUPERSEDED'))
    }
  }
})

test('a put that storage repeated by itself finds its own record: that is success', async () => {
  const storage = new MemoryStorage()
  const put = storage.putIfAbsent.bind(storage)
  storage.putIfAbsent = async (at, bytes) => {
    await put(at, bytes)
    return put(at, bytes)
  }
  const log = await begun(storage)
  await log.append(completed(1))
  assert.equal((await openLog(storage).read()).last?.record.checkpoint, 1)
})

test('a record of the own that is gone is damage, not another owner', async () => {
  const storage = new MemoryStorage()
  const log = await begun(storage)
  await log.append(completed(1))
  await storage.remove(path(2))
  await assert.rejects(log.checkOwnership(), codeIs('LOG_DAMAGED'))
})

test('a process without a place in the log cannot append', async () => {
  const log = openLog(new MemoryStorage())
  await log.read()
  await assert.rejects(log.append({ kind: 'failed', message: 'x' }), /before the attempt began/)
})
