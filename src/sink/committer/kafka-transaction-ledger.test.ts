import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LogFields, type Logger, MillraceError, silentLogger } from '../../base/index.ts'
import { type AttemptIds, attemptId, checkpointId, type TransactionPlan } from '../../core/index.ts'
import type { TransactionVersion } from '../transaction/transaction-gateway.ts'
import { ModelGateway, TransactionModel } from '../transaction/transaction-model.test-double.ts'
import type { KafkaCommittable } from './kafka-committable.ts'
import { KafkaTransactionLedger } from './kafka-transaction-ledger.ts'

const PLAN: TransactionPlan = { parallelism: 2, poolBound: 3, longestOpenMs: 100_000, checkpointIntervalMs: 1_000 }

function ledgerOn(
  model: TransactionModel,
  options: { prefix?: string; transactionTimeoutMs?: number; logger?: Logger } = {},
): KafkaTransactionLedger {
  return new KafkaTransactionLedger({
    gateway: new ModelGateway(model),
    logger: options.logger ?? silentLogger,
    prefix: options.prefix ?? 'job',
    naming: 'POOLING',
    transactionTimeoutMs: options.transactionTimeoutMs,
    commitTimeoutMs: 1_000,
  })
}

function flush(model: TransactionModel, id: string, version: TransactionVersion = 2): KafkaCommittable {
  const identity = model.init(id)
  const committable: KafkaCommittable = {
    ...identity,
    transactionalId: id,
    version,
    sinkUid: 'sink',
    clusterId: model.clusterId,
    barrier: 1,
    records: { out: 1 },
    beganAtMs: 1,
  }
  model.produce(committable, [{ topic: 'out', partition: 0, key: null, value: id, timestamp: 0 }])
  return committable
}

function pooled(attempt: number, over: Partial<AttemptIds> = {}): AttemptIds {
  return {
    attempt: attemptId(attempt),
    clusterId: 'model-cluster',
    prefix: 'job',
    naming: 'POOLING',
    parallelism: 2,
    poolBound: 3,
    firstCheckpoint: checkpointId(1),
    lastCheckpoint: checkpointId(1),
    ...over,
  }
}

test('the timeout is the most that brokers allow, at most an hour, and 15 minutes when they do not say', async () => {
  const model = new TransactionModel()
  const timeout = async (explicit?: number): Promise<number> => {
    const ledger = ledgerOn(model, explicit === undefined ? {} : { transactionTimeoutMs: explicit })
    return (await ledger.plan(PLAN)).settings.transactionTimeoutMs
  }
  assert.equal(await timeout(), 900_000)
  model.maxTimeoutMs = 7_200_000
  assert.equal(await timeout(), 3_600_000)
  assert.equal(await timeout(7_200_000), 7_200_000)
  await assert.rejects(timeout(7_200_001), (error) => {
    assert.ok(MillraceError.is(error) && error.code === 'OPTION_INVALID')
    assert.match(error.message, /transaction\.timeout\.ms.*7200001 ms.*7200000 ms/)
    return true
  })
  model.maxTimeoutMs = undefined
  assert.equal(await timeout(), 900_000)
  assert.equal(await timeout(7_200_001), 7_200_001)
})

test('a timeout shorter than a transaction may have to last is warned about, with the numbers', async () => {
  const model = new TransactionModel()
  const warnings: [LogFields, string][] = []
  const logger: Logger = { ...silentLogger, warn: (fields, message) => warnings.push([fields, message]) }
  await ledgerOn(model, { logger }).plan(PLAN)
  assert.equal(warnings.length, 0)
  const planned = await ledgerOn(model, { logger }).plan({ ...PLAN, longestOpenMs: 900_001 })
  assert.equal(warnings.length, 1)
  assert.match(warnings[0]?.[1] ?? '', /900000 ms.*900001 ms.*transaction\.max\.timeout\.ms/)
  assert.deepEqual(planned, {
    attempt: { clusterId: 'model-cluster', prefix: 'job', naming: 'POOLING', parallelism: 2, poolBound: 3 },
    settings: { poolBound: 3, transactionTimeoutMs: 900_000 },
  })
})

test('fencing aborts every open id of earlier attempts and no other, whatever brokers are able to tell', async () => {
  for (const [canDescribe, canList] of [
    [true, true],
    [true, false],
    [false, false],
  ] as const) {
    const model = new TransactionModel()
    Object.assign(model, { canDescribe, canList })
    const doomed = ['job-1-0-0', 'job-1-1-2', 'job-3-0-1']
    const foreign = ['job-4-0-0', 'jobs-1-0-0', 'job-1-2-0-0', 'job-1', 'other-1-0-0']
    for (const id of [...doomed, ...foreign]) flush(model, id)
    const open = await ledgerOn(model).fence([pooled(1), pooled(3, { parallelism: 1 })])
    assert.deepEqual(model.open().sort(), [...foreign].sort())
    assert.equal(open, canDescribe ? 3 : 0)
  }
})

test('a fence bumps the epoch of what is idle as well, so that a holder of the id cannot go on', async () => {
  const model = new TransactionModel()
  const idle = { transactionalId: 'job-1-0-0', version: 2 as const, ...model.init('job-1-0-0') }
  await ledgerOn(model).fence([pooled(1)])
  assert.throws(() => model.produce(idle, []), { code: 'KAFKA_FENCED' })
})

test('ids never used are not created by fencing, and a second sweep does not touch them again', async () => {
  const model = new TransactionModel()
  flush(model, 'job-1-0-1')
  const ledger = ledgerOn(model)
  await ledger.fence([pooled(1)])
  await ledger.fence([pooled(1)])
  assert.deepEqual(model.ids(), ['job-1-0-1'])
  assert.deepEqual(
    model.calls.filter((call) => call.startsWith('init')),
    ['init job-1-0-1'],
  )
  flush(model, 'job-1-0-1')
  assert.equal(await ledger.fence([pooled(1)]), 1)
  assert.deepEqual(model.open(), [])
})

test('INCREMENTING ids are enumerated by the checkpoints of the attempt', async () => {
  const model = new TransactionModel()
  model.canList = false
  for (const k of [4, 5, 9, 10]) flush(model, `job-1-0-${k}`)
  const range = { naming: 'INCREMENTING', firstCheckpoint: checkpointId(5), lastCheckpoint: checkpointId(9) } as const
  assert.equal(await ledgerOn(model).fence([pooled(1, range)]), 2)
  assert.deepEqual(model.open(), ['job-1-0-4', 'job-1-0-10'])
})

test('the listing finds what the log does not account for, but only of attempts fenced now', async () => {
  const model = new TransactionModel()
  for (const id of ['job-1-7-9', 'job-2-9-9', 'job-3-0-0']) flush(model, id)
  await ledgerOn(model).fence([pooled(2)])
  assert.deepEqual(model.open(), ['job-3-0-0'])
})

test('at most eight ids are initialised at a time', async () => {
  const model = new TransactionModel()
  let now = 0
  let most = 0
  model.before = async (call) => {
    if (call !== 'init') return
    most = Math.max(most, ++now)
    await new Promise((resolve) => setImmediate(resolve))
    now--
  }
  for (let subtask = 0; subtask < 20; subtask++) flush(model, `job-1-${subtask}-0`)
  assert.equal(await ledgerOn(model).fence([pooled(1, { parallelism: 20 })]), 20)
  assert.equal(most, 8)
})

test('committables of an earlier process are committed by what was stored, and repeats change nothing', async () => {
  const model = new TransactionModel()
  const committables = [flush(model, 'job-1-0-0'), flush(model, 'job-1-1-0', 1)]
  const ledger = ledgerOn(model)
  assert.deepEqual(await ledger.inspect(committables), ['open', 'open'])
  for (let i = 0; i < 2; i++) {
    for (const committable of committables) {
      assert.equal(await ledger.commit(committable), 'committed')
      await ledger.settled(committable)
    }
  }
  assert.deepEqual(await ledger.inspect(committables), ['committed', 'committed'])
  assert.equal(model.visible.length, 2)
})

test('nothing is ended on another cluster than the one that holds it', async () => {
  const model = new TransactionModel()
  const committable = flush(model, 'job-1-0-0')
  model.clusterId = 'another'
  const ledger = ledgerOn(model)
  for (const call of [
    () => ledger.commit(committable),
    () => ledger.abort(committable),
    () => ledger.inspect([committable]),
    () => ledger.settled(committable),
  ]) {
    await assert.rejects(call, { code: 'COMMIT_UNRESOLVED' })
  }
  assert.equal(await ledger.fence([pooled(1)]), 0)
  assert.deepEqual(model.open(), ['job-1-0-0'])
})

test('open transactions of the own prefix are told below an attempt, and aborted by id only if they are of it', async () => {
  const model = new TransactionModel()
  for (const id of ['job-1-0-0', 'job-5-0-0', 'job-6-0-0', 'job-x-1-0-0']) flush(model, id)
  model.init('job-2-0-0')
  const ledger = ledgerOn(model)
  const open = await ledger.openTransactions(attemptId(6))
  assert.deepEqual(open?.map((one) => one.transactionalId).sort(), ['job-1-0-0', 'job-5-0-0'])
  await ledger.abortById('job-1-0-0')
  await assert.rejects(ledger.abortById('job-x-1-0-0'), { code: 'USAGE' })
  assert.deepEqual(model.open().sort(), ['job-5-0-0', 'job-6-0-0', 'job-x-1-0-0'])
  model.canList = false
  assert.equal(await ledger.openTransactions(attemptId(6)), undefined)
})
