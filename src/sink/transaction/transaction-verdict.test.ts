import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import type { TransactionHandle, TransactionVersion } from './transaction-gateway.ts'
import { ModelGateway, TransactionModel } from './transaction-model.test-double.ts'
import { abortTransaction, commitTransaction, fateOf, inspectTransactions } from './transaction-verdict.ts'

const ID = 'p-1-0-0'
const RECORD = { topic: 't', partition: 0, key: null, value: 'v', timestamp: 0 }

function flushed(version: TransactionVersion): {
  model: TransactionModel
  gateway: ModelGateway
  handle: TransactionHandle
} {
  const model = new TransactionModel()
  model.version = version
  const handle = { transactionalId: ID, version, ...model.init(ID) }
  model.produce(handle, [RECORD])
  return { model, gateway: new ModelGateway(model), handle }
}

for (const version of [1, 2] as const) {
  test(`version ${version}: a commit and each repeat of it say committed, and the records appear once`, async () => {
    const { model, gateway, handle } = flushed(version)
    assert.deepEqual(await inspectTransactions(gateway, [handle], 1000), ['open'])
    for (let i = 0; i < 3; i++) assert.equal((await commitTransaction(gateway, handle, 1000)).fate, 'committed')
    assert.deepEqual(await inspectTransactions(gateway, [handle], 1000), ['committed'])
    assert.equal(model.visible.length, 1)
  })

  test(`version ${version}: an expired transaction is gone, seen before and after trying to end it`, async () => {
    const { model, gateway, handle } = flushed(version)
    model.expire(ID)
    assert.deepEqual(await inspectTransactions(gateway, [handle], 1000), ['gone'])
    assert.equal((await commitTransaction(gateway, handle, 1000)).fate, 'gone')
    assert.equal(model.visible.length, 0)
  })

  test(`version ${version}: an id initialised again, or forgotten, leaves it unknown`, async () => {
    const again = flushed(version)
    await commitTransaction(again.gateway, again.handle, 1000)
    again.model.init(ID)
    assert.deepEqual(await inspectTransactions(again.gateway, [again.handle], 1000), ['unknown'])
    assert.equal((await commitTransaction(again.gateway, again.handle, 1000)).fate, 'unknown')
    const forgotten = flushed(version)
    forgotten.model.forget(ID)
    assert.deepEqual(await inspectTransactions(forgotten.gateway, [forgotten.handle], 1000), ['unknown'])
    assert.equal((await commitTransaction(forgotten.gateway, forgotten.handle, 1000)).fate, 'unknown')
  })

  test(`version ${version}: aborting is idempotent, and refuses to call a committed transaction aborted`, async () => {
    const { gateway, handle } = flushed(version)
    await abortTransaction(gateway, handle, 1000)
    await abortTransaction(gateway, handle, 1000)
    assert.equal((await commitTransaction(gateway, handle, 1000)).fate, 'gone')
    const other = flushed(version)
    await commitTransaction(other.gateway, other.handle, 1000)
    await assert.rejects(abortTransaction(other.gateway, other.handle, 1000), { code: 'COMMIT_UNRESOLVED' })
    assert.equal(other.model.visible.length, 1)
  })

  test(`version ${version}: looking at a transaction never ends it, nor a younger one of its id`, async () => {
    const { model, gateway, handle } = flushed(version)
    await commitTransaction(gateway, handle, 1000)
    const younger = { transactionalId: ID, version, ...model.init(ID) }
    model.produce(younger, [RECORD])
    assert.deepEqual(await inspectTransactions(gateway, [handle], 1000), ['unknown'])
    assert.deepEqual(model.open(), [ID])
    assert.equal(model.visible.length, 1)
    const ends = model.calls.filter((call) => call.startsWith('end')).length
    assert.equal(ends, version === 1 ? 1 : 2, 'under version 1 a repeat could end the younger one: it is never sent')
  })
}

test('version 2: a commit whose producer id rolled over is still recognised, by the repeat of its end', async () => {
  const model = new TransactionModel()
  const gateway = new ModelGateway(model)
  model.init(ID)
  model.setEpoch(ID, 32_765)
  const handle = { transactionalId: ID, version: 2 as const, ...model.init(ID) }
  assert.equal(handle.epoch, 32_766)
  model.produce(handle, [RECORD])
  const verdict = await commitTransaction(gateway, handle, 1000)
  assert.ok(verdict.fate === 'committed' && verdict.next?.epoch === 0 && verdict.next.producerId !== handle.producerId)
  assert.deepEqual(await inspectTransactions(gateway, [handle], 1000), ['committed'])
})

test('no answer is no verdict: it is told as such and nothing is aborted', async () => {
  const { model, gateway, handle } = flushed(2)
  model.before = (call) => {
    if (call === 'end') throw new MillraceError('KAFKA_AUTHORIZATION_FAILED', 'not allowed')
  }
  await assert.rejects(commitTransaction(gateway, handle, 1000), (error) => {
    assert.ok(MillraceError.is(error))
    assert.equal(error.code, 'COMMIT_UNRESOLVED')
    assert.match(error.message, /p-1-0-0.*not allowed/)
    return true
  })
  assert.deepEqual(model.open(), [ID])
})

test('a refusal whose reason cannot be had is no verdict either', async () => {
  const { model, gateway, handle } = flushed(2)
  model.expire(ID)
  model.before = (call) => {
    if (call === 'describe') throw new MillraceError('KAFKA_AUTHORIZATION_FAILED', 'not allowed')
  }
  await assert.rejects(commitTransaction(gateway, handle, 1000), {
    code: 'COMMIT_UNRESOLVED',
    message: /INVALID_TXN_STATE.*p-1-0-0.*not allowed/,
  })
})

test('brokers that describe nothing leave an unended transaction to the commit, and a refusal undecided', async () => {
  const { model, gateway, handle } = flushed(2)
  model.canDescribe = false
  assert.deepEqual(await inspectTransactions(gateway, [handle], 1000), ['open'])
  model.expire(ID)
  assert.equal((await commitTransaction(gateway, handle, 1000)).fate, 'unknown')
})

test('only these descriptions decide', () => {
  const cases: [TransactionVersion, string, number, number, string][] = [
    // version, state, producer id, epoch (the transaction's own: 5/3), fate
    [1, 'Ongoing', 5, 3, 'open'],
    [2, 'Ongoing', 5, 3, 'open'],
    [1, 'Ongoing', 5, 4, 'unknown'],
    [2, 'Ongoing', 5, 4, 'unknown'],
    [1, 'CompleteCommit', 5, 3, 'committed'],
    [1, 'PrepareCommit', 5, 3, 'committed'],
    [1, 'CompleteCommit', 5, 4, 'unknown'],
    [2, 'CompleteCommit', 5, 4, 'committed'],
    [2, 'PrepareCommit', 5, 4, 'committed'],
    [2, 'CompleteCommit', 5, 5, 'unknown'],
    [2, 'CompleteCommit', 6, 4, 'unknown'],
    [1, 'CompleteAbort', 5, 3, 'gone'],
    [1, 'CompleteAbort', 5, 4, 'gone'],
    [2, 'PrepareAbort', 5, 4, 'gone'],
    [2, 'CompleteAbort', 5, 5, 'unknown'],
    [2, 'PrepareEpochFence', 5, 4, 'gone'],
    [2, 'Empty', 5, 5, 'unknown'],
    [2, 'Dead', 5, 4, 'unknown'],
    [2, 'NotFound', -1, -1, 'unknown'],
    [2, 'SomethingNew', 5, 4, 'unknown'],
  ]
  for (const [version, state, producerId, producerEpoch, fate] of cases) {
    const handle = { transactionalId: ID, producerId: 5, epoch: 3, version }
    const found = { transactionalId: ID, state, producerId, producerEpoch }
    assert.equal(fateOf(handle, found), fate, `version ${version}, ${state} ${producerId}/${producerEpoch}`)
  }
})
