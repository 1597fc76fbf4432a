/** The account finds what is missing and what is doubled, and calls nothing missing that may still be on its way. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Account, balances } from './account.ts'
import { PARTITIONS } from './demo-topics.ts'
import { expectedText, isExpected, orderText, parseOrder } from './order.ts'

const ORDERS = 1_000
const DUE = Array.from({ length: ORDERS }, (_, id) => id).filter(isExpected)

function accountOf(ids: readonly number[]): Account {
  const account = new Account()
  account.produced(ORDERS)
  for (const id of ids) account.seen(expectedText(id) ?? null)
  return account
}

test('what must come out is told the same way by the number and by the text, and some of it must not', () => {
  for (let id = 0; id < ORDERS; id++) assert.equal(isExpected(id), expectedText(id) !== undefined, `order ${id}`)
  assert.ok(DUE.length > ORDERS / 2 && DUE.length < ORDERS)
  assert.ok(Array.from({ length: ORDERS }, (_, id) => parseOrder(orderText(id))).includes(undefined))
})

test('every order once balances; one that lacks, one that is there twice and one that says something else do not', () => {
  assert.ok(balances(accountOf(DUE).balance(true)))
  const lacks = accountOf(DUE.slice(1)).balance(true)
  assert.deepEqual([lacks.missing, balances(lacks)], [1, false])
  const twice = accountOf([...DUE, DUE[3] ?? 0]).balance(true)
  assert.deepEqual([twice.missing, twice.doubled, balances(twice)], [0, 1, false])
  for (const text of [null, 'x', '{"id":5}', orderText(DUE[0] ?? 0), expectedText(ORDERS * 2) ?? '{}']) {
    const account = accountOf(DUE)
    account.seen(text)
    assert.deepEqual([account.balance(true).wrong, balances(account.balance(true))], [1, false], String(text))
  }
})

test('an order is on its way until two later checkpoints prove that it should be there, then missing until it is', () => {
  const [late = 0] = DUE
  const account = accountOf(DUE.slice(1))
  const partition = late % PARTITIONS
  const behind = Math.floor(late / PARTITIONS) + 1
  const absent = (): number[] => [account.balance().onTheWay, account.balance().missing]
  account.position(partition, behind)
  account.position(partition, behind + 1)
  account.position(partition, behind + 1)
  assert.deepEqual(absent(), [1, 0])
  account.position(partition, behind + 2)
  assert.deepEqual(absent(), [0, 1])
  account.seen(expectedText(late) ?? null)
  assert.deepEqual(absent(), [0, 0])
})
