/**
 * The durable bytes of state, as their first version wrote them, are readable for ever and are still what is written. A new
 * version gets new files beside these; these never change.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  checkpointId,
  type Key,
  ListStateDescriptor,
  MapStateDescriptor,
  ValueStateDescriptor,
} from '../../core/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import type { KeyedPart } from './hosted-state.ts'
import { KeyGrouping } from './key-group.ts'
import { KEYED_VERSION_1 } from './keyed-part.ts'
import { KeyedStateBackend } from './keyed-state-backend.ts'
import { OperatorLists } from './operator-lists.ts'

const KEYS: readonly Key[] = ['a', 'größer', '\0', 0, -1.5, 12345678901234567890n, true, ['a', 1, 2n, false], []]

/** `MILLRACE_WRITE_GOLDEN=1` writes the files of a new version once. */
function assertGolden(name: string, bytes: Uint8Array): Buffer {
  const golden = new URL(`../../../test/golden/runtime/${name}`, import.meta.url)
  if (process.env.MILLRACE_WRITE_GOLDEN === '1') writeFileSync(golden, bytes, { flag: 'wx' })
  const stored = readFileSync(golden)
  assert.deepEqual(Buffer.from(bytes), stored, `${name} is written differently than its version says`)
  return stored
}

function keyed(restored: readonly KeyedPart[]) {
  const backend = new KeyedStateBackend({
    operatorName: 'golden',
    uid: 'golden',
    maxParallelism: 8,
    groups: [0, 7],
    clock: new SimulatedClock(),
    restored,
    allowNonRestoredState: false,
  })
  const states = {
    backend,
    value: backend.value<unknown>(new ValueStateDescriptor<unknown>('value')),
    list: backend.list<unknown>(new ListStateDescriptor<unknown>('list')),
    map: backend.map<string, unknown>(new MapStateDescriptor<string, unknown>('map')),
    fired: [] as unknown[],
  }
  backend.onTimer((timestamp, domain) => void states.fired.push([backend.currentKey, timestamp, domain]))
  backend.opened()
  return states
}

test('keyed state and timers, VERSION_1', async () => {
  const { backend, value, list, map } = keyed([])
  for (const [number, key] of KEYS.entries()) {
    backend.setCurrentKey(key)
    value.update({ number, at: new Date(0) })
    if (number % 2 === 0) list.update([number, `${number}`, null])
    if (number % 3 === 0) map.put('one', number)
    backend.timers.registerEventTimeTimer(1_700_000_000_000 + number)
    if (number === 4) backend.timers.registerProcessingTimeTimer(1_800_000_000_000)
  }
  const taken = backend.snapshot(checkpointId(1))
  backend.step(Number.POSITIVE_INFINITY)
  const [part, another] = await taken
  assert.ok(part !== undefined && another === undefined)
  const groups = KEYS.map((key) => new KeyGrouping(8).groupOf(key))
  assert.deepEqual(part.groups, [Math.min(...groups), Math.max(...groups)])
  const bytes = assertGolden('keyed-part.v1', part.bytes)

  const restored = keyed([{ version: KEYED_VERSION_1, bytes, groups: [0, 7] }])
  for (const [number, key] of KEYS.entries()) {
    restored.backend.setCurrentKey(key)
    assert.deepEqual(restored.value.value(), { number, at: new Date(0) })
    assert.deepEqual(restored.list.get(), number % 2 === 0 ? [number, `${number}`, null] : [])
    assert.deepEqual([...restored.map.entries()], number % 3 === 0 ? [['one', number]] : [])
  }
  restored.backend.advanceWatermark(Number.POSITIVE_INFINITY)
  assert.deepEqual(
    restored.fired,
    KEYS.map((key, number) => [key, 1_700_000_000_000 + number, 'event']),
  )
  assert.equal(restored.backend.nextProcessingTimer, 1_800_000_000_000)
})

test('lists of a subtask, VERSION_1, are dealt out evenly and in order', () => {
  const lists = (subtask: number, parallelism: number, bytes: readonly Uint8Array[]): OperatorLists =>
    new OperatorLists({
      operatorName: 'golden',
      uid: 'golden',
      subtask,
      parallelism,
      restored: bytes.map((part) => ({ version: 1, bytes: part })),
      allowNonRestoredState: false,
    })
  const descriptor = new ListStateDescriptor<unknown>('buffer')
  const first = lists(0, 1, [])
  first.list(descriptor).addAll([1, 'zwei', { three: 3 }])
  first.list(new ListStateDescriptor<unknown>('empty'))
  const stored = first.snapshot()
  assert.ok(stored !== undefined)
  const bytes = assertGolden('operator-lists.v1', stored.bytes)
  for (const parallelism of [1, 2, 4, 7]) {
    const dealt = Array.from({ length: parallelism }, (_, subtask) => {
      const of = lists(subtask, parallelism, [bytes, bytes])
      const elements = of.list(descriptor).get()
      of.opened()
      return elements
    })
    assert.deepEqual(dealt.flat(), [1, 'zwei', { three: 3 }, 1, 'zwei', { three: 3 }])
    const sizes = dealt.map(({ length }) => length)
    assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `${sizes}`)
  }
  assert.throws(() => lists(0, 1, [bytes]).opened(), /holds lists "buffer" that operator "golden"/)
  assert.throws(
    () =>
      new OperatorLists({
        operatorName: 'o',
        uid: 'o',
        subtask: 0,
        parallelism: 1,
        restored: [{ version: 2, bytes }],
        allowNonRestoredState: true,
      }),
    /version 2/,
  )
})
