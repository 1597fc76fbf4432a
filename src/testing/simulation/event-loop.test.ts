/** Virtual time: one order, nothing of those that are gone, and everything of those that slept. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventLoop, OUTSIDE } from './event-loop.ts'

test('events run by time and then by asking, with the promises of each before the next', async () => {
  const loop = new EventLoop({ eventsMax: 100 })
  const journal: string[] = []
  loop.after(5, OUTSIDE, 'b', () => {
    journal.push('b')
    void Promise.resolve().then(() => journal.push('after b'))
  })
  loop.after(5, OUTSIDE, 'c', () => journal.push('c'))
  loop.after(1, OUTSIDE, 'a', () => journal.push('a'))
  loop.after(2, OUTSIDE, 'never', () => journal.push('never')).cancel()
  await loop.run(() => journal.length === 4)
  assert.deepEqual(journal, ['a', 'b', 'after b', 'c'])
  assert.equal(loop.elapsedMs, 5)
})

test('what falls due while its owner sleeps runs when it wakes, unless it was cancelled; of who is gone nothing runs', async () => {
  const loop = new EventLoop({ eventsMax: 100 })
  const journal: string[] = []
  const sleeper = { name: 'sleeper', gone: false, asleep: true }
  const dead = { name: 'dead', gone: true, asleep: false }
  for (const what of ['first', 'second']) loop.after(1, sleeper, what, () => journal.push(what))
  const cancelled = loop.after(1, sleeper, 'cancelled', () => journal.push('cancelled'))
  loop.after(1, dead, 'dead', () => journal.push('dead'))
  loop.after(9, OUTSIDE, 'wake', () => {
    cancelled.cancel()
    sleeper.asleep = false
    loop.wake(sleeper)
  })
  await loop.run(() => journal.length === 2)
  assert.deepEqual(journal, ['first', 'second'])
  assert.equal(loop.elapsedMs, 9)
})

test('an event that throws, and a run that never ends, are told', async () => {
  const loop = new EventLoop({ eventsMax: 10 })
  const again = (): void => void loop.after(1, OUTSIDE, 'again', again)
  again()
  await assert.rejects(
    loop.run(() => false),
    /10 events, and the run is not over/,
  )
  const other = new EventLoop({ eventsMax: 10 })
  other.after(1, OUTSIDE, 'broken', () => {
    throw new Error('broken')
  })
  await assert.rejects(
    other.run(() => false),
    /broken/,
  )
})
