/** Keyed state through snapshots, changes meanwhile, and restores at any parallelism. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MillraceError } from '../../base/index.ts'
import { checkpointId, type Key, type ListState, type MapState, type ValueState } from '../../core/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import { intersects, type KeyedPart, type KeyGroups, keyGroupsOfSubtask } from './hosted-state.ts'
import { KeyGrouping, subtaskOfKeyGroup } from './key-group.ts'
import { KeyedStateBackend } from './keyed-state-backend.ts'
import { keyOf, primitiveOf } from './primitive-key.ts'

const MAX = 16

interface Subtask {
  readonly backend: KeyedStateBackend
  readonly value: ValueState<unknown>
  readonly list: ListState<unknown>
  readonly map: MapState<string, unknown>
  readonly fired: string[]
}

interface Given {
  readonly groups?: KeyGroups
  readonly restored?: readonly KeyedPart[]
  readonly allow?: boolean
  readonly maxParallelism?: number
  readonly clock?: SimulatedClock
}

function backendOf(given: Given = {}): KeyedStateBackend {
  const { groups = [0, MAX - 1], restored = [], allow = false, maxParallelism = MAX } = given
  return new KeyedStateBackend({
    operatorName: 'count',
    uid: 'c',
    maxParallelism,
    groups,
    clock: given.clock ?? new SimulatedClock(),
    restored: restored.filter((part) => intersects(part.groups, groups)),
    allowNonRestoredState: allow,
  })
}

function subtaskOf(given: Given = {}): Subtask {
  const backend = backendOf(given)
  const fired: string[] = []
  const subtask = {
    backend,
    value: backend.value<unknown>({ kind: 'value', name: 'v' }),
    list: backend.list<unknown>({ kind: 'list', name: 'l' }),
    map: backend.map<string, unknown>({ kind: 'map', name: 'm' }),
    fired,
  }
  backend.onTimer(
    (timestamp, domain) => void fired.push(`${domain} ${timestamp} ${JSON.stringify(shown(backend.currentKey))}`),
  )
  backend.opened()
  return subtask
}

const shown = (key: Key): unknown => (Array.isArray(key) ? key.map(String) : `${typeof key} ${String(key)}`)

/** Everything that there is for these keys, as plain data. */
function contents(subtasks: readonly Subtask[], keys: readonly Key[]): unknown {
  const grouping = new KeyGrouping(MAX)
  return keys.map((key) => {
    const subtask = subtasks[subtaskOfKeyGroup(MAX, subtasks.length, grouping.groupOf(key))]
    assert.ok(subtask !== undefined)
    subtask.backend.setCurrentKey(key)
    return [shown(key), subtask.value.value(), [...subtask.list.get()], [...subtask.map.entries()].sort()]
  })
}

/** What fires until the end of event and processing time, as one list over all subtasks. */
function timersOf(subtasks: readonly Subtask[]): string[] {
  for (const { backend } of subtasks) {
    backend.advanceWatermark(Number.POSITIVE_INFINITY)
    backend.fireProcessing(Number.POSITIVE_INFINITY)
  }
  return subtasks.flatMap(({ fired }) => fired).sort()
}

const restoredAt = (parts: readonly KeyedPart[], parallelism: number): Subtask[] =>
  Array.from({ length: parallelism }, (_, subtask) =>
    subtaskOf({ groups: keyGroupsOfSubtask(MAX, parallelism, subtask), restored: parts }),
  )

type Change = (subtask: Subtask) => void

const KEYS: readonly Key[] = [
  'a',
  'b',
  '',
  '\0a',
  'ä€😀',
  0,
  1,
  -1.5,
  2n,
  true,
  false,
  ['a', 1],
  ['a', '1'],
  ['a1', 2n, true],
  [],
]

const arbitraryKey = fc.constantFrom(...KEYS)
const arbitraryValue = fc.oneof(
  fc.integer(),
  fc.string(),
  fc.record({ id: fc.integer(), user: fc.string() }, { noNullPrototype: true }),
  fc.constant(null),
  fc.double({ noNaN: true }),
  fc.bigInt(),
)
const arbitraryTime = fc.integer({ min: 1, max: 20 })
const arbitraryChange: fc.Arbitrary<Change> = fc
  .tuple(
    arbitraryKey,
    fc.oneof(
      arbitraryValue.map(
        (value): Change =>
          ({ value: state }) =>
            state.update(value),
      ),
      fc.constant<Change>(({ value }) => value.clear()),
      arbitraryValue.map(
        (value): Change =>
          ({ list }) =>
            list.add(value),
      ),
      fc.array(arbitraryValue, { maxLength: 3 }).map(
        (values): Change =>
          ({ list }) =>
            list.update(values),
      ),
      fc.constant<Change>(({ list }) => void list.get()),
      fc.constant<Change>(({ list }) => list.clear()),
      fc.tuple(fc.constantFrom('x', 'y', 'z'), arbitraryValue).map(
        ([at, value]): Change =>
          ({ map }) =>
            map.put(at, value),
      ),
      fc.constantFrom('x', 'y', 'z').map(
        (at): Change =>
          ({ map }) =>
            map.delete(at),
      ),
      fc.constant<Change>(({ map }) => map.clear()),
      arbitraryTime.map(
        (at): Change =>
          ({ backend }) =>
            backend.timers.registerEventTimeTimer(at),
      ),
      arbitraryTime.map(
        (at): Change =>
          ({ backend }) =>
            backend.timers.deleteEventTimeTimer(at),
      ),
      arbitraryTime.map(
        (at): Change =>
          ({ backend }) =>
            backend.timers.registerProcessingTimeTimer(at),
      ),
      // What a user must not do, and what must not reach a checkpoint under way.
      fc.constant<Change>(({ value }) => {
        const found = value.value()
        if (typeof found === 'object' && found !== null) (found as { id: number }).id = -99
      }),
    ),
  )
  .map(
    ([key, change]): Change =>
      (subtask) => {
        subtask.backend.setCurrentKey(key)
        change(subtask)
      },
  )

test('a snapshot is that of its moment whatever changes meanwhile, and is restored at any parallelism', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(arbitraryChange, { maxLength: 60 }),
      fc.array(fc.tuple(arbitraryChange, fc.boolean()), { maxLength: 60 }),
      fc.integer({ min: 1, max: MAX }),
      async (before, during, parallelism) => {
        const subtask = subtaskOf()
        for (const change of before) change(subtask)
        const expected = structuredClone(contents([subtask], KEYS))
        const taken = subtask.backend.snapshot(checkpointId(1))
        for (const [change, step] of during) {
          change(subtask)
          if (step) subtask.backend.step(0)
        }
        while (subtask.backend.step(1)) assert.ok(subtask.backend.capturing)
        const parts = await taken
        assert.equal(subtask.backend.capturing, false)
        const restored = restoredAt(parts, parallelism)
        assert.deepEqual(contents(restored, KEYS), expected)

        // What comes after has all changes, also when it begins while the first is under way.
        const later = structuredClone(contents([subtask], KEYS))
        const second = subtask.backend.snapshot(checkpointId(2))
        const third = subtask.backend.snapshot(checkpointId(3))
        while (subtask.backend.step(1)) assert.ok(subtask.backend.capturing)
        assert.deepEqual(contents(restoredAt(await second, 1), KEYS), later)
        const thirds = restoredAt(await third, parallelism)
        assert.deepEqual(contents(thirds, KEYS), later)
        assert.deepEqual(timersOf(thirds), timersOf([subtask]))
      },
    ),
    { numRuns: 200 },
  )
})

test('timers of a snapshot are those of its moment', async () => {
  const subtask = subtaskOf()
  const register = (key: Key, ...times: readonly number[]): void => {
    subtask.backend.setCurrentKey(key)
    for (const time of times) subtask.backend.timers.registerEventTimeTimer(time)
  }
  for (const key of KEYS) register(key, 5, 1, 5, 3)
  const taken = subtask.backend.snapshot(checkpointId(1))
  subtask.backend.advanceWatermark(3)
  register('a', 4)
  while (subtask.backend.step(0)) assert.ok(subtask.backend.capturing)
  const expected = KEYS.flatMap((key) => [1, 3, 5].map((time) => `event ${time} ${JSON.stringify(shown(key))}`)).sort()
  assert.deepEqual(timersOf(restoredAt(await taken, 3)), expected)
})

test('timers fire in the order of time with their key current, also those that a timer registers', () => {
  const clock = new SimulatedClock()
  const { backend, value, fired } = subtaskOf({ clock })
  const journal: unknown[] = []
  backend.onTimer((timestamp, domain) => {
    journal.push([backend.currentKey, timestamp, domain, value.value()])
    if (timestamp === 10) backend.timers.registerEventTimeTimer(15)
  })
  for (const [key, at] of [
    ['b', 20],
    ['a', 10],
    ['c', 30],
    ['a', 20],
  ] as const) {
    backend.setCurrentKey(key)
    value.update(key)
    backend.timers.registerEventTimeTimer(at)
    backend.timers.registerEventTimeTimer(at)
  }
  backend.setCurrentKey('c')
  backend.timers.registerEventTimeTimer(5)
  backend.timers.deleteEventTimeTimer(5)
  backend.advanceWatermark(20)
  assert.equal(backend.timers.currentWatermark(), 20)
  backend.advanceWatermark(15)
  assert.deepEqual(journal, [
    ['a', 10, 'event', 'a'],
    ['a', 15, 'event', 'a'],
    ['b', 20, 'event', 'b'],
    ['a', 20, 'event', 'a'],
  ])
  let told = 0
  backend.onNextProcessingTimer(() => told++)
  backend.timers.registerProcessingTimeTimer(700)
  backend.timers.registerProcessingTimeTimer(900)
  backend.timers.registerProcessingTimeTimer(500)
  assert.deepEqual([told, backend.nextProcessingTimer], [2, 500])
  backend.fireProcessing(800)
  assert.deepEqual(journal.slice(4), [
    ['a', 500, 'processing', 'a'],
    ['a', 700, 'processing', 'a'],
  ])
  assert.equal(backend.nextProcessingTimer, 900)
  assert.deepEqual(fired, [])
})

test('a key that belongs to another subtask is refused when it would be stored', () => {
  const grouping = new KeyGrouping(MAX)
  const foreign = KEYS.find((key) => grouping.groupOf(key) >= 8)
  assert.ok(foreign !== undefined)
  const { backend, value } = subtaskOf({ groups: [0, 7] })
  backend.setCurrentKey(foreign)
  assert.equal(value.value(), undefined)
  assert.throws(() => value.update(1), /came to the subtask of groups 0 to 7/)
})

test('a list that was handed out does not change', () => {
  const { backend, list } = subtaskOf()
  backend.setCurrentKey('a')
  list.addAll([1, 2])
  const before = list.get()
  list.add(3)
  assert.deepEqual(
    [before, list.get()],
    [
      [1, 2],
      [1, 2, 3],
    ],
  )
})

async function partsOf(subtask: Subtask): Promise<readonly KeyedPart[]> {
  const parts = subtask.backend.snapshot(checkpointId(1))
  while (subtask.backend.step(1)) assert.ok(subtask.backend.capturing)
  return parts
}

const incompatible = (pattern: RegExp) => (error: unknown) =>
  MillraceError.is(error) && error.code === 'STATE_INCOMPATIBLE' && pattern.test(error.message)

test('another maximum parallelism, another kind of state and a newer version are refused', async () => {
  const subtask = subtaskOf()
  subtask.backend.setCurrentKey('a')
  subtask.value.update(1)
  const restored = await partsOf(subtask)
  assert.throws(
    () => backendOf({ restored, maxParallelism: 32, groups: [0, 31] }),
    incompatible(/"count" \(uid c\) was stored with a maximum parallelism of 16, and the job has 32/),
  )
  const backend = backendOf({ restored })
  assert.throws(
    () => backend.list({ kind: 'list', name: 'v' }),
    incompatible(/"v" .* is a value state .* as a list state/),
  )
  const newer = restored.map((part) => ({ ...part, version: 2 }))
  assert.throws(() => backendOf({ restored: newer }), incompatible(/version 2/))
})

test('stored state that nobody asks for is refused, or given up when that is allowed', async () => {
  const subtask = subtaskOf()
  subtask.backend.setCurrentKey('a')
  subtask.value.update(1)
  subtask.list.add(2)
  const restored = await partsOf(subtask)
  const changed = (allow: boolean): Pick<Subtask, 'backend' | 'value'> => {
    const backend = backendOf({ restored, allow })
    const value = backend.value<unknown>({ kind: 'value', name: 'v' })
    backend.opened()
    return { backend, value }
  }
  assert.throws(
    () => changed(false),
    (error) =>
      MillraceError.is(error) &&
      error.code === 'STATE_NOT_RESTORED' &&
      /state "l" that operator "count"/.test(error.message),
  )
  const { backend, value } = changed(true)
  backend.setCurrentKey('a')
  assert.equal(value.value(), 1)
  assert.throws(() => backend.list({ kind: 'list', name: 'late' }), /asked for in open/)
})

test('a value that cannot be stored fails its checkpoint, naming state and operator, and nothing else', async () => {
  const subtask = subtaskOf()
  subtask.backend.setCurrentKey('a')
  subtask.value.update({ fn: () => 1 })
  const failing = subtask.backend.snapshot(checkpointId(1))
  subtask.value.update(1)
  while (subtask.backend.step(1)) assert.ok(subtask.backend.capturing)
  await assert.rejects(failing, /state "v" of operator "count" \(uid c\)/)
  assert.equal(subtask.backend.capturing, false)
  assert.equal((await partsOf(subtask)).length, 1)
})

test('closing rejects what is being captured', async () => {
  const subtask = subtaskOf()
  subtask.backend.setCurrentKey('a')
  subtask.value.update(1)
  const taken = subtask.backend.snapshot(checkpointId(1))
  subtask.backend.close()
  subtask.backend.close()
  await assert.rejects(taken, /closed/)
})

test('primitive forms of keys are different for different keys, and lead back to them', () => {
  const part = fc.oneof(
    fc.string(),
    fc.double({ noNaN: true }).map((value) => (value === 0 ? 0 : value)),
    fc.bigInt(),
    fc.boolean(),
  )
  const key: fc.Arbitrary<Key> = fc.oneof(
    part,
    fc.string().map((text) => `\0${text}`),
    fc.array(part, { maxLength: 4 }),
  )
  fc.assert(
    fc.property(key, key, (left, right) => {
      assert.deepEqual(keyOf(primitiveOf(left)), left)
      const same = JSON.stringify(shown(left)) === JSON.stringify(shown(right)) && typeof left === typeof right
      if (primitiveOf(left) === primitiveOf(right)) assert.deepEqual(left, right)
      else assert.ok(!same || Array.isArray(left))
    }),
  )
})

test('the groups of all subtasks are all groups, once', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }), (a, b) => {
      const [parallelism, max] = [Math.min(a, b), Math.max(a, b)]
      const groups = Array.from({ length: parallelism }, (_, subtask) => keyGroupsOfSubtask(max, parallelism, subtask))
      const all = groups.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i))
      assert.deepEqual(
        all,
        Array.from({ length: max }, (_, group) => group),
      )
      for (const [subtask, [first, last]] of groups.entries()) {
        assert.equal(subtaskOfKeyGroup(max, parallelism, first), subtask)
        assert.equal(subtaskOfKeyGroup(max, parallelism, last), subtask)
      }
    }),
  )
})
