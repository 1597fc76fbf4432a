/**
 * A keyed running count between the model's source and sink, crashed at every joint and restored at other parallelisms. The
 * output says for each element how many its key had so far, so that any loss, repetition or mixed-up state shows.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JointName, SeededRandom } from '../../src/base/index.ts'
import {
  IntCounter,
  type JobGraph,
  type KeyedProcessFunction,
  type KeyedProcessFunctionContext,
  type ListState,
  ListStateDescriptor,
  type MapState,
  MapStateDescriptor,
  type OperatorFactory,
  type ProcessFunction,
  type ValueState,
  ValueStateDescriptor,
} from '../../src/core/index.ts'
import { keyedProcessOperator, processOperator } from '../../src/operators/index.ts'
import { BlockReader } from '../../src/runtime/block/block-reader.ts'
import { inputOf, type LifeOptions, start } from './life.ts'
import { modelGraph } from './model-job.ts'
import { type Incarnation, ModelWorld } from './model-world.ts'

const KEYS = 11
const keyOf = (value: unknown): number => (value as number) % KEYS
/** Of an element: value and running count. */
const counted = (value: number, count: number): number => value * 10_000 + count
/** Of a key at the end of event time: its total, below zero. */
const total = (key: number, count: number): number => -(key * 10_000 + count)

/** Keeps every element in a list of the subtask. */
class Remember implements ProcessFunction<number, number> {
  #seen: ListState<number> | undefined

  open(context: Parameters<NonNullable<ProcessFunction<number, number>['open']>>[0]): void {
    this.#seen = context.getOperatorListState(new ListStateDescriptor<number>('seen'))
  }

  processElement(value: number, ...[, out]: TailOf<ProcessFunction<number, number>>): void {
    this.#seen?.add(value)
    out.collect(value)
  }
}

class Count implements KeyedProcessFunction<number, number, number> {
  #count: ValueState<number> | undefined
  #positions: MapState<number, number> | undefined
  #last: ListState<number> | undefined
  readonly #elements = new IntCounter()

  open(context: KeyedProcessFunctionContext): void {
    this.#count = context.getState(new ValueStateDescriptor<number>('count'))
    this.#positions = context.getMapState(new MapStateDescriptor<number, number>('positions'))
    this.#last = context.getListState(new ListStateDescriptor<number>('last'))
    context.addAccumulator('elements', this.#elements)
  }

  processElement(value: number, ...[context, out]: TailOf<KeyedProcessFunction<number, number, number>>): void {
    const [split, position] = [Math.floor(value / 1_000_000), value % 1_000_000]
    const count = (this.#count?.value() ?? 0) + 1
    this.#count?.update(count)
    const before = this.#positions?.get(split) ?? -1
    assert.ok(position > before, `element ${position} of split ${split} came behind ${before}`)
    this.#positions?.put(split, position)
    const last = this.#last?.get() ?? []
    assert.equal(last.length, Math.min(count - 1, 3))
    this.#last?.update([...last.slice(-2), value])
    this.#elements.add(1)
    context.timerService().registerEventTimeTimer(Number.MAX_SAFE_INTEGER)
    out.collect(counted(value, count))
  }

  onTimer(_timestamp: number, ...[context, out]: TimerTail): void {
    out.collect(total(context.getCurrentKey(), this.#count?.value() ?? 0))
  }
}

type TailOf<Fn extends { processElement: (...args: never) => unknown }> =
  Parameters<Fn['processElement']> extends [unknown, ...infer Rest] ? Rest : never
type TimerTail =
  Parameters<NonNullable<KeyedProcessFunction<number, number, number>['onTimer']>> extends [unknown, ...infer Rest]
    ? Rest
    : never

/** Source and list on `readers` subtasks, count and sink on `counters`. */
const keyedGraph =
  (readers: number, counters: number) =>
  (life: Incarnation): JobGraph => {
    const [source, sink] = modelGraph(life, readers, 6).nodes
    assert.ok(source?.kind === 'source' && sink?.kind === 'sink')
    const common = { kind: 'operator', maxParallelism: 8, chaining: 'always' } as const
    const factory = (made: OperatorFactory<number, number>) => made as OperatorFactory<unknown, unknown>
    return {
      jobName: 'model',
      nodes: [
        { ...source, id: 0 },
        {
          ...common,
          id: 1,
          name: 'remember',
          uid: 'remember',
          parallelism: readers,
          inputs: [{ from: 0, partitioning: 'forward' }],
          factory: factory(processOperator<number, number>(new Remember())),
        },
        {
          ...common,
          id: 2,
          name: 'count',
          uid: 'count',
          parallelism: counters,
          inputs: [{ from: 1, partitioning: 'keyed', keyOf }],
          keyOf,
          factory: factory(keyedProcessOperator<number, number, number>(new Count())),
        },
        { ...sink, id: 3, parallelism: counters, inputs: [{ from: 2, partitioning: 'forward' }] },
      ],
    }
  }

/** Every element once; the counts of a key are 1, 2, 3 ... and rise along each split; its total is their number. */
function assertCounted(world: ModelWorld): void {
  const elements = world.output.filter((value) => value >= 0)
  assert.deepEqual(
    elements.map((value) => Math.floor(value / 10_000)).sort((left, right) => left - right),
    inputOf(world),
  )
  const totals: number[] = []
  for (let key = 0; key < KEYS; key++) {
    const own = elements.filter((value) => keyOf(Math.floor(value / 10_000)) === key)
    const counts = own.map((value) => value % 10_000).sort((left, right) => left - right)
    assert.deepEqual(
      counts,
      counts.map((_, index) => index + 1),
      `counts of key ${key}`,
    )
    totals.push(total(key, counts.length))
    for (let split = 0; split < world.splits; split++) {
      const along = own
        .filter((value) => Math.floor(value / 10_000_000_000) === split)
        .sort((left, right) => left - right)
        .map((value) => value % 10_000)
      assert.deepEqual(
        along,
        along.toSorted((left, right) => left - right),
      )
    }
  }
  const byNumber = (left: number, right: number): number => left - right
  assert.deepEqual(world.output.filter((value) => value < 0).sort(byNumber), totals.sort(byNumber))
}

/** The lists of the final checkpoint hold every element once. */
async function assertRemembered(world: ModelWorld): Promise<void> {
  const folders = (await world.disk.list('')).filter((name) => name.startsWith('chk-'))
  const numbered = folders.map((name) => [Number(name.split('-')[1]), name] as const).sort(([a], [b]) => a - b)
  const metadata = await world.disk.read(`${numbered.at(-1)?.[1]}/_metadata`)
  const { parts } = JSON.parse(String(metadata)) as {
    parts: { role: string; uid: string; at: number; length: number }[]
  }
  const state = await world.disk.read(`${numbered.at(-1)?.[1]}/state`)
  const seen = parts
    .filter(({ role, uid }) => role === 'list' && uid === 'remember')
    .flatMap(({ at, length }) => {
      const reader = new BlockReader(state?.subarray(at, at + length) ?? assert.fail())
      assert.equal(reader.read(), 'seen')
      return reader.read() as number[]
    })
  assert.deepEqual(
    seen.sort((left, right) => left - right),
    inputOf(world),
  )
}

const JOINTS: readonly JointName[] = [
  'attempt-written',
  'barrier-sent',
  'snapshot-written',
  'metadata-written',
  'record-linked',
  'completed-written',
  'transaction-ended',
  'all-ended',
  'final-checkpoint',
]

interface Death {
  readonly joint: string
  readonly nth: number
}

type Parallelisms = readonly [readers: number, counters: number]

/** Life after life, each at its own parallelism; answers how many deaths came. */
async function survive(
  world: ModelWorld,
  plan: readonly Death[],
  parallelisms: readonly Parallelisms[],
  configure: LifeOptions['configure'] = {},
): Promise<number> {
  let died = 0
  for (let n = 0; n < plan.length + 3; n++) {
    const [readers, counters] = parallelisms[n % parallelisms.length] ?? [1, 1]
    const { life, run } = start(world, 1000 + n, { graph: keyedGraph(readers, counters), configure })
    const death = plan[n]
    if (death !== undefined) life.crashAt(death.joint, death.nth)
    const end = await run()
    if (end.kind === 'failed') throw end.error
    if (end.kind === 'crashed' && death !== undefined) died++
    if (end.kind === 'ended' && n >= plan.length) return died
  }
  throw new Error('the job never finished')
}

test('without a crash every key is counted, and the result shows what the functions counted', async () => {
  const world = new ModelWorld(3, 200)
  const end = await start(world, 1, { graph: keyedGraph(2, 3) }).run()
  assert.ok(end.kind === 'ended')
  assert.deepEqual(end.result.accumulators, { elements: 600 })
  assertCounted(world)
  await assertRemembered(world)
})

for (const joint of JOINTS) {
  test(`a crash at ${joint} leaves counts, timers and lists exact at another parallelism`, async () => {
    for (const nth of [1, 2, 5]) {
      const world = new ModelWorld(3, 120)
      await survive(
        world,
        [
          { joint: 'completed-written', nth: 2 },
          { joint, nth },
        ],
        [
          [2, 3],
          [1, 2],
          [3, 5],
        ],
      )
      assertCounted(world)
      await assertRemembered(world)
      assert.deepEqual(world.openIds(), [])
    }
  })
}

test('random crashes and parallelisms over many lives leave counts, timers and lists exact', async () => {
  let died = 0
  for (let seed = 1; seed <= 40; seed++) {
    const random = new SeededRandom(seed)
    const pick = (below: number): number => Math.floor(random.next() * below)
    const world = new ModelWorld(1 + pick(4), 60 + pick(120))
    const plan = Array.from({ length: 1 + pick(5) }, () => ({
      joint: JOINTS[pick(JOINTS.length)] ?? '',
      nth: 1 + pick(6),
    }))
    const parallelisms = plan.concat(plan).map((): Parallelisms => [1 + pick(3), 1 + pick(8)])
    const configure = {
      'execution.checkpointing.max-concurrent-checkpoints': 1 + pick(3),
      'execution.checkpointing.interval': 1 + pick(4),
    }
    died += await survive(world, plan, parallelisms, configure)
    assertCounted(world)
    await assertRemembered(world)
    assert.deepEqual(world.openIds(), [], `seed ${seed}`)
  }
  assert.ok(died > 40, `only ${died} crashes came to be`)
})

/** Says once for each key, some milliseconds after its first element, that the key is there. */
const LATER: KeyedProcessFunction<number, number, number> = {
  processElement(value, context, out) {
    out.collect(counted(value, 0))
    const timers = context.timerService()
    if (value < KEYS) timers.registerProcessingTimeTimer(timers.currentProcessingTime() + 8)
  },
  onTimer(_timestamp, context, out) {
    out.collect(total(context.getCurrentKey() + 1, 0))
  },
}

test('processing-time timers fire once each, whichever life they were set in', async () => {
  for (const deaths of [[], [1], [2], [3, 1], [1, 2, 1]]) {
    const world = new ModelWorld(1, 400)
    for (const [n, nth] of [...deaths, undefined].entries()) {
      const graph = (life: Incarnation): JobGraph => {
        const { jobName, nodes } = keyedGraph(1, 1 + n)(life)
        const later = keyedProcessOperator<number, number, number>(LATER) as OperatorFactory<unknown, unknown>
        return {
          jobName,
          nodes: nodes.map((node) => (node.uid === 'count' ? { ...node, factory: later } : node)),
        } as JobGraph
      }
      const { life, run } = start(world, n, { graph })
      if (nth !== undefined) life.crashAt('completed-written', nth)
      const end = await run()
      assert.equal(end.kind, nth === undefined ? 'ended' : 'crashed')
    }
    const fired = world.output.filter((value) => value < 0)
    assert.deepEqual(
      fired.sort((left, right) => right - left),
      Array.from({ length: KEYS }, (_, key) => total(key + 1, 0)),
      `deaths at ${deaths}`,
    )
  }
})

test('a changed maximum parallelism is refused, naming both', async () => {
  const world = new ModelWorld(2, 100)
  const first = start(world, 1, { graph: keyedGraph(1, 2) })
  first.life.crashAt('completed-written', 2)
  assert.equal((await first.run()).kind, 'crashed')
  const graph = (life: Incarnation): JobGraph => {
    const { jobName, nodes } = keyedGraph(1, 2)(life)
    return { jobName, nodes: nodes.map((node) => ({ ...node, maxParallelism: 16 })) }
  }
  const end = await start(world, 2, { graph, configure: { 'restart-strategy.type': 'none' } }).run()
  assert.ok(end.kind === 'failed')
  assert.match(
    end.error.message,
    /"count" \(uid count\) was stored with a maximum parallelism of 8, and the job has 16/,
  )
})

test('state of operators that are in the job no more is refused, naming them', async () => {
  const world = new ModelWorld(2, 100)
  const first = start(world, 1, { graph: keyedGraph(1, 1) })
  first.life.crashAt('completed-written', 2)
  assert.equal((await first.run()).kind, 'crashed')
  const end = await start(world, 2, { graph: (life) => modelGraph(life, 1, 6) }).run()
  assert.ok(end.kind === 'failed')
  assert.match(end.error.message, /uid "remember", "count"|uid "count", "remember"/)
})
