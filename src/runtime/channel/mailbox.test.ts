/** Letters come in order, and whoever waits is woken by the next one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Mailbox } from './mailbox.ts'

test('letters are taken in the order in which they were put', () => {
  const mailbox = new Mailbox<number>()
  assert.equal(mailbox.empty, true)
  for (const letter of [1, 2, 3]) mailbox.put(letter)
  assert.deepEqual([mailbox.take(), mailbox.take(), mailbox.take(), mailbox.take()], [1, 2, 3, undefined])
})

test('arrival resolves at once while there is a letter, and with the next one otherwise', async () => {
  const mailbox = new Mailbox<string>()
  let arrived = 0
  const waiting = mailbox.arrival()
  assert.equal(waiting, mailbox.arrival(), 'all that wait share one promise')
  void waiting.then(() => arrived++)
  await Promise.resolve()
  assert.equal(arrived, 0)
  mailbox.put('a')
  await waiting
  await mailbox.arrival()
  mailbox.take()
  let again = false
  const next = mailbox.arrival().then(() => {
    again = true
  })
  await Promise.resolve()
  assert.equal(again, false, 'a letter that was taken wakes nobody')
  mailbox.put('b')
  await next
})
