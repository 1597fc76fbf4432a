/**
 * How a graph is run: which nodes share a task, and which edges lie between tasks. A chain is a tree of nodes that call each
 * other directly, named by its first node; each of its subtasks is one task. The rule is Flink's (StreamingJobGraphGenerator
 * `isChainable`): a node joins its input when that is its only one, the edge is a forward one between equal parallelisms, and
 * neither side forbids it. Coordinator and every thread derive the same plan from the same graph.
 */
import { MillraceError } from '../../base/index.ts'
import type { GraphEdge, GraphNode, JobGraph } from '../../core/index.ts'

/** An edge between two chains. Elements of subtask i of `from` go to subtasks of `to` as the edge's partitioning says. */
export interface PlannedEdge {
  /** Its place among the job's planned edges. */
  readonly index: number
  readonly edge: GraphEdge
  readonly from: GraphNode
  /** The head of the receiving chain. */
  readonly to: GraphNode
  /** The chain that `from` is in, by its head's id. */
  readonly fromChain: number
}

export interface PlannedChain {
  readonly head: GraphNode
  /** The head first; every node after its input. */
  readonly nodes: readonly GraphNode[]
  readonly inputs: readonly PlannedEdge[]
  readonly outputs: readonly PlannedEdge[]
}

export interface PhysicalPlan {
  readonly chains: readonly PlannedChain[]
  readonly edges: readonly PlannedEdge[]
}

/** Throws GRAPH_INVALID for what cannot run. */
export function planGraph(graph: JobGraph): PhysicalPlan {
  const byId = new Map(graph.nodes.map((node) => [node.id, node]))
  const heads = new Map<number, number>()
  const edges: PlannedEdge[] = []
  for (const node of inOrder(graph, byId)) {
    const inputs = node.inputs.map((edge) => ({ edge, from: inputOf(node, edge, byId) }))
    for (const { edge, from } of inputs) checkEdge(edge, from, node)
    const [only] = inputs
    if (only !== undefined && inputs.length === 1 && chained(only.edge, only.from, node)) {
      heads.set(node.id, heads.get(only.from.id) ?? only.from.id)
      continue
    }
    heads.set(node.id, node.id)
    for (const { edge, from } of inputs) {
      edges.push({ index: edges.length, edge, from, to: node, fromChain: heads.get(from.id) ?? from.id })
    }
  }
  const chains = graph.nodes
    .filter((node) => heads.get(node.id) === node.id)
    .map((head) => ({
      head,
      nodes: [head, ...graph.nodes.filter((node) => node !== head && heads.get(node.id) === head.id)],
      inputs: edges.filter((edge) => edge.to === head),
      outputs: edges.filter((edge) => edge.fromChain === head.id),
    }))
  return { chains, edges }
}

/** The subtasks of the receiving side that one sending subtask has a channel to. */
export function receiversOf({ edge, from, to }: PlannedEdge, sender: number): readonly number[] {
  switch (edge.partitioning) {
    case 'forward':
      return [sender]
    case 'rescale':
      return rescaled(from.parallelism, to.parallelism, sender)
    default:
      return Array.from({ length: to.parallelism }, (_, subtask) => subtask)
  }
}

/** The sending subtasks that one receiving subtask has a channel from. */
export function sendersOf(planned: PlannedEdge, receiver: number): readonly number[] {
  return Array.from({ length: planned.from.parallelism }, (_, subtask) => subtask).filter((sender) =>
    receiversOf(planned, sender).includes(receiver),
  )
}

/** Flink's (EdgeManagerBuildUtil `connectPointwise`): neighbours, each side's subtasks spread evenly over the other's. */
function rescaled(senders: number, receivers: number, sender: number): readonly number[] {
  if (senders >= receivers) {
    const end = (receiver: number): number => Math.floor(((receiver + 1) * senders) / receivers)
    let receiver = 0
    while (sender >= end(receiver)) receiver++
    return [receiver]
  }
  const first = Math.ceil((sender * receivers) / senders)
  const end = Math.ceil(((sender + 1) * receivers) / senders)
  return Array.from({ length: end - first }, (_, index) => first + index)
}

function chained(edge: GraphEdge, from: GraphNode, node: GraphNode): boolean {
  return edge.partitioning === 'forward' && node.chaining === 'always' && from.chaining !== 'never'
}

function inputOf(node: GraphNode, edge: GraphEdge, byId: ReadonlyMap<number, GraphNode>): GraphNode {
  const from = byId.get(edge.from)
  if (from !== undefined) return from
  throw new MillraceError('GRAPH_INVALID', `${label(node)} reads node ${edge.from}, which is not in the graph`)
}

function checkEdge(edge: GraphEdge, from: GraphNode, node: GraphNode): void {
  if (edge.partitioning !== 'forward' || from.parallelism === node.parallelism) return
  throw new MillraceError(
    'GRAPH_INVALID',
    `the edge from ${label(from)} to ${label(node)} is a forward edge, yet their parallelisms are ` +
      `${from.parallelism} and ${node.parallelism}: use rebalance(), rescale() or keyBy() between them`,
  )
}

/** Nodes after all their inputs, else in the order of the graph. */
function inOrder(graph: JobGraph, byId: ReadonlyMap<number, GraphNode>): GraphNode[] {
  const ordered: GraphNode[] = []
  const state = new Map<number, 'open' | 'done'>()
  const visit = (node: GraphNode): void => {
    if (state.get(node.id) === 'done') return
    if (state.get(node.id) === 'open') {
      throw new MillraceError('GRAPH_INVALID', `${label(node)} reads its own output: a job must not go in a circle`)
    }
    state.set(node.id, 'open')
    checkInputs(node)
    for (const edge of node.inputs) visit(inputOf(node, edge, byId))
    state.set(node.id, 'done')
    ordered.push(node)
  }
  for (const node of graph.nodes) visit(node)
  return ordered
}

function checkInputs(node: GraphNode): void {
  if ((node.kind === 'source') === (node.inputs.length === 0)) return
  throw new MillraceError('GRAPH_INVALID', `${label(node)} has ${node.inputs.length} inputs`)
}

function label(node: GraphNode): string {
  return `${node.kind} "${node.name}" (uid ${node.uid})`
}
