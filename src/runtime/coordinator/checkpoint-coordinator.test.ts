/** Checkpoints of one attempt: each state with each event, in simulated time. The cells are those of SPEC.md. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  MillraceError,
  type Network,
  type NewObject,
  SeededRandom,
  type Storage,
  silentLogger,
} from '../../base/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import type { CoordinatorMessage, TaskId } from '../channel/messages.ts'
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts'
import { JobLog } from '../checkpoint/job-log.ts'
import { StagingStorage } from '../checkpoint/staging-storage.test-double.ts'
import { CheckpointCoordinator, type CheckpointOptions } from './checkpoint-coordinator.ts'

const TASKS: readonly TaskId[] = [
  { chain: 0, subtask: 0 },
  { chain: 0, subtask: 1 },
]
const [A, B] = [TASKS[0] as TaskId, TASKS[1] as TaskId]
const network: Network = { connect: () => Promise.reject(new Error('no network')) }

/** Storage that waits, fails, or goes on, as told, by the beginning of the path. */
class HeldStorage extends StagingStorage {
  readonly #holds = new Map<string, Promise<void>>()

  /** The next writes below the path wait until the returned function is called, with an error or none. */
  hold(path: string): (error?: Error) => void {
    let release: (error?: Error) => void = () => undefined
    const held = new Promise<void>((resolve, reject) => {
      release = (error) => {
        this.#holds.delete(path)
        if (error === undefined) resolve()
        else reject(error)
      }
    })
    held.catch(() => undefined)
    this.#holds.set(path, held)
    return release
  }

  async #gate(path: string): Promise<void> {
    for (const [prefix, held] of this.#holds) if (path.startsWith(prefix)) await held
  }

  override async write(path: string, bytes: Uint8Array): Promise<void> {
    await this.#gate(path)
    return super.write(path, bytes)
  }

  override async putIfAbsent(path: string, bytes: Uint8Array, staged?: NewObject): Promise<'created' | 'exists'> {
    await this.#gate(path)
    return super.putIfAbsent(path, bytes, staged)
  }
}

interface Setup {
  readonly clock: SimulatedClock
  readonly storage: HeldStorage
  readonly store: CheckpointStore
  readonly log: JobLog
  readonly coordinator: CheckpointCoordinator
  /** What was sent, as `kind checkpoint subtask`. */
  readonly sent: string[]
  /** How `run` ended. */
  end(): string
  ack(checkpoint: number, ...tasks: readonly TaskId[]): Promise<void>
  commit(checkpoint: number, ...tasks: readonly TaskId[]): Promise<void>
  /** A whole checkpoint. */
  complete(checkpoint: number): Promise<void>
  records(): Promise<string[]>
}

function describe(message: CoordinatorMessage): string {
  switch (message.kind) {
    case 'checkpoint':
      return `${message.final ? 'final ' : ''}barrier ${message.checkpoint}`
    case 'checkpoint-completed':
    case 'checkpoint-committed':
      return `${message.kind.slice(11)} ${message.checkpoint}`
    default:
      return message.kind
  }
}

async function recordsOf(storage: Storage): Promise<string[]> {
  const log = new JobLog({ storage, clock: new SimulatedClock(), random: new SeededRandom(9) })
  await log.read()
  const texts: string[] = []
  for (const name of await storage.list('log')) {
    const { record } = JSON.parse((await storage.read(`log/${name}`))?.toString().split('\n')[0] ?? '')
    const rides = record.committed === undefined ? '' : `+${record.committed}`
    texts.push(record.checkpoint === undefined ? record.kind : `${record.kind} ${record.checkpoint}${rides}`)
  }
  return texts
}

async function setup(options: Partial<CheckpointOptions> = {}): Promise<Setup> {
  const clock = new SimulatedClock()
  const storage = new HeldStorage()
  const random = new SeededRandom(1)
  const log = new JobLog({ storage, clock, random })
  await log.read()
  await log.begin({ kind: 'attempt', lineage: { id: 'l', begin: { kind: 'fresh' } }, sinks: [], firstCheckpoint: 1 })
  const store = new CheckpointStore(storage, clock)
  const sent: string[] = []
  const coordinator = new CheckpointCoordinator({
    jobName: 'job',
    attempt: 1,
    lineage: 'l',
    firstCheckpoint: 1,
    intervalMs: 100,
    timeoutMs: 50,
    minPauseMs: 0,
    maxConcurrent: 1,
    tolerableFailures: 0,
    retained: 1,
    tasks: TASKS,
    sourceTasks: TASKS,
    log,
    store,
    ports: { clock, random, network, logger: silentLogger },
    send: (task, message) => {
      sent.push(`${describe(message)} to ${task.subtask}`)
    },
    enumeratorParts: () => [],
    recordsOf: () => ({ topic: 1 }),
    whenVisible: async () => undefined,
    fencedBelow: () => undefined,
    ...options,
  })
  let end = 'running'
  coordinator.run().then(
    () => {
      end = 'done'
    },
    (error: unknown) => {
      end = String(error)
    },
  )
  const settle = (): Promise<void> => clock.pass(0).then(() => clock.pass(0))
  const ack = async (checkpoint: number, ...tasks: readonly TaskId[]): Promise<void> => {
    for (const task of tasks) coordinator.onSnapshot(task, checkpoint, [])
    await settle()
  }
  const commit = async (checkpoint: number, ...tasks: readonly TaskId[]): Promise<void> => {
    for (const task of tasks) coordinator.onCommitFinished(task, checkpoint)
    await settle()
  }
  const complete = async (checkpoint: number): Promise<void> => {
    await clock.pass(100)
    await ack(checkpoint, A, B)
    await commit(checkpoint, A, B)
  }
  return {
    clock,
    storage,
    store,
    log,
    coordinator,
    sent,
    end: () => end,
    ack,
    commit,
    complete,
    records: () => recordsOf(storage),
  }
}

test('nothing is sent before the interval has passed; then the barrier goes to every task', async () => {
  const { clock, sent, coordinator } = await setup()
  await clock.pass(99)
  assert.deepEqual(sent, [])
  await clock.pass(1)
  assert.deepEqual(sent, ['barrier 1 to 0', 'barrier 1 to 1'])
  coordinator.close(new Error('over'))
})

test('a checkpoint completes only when every task has answered, its folder is durable and its record is in the log', async () => {
  const { clock, sent, storage, records, ack } = await setup()
  const folder = storage.hold('chk-1-1/')
  const append = storage.hold('log/')
  await clock.pass(100)
  await ack(1, A)
  assert.deepEqual(await storage.list('chk-1-1'), [])
  await ack(1, A)
  assert.deepEqual(await storage.list('chk-1-1'), [], 'the same task twice is no second answer')
  await ack(1, B)
  folder()
  await clock.pass(0)
  assert.deepEqual(await storage.list('chk-1-1'), ['_metadata', 'state'])
  assert.equal(sent.includes('completed 1 to 0'), false, 'nobody ends a transaction before the record is durable')
  append()
  await clock.pass(0)
  await clock.pass(0)
  assert.deepEqual(await records(), ['attempt', 'completed 1'])
  assert.deepEqual(sent.slice(2), ['completed 1 to 0', 'completed 1 to 1'])
})

test('the next one begins only after every task has ended its transactions, and carries the commit of the former', async () => {
  const { clock, sent, records, ack, commit } = await setup()
  await clock.pass(100)
  await ack(1, A, B)
  await commit(1, A)
  await clock.pass(1_000)
  assert.equal(sent.includes('barrier 2 to 0'), false)
  await commit(1, A)
  assert.equal(sent.includes('barrier 2 to 0'), false)
  await commit(1, B)
  assert.equal(sent.at(-1), 'barrier 2 to 1', 'it was due long ago')
  assert.equal(sent.includes('committed 1 to 0'), false, 'identities are not free before it is in the log')
  await ack(2, A, B)
  assert.deepEqual(await records(), ['attempt', 'completed 1', 'completed 2+1'])
  assert.ok(sent.includes('committed 1 to 0') && sent.includes('committed 1 to 1'))
  assert.equal(sent.includes('committed 2 to 0'), false)
})

test('a timeout fails the checkpoint, ends and aborts nothing, and late answers count for nothing', async () => {
  const { clock, storage, sent, coordinator, ack, end, records } = await setup({ tolerableFailures: 1 })
  await clock.pass(100)
  await ack(1, A)
  await clock.pass(49)
  assert.equal(coordinator.figures.failed, 0)
  await clock.pass(1)
  assert.equal(coordinator.figures.failed, 1)
  await ack(1, B)
  assert.deepEqual(await storage.list('chk-1-1'), [])
  await clock.pass(60)
  assert.equal(sent.at(-1), 'barrier 2 to 1')
  await ack(1, A, B)
  assert.deepEqual(await storage.list('chk-2-1'), [], 'answers to 1 are none to 2')
  await ack(2, A, B)
  assert.deepEqual(await records(), ['attempt', 'completed 2'])
  assert.equal(end(), 'running')
})

test('a task that declines fails the checkpoint at once', async () => {
  const { clock, coordinator, end } = await setup()
  await clock.pass(100)
  coordinator.onDeclined(1, new Error('the flush failed'))
  await clock.pass(0)
  assert.match(end(), /checkpoint 1 failed.*1 in a row/)
})

test('a decline of another checkpoint, or while none is running, is nothing', async () => {
  const { clock, coordinator, ack, records, end } = await setup()
  coordinator.onDeclined(1, new Error('too early'))
  await clock.pass(100)
  coordinator.onDeclined(7, new Error('of another'))
  await ack(1, A, B)
  coordinator.onDeclined(1, new Error('too late'))
  await clock.pass(0)
  assert.deepEqual(await records(), ['attempt', 'completed 1'])
  assert.equal(end(), 'running')
})

test('failures in a row are counted, and a completed one begins the count anew', async () => {
  const { clock, coordinator, end, ack, commit } = await setup({ tolerableFailures: 1 })
  await clock.pass(100)
  coordinator.onDeclined(1, new Error('one'))
  await clock.pass(100)
  await ack(2, A, B)
  await commit(2, A, B)
  await clock.pass(100)
  coordinator.onDeclined(3, new Error('two'))
  await clock.pass(100)
  assert.equal(end(), 'running')
  coordinator.onDeclined(4, new Error('three'))
  await clock.pass(0)
  assert.match(end(), /checkpoint 4 failed, and with it 2 in a row/)
  assert.deepEqual([coordinator.figures.completed, coordinator.figures.failed], [1, 3])
})

test('a folder that cannot be written fails the checkpoint and is removed', async () => {
  const { clock, storage, ack, end, records } = await setup({ tolerableFailures: 1 })
  const metadata = storage.hold('chk-1-1/_metadata')
  await clock.pass(100)
  await ack(1, A, B)
  assert.deepEqual(await storage.list('chk-1-1'), ['state'])
  metadata(new MillraceError('STORAGE_FAILED', 'disk full'))
  await clock.pass(0)
  assert.deepEqual(await storage.list('chk-1-1'), [])
  assert.deepEqual(await records(), ['attempt'])
  assert.equal(end(), 'running')
})

test('a record that cannot be written fails the execution: only the log knows whether the checkpoint counts', async () => {
  const { clock, storage, ack, end, sent } = await setup({ tolerableFailures: 9 })
  const append = storage.hold('log/')
  await clock.pass(100)
  await ack(1, A, B)
  append(new MillraceError('STORAGE_FAILED', 'disk full'))
  await clock.pass(0)
  assert.match(end(), /disk full/)
  assert.equal(sent.includes('completed 1 to 0'), false)
  assert.deepEqual(await storage.list('chk-1-1'), ['_metadata', 'state'], 'its folder stays: the record may be there')
})

test('an enumerator that cannot give its state fails the checkpoint, not more', async () => {
  let broken = true
  const { clock, coordinator, sent, ack, records } = await setup({
    tolerableFailures: 1,
    enumeratorParts: () => {
      if (broken) throw new Error('no state')
      return [{ uid: 's', role: 'enumerator', subtask: 0, version: 1, bytes: Buffer.from('x') }]
    },
  })
  await clock.pass(100)
  assert.equal(coordinator.figures.failed, 1)
  assert.deepEqual(sent, [])
  broken = false
  await clock.pass(100)
  await ack(2, A, B)
  assert.deepEqual(await records(), ['attempt', 'completed 2'])
})

test('finish while nothing runs takes the final checkpoint at once, and ends when its commit is in the log', async () => {
  const { clock, coordinator, sent, ack, commit, end, records } = await setup()
  coordinator.finish('end-of-input')
  await clock.pass(0)
  assert.deepEqual(sent, ['final barrier 1 to 0', 'final barrier 1 to 1'])
  await ack(1, A, B)
  assert.equal(end(), 'running')
  await commit(1, A, B)
  assert.equal(end(), 'done')
  assert.deepEqual(await records(), ['attempt', 'completed 1', 'committed 1'])
  assert.ok(sent.includes('committed 1 to 1'))
  assert.equal(clock.pendingTimers, 0)
})

test('finish while a checkpoint runs lets it end, and then takes the final one without waiting', async () => {
  const { clock, coordinator, sent, ack, commit, end, records } = await setup()
  await clock.pass(100)
  await ack(1, A)
  coordinator.finish('stop')
  await ack(1, B)
  await commit(1, A, B)
  assert.equal(sent.at(-1), 'final barrier 2 to 1')
  await ack(2, A, B)
  await commit(2, A, B)
  assert.equal(end(), 'done')
  assert.deepEqual(await records(), ['attempt', 'completed 1', 'completed 2+1', 'committed 2'])
})

test('only the end of input makes the final record final; the first reason to finish stays', async () => {
  for (const [first, second, final] of [
    ['end-of-input', 'stop', true],
    ['stop', 'end-of-input', false],
  ] as const) {
    const { clock, coordinator, log, ack } = await setup()
    coordinator.finish(first)
    coordinator.finish(second)
    await clock.pass(0)
    await ack(1, A, B)
    assert.equal(log.history.last?.record.final, final)
    coordinator.close(new Error('over'))
  }
})

test('a final checkpoint that fails is taken again, within what is tolerated', async () => {
  const { clock, coordinator, sent, ack, commit, end } = await setup({ tolerableFailures: 1 })
  coordinator.finish('end-of-input')
  await clock.pass(0)
  coordinator.onDeclined(1, new Error('not now'))
  await clock.pass(0)
  await clock.pass(0)
  assert.equal(sent.at(-1), 'final barrier 2 to 1')
  await ack(2, A, B)
  await commit(2, A, B)
  assert.equal(end(), 'done')
})

test('the end is told only when what the final one committed is visible', async () => {
  let seen = (): void => undefined
  const { clock, coordinator, ack, commit, end, records } = await setup({
    whenVisible: () => new Promise<void>((resolve) => (seen = resolve)),
  })
  coordinator.finish('end-of-input')
  await clock.pass(0)
  await ack(1, A, B)
  await commit(1, A, B)
  assert.deepEqual([end(), await records()], ['running', ['attempt', 'completed 1']])
  seen()
  await clock.pass(0)
  await clock.pass(0)
  assert.deepEqual([end(), await records()], ['done', ['attempt', 'completed 1', 'committed 1']])
})

test('when it cannot be written that the final one is committed, the execution fails', async () => {
  const { clock, coordinator, storage, ack, commit, end, records } = await setup()
  coordinator.finish('end-of-input')
  await clock.pass(0)
  await ack(1, A, B)
  const append = storage.hold('log/')
  await commit(1, A, B)
  append(new Error('the disk is full'))
  await clock.pass(0)
  assert.match(end(), /the disk is full/)
  assert.deepEqual(await records(), ['attempt', 'completed 1'])
  coordinator.close(new Error('over'))
})

test('close while the final one becomes visible: it is committed in the log, and the end is told', async () => {
  let seen = (): void => undefined
  const { clock, coordinator, ack, commit, end, records } = await setup({
    whenVisible: () => new Promise<void>((resolve) => (seen = resolve)),
  })
  coordinator.finish('end-of-input')
  await clock.pass(0)
  await ack(1, A, B)
  await commit(1, A, B)
  coordinator.close(new Error('over'))
  seen()
  await clock.pass(0)
  await clock.pass(0)
  assert.deepEqual([end(), await records()], ['done', ['attempt', 'completed 1', 'committed 1']])
})

test('without an interval there is only the final checkpoint', async () => {
  const { clock, coordinator, sent } = await setup({ intervalMs: undefined })
  await clock.pass(10_000_000)
  assert.deepEqual(sent, [])
  coordinator.finish('end-of-input')
  await clock.pass(0)
  assert.equal(sent.length, 2)
  coordinator.close(new Error('over'))
})

test('the least pause is kept between the end of one and the beginning of the next', async () => {
  const { clock, sent, ack, commit } = await setup({ minPauseMs: 80, timeoutMs: 1_000 })
  await clock.pass(100)
  await clock.pass(90)
  await ack(1, A, B)
  await commit(1, A, B)
  await clock.pass(79)
  assert.equal(sent.includes('barrier 2 to 0'), false)
  await clock.pass(1)
  assert.equal(sent.at(-1), 'barrier 2 to 1')
})

test('a checkpoint that is asked for begins at once, or after the one under way, and answers when what it committed is visible', async () => {
  let seen = (): void => undefined
  const { clock, coordinator, sent, ack, commit, end } = await setup({
    minPauseMs: 1_000,
    tolerableFailures: 1,
    whenVisible: () => new Promise<void>((resolve) => (seen = resolve)),
  })
  const answers: string[] = []
  const ask = (name: string): void => {
    coordinator.trigger().then(
      () => answers.push(name),
      (error) => answers.push(`${name}: ${error.message}`),
    )
  }
  ask('first')
  await clock.pass(0)
  assert.equal(sent.at(-1), 'barrier 1 to 1', 'before the interval')
  ask('second')
  await ack(1, A, B)
  assert.deepEqual(answers, [], 'its transactions are still to be ended')
  await commit(1, A, B)
  assert.deepEqual(answers, [], 'the markers are still to be written')
  seen()
  await clock.pass(0)
  assert.deepEqual(answers, ['first'], 'the second asked after the barrier')
  assert.equal(sent.at(-1), 'barrier 2 to 1', 'without the pause')
  coordinator.onDeclined(2, new Error('not now'))
  await clock.pass(0)
  assert.deepEqual(answers.splice(0), ['first', 'second: checkpoint 2 failed'])
  assert.equal(end(), 'running')
  ask('third')
  await clock.pass(0)
  ask('fourth')
  coordinator.close(new Error('a task failed'))
  ask('late')
  await clock.pass(0)
  assert.deepEqual(answers.toSorted(), ['fourth: a task failed', 'late: a task failed', 'third: a task failed'])
  assert.equal(clock.pendingTimers, 0)
})

test('who asks for a checkpoint while the final one is taken, or after it, has nothing to wait for', async () => {
  const { clock, coordinator, ack, commit } = await setup()
  coordinator.finish('stop')
  await clock.pass(0)
  const asked = coordinator.trigger()
  await ack(1, A, B)
  await commit(1, A, B)
  await asked
  coordinator.close(new Error('the execution has ended'))
  await coordinator.trigger()
})

test('close ends the pause and the gathering with its error, without a record and without a timer left', async () => {
  for (const when of ['paused', 'gathering'] as const) {
    const { clock, coordinator, end, records, ack } = await setup({ tolerableFailures: 5 })
    if (when === 'gathering') await clock.pass(100)
    coordinator.close(new Error('a task failed'))
    coordinator.close(new Error('another error, later'))
    await clock.pass(0)
    assert.match(end(), /a task failed/)
    await ack(1, A, B)
    assert.deepEqual(await records(), ['attempt'], when)
    assert.equal(clock.pendingTimers, 0)
  }
})

test('close while the folder is written: the checkpoint does not complete', async () => {
  const { clock, coordinator, storage, end, records, ack } = await setup()
  const folder = storage.hold('chk-1-1/_metadata')
  await clock.pass(100)
  await ack(1, A, B)
  coordinator.close(new Error('a task failed'))
  await clock.pass(0)
  assert.equal(end(), 'running', 'it waits for what is under way')
  folder()
  await clock.pass(0)
  assert.match(end(), /a task failed/)
  assert.deepEqual(await records(), ['attempt'])
})

test('close while the record is written: it arrives first, and no transaction is ended by this execution', async () => {
  const { clock, coordinator, storage, end, records, ack, sent } = await setup()
  const append = storage.hold('log/')
  await clock.pass(100)
  await ack(1, A, B)
  coordinator.close(new Error('a task failed'))
  await clock.pass(0)
  assert.equal(end(), 'running', 'the log is read by the next attempt only when the record has arrived')
  append()
  await clock.pass(0)
  await clock.pass(0)
  assert.match(end(), /a task failed/)
  assert.deepEqual(await records(), ['attempt', 'completed 1'])
  assert.equal(sent.includes('completed 1 to 0'), false)
})

test('close while transactions are being ended: it is not committed in the log', async () => {
  const { clock, coordinator, end, records, ack, commit } = await setup()
  await clock.pass(100)
  await ack(1, A, B)
  await commit(1, A)
  coordinator.close(new Error('a task failed'))
  await clock.pass(0)
  assert.match(end(), /a task failed/)
  await commit(1, B)
  assert.deepEqual(await records(), ['attempt', 'completed 1'])
})

test('retention keeps as many committed ones as wanted, and never removes what is not older than a committed one', async () => {
  for (const retained of [1, 2, 3]) {
    const { clock, storage, complete, ack, commit } = await setup({ retained })
    for (let checkpoint = 1; checkpoint <= 6; checkpoint++) await complete(checkpoint)
    await clock.pass(20)
    // 6 is not known as committed in the log before 7 completes: 5 is the newest committed one.
    const expected = Array.from({ length: retained }, (_, index) => `chk-${6 - retained + index}-1`)
    assert.deepEqual(await folders(storage), [...expected, 'chk-6-1'])
    await clock.pass(80)
    await ack(7, A, B)
    await commit(7, A, B)
    await clock.pass(19)
    // Nobody waits for folders to go: first what was committed becomes visible.
    assert.deepEqual(await folders(storage), [...expected, 'chk-6-1', 'chk-7-1'])
    await clock.pass(1)
    assert.deepEqual(await folders(storage), [...expected.slice(1), 'chk-6-1', 'chk-7-1'])
  }
})

test('old folders stay when the execution ends before they were to go', async () => {
  const { clock, storage, coordinator, complete, end } = await setup()
  for (let checkpoint = 1; checkpoint <= 3; checkpoint++) await complete(checkpoint)
  coordinator.close(new Error('over'))
  await clock.pass(1_000)
  assert.match(end(), /over/)
  assert.deepEqual(await folders(storage), ['chk-1-1', 'chk-2-1', 'chk-3-1'])
})

test('what goes wrong with old folders beside what a storage may refuse fails the execution', async () => {
  const { clock, storage, complete, end } = await setup()
  storage.list = (folder) =>
    folder === '' ? Promise.reject(new TypeError('a mistake')) : HeldStorage.prototype.list.call(storage, folder)
  await complete(1)
  await complete(2)
  assert.equal(end(), 'running')
  await clock.pass(20)
  await clock.pass(0)
  assert.match(end(), /a mistake/)
})

test('shortly before a checkpoint is due its files begin, once; what was not written is left to the end', async () => {
  const { clock, storage, store, coordinator, ack, commit, end } = await setup()
  await clock.pass(94)
  assert.deepEqual([[...storage.begun], storage.waiting.size], [[], 0])
  await clock.pass(1)
  assert.deepEqual([[...storage.begun], storage.waiting.size], [['chk-1-1/state', 'chk-1-1/_metadata'], 1])
  await clock.pass(5)
  assert.deepEqual([storage.begun.size, storage.waiting.size], [2, 1], 'they had begun')
  await ack(1, A, B)
  await commit(1, A, B)
  assert.deepEqual([storage.begun.size, storage.used, storage.waiting.size], [0, 1, 0])
  await clock.pass(97)
  assert.deepEqual([storage.begun.size, storage.waiting.size], [2, 1])
  coordinator.close(new Error('over'))
  await clock.pass(0)
  assert.match(end(), /over/)
  assert.equal(storage.waiting.size, 0)
  await store.close({ abandon: false })
  assert.equal(storage.begun.size, 0)
})

test('one that was asked for begins its files at once', async () => {
  const { clock, storage, coordinator, ack, commit } = await setup({ intervalMs: undefined })
  void coordinator.trigger()
  assert.deepEqual([storage.begun.size, storage.waiting.size], [2, 1])
  await ack(1, A, B)
  await commit(1, A, B)
  await clock.pass(1_000)
  assert.deepEqual([storage.begun.size, storage.used, storage.waiting.size], [0, 1, 0])
  coordinator.close(new Error('over'))
})

test('figures tell the last completed one', async () => {
  const { clock, coordinator, ack, commit } = await setup()
  assert.equal(coordinator.figures.completed, 0)
  await clock.pass(100)
  await clock.pass(30)
  await ack(1, A, B)
  await commit(1, A, B)
  const { completed, failed, last } = coordinator.figures
  assert.deepEqual([completed, failed, last?.checkpoint, last?.durationMs], [1, 0, 1, 30])
  assert.ok(last !== undefined && last.bytes > 0)
})

const folders = async (storage: Storage): Promise<string[]> =>
  (await storage.list('')).filter((name) => name.startsWith('chk'))
const SEVERAL = { maxConcurrent: 2, timeoutMs: 10_000, retained: 9 }

test('as many as allowed are under way at once, and each takes its place in the log in the order of their numbers', async () => {
  const { clock, sent, coordinator, records, ack, commit } = await setup(SEVERAL)
  await clock.pass(250)
  assert.deepEqual(sent, ['barrier 1 to 0', 'barrier 1 to 1', 'barrier 2 to 0', 'barrier 2 to 1'])
  await clock.pass(200)
  assert.equal(coordinator.figures.inProgress, 2, 'a third one waits for a place')
  await ack(1, A, B)
  await ack(2, A, B)
  assert.deepEqual(await records(), ['attempt', 'completed 1'], 'transactions of 1 are not ended yet')
  assert.equal(sent.includes('barrier 3 to 0'), false, 'so its place is not free')
  await commit(1, A, B)
  assert.deepEqual(await records(), ['attempt', 'completed 1', 'completed 2+1'])
  assert.ok(sent.includes('barrier 3 to 0'), 'it was due long ago')
  await commit(2, A, B)
  assert.equal(coordinator.figures.completed, 2)
})

test('the record is staged while the folder is written, and written anew when it has more to say at its turn', async () => {
  const { clock, storage, coordinator, records, ack, commit, end } = await setup(SEVERAL)
  await clock.pass(250)
  const written = storage.hold('chk-1-1/')
  await ack(1, A, B)
  assert.deepEqual([storage.waiting.size, await records()], [1, ['attempt']])
  written()
  await clock.pass(1)
  assert.deepEqual([storage.waiting.size, storage.used, await records()], [0, 1, ['attempt', 'completed 1']])
  await ack(2, A, B)
  assert.equal(storage.waiting.size, 1, 'its turn comes when the transactions of 1 are ended')
  await commit(1, A, B)
  assert.deepEqual([storage.waiting.size, storage.used], [0, 1])
  assert.deepEqual(await records(), ['attempt', 'completed 1', 'completed 2+1'])
  await commit(2, A, B)
  await clock.pass(100)
  const last = storage.hold('chk-3-1/')
  await ack(3, A, B)
  assert.equal(storage.waiting.size, 1)
  coordinator.close(new Error('over'))
  await clock.pass(1)
  assert.equal(end(), 'running', 'its folder is still being written')
  last()
  await clock.pass(1)
  assert.match(end(), /over/)
  assert.deepEqual([storage.waiting.size, storage.used], [0, 1], 'nothing is left on the disk')
})

test('one that completes discards older ones: answers to them count for nothing, their folders go, and none of it is a failure', async () => {
  for (const older of ['gathering', 'storing', 'gathering, with another one on its way into the log'] as const) {
    const { clock, storage, coordinator, records, ack, end, commit } = await setup({ ...SEVERAL, maxConcurrent: 3 })
    await clock.pass(300)
    const written = storage.hold('chk-2-1/')
    if (older.startsWith('gathering,')) {
      written()
      await ack(1, A, B)
      coordinator.onSnapshot(A, 3, [])
      await ack(3, B)
      await commit(1, A, B)
      assert.deepEqual(await records(), ['attempt', 'completed 1', 'completed 3+1'])
    } else {
      if (older === 'storing') await ack(2, A, B)
      await ack(3, A, B)
      assert.deepEqual(await records(), ['attempt', 'completed 3'])
    }
    await ack(2, A, B)
    written()
    await commit(3, A, B)
    await clock.pass(0)
    assert.equal((await folders(storage)).includes('chk-2-1'), false, older)
    assert.equal((await records()).join().includes('completed 2'), false)
    assert.deepEqual([end(), coordinator.figures.failed], ['running', 0])
    coordinator.close(new Error('over'))
  }
})

test('the folder of one that is overtaken while it is written goes when its writing is over', async () => {
  const { clock, storage, coordinator, records, ack } = await setup({ ...SEVERAL, maxConcurrent: 3 })
  await clock.pass(300)
  const first = storage.hold('chk-1-1/')
  await ack(1, A, B)
  await ack(2, A, B)
  assert.deepEqual(await records(), ['attempt', 'completed 2'])
  await ack(3, A, B)
  first()
  await clock.pass(0)
  await clock.pass(0)
  assert.deepEqual(await folders(storage), ['chk-2-1', 'chk-3-1'])
  coordinator.close(new Error('over'))
})

test('an overtaken one that cannot be written is no failure', async () => {
  const { clock, storage, coordinator, records, ack, end } = await setup({ ...SEVERAL, maxConcurrent: 3 })
  await clock.pass(300)
  const first = storage.hold('chk-1-1/')
  await ack(1, A, B)
  await ack(2, A, B)
  first(new Error('the disk is full'))
  await clock.pass(0)
  assert.deepEqual([end(), coordinator.figures.failed], ['running', 0])
  assert.deepEqual(await records(), ['attempt', 'completed 2'])
  coordinator.close(new Error('over'))
})

test('an overtaken one keeps its place until the transactions of the younger one are ended', async () => {
  const { clock, sent, ack, commit } = await setup(SEVERAL)
  await clock.pass(200)
  await ack(2, A, B)
  await clock.pass(500)
  assert.equal(sent.includes('barrier 3 to 0'), false)
  await commit(2, A, B)
  assert.ok(sent.includes('barrier 3 to 0'))
})

test('a failure frees its place at once, and the others go on', async () => {
  const { clock, sent, coordinator, records, ack } = await setup({ ...SEVERAL, tolerableFailures: 1 })
  await clock.pass(200)
  coordinator.onDeclined(1, new Error('no'))
  await clock.pass(100)
  assert.ok(sent.includes('barrier 3 to 0'))
  await ack(2, A, B)
  assert.deepEqual(await records(), ['attempt', 'completed 2'])
})

test('one failure too many while transactions are being ended fails the execution, which waits for nothing more', async () => {
  const { clock, coordinator, ack, end } = await setup(SEVERAL)
  await clock.pass(200)
  await ack(1, A, B)
  coordinator.onDeclined(2, new Error('no'))
  await clock.pass(0)
  assert.match(end(), /checkpoint 2 failed/)
  assert.equal(clock.pendingTimers, 0)
})

test('a least pause means one at a time, and the final one is begun when none is under way', async () => {
  const paused = await setup({ ...SEVERAL, minPauseMs: 1 })
  await paused.clock.pass(500)
  assert.equal(paused.coordinator.figures.inProgress, 1)
  const { clock, coordinator, sent, ack, commit, records, end } = await setup(SEVERAL)
  await clock.pass(200)
  coordinator.finish('end-of-input')
  await ack(1, A, B)
  await commit(1, A, B)
  assert.equal(sent.includes('final barrier 3 to 0'), false)
  await ack(2, A, B)
  await commit(2, A, B)
  await ack(3, A, B)
  await commit(3, A, B)
  assert.equal(end(), 'done')
  assert.deepEqual(await records(), ['attempt', 'completed 1', 'completed 2+1', 'completed 3+2', 'committed 3'])
})
