/** Which nodes share a task, which edges lie between tasks, and which graphs are refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GraphEdge, GraphNode, JobGraph, Partitioning } from '../../core/index.ts'
import { type PlannedEdge, planGraph, receiversOf, sendersOf } from './physical-plan.ts'

interface Given {
  readonly kind?: GraphNode['kind']
  readonly inputs?: readonly (number | [from: number, partitioning: Partitioning, tag?: string])[]
  readonly parallelism?: number
  readonly chaining?: GraphNode['chaining']
}

function graphOf(...given: readonly Given[]): JobGraph {
  const nodes = given.map(({ kind, inputs = [], parallelism = 2, chaining = 'always' }, id) => ({
    id,
    kind: kind ?? (inputs.length === 0 ? 'source' : 'operator'),
    uid: `n${id}`,
    name: `n${id}`,
    parallelism,
    maxParallelism: 128,
    chaining,
    inputs: inputs.map((input): GraphEdge => {
      if (typeof input === 'number') return { from: input, partitioning: 'forward' }
      const [from, partitioning, tag] = input
      return { from, partitioning, ...(tag === undefined ? {} : { tag }) }
    }),
  }))
  return { jobName: 'job', nodes } as unknown as JobGraph
}

/** `0>1>2 3` for two chains, and `1-3` for the edge between them. */
function shown(graph: JobGraph): { chains: string; edges: string } {
  const { chains, edges } = planGraph(graph)
  return {
    chains: chains.map((chain) => chain.nodes.map((node) => node.id).join('>')).join(' '),
    edges: edges
      .map(({ from, to, edge, fromChain }) => `${fromChain}:${from.id}-${to.id} ${edge.partitioning}`)
      .join(', '),
  }
}

test('forward edges between equal parallelisms are calls; every other edge lies between tasks', () => {
  assert.deepEqual(shown(graphOf({}, { inputs: [0] }, { inputs: [1], kind: 'sink' })), { chains: '0>1>2', edges: '' })
  for (const partitioning of ['keyed', 'rebalance', 'rescale', 'shuffle', 'broadcast', 'custom'] as const) {
    assert.deepEqual(shown(graphOf({}, { inputs: [0] }, { inputs: [[1, partitioning]] }, { inputs: [2] })), {
      chains: '0>1 2>3',
      edges: `0:1-2 ${partitioning}`,
    })
  }
})

test('a node that forbids chaining stands alone, one that begins a chain is joined by what follows', () => {
  assert.deepEqual(shown(graphOf({}, { inputs: [0], chaining: 'never' }, { inputs: [1] })), {
    chains: '0 1 2',
    edges: '0:0-1 forward, 1:1-2 forward',
  })
  assert.deepEqual(shown(graphOf({}, { inputs: [0], chaining: 'head' }, { inputs: [1] })), {
    chains: '0 1>2',
    edges: '0:0-1 forward',
  })
})

test('a node of several inputs begins a chain, several pipelines and side outputs are planned as they are', () => {
  assert.deepEqual(shown(graphOf({}, {}, { inputs: [0, 1] }, { inputs: [2] })), {
    chains: '0 1 2>3',
    edges: '0:0-2 forward, 1:1-2 forward',
  })
  const graph = graphOf({}, { inputs: [0] }, { inputs: [[1, 'forward', 'late']] }, { inputs: [[1, 'keyed', 'late']] })
  assert.deepEqual(shown(graph), { chains: '0>1>2 3', edges: '0:1-3 keyed' })
  assert.equal(planGraph(graph).edges[0]?.edge.tag, 'late')
  assert.deepEqual(shown(graphOf({}, { inputs: [0] }, {}, { inputs: [2] })), { chains: '0>1 2>3', edges: '' })
})

test('the order of the nodes does not matter', () => {
  const { jobName, nodes } = graphOf({}, { inputs: [0] }, { inputs: [[1, 'keyed']] }, { inputs: [2] })
  assert.deepEqual(shown({ jobName, nodes: [...nodes].reverse() }), { chains: '2>3 0>1', edges: '0:1-2 keyed' })
})

test('what cannot run is refused by name', () => {
  assert.throws(() => planGraph(graphOf({}, { inputs: [0], parallelism: 3 })), {
    code: 'GRAPH_INVALID',
    message: /from source "n0" .* to operator "n1" .* is a forward edge, yet their parallelisms are 2 and 3/,
  })
  assert.throws(() => planGraph(graphOf({ kind: 'operator' })), { code: 'GRAPH_INVALID', message: /has 0 inputs/ })
  assert.throws(() => planGraph(graphOf({}, { kind: 'source', inputs: [0] })), { code: 'GRAPH_INVALID' })
  assert.throws(() => planGraph(graphOf({}, { inputs: [7] })), { message: /node 7, which is not in the graph/ })
  assert.throws(() => planGraph(graphOf({}, { inputs: [0, 2] }, { inputs: [1] })), { message: /in a circle/ })
})

test('rescale joins neighbours, each side spread evenly over the other, as in Flink', () => {
  const planned = (from: number, to: number): PlannedEdge => {
    const [edge] = planGraph(graphOf({ parallelism: from }, { inputs: [[0, 'rescale']], parallelism: to })).edges
    assert.ok(edge !== undefined)
    return edge
  }
  const receivers = (from: number, to: number): (readonly number[])[] =>
    Array.from({ length: from }, (_, sender) => receiversOf(planned(from, to), sender))
  assert.deepEqual(receivers(2, 4), [
    [0, 1],
    [2, 3],
  ])
  assert.deepEqual(receivers(4, 2), [[0], [0], [1], [1]])
  assert.deepEqual(receivers(3, 2), [[0], [1], [1]])
  assert.deepEqual(receivers(2, 3), [[0, 1], [2]])
  assert.deepEqual(sendersOf(planned(3, 2), 1), [1, 2])
  for (const [from, to] of [
    [1, 1],
    [3, 7],
    [7, 3],
    [5, 4],
    [4, 5],
  ] as const) {
    const reached = Array.from({ length: to }, (_, receiver) => sendersOf(planned(from, to), receiver))
    assert.ok(
      reached.every((senders) => senders.length > 0),
      `${from} to ${to}: every subtask is reached`,
    )
    assert.equal(
      receivers(from, to).flat().length,
      Math.max(from, to),
      `${from} to ${to}: no more channels than needed`,
    )
  }
})
