import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { type EndTxnRequest, endTxnApi } from '../protocol/generated/end-txn.ts'
import type { InitProducerIdRequest } from '../protocol/generated/init-producer-id.ts'
import { ScriptedCluster } from './scripted-cluster.test-double.ts'
import { type EndOutcome, endTransaction, initProducerId, type TransactionHandle } from './transactions.ts'

const HANDLE: TransactionHandle = { transactionalId: 'tx', producerId: 7, epoch: 3, version: 2 }

interface Ended {
  readonly outcome: EndOutcome
  readonly tookMs: number
  readonly asked: readonly string[]
}

/** Ends a transaction at coordinators that answer with these error codes in turn, or do what they are told. */
async function end(
  answers: readonly (number | 'disconnect' | 'silence')[],
  options: { readonly version?: 1 | 2; readonly deadlineMs?: number; readonly moves?: boolean } = {},
): Promise<Ended> {
  const scripted = new ScriptedCluster({ 'request.timeout.ms': 1_000 })
  const { clock, cluster } = scripted
  const asked: string[] = []
  const left = [...answers]
  scripted.script = (request, nodeId, connection) => {
    assert.equal(request.api.key, endTxnApi.key)
    const body = request.body as EndTxnRequest
    assert.deepEqual(body, { transactionalId: 'tx', producerId: 7, producerEpoch: 3, committed: true })
    asked.push(`${nodeId} v${request.version}`)
    if (options.moves === true) scripted.coordinator = 2
    const answer = left.shift() ?? 0
    if (answer === 'disconnect') connection.breakNow(new Error('read ECONNRESET'))
    else if (answer !== 'silence') connection.answer(request, { errorCode: answer, producerId: 7, producerEpoch: 4 })
  }
  const began = clock.monotonic()
  const handle = { ...HANDLE, version: options.version ?? 2 }
  let result: Ended | undefined
  const ending = endTransaction(cluster, handle, true, { deadlineMs: options.deadlineMs ?? 5_000 }).then((outcome) => {
    result = { outcome, tookMs: clock.monotonic() - began, asked }
  })
  for (let passedMs = 0; result === undefined && passedMs < 20_000; passedMs += 10) await clock.advance(10)
  await ending
  assert.ok(result !== undefined)
  return result
}

suite('ending a transaction', () => {
  test('version 2 uses EndTxn 5 and learns the next identity, version 1 uses EndTxn 4 and does not', async () => {
    const two = await end([0])
    assert.deepEqual(two.outcome, { kind: 'ended', next: { producerId: 7, epoch: 4 }, concurrentAnswers: 0 })
    assert.deepEqual(two.asked, ['1 v5'])
    const one = await end([0], { version: 1 })
    assert.deepEqual(one.outcome, { kind: 'ended', next: undefined, concurrentAnswers: 0 })
    assert.deepEqual(one.asked, ['1 v4'])
  })

  test('the four verdicts are returned by name at once', async () => {
    for (const name of [
      'PRODUCER_FENCED',
      'INVALID_PRODUCER_EPOCH',
      'INVALID_TXN_STATE',
      'INVALID_PRODUCER_ID_MAPPING',
    ] as const) {
      const { outcome, asked } = await end([KafkaErrorCode[name]])
      assert.deepEqual(outcome, { kind: 'refused', error: name })
      assert.equal(asked.length, 1)
    }
  })

  test('no other error that the table knows is a verdict', async () => {
    const verdicts: readonly string[] = [
      'NONE',
      'PRODUCER_FENCED',
      'INVALID_PRODUCER_EPOCH',
      'INVALID_TXN_STATE',
      'INVALID_PRODUCER_ID_MAPPING',
    ]
    for (const [name, errorCode] of Object.entries(KafkaErrorCode)) {
      if (verdicts.includes(name)) continue
      const { outcome } = await end(
        Array.from({ length: 100 }, () => errorCode),
        { deadlineMs: 300 },
      )
      assert.equal(outcome.kind, 'undecided', name)
    }
  })

  test('while the transaction before is being ended it is asked again every 20 ms, and counted', async () => {
    const busy = KafkaErrorCode.CONCURRENT_TRANSACTIONS
    const { outcome, tookMs, asked } = await end([busy, busy, busy, 0])
    assert.ok(outcome.kind === 'ended')
    assert.equal(outcome.concurrentAnswers, 3)
    assert.ok(tookMs >= 60 && tookMs <= 120, `${tookMs} ms`)
    assert.equal(asked.length, 4)
  })

  test('busy for ever stays undecided at the deadline', async () => {
    const answers = Array.from({ length: 2_000 }, () => KafkaErrorCode.CONCURRENT_TRANSACTIONS)
    const { outcome, tookMs } = await end(answers, { deadlineMs: 1_000 })
    assert.ok(outcome.kind === 'undecided')
    assert.equal(outcome.error.code, 'KAFKA_TIMEOUT')
    assert.match(
      outcome.error.message,
      /transaction of tx \(producer id 7, epoch 3\).*1000 ms.*CONCURRENT_TRANSACTIONS/,
    )
    assert.ok(tookMs <= 1_100)
  })

  for (const name of ['NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_LOAD_IN_PROGRESS'] as const) {
    test(`${name}: the coordinator is looked up again`, async () => {
      const { outcome, asked } = await end([KafkaErrorCode[name], 0], { moves: true })
      assert.equal(outcome.kind, 'ended')
      assert.deepEqual(asked, ['1 v5', '2 v5'])
    })
  }

  test('a connection that breaks, or stays silent, is followed by another attempt', async () => {
    for (const trouble of ['disconnect', 'silence'] as const) {
      const { outcome, asked } = await end([trouble, 0], { moves: true })
      assert.equal(outcome.kind, 'ended', trouble)
      assert.deepEqual(asked, ['1 v5', '2 v5'])
    }
  })

  test('silence until the deadline stays undecided, and takes no longer', async () => {
    const { outcome, tookMs } = await end(
      Array.from({ length: 100 }, () => 'silence' as const),
      { deadlineMs: 3_000 },
    )
    assert.ok(outcome.kind === 'undecided')
    assert.match(outcome.error.message, /Committing the transaction of tx/)
    assert.ok(tookMs <= 3_100)
  })

  test('a missing right is no verdict and says which right', async () => {
    const { outcome, asked } = await end([KafkaErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED])
    assert.ok(outcome.kind === 'undecided')
    assert.equal(outcome.error.code, 'KAFKA_AUTHORIZATION_FAILED')
    assert.match(outcome.error.message, /WRITE on transactional id tx/)
    assert.equal(asked.length, 1)
  })

  test('an aborted signal ends it with the reason of the signal', async () => {
    const scripted = new ScriptedCluster()
    const controller = new AbortController()
    const ending = endTransaction(scripted.cluster, HANDLE, true, { deadlineMs: 5_000, signal: controller.signal })
    await scripted.clock.advance(100)
    controller.abort(new Error('enough'))
    await assert.rejects(ending, { message: 'enough' })
  })
})

suite('initializing an id', () => {
  test('it waits for the transaction before, follows the coordinator, and gives a fresh identity', async () => {
    const scripted = new ScriptedCluster()
    const answers: number[] = [KafkaErrorCode.CONCURRENT_TRANSACTIONS, KafkaErrorCode.NOT_COORDINATOR, 0]
    scripted.script = (request, _, connection) => {
      const { producerId, producerEpoch, transactionTimeoutMs } = request.body as InitProducerIdRequest
      assert.deepEqual([producerId, producerEpoch, transactionTimeoutMs], [-1, -1, 60_000])
      connection.answer(request, { errorCode: answers.shift() ?? 0, producerId: 9, producerEpoch: 2 })
    }
    const initializing = initProducerId(scripted.cluster, 'tx', 60_000)
    await scripted.clock.advance(1_000)
    assert.deepEqual(await initializing, { producerId: 9, epoch: 2 })
    assert.equal(answers.length, 0)
  })

  test('being busy is bounded by default.api.timeout.ms', async () => {
    const scripted = new ScriptedCluster({ 'default.api.timeout.ms': 2_000 })
    scripted.script = (request, _, connection) =>
      connection.answer(request, { errorCode: KafkaErrorCode.CONCURRENT_TRANSACTIONS })
    const initializing = initProducerId(scripted.cluster, 'tx', 60_000).catch((error: unknown) => error)
    await scripted.clock.advance(2_100)
    const error = await initializing
    assert.ok(MillraceError.is(error))
    assert.equal(error.code, 'KAFKA_TIMEOUT')
  })
})
