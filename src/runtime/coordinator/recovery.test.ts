/** Recovery's order and its decisions (exactly-once, rules 8, 10, 11 and 17), with a ledger that writes down what it is asked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage, MillraceError, type Network, SeededRandom, TextLogger } from '../../base/index.ts'
import {
  Configuration,
  type JobGraph,
  type SourceNode,
  subtaskIndex,
  type TransactionalSide,
  type TransactionLedger,
  type TransactionState,
} from '../../core/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import type { CheckpointContent, CheckpointPart } from '../checkpoint/checkpoint-metadata.ts'
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts'
import { JobLog } from '../checkpoint/job-log.ts'
import type { AttemptSink } from '../checkpoint/job-log-record.ts'
import { packList } from '../checkpoint/packed-list.ts'
import type { JobPlan, StartOptions } from './job-plan.ts'
import { type Recovered, recover } from './recovery.ts'

const network: Network = { connect: () => Promise.reject(new Error('no network')) }
const SERIALIZER = {
  version: 1,
  serialize: (value: unknown) => Buffer.from(String(value)),
  deserialize: (_version: number, bytes: Uint8Array) => Buffer.from(bytes).toString(),
}

/** A committable is `<name>@<barrier>`; the world's state is by name. */
class World {
  readonly steps: string[] = []
  readonly states = new Map<string, TransactionState>()
  /** Called before each step; may change the states. */
  before: (step: string) => void = () => undefined
  committing: 'committed' | 'gone' | 'unknown' | Error = 'committed'

  step(step: string): void {
    this.before(step)
    this.steps.push(step)
  }

  state(committable: unknown): TransactionState {
    return this.states.get(nameOf(committable)) ?? 'open'
  }
}

const nameOf = (committable: unknown): string => String(committable).split('@')[0] ?? ''

function ledgerOf(world: World, uid: string): TransactionLedger<unknown> {
  return {
    plan: () => Promise.reject(new Error('not asked here')),
    inspect: async (committables) => {
      world.step(`inspect ${committables.map(nameOf).join()}`)
      return committables.map((one) => world.state(one))
    },
    commit: async (one) => {
      world.step(`commit ${nameOf(one)}`)
      if (world.committing instanceof Error) throw world.committing
      const state = world.state(one)
      const outcome = state === 'open' ? world.committing : state
      world.states.set(nameOf(one), outcome)
      return outcome
    },
    abort: async (one) => {
      world.step(`abort ${nameOf(one)}`)
      if (world.state(one) === 'open') world.states.set(nameOf(one), 'gone')
    },
    settled: async (one) => world.step(`settled ${nameOf(one)}`),
    fence: async (attempts) => {
      world.step(
        `fence ${uid} ${attempts.map((past) => `${past.attempt}:${past.firstCheckpoint}-${past.lastCheckpoint}`).join()}`,
      )
      return 0
    },
    openTransactions: async () => [],
    abortById: async () => undefined,
    close: async () => undefined,
  }
}

const side: TransactionalSide<unknown> = {
  committableSerializer: SERIALIZER,
  ownershipKey: 'k',
  describeCommittable: (one) => ({
    transactionalId: nameOf(one),
    producer: `producer of ${nameOf(one)}`,
    barrier: Number(String(one).split('@')[1]),
    beganAtMs: 0,
    records: { topic: 10 },
  }),
  createLedger: () => {
    throw new Error('made by hand')
  },
}

function sourceNode(world: World): SourceNode {
  const source = {
    boundedness: 'bounded' as const,
    splitSerializer: SERIALIZER,
    enumeratorStateSerializer: SERIALIZER,
    beginningOf: (state: unknown) => state,
    publishPositions: async (splits: readonly unknown[]) => world.step(`publish ${splits.join()}`),
  }
  return { id: 0, kind: 'source', uid: 'in', name: 'in', source } as unknown as SourceNode
}

interface RecoverOptions {
  readonly configure?: Record<string, string>
  readonly start?: Partial<StartOptions>
  /** Of a job whose source has this uid. */
  readonly source?: string
}

interface Setup {
  readonly world: World
  readonly log: JobLog
  readonly store: CheckpointStore
  readonly storage: MemoryStorage
  readonly logged: string[]
  recover(options?: RecoverOptions): Promise<CheckpointContent | undefined>
  /** With the void checkpoint that sources begin again from. */
  recovered(options?: RecoverOptions): Promise<Recovered>
  /** A completed checkpoint that lists these. */
  complete(
    checkpoint: number,
    committables: readonly string[],
    more?: { committed?: number; final?: boolean },
  ): Promise<void>
  kinds(): Promise<string[]>
}

const ATTEMPT_SINK: AttemptSink = {
  uid: 'out',
  clusterId: 'c',
  prefix: 'p',
  naming: 'POOLING',
  parallelism: 1,
  poolBound: 3,
}

async function setup(sinks: readonly string[] = ['out']): Promise<Setup> {
  const world = new World()
  const logged: string[] = []
  const storage = new MemoryStorage()
  const clock = new SimulatedClock()
  const random = new SeededRandom(3)
  const log = new JobLog({ storage, clock, random })
  const store = new CheckpointStore(storage, new SimulatedClock())
  const put = storage.putIfAbsent.bind(storage)
  storage.putIfAbsent = (path, bytes) => {
    const { record } = JSON.parse(Buffer.from(bytes).toString().split('\n')[0] ?? '')
    world.step(`write ${record.kind}${record.checkpoint === undefined ? '' : ` ${record.checkpoint}`}`)
    return put(path, bytes)
  }
  const lineage = { id: 'l', begin: { kind: 'fresh' } } as const
  const begin = async (): Promise<void> => {
    await log.read()
    const attempt = { kind: 'attempt', lineage, sinks: sinks.map((uid) => ({ ...ATTEMPT_SINK, uid })) } as const
    await log.begin({ ...attempt, firstCheckpoint: log.history.highestCheckpoint + 1 })
  }
  await begin()
  const recovered: Setup['recovered'] = async ({ configure = {}, start = {}, source: uid = 'in' } = {}) => {
    await begin()
    world.steps.length = 0
    const transactional = sinks.map((sink) => ({
      uid: sink,
      name: sink,
      parallelism: 1,
      side,
      ledger: ledgerOf(world, sink),
    }))
    const source = { ...sourceNode(world), uid }
    const nodes = [source, ...sinks.map((sink, index) => ({ id: index + 1, kind: 'sink', uid: sink }))]
    const plan: JobPlan = {
      graph: { jobName: 'job', nodes } as unknown as JobGraph,
      configuration: new Configuration(configure),
      sources: [source],
      operators: [],
      sinks: [],
      transactional,
      tasks: [{ chain: 0, subtask: subtaskIndex(0) }],
      sourceTasks: [{ chain: 0, subtask: subtaskIndex(0) }],
      uidsOf: new Map(),
    }
    return recover({
      plan,
      start: { mode: 'resume', allowNonRestoredState: false, ...start },
      log,
      store,
      ports: { clock, random, network, logger: new TextLogger({ write: (line) => void logged.push(line) }) },
      readBeginning: () => assert.fail('this lineage began at no savepoint'),
    })
  }
  return {
    world,
    log,
    store,
    storage,
    logged,
    complete: async (checkpoint, committables, more = {}) => {
      const parts: CheckpointPart[] = [
        { uid: 'in', role: 'enumerator', subtask: 0, version: 1, bytes: Buffer.from('e') },
        { uid: 'in', role: 'split', subtask: 0, version: 1, bytes: Buffer.from(`split@${checkpoint}`) },
      ]
      // `uid/name@barrier`
      for (const text of committables) {
        const [uid = '', committable = ''] = text.includes('/') ? text.split('/') : ['out', text]
        parts.push({ uid, role: 'committable', subtask: 0, version: 1, bytes: packList([Buffer.from(committable)]) })
      }
      const { folder, digest } = await store.write({
        job: 'job',
        checkpoint,
        attempt: log.attempt,
        lineage: 'l',
        id: 'id',
        at: 0,
        final: more.final ?? false,
        parts,
      })
      await log.append({
        kind: 'completed',
        checkpoint,
        lineage: 'l',
        folder,
        digest,
        final: more.final ?? false,
        records: { topic: 10 * committables.length },
        ...(more.committed === undefined ? {} : { committed: more.committed }),
      })
    },
    recovered,
    recover: async (options) => (await recovered(options)).restored,
    kinds: async () => world.steps.filter((step) => step.startsWith('write')),
  }
}

const codeIs = (code: string) => (error: unknown) => MillraceError.is(error) && error.code === code

test('nothing completed: earlier attempts are fenced and the lineage begins', async () => {
  const { world, recover } = await setup()
  assert.equal(await recover(), undefined)
  assert.deepEqual(world.steps, ['fence out 1:1-3'])
})

test('the order is: look, end oldest first, publish positions, `committed`, and only then fence', async () => {
  const { world, recover, complete } = await setup()
  await complete(1, ['a@1'])
  // 2 and 3 failed: what they flushed is listed by 4.
  await complete(4, ['young@4', 'old@2', 'middle@3'], { committed: 1 })
  const restored = await recover()
  assert.equal(restored?.checkpoint, 4)
  assert.deepEqual(world.steps, [
    'inspect old,middle,young',
    'commit old',
    'commit middle',
    'commit young',
    'publish split@4',
    'write committed 4',
    'fence out 1:1-7',
  ])
})

test('a transaction that the commit of an older checkpoint covers says nothing of a younger one that lists it too', async () => {
  // 2 was begun while the transactions of 1 were being ended: it lists them as not known to be ended.
  for (const lost of [false, true]) {
    const { world, recover, complete } = await setup()
    await complete(1, ['a@1'])
    await complete(2, ['a@1', 'b@2'], { committed: 1 })
    world.states.set('a', 'committed')
    if (lost) world.states.set('b', 'gone')
    const restored = await recover()
    assert.equal(restored?.checkpoint, lost ? 1 : 2)
    assert.deepEqual(world.steps.slice(0, 2), lost ? ['inspect b', 'inspect b'] : ['inspect b', 'commit b'])
  }
})

test('a committed checkpoint is restored without ending, publishing or writing anything', async () => {
  const { world, recover, complete, log } = await setup()
  await complete(1, ['a@1'])
  await log.append({ kind: 'committed', checkpoint: 1 })
  assert.equal((await recover())?.checkpoint, 1)
  assert.deepEqual(world.steps, ['fence out 1:1-4'])
})

test('what is ended already is not ended again, and the rest is', async () => {
  const { world, recover, complete } = await setup()
  await complete(1, ['a@1', 'b@1'])
  world.states.set('a', 'committed')
  await recover()
  assert.deepEqual(world.steps.slice(0, 2), ['inspect a,b', 'commit b'])
})

test('one gone and none seen: the rest is aborted, the checkpoint is void, and its predecessor is restored', async () => {
  const { world, recover, complete } = await setup()
  await complete(1, [])
  await complete(2, ['a@2', 'b@2', 'c@2'], { committed: 1 })
  world.states.set('b', 'gone')
  const restored = await recover()
  assert.equal(restored?.checkpoint, 1)
  assert.deepEqual(world.steps, [
    'inspect a,b,c',
    'abort a',
    'abort c',
    'inspect a,b,c',
    'write void 2',
    'fence out 1:1-5',
  ])
})

test('the first checkpoint of a lineage is void: it begins again', async () => {
  const { world, recover, complete } = await setup()
  await complete(1, ['a@1'])
  world.states.set('a', 'gone')
  assert.equal(await recover(), undefined)
  assert.deepEqual(world.steps.slice(1, 3), ['inspect a', 'write void 1'])
})

test('the first checkpoint of a lineage is void: until another is committed, it says where sources first began', async () => {
  const { world, recovered, complete, log } = await setup()
  await complete(1, ['a@1'])
  world.states.set('a', 'gone')
  // The second time as after a crash before anything else completed.
  for (let start = 1; start <= 2; start++) {
    const { restored, voided } = await recovered()
    assert.deepEqual([restored?.checkpoint, voided?.checkpoint], [undefined, 1])
  }
  await complete(2, ['b@2'])
  world.states.set('b', 'gone')
  assert.equal((await recovered()).voided?.checkpoint, 2)
  await complete(3, [])
  const { restored, voided } = await recovered()
  assert.deepEqual([restored?.checkpoint, voided], [3, undefined])
  assert.equal(log.history.voided, undefined)
})

test('a fall-back to an older checkpoint asks the void one only about a source that the older one does not know', async () => {
  for (const source of ['in', 'new']) {
    const { world, recovered, complete } = await setup()
    await complete(1, [])
    await complete(2, ['a@2'], { committed: 1 })
    world.states.set('a', 'gone')
    const start = { allowNonRestoredState: true }
    const { restored, voided } = await recovered({ source, start })
    assert.deepEqual([restored?.checkpoint, voided?.checkpoint], [1, source === 'in' ? undefined : 2])
  }
})

test('a void checkpoint that alone knows where sources began, and cannot be read, stops the job, unless told otherwise', async () => {
  const { world, recovered, complete, storage, logged } = await setup()
  await complete(1, ['a@1'])
  world.states.set('a', 'gone')
  await recovered()
  await storage.remove('chk-1-1/state')
  await assert.rejects(recovered(), (error) => {
    assert.ok(codeIs('CHECKPOINT_DAMAGED')(error))
    assert.match(String(error), /void checkpoint 1 alone knows where the sources with uid "in" first began/)
    return true
  })
  assert.deepEqual(world.steps, [])
  logged.length = 0
  const configure = { 'millrace.recovery.on-damaged-checkpoint': 'fall-back' }
  assert.deepEqual(await recovered({ configure }), { restored: undefined, voided: undefined })
  assert.match(logged.join(), /may leave out records/)
})

test('a transaction that expires between the look and its end voids the checkpoint too, while nothing was seen', async () => {
  const { world, recover, complete } = await setup()
  await complete(1, ['a@1', 'b@1'])
  world.before = (step) => {
    if (step === 'commit a') world.states.set('a', 'gone')
  }
  assert.equal(await recover(), undefined)
  assert.deepEqual(world.steps.slice(0, 3), ['inspect a,b', 'commit a', 'inspect a,b'])
  assert.ok(world.steps.includes('write void 1'))
})

test('one that expires after another was ended is lost, and says so', async () => {
  const { world, recover, complete } = await setup()
  await complete(1, ['a@1', 'b@1'])
  world.before = (step) => {
    if (step === 'commit b') world.states.set('b', 'gone')
  }
  await assert.rejects(recover(), codeIs('TRANSACTIONS_LOST'))
  assert.equal(
    world.steps.some((step) => step.startsWith('write')),
    false,
  )
})

test('one that somebody ended while the rest was aborted is not voided: its records would be doubled', async () => {
  const { world, recover, complete } = await setup()
  await complete(1, ['a@1', 'b@1'])
  world.states.set('b', 'gone')
  // A process that slept ends `a` just before it is aborted.
  world.before = (step) => {
    if (step === 'abort a') world.states.set('a', 'committed')
  }
  await assert.rejects(recover(), codeIs('TRANSACTIONS_LOST'))
  assert.equal(world.steps.includes('write void 1'), false)
})

test('one gone after another was seen is lost: the job stops naming id, producer, topic and count, and touches nothing', async () => {
  const { world, recover, complete } = await setup()
  await complete(7, ['a@7', 'b@7', 'c@7'])
  world.states.set('a', 'committed').set('b', 'gone')
  await assert.rejects(recover(), (error) => {
    assert.ok(MillraceError.is(error) && error.code === 'TRANSACTIONS_LOST')
    assert.match(error.message, /checkpoint 7: .* lost: b of sink out \(producer of b, 10 records to topic\)$/)
    return true
  })
  assert.deepEqual(world.steps, ['inspect a,b,c'])
})

test('one that nobody can tell about stops the job as undecided, whether or not others were seen', async () => {
  for (const other of ['committed', 'open', 'gone'] as const) {
    const { world, recover, complete } = await setup()
    await complete(1, ['a@1', 'b@1'])
    world.states.set('a', 'unknown').set('b', other)
    await assert.rejects(recover(), codeIs('TRANSACTIONS_UNDECIDED'), other)
    assert.deepEqual(world.steps, ['inspect a,b'])
  }
})

test('told to go on, the rest of a lost or undecided checkpoint is ended and committed', async () => {
  for (const state of ['gone', 'unknown'] as const) {
    const { world, recover, complete } = await setup()
    await complete(1, ['a@1', 'b@1', 'c@1'])
    world.states.set('a', 'committed').set('b', state)
    const configure = { 'millrace.recovery.on-lost-transactions': 'continue' }
    assert.equal((await recover({ configure }))?.checkpoint, 1)
    assert.deepEqual(world.steps.slice(0, 4), ['inspect a,b,c', 'commit c', 'publish split@1', 'write committed 1'])
  }
})

test('an error that is no verdict stops without aborting or writing anything', async () => {
  const { world, recover, complete } = await setup()
  await complete(1, ['a@1', 'b@1'])
  world.committing = new MillraceError('COMMIT_UNRESOLVED', 'the coordinator does not answer')
  await assert.rejects(recover(), codeIs('COMMIT_UNRESOLVED'))
  assert.deepEqual(world.steps, ['inspect a,b', 'commit a'])
})

test('a final checkpoint is committed in the log only when its records are visible', async () => {
  const { world, recover, complete } = await setup()
  await complete(1, ['a@1'], { final: true })
  assert.equal((await recover())?.final, true)
  assert.deepEqual(world.steps.slice(2, 5), ['publish split@1', 'settled a', 'write committed 1'])
})

test('positions that cannot be published stop nothing', async () => {
  const { world, recover, complete } = await setup()
  await complete(1, [])
  world.before = (step) => {
    if (step.startsWith('publish')) throw new Error('the group coordinator is away')
  }
  assert.equal((await recover())?.checkpoint, 1)
  assert.ok(world.steps.includes('write committed 1'))
})

test('transactions of several sinks are looked at together: one gone in one voids the other too', async () => {
  const { world, recover, complete } = await setup(['out', 'audit'])
  await complete(1, ['out/a@1', 'audit/b@1'])
  world.states.set('b', 'gone')
  await recover()
  assert.deepEqual(world.steps.slice(0, 3), ['inspect a', 'inspect b', 'abort a'])
  assert.ok(world.steps.includes('write void 1'))
  assert.deepEqual(world.steps.slice(-2), ['fence out 1:1-4', 'fence audit 1:1-4'])
})

test('completed transactions of a sink that is no longer in the job stop the start before anything is touched', async () => {
  const { world, recover, complete } = await setup()
  await complete(1, ['a@1', 'removed/b@1'])
  await assert.rejects(recover(), (error) => {
    assert.ok(codeIs('STATE_NOT_RESTORED')(error))
    assert.match(String(error), /uid "removed"/)
    return true
  })
  assert.equal(world.steps.length, 0)
  assert.equal((await recover({ start: { allowNonRestoredState: true } }))?.checkpoint, 1)
  assert.equal(world.steps.filter((step) => step === 'commit a').length, 1)
})

test('state of an operator that is no longer in the job stops the start, unless it is given up', async () => {
  const { recover, store, log } = await setup()
  const parts: CheckpointPart[] = [{ uid: 'former', role: 'operator', subtask: 0, version: 1, bytes: Buffer.from('s') }]
  const content = { job: 'job', checkpoint: 1, attempt: 1, lineage: 'l', id: 'i', at: 0, final: false, parts }
  const { folder, digest } = await store.write(content)
  await log.append({ kind: 'completed', checkpoint: 1, lineage: 'l', folder, digest, final: false, records: {} })
  await assert.rejects(recover(), /uid "former"/)
  assert.equal((await recover({ start: { allowNonRestoredState: true } }))?.checkpoint, 1)
})

test('a completed checkpoint that cannot be read stops the job, naming what an older one would double', async () => {
  const { world, recover, complete, storage } = await setup()
  await complete(1, ['a@1'])
  await complete(2, ['b@2'], { committed: 1 })
  await storage.remove('chk-2-1/state')
  await assert.rejects(recover(), (error) => {
    assert.ok(MillraceError.is(error) && error.code === 'CHECKPOINT_DAMAGED')
    assert.match(error.next, /from checkpoint 1, records in topic may stand twice/)
    return true
  })
  assert.deepEqual(world.steps, [])
})

test('told to fall back, it goes to the older one without asking about transactions that are settled', async () => {
  const { world, recover, complete, storage } = await setup()
  await complete(1, ['a@1'])
  await complete(2, ['b@2'], { committed: 1 })
  await storage.remove('chk-2-1/state')
  world.states.set('a', 'unknown')
  const configure = { 'millrace.recovery.on-damaged-checkpoint': 'fall-back' }
  assert.equal((await recover({ configure }))?.checkpoint, 1)
  assert.deepEqual(world.steps, ['write void 2', 'fence out 1:1-5'])
})

test('told to fall back past several damaged ones, or all, it goes on to the next, or to the beginning', async () => {
  for (const damaged of [
    ['chk-3-1', 'chk-2-1'],
    ['chk-3-1', 'chk-2-1', 'chk-1-1'],
  ]) {
    const { recover, complete, storage, log } = await setup()
    await complete(1, [])
    await complete(2, [], { committed: 1 })
    await complete(3, [], { committed: 2 })
    await log.append({ kind: 'committed', checkpoint: 3 })
    for (const folder of damaged) await storage.remove(`${folder}/_metadata`)
    const configure = { 'millrace.recovery.on-damaged-checkpoint': 'fall-back' }
    assert.equal((await recover({ configure }))?.checkpoint, damaged.length === 2 ? 1 : undefined)
  }
})

test('a process that is superseded while it settles fences nothing', async () => {
  const { world, recover, complete, storage } = await setup()
  await complete(1, ['a@1'])
  world.before = (step) => {
    if (step !== 'publish split@1') return
    world.before = () => undefined
    const other = { v: 1, nonce: 'n', attempt: 4, at: 0, record: { kind: 'stopped' } }
    void storage.write('log/0000000004', Buffer.from(JSON.stringify(other)))
  }
  await assert.rejects(recover())
  assert.equal(
    world.steps.some((step) => step.startsWith('fence')),
    false,
  )
})
