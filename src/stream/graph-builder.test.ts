/** What a graph is made of, which graphs are refused, and what its hash notices. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../base/index.ts'
import { OutputTag, type Sink, type TransactionalSide } from '../core/index.ts'
import { describeGraph, firstDifference, graphHash } from './graph-description.ts'
import { PrintSink } from './print-sink.ts'
import { StreamExecutionEnvironment } from './stream-execution-environment.ts'

const environment = (parallelism = 1): StreamExecutionEnvironment =>
  StreamExecutionEnvironment.createLocalEnvironment({ 'parallelism.default': parallelism })

const refused = (pattern: RegExp) => (error: unknown) =>
  MillraceError.is(error) && error.code === 'GRAPH_INVALID' && pattern.test(error.message)

function exactlyOnceSink(ownershipKey: string): Sink<unknown> {
  return Object.assign(new PrintSink(), { transactional: { ownershipKey } as unknown as TransactionalSide<never> })
}

function orders(env: StreamExecutionEnvironment, more: { readonly branch?: boolean; readonly renamed?: boolean } = {}) {
  const source = env.fromData(1, 2, 3)
  const large = source.filter((value) => value > 1)
  if (more.renamed === true) large.name('Large')
  large.map((value) => value * 2).print()
  if (more.branch === true) source.map((value) => value).print()
  return env.buildGraph('orders')
}

test('a graph has the steps in order, each with its input, name and parallelism', () => {
  const env = environment(2)
  env
    .fromData('a')
    .name('Letters')
    .uid('letters')
    .map((value) => value)
    .setMaxParallelism(64)
    .startNewChain()
    .print('out')
  const graph = env.buildGraph('job')
  assert.deepEqual(
    graph.nodes.map(({ kind, name, parallelism, maxParallelism, chaining, inputs }) => [
      kind,
      name,
      parallelism,
      maxParallelism,
      chaining,
      inputs,
    ]),
    [
      ['source', 'Letters', 2, 128, 'always', []],
      ['operator', 'Map', 2, 64, 'head', [{ from: 0, partitioning: 'forward' }]],
      ['sink', 'Print', 2, 128, 'always', [{ from: 1, partitioning: 'forward' }]],
    ],
  )
  assert.equal(graph.nodes[0]?.uid, 'letters')
})

test('default uids come from the place alone: the same each time, whatever is renamed or added elsewhere', () => {
  const uids = (graph: ReturnType<typeof orders>): string[] => graph.nodes.map((node) => node.uid)
  const first = uids(orders(environment()))
  assert.deepEqual(uids(orders(environment())), first)
  assert.deepEqual(uids(orders(environment(), { renamed: true })), first)
  assert.deepEqual(uids(orders(environment(), { branch: true })).slice(0, first.length), first)
  assert.equal(new Set(uids(orders(environment(), { branch: true }))).size, 6)
})

test('two steps with one uid are refused naming both', () => {
  const env = environment()
  env
    .fromData(1)
    .map((value) => value)
    .name('A')
    .uid('same')
    .map((value) => value)
    .name('B')
    .uid('same')
    .print()
  assert.throws(() => env.buildGraph('job'), refused(/uid "same".*"A".*"B"/))
})

test('a graph without a source, and a source that nothing reads, are refused', () => {
  assert.throws(() => environment().buildGraph('job'), refused(/no source/))
  const env = environment()
  env.fromData(1).print()
  env.fromData(2).name('Lonely')
  assert.throws(() => env.buildGraph('job'), refused(/nothing reads source "Lonely"/))
})

test('exactly-once, rule 17: two sinks that own one prefix are refused, two prefixes are not', () => {
  const env = environment()
  const numbers = env.fromData(1)
  numbers.sinkTo(exactlyOnceSink('cluster/a')).name('One')
  numbers.sinkTo(exactlyOnceSink('cluster/b')).name('Two')
  assert.equal(env.buildGraph('job').nodes.length, 3)
  numbers.sinkTo(exactlyOnceSink('cluster/a')).name('Three')
  assert.throws(() => env.buildGraph('job'), refused(/"One".*"Three".*cluster\/a/))
})

const edges = (env: StreamExecutionEnvironment): unknown[] =>
  describeGraph(env.buildGraph('job')).nodes.map(({ inputs }) =>
    inputs.map(({ from, partitioning, tag }) => [from, partitioning, ...(tag === undefined ? [] : [tag])]),
  )

test('where nothing was asked for elements stay in their subtask, or are dealt out when there are not as many', () => {
  const env = environment(2)
  env
    .fromData(1)
    .setParallelism(1)
    .map((value) => value)
    .print()
  assert.deepEqual(edges(env), [[], [[0, 'rebalance']], [[1, 'forward']]])
})

test('what was asked for is what the edge does, and the last word counts', () => {
  const env = environment(2)
  const numbers = env.fromData(1, 2)
  numbers.rebalance().print()
  numbers.shuffle().print()
  numbers.rescale().print()
  numbers.broadcast().print()
  numbers
    .partitionCustom(
      (key: number, partitions) => key % partitions,
      (value) => value,
    )
    .print()
  numbers.keyBy((value) => value).print()
  numbers
    .keyBy((value) => value)
    .rebalance()
    .print()
  assert.deepEqual(edges(env), [
    [],
    ...['rebalance', 'shuffle', 'rescale', 'broadcast', 'custom', 'keyed', 'rebalance'].map((kind) => [[0, kind]]),
  ])
  const [, , , , , custom, keyed, both] = env.buildGraph('job').nodes
  assert.equal(custom?.inputs[0]?.partition?.(5, 2), 1)
  assert.equal(keyed?.inputs[0]?.keyOf?.(5), 5)
  assert.equal(both?.inputs[0]?.keyOf, undefined)
})

test('a union has an edge for each stream, and a side output one with its tag', () => {
  const env = environment()
  const late = new OutputTag<string>('late')
  const left = env.fromData('a')
  const right = env.fromData('b').map((value) => value)
  const checked = left.union(right, left).process((value, context) => context.output(late, value))
  checked.getSideOutput(late).print()
  checked.print()
  assert.deepEqual(edges(env), [
    [],
    [],
    [[1, 'forward']],
    [
      [0, 'forward'],
      [2, 'forward'],
      [0, 'forward'],
    ],
    [[3, 'forward', 'late']],
    [[3, 'forward']],
  ])
})

test('a keyed step knows its key, and so does its edge; the hash knows that it is keyed', () => {
  const build = (keyed: boolean) => {
    const env = environment()
    const orders = env.fromData({ user: 'a', amount: 1 })
    const sums = keyed ? orders.keyBy((order) => order.user).sum('amount') : orders.map((order) => order)
    sums.uid('sums').name('Sums').print()
    return env.buildGraph('job')
  }
  const [, sums] = build(true).nodes
  assert.ok(sums?.kind === 'operator')
  assert.equal(sums.keyOf?.({ user: 'x' }), 'x')
  assert.equal(sums.inputs[0]?.keyOf, sums.keyOf)
  const [one, two] = [describeGraph(build(true)), describeGraph(build(false))]
  assert.match(
    firstDifference(one, two) ?? '',
    /^nodes\[1\]\.inputs\[0\]\.partitioning of operator .* is "keyed" here and "forward" there/,
  )
  assert.deepEqual(one.nodes[1]?.settings, { keyed: true })
})

test('settings of a step are refused on what is no step', () => {
  const env = environment()
  const numbers = env.fromData(1)
  const notHere = (what: RegExp) => (error: unknown) =>
    MillraceError.is(error) && error.code === 'OPTION_INVALID' && what.test(error.message)
  assert.throws(() => numbers.union(numbers).uid('u'), notHere(/^uid: a union of streams is no step/))
  assert.throws(() => numbers.keyBy((value) => value).setParallelism(2), notHere(/^setParallelism: a keyed stream/))
  const late = new OutputTag<number>('late')
  assert.throws(() => numbers.union(numbers).getSideOutput(late), refused(/a union of streams has no side outputs/))
  assert.throws(() => numbers.union(environment().fromData(2)), refused(/different environments/))
})

test('one function object in two steps is refused, because its state would be mixed up', () => {
  const env = environment()
  const keyed = env.fromData(1).keyBy((value) => value)
  const fn = { processElement: (): void => undefined }
  keyed.process(fn).print()
  assert.throws(() => keyed.process(fn), refused(/an object for each/))
  assert.throws(() => keyed.process((() => undefined) as never), /takes an object with processElement/)
})

test('what is no key, and a subtask that there is not, are refused when the element comes', () => {
  const env = environment()
  const values = env.fromData<unknown>([])
  values.keyBy((value) => value as string).print()
  values
    .partitionCustom(
      (key) => key as number,
      (value) => value,
    )
    .print()
  const [, keyed, custom] = env.buildGraph('job').nodes
  const keyOf = keyed?.inputs[0]?.keyOf
  const failure = (pattern: RegExp) => (error: unknown) =>
    MillraceError.is(error) && error.code === 'USER_FUNCTION_FAILED' && pattern.test(error.message)
  for (const key of ['a', '', 0, -1.5, 3n, true, ['a', 1, 2n, false], []]) assert.deepEqual(keyOf?.(key), key)
  assert.ok(Object.is(keyOf?.(-0), 0))
  assert.deepEqual(keyOf?.([1, -0]), [1, 0])
  assert.throws(() => keyOf?.({ user: 'a' }), failure(/answered object; a key is a string/))
  assert.throws(() => keyOf?.(null), failure(/answered null/))
  assert.throws(() => keyOf?.(undefined), failure(/answered undefined/))
  assert.throws(() => keyOf?.(Promise.resolve('a')), failure(/answered a promise/))
  assert.throws(() => keyOf?.(['a', ['b']]), failure(/answered a tuple in a tuple/))
  const partition = custom?.inputs[0]?.partition
  assert.equal(partition?.(1, 2), 1)
  for (const subtask of [2, -1, 0.5, 'x']) assert.throws(() => partition?.(subtask, 2), failure(/from 0 to 1/))
})

test('a parallelism above the maximum is refused', () => {
  const env = environment(4).setMaxParallelism(2)
  env.fromData(1).print()
  assert.throws(() => env.buildGraph('job'), refused(/more than its maximum/))
})

test('a job name that could not be one folder is refused', () => {
  const env = environment()
  env.fromData(1).print()
  for (const name of ['', 'a/b', '..', '.hidden', 'a\\b', 'a\nb', ' a', 'a'.repeat(101)]) {
    assert.throws(() => env.buildGraph(name), refused(/job name/), name)
  }
  for (const name of ['orders', 'Orders 2', 'größe-v1.2', 'a..b']) assert.equal(env.buildGraph(name).jobName, name)
})

test('execution.runtime-mode is what setRuntimeMode sets', () => {
  const env = new StreamExecutionEnvironment({ configuration: { 'execution.runtime-mode': 'BATCH' } })
  env.fromGenerator((index) => index).print()
  assert.throws(() => env.buildGraph(), /runtime mode BATCH/)
  env.setRuntimeMode('STREAMING')
  assert.equal(env.buildGraph().nodes.length, 2)
})

test('BATCH refuses a source without an end', () => {
  const env = environment().setRuntimeMode('BATCH')
  env.fromGenerator((index) => index, { name: 'Forever' }).print()
  assert.throws(() => env.buildGraph('job'), refused(/"Forever".*no end/))
})

test('equal graphs have equal hashes; a difference changes the hash and is named', () => {
  const one = describeGraph(orders(environment(2)))
  assert.equal(graphHash(one), graphHash(describeGraph(orders(environment(2)))))
  assert.equal(firstDifference(one, describeGraph(orders(environment(2)))), undefined)

  const wider = describeGraph(orders(environment(3)))
  assert.notEqual(graphHash(one), graphHash(wider))
  assert.match(
    firstDifference(one, wider, 'on the coordinator', 'on worker 1') ?? '',
    /^nodes\[0\]\.parallelism of source "Data" \(uid \w+\) is 2 on the coordinator and 3 on worker 1$/,
  )
  const branched = describeGraph(orders(environment(2), { branch: true }))
  assert.match(firstDifference(one, branched) ?? '', /^nodes\[4\] of operator "Map".* is absent here/)
})

test('what a source says about itself is part of the hash', () => {
  const hashOf = (count: number): string => {
    const env = environment()
    env.fromGenerator((index) => index, { count }).print()
    return graphHash(describeGraph(env.buildGraph('job')))
  }
  assert.equal(hashOf(10), hashOf(10))
  assert.notEqual(hashOf(10), hashOf(11))
})

test('a serializer goes with the edges of its step, and with none of its side outputs', () => {
  const env = StreamExecutionEnvironment.createLocalEnvironment()
  const serializer = {
    serialize: (value: number) => Buffer.of(value),
    deserialize: (bytes: Uint8Array) => bytes[0] ?? 0,
  }
  const numbers = env.fromData([1, 2])
  const doubled = numbers.map((value) => value * 2).returns(serializer)
  doubled.keyBy((value) => value).print()
  doubled.union(numbers).print()
  doubled.getSideOutput(new OutputTag<number>('late')).print()
  assert.deepEqual(
    env.buildGraph('job').nodes.map(({ inputs }) => inputs.map((edge) => edge.serializer === serializer)),
    [[], [false], [true], [true, false], [false]],
  )
  assert.throws(() => doubled.rebalance().returns(serializer), /a rebalanced stream is no step of its own/)
})
