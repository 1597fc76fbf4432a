/**
 * Makes the JobGraph of what a job file asked for, and refuses what could not run or could not be restored. The order of the
 * checks is that of the nodes, so the first thing wrong in the file is what is told.
 *
 * An operator without a uid gets one from its place: from its kind, its inputs' uids and how many of its kind stand before it
 * at those inputs. Renaming or adding elsewhere does not change it; what stands in front of it does (Flink:
 * StreamGraphHasherV2). State follows uids, so jobs that are meant to be changed should set them.
 */
import { createHash } from 'node:crypto'
import { MillraceError } from '../base/index.ts'
import type { Configuration, GraphEdge, GraphNode, JobGraph } from '../core/index.ts'
import { checkJobName } from './job-name.ts'
import type { InputEdge, Transformation } from './transformation.ts'

export function buildGraph(
  jobName: string,
  transformations: readonly Transformation[],
  configuration: Configuration,
): JobGraph {
  checkJobName(jobName)
  if (!transformations.some((step) => step.content.kind === 'source')) {
    throw new MillraceError('GRAPH_INVALID', `job "${jobName}" has no source; begin with env.fromSource(...)`)
  }
  const uids = assignUids(transformations)
  const nodes = transformations.map((step) => nodeOf(step, uids[step.id] ?? '', configuration))
  checkUids(nodes)
  for (const node of nodes) {
    checkParallelism(node)
    checkConsumed(node, nodes)
  }
  checkOwnership(nodes)
  return { jobName, nodes }
}

function nodeOf(step: Transformation, uid: string, configuration: Configuration): GraphNode {
  const base = {
    id: step.id,
    name: step.name,
    uid,
    parallelism: parallelismOf(step, configuration),
    maxParallelism: step.maxParallelism ?? configuration.get('maxParallelism'),
    inputs: step.inputs.map((input) => edgeOf(input, step, configuration)),
    chaining: step.chaining,
  }
  const { content } = step
  switch (content.kind) {
    case 'source':
      return { ...base, kind: 'source', source: content.source, watermarks: content.watermarks }
    case 'operator':
      return {
        ...base,
        kind: 'operator',
        factory: content.factory(configuration),
        ...(content.keyOf === undefined ? {} : { keyOf: content.keyOf }),
      }
    case 'sink':
      return { ...base, kind: 'sink', sink: content.sink(configuration) }
  }
}

function parallelismOf(step: Transformation, configuration: Configuration): number {
  return step.parallelism ?? configuration.get('parallelism')
}

/** Where nothing else was asked for elements stay in their subtask, or are dealt out when there are not as many (Flink's rule). */
function edgeOf(input: InputEdge, step: Transformation, configuration: Configuration): GraphEdge {
  const { from, tag, keyOf, partition } = input
  const equal = parallelismOf(from, configuration) === parallelismOf(step, configuration)
  return {
    from: from.id,
    partitioning: input.partitioning ?? (equal ? 'forward' : 'rebalance'),
    ...(tag === undefined ? {} : { tag }),
    ...(keyOf === undefined ? {} : { keyOf }),
    ...(partition === undefined ? {} : { partition }),
    ...(tag !== undefined || from.serializer === undefined ? {} : { serializer: from.serializer }),
  }
}

function assignUids(transformations: readonly Transformation[]): string[] {
  const uids: string[] = []
  const counts = new Map<string, number>()
  for (const { id, type, inputs, uid } of transformations) {
    const place = `${type}\n${inputs.map(({ from, tag }) => `${uids[from.id]}${tag === undefined ? '' : `#${tag}`}`).join(',')}`
    const index = counts.get(place) ?? 0
    counts.set(place, index + 1)
    uids[id] = uid ?? createHash('sha256').update(`${place}\n${index}`).digest('hex').slice(0, 32)
  }
  return uids
}

function checkUids(nodes: readonly GraphNode[]): void {
  const owners = new Map<string, GraphNode>()
  for (const node of nodes) {
    const owner = owners.get(node.uid)
    if (owner !== undefined) {
      throw new MillraceError(
        'GRAPH_INVALID',
        `uid "${node.uid}" is used by both ${label(owner)} and ${label(node)}; state is found again by uid, so each needs its own`,
      )
    }
    owners.set(node.uid, node)
  }
}

function checkParallelism(node: GraphNode): void {
  if (node.parallelism <= node.maxParallelism) return
  throw new MillraceError(
    'GRAPH_INVALID',
    `${label(node)} has parallelism ${node.parallelism}, more than its maximum of ${node.maxParallelism}`,
  )
}

function checkConsumed(node: GraphNode, nodes: readonly GraphNode[]): void {
  if (node.kind !== 'source') return
  if (nodes.some((other) => other.inputs.some((edge) => edge.from === node.id))) return
  throw new MillraceError('GRAPH_INVALID', `nothing reads ${label(node)}; end the stream in sinkTo(...) or remove it`)
}

/** Exactly-once, rule 17: two sinks that own the same identities would fence each other. */
function checkOwnership(nodes: readonly GraphNode[]): void {
  const owners = new Map<string, GraphNode>()
  for (const node of nodes) {
    if (node.kind !== 'sink' || node.sink.transactional === undefined) continue
    const key = node.sink.transactional.ownershipKey
    const owner = owners.get(key)
    if (owner !== undefined) {
      throw new MillraceError(
        'GRAPH_INVALID',
        `${label(owner)} and ${label(node)} both write under ${key}; ` +
          'each exactly-once sink needs a transactional id prefix of its own',
      )
    }
    owners.set(key, node)
  }
}

function label(node: GraphNode): string {
  return `${node.kind} "${node.name}" (uid ${node.uid})`
}
