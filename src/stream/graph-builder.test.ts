/** What a graph is made of, which graphs are refused, and what its hash notices. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../base/index.ts'
import type { Sink, TransactionalSide } from '../core/index.ts'
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

test('different parallelisms along a stream are refused, saying what they would need', () => {
  const env = environment(2)
  env
    .fromData(1)
    .setParallelism(1)
    .map((value) => value)
    .print()
  assert.throws(() => env.buildGraph('job'), refused(/parallelism 1.*network edges/))
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
