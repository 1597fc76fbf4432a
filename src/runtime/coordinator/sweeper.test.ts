/** The repeated sweep: what a process that slept may have opened is aborted until one transaction timeout has passed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage, MillraceError, type Network, SeededRandom, silentLogger } from '../../base/index.ts'
import type { TransactionLedger } from '../../core/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import { JobLog } from '../checkpoint/job-log.ts'
import type { JobPlan } from './job-plan.ts'
import { Sweeper } from './sweeper.ts'

const network: Network = { connect: () => Promise.reject(new Error('no network')) }

async function setup(listing: () => readonly string[] | undefined) {
  const clock = new SimulatedClock()
  const storage = new MemoryStorage()
  const random = new SeededRandom(1)
  const lineage = { id: 'l', begin: { kind: 'fresh' } } as const
  const log = new JobLog({ storage, clock, random })
  await log.read()
  await log.begin({ kind: 'attempt', lineage, sinks: [], firstCheckpoint: 1 })
  const steps: string[] = []
  const ledger = {
    openTransactions: async (below: number) => {
      steps.push(`list below ${below} at ${clock.monotonic()}`)
      return listing()?.map((transactionalId) => ({ transactionalId, state: 'Ongoing' }))
    },
    abortById: async (id: string) => void steps.push(`abort ${id}`),
    fence: async () => {
      steps.push('fence')
      return 0
    },
  } as unknown as TransactionLedger<unknown>
  const plan = { transactional: [{ uid: 'out', ledger }] } as unknown as JobPlan
  const ports = { clock, random, network, logger: silentLogger }
  const sweeper = new Sweeper({ plan, log, ports, transactionTimeoutMs: 10_000 })
  const supersede = async (): Promise<void> => {
    const other = new JobLog({ storage, clock, random })
    await other.read()
    await other.begin({ kind: 'attempt', lineage, sinks: [], firstCheckpoint: 1 })
  }
  return { clock, steps, sweeper, supersede }
}

test('ids below the own attempt are aborted until one timeout has passed, with growing pauses; then earlier ones are fenced', async () => {
  let open: readonly string[] = ['p-0-0-0']
  const { clock, steps, sweeper } = await setup(() => open)
  const running = sweeper.run(new AbortController().signal)
  await clock.pass(2_000)
  open = []
  await clock.pass(7_999)
  assert.equal(sweeper.fencedBelow, undefined)
  await clock.pass(1)
  await running
  assert.deepEqual(steps, ['list below 1 at 2000', 'abort p-0-0-0', 'list below 1 at 6000', 'list below 1 at 10000'])
  assert.equal(sweeper.fencedBelow, 1)
  assert.equal(clock.pendingTimers, 0)
})

test('brokers that cannot list pay one sweep by id, at the end', async () => {
  const { clock, steps, sweeper } = await setup(() => undefined)
  const running = sweeper.run(new AbortController().signal)
  await clock.pass(10_000)
  await running
  assert.deepEqual(
    steps.filter((step) => step === 'fence'),
    ['fence'],
  )
  assert.equal(steps.at(-1), 'fence')
})

test('a sweep that fails is repeated, the last one too, and nothing counts as fenced before it succeeded', async () => {
  let away = true
  const { clock, sweeper } = await setup(() => {
    if (away) throw new MillraceError('KAFKA_UNREACHABLE', 'no broker answers')
    return []
  })
  const running = sweeper.run(new AbortController().signal)
  await clock.pass(15_000)
  assert.equal(sweeper.fencedBelow, undefined)
  away = false
  await clock.pass(60_000)
  await running
  assert.equal(sweeper.fencedBelow, 1)
})

test('an abort ends it without a timer left', async () => {
  const { clock, sweeper, steps } = await setup(() => [])
  const abort = new AbortController()
  const running = sweeper.run(abort.signal)
  abort.abort(new Error('the execution has ended'))
  await running
  assert.equal(clock.pendingTimers, 0)
  assert.deepEqual(steps, [])
  assert.equal(sweeper.fencedBelow, undefined)
})

test('a superseded process sweeps nothing any more, and says so', async () => {
  const { clock, sweeper, steps, supersede } = await setup(() => ['p-0-0-0'])
  const running = sweeper.run(new AbortController().signal)
  await supersede()
  await clock.pass(2_000)
  assert.equal((await running)?.code, 'SUPERSEDED')
  assert.deepEqual(steps, [])
})
