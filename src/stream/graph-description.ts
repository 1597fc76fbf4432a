/**
 * A graph as plain data: what can be compared between threads and between runs. Every thread that builds the graph must get
 * the same description; if two hashes differ, `firstDifference` names where, so that a job file that is not deterministic is
 * told in its own words. Functions are not in it and cannot be: two threads import the same file.
 */
import { createHash } from 'node:crypto'
import type { GraphEdge, GraphNode, JobGraph } from '../core/index.ts'

/** An edge without what is not data. */
export type EdgeDescription = Pick<GraphEdge, 'from' | 'partitioning' | 'tag'>

export interface NodeDescription {
  readonly id: number
  readonly kind: GraphNode['kind']
  readonly name: string
  readonly uid: string
  readonly parallelism: number
  readonly maxParallelism: number
  readonly chaining: GraphNode['chaining']
  readonly inputs: readonly EdgeDescription[]
  /** What a source or sink says about itself, and whether an operator has state of a key. */
  readonly settings: Readonly<Record<string, unknown>>
}

export interface GraphDescription {
  readonly jobName: string
  readonly nodes: readonly NodeDescription[]
}

export function describeGraph(graph: JobGraph): GraphDescription {
  return { jobName: graph.jobName, nodes: graph.nodes.map(describeNode) }
}

/** The same as data that survives a clone and compares equal afterwards: keys in order, bigints and patterns as text. */
export function plainDescription(description: GraphDescription): GraphDescription {
  return JSON.parse(canonical(description))
}

/** sha256 over the description, as lower-case hexadecimal. */
export function graphHash(description: GraphDescription): string {
  return createHash('sha256').update(canonical(description)).digest('hex')
}

/**
 * The first difference as a sentence, undefined when there is none. `here` and `there` name the two sides, e.g.
 * `on the coordinator` and `on worker 2`.
 */
export function firstDifference(
  left: GraphDescription,
  right: GraphDescription,
  here = 'here',
  there = 'there',
): string | undefined {
  const found = differenceAt('', left, right)
  if (found === undefined) return undefined
  const node = /^nodes\[(\d+)\]/.exec(found.path)?.[1]
  const known = node === undefined ? undefined : (left.nodes[Number(node)] ?? right.nodes[Number(node)])
  const where = known === undefined ? '' : ` of ${known.kind} "${known.name}" (uid ${known.uid})`
  return `${found.path}${where} is ${canonical(found.left)} ${here} and ${canonical(found.right)} ${there}`
}

function describeNode(node: GraphNode): NodeDescription {
  const { id, kind, name, uid, parallelism, maxParallelism, chaining } = node
  const inputs = node.inputs.map(({ from, partitioning, tag }) =>
    tag === undefined ? { from, partitioning } : { from, partitioning, tag },
  )
  return { id, kind, name, uid, parallelism, maxParallelism, chaining, inputs, settings: settingsOf(node) }
}

function settingsOf(node: GraphNode): Readonly<Record<string, unknown>> {
  switch (node.kind) {
    case 'source': {
      const { createGenerator, timestampAssigner, idleTimeoutMs, alignment } = node.watermarks
      return {
        ...node.source.describe(),
        boundedness: node.source.boundedness,
        watermarks: createGenerator !== undefined,
        timestamps: timestampAssigner !== undefined,
        idleTimeoutMs,
        alignment,
      }
    }
    case 'sink':
      return { ...node.sink.describe(), ownershipKey: node.sink.transactional?.ownershipKey }
    case 'operator':
      return node.keyOf === undefined ? {} : { keyed: true }
  }
}

interface Difference {
  readonly path: string
  readonly left: unknown
  readonly right: unknown
}

function differenceAt(path: string, left: unknown, right: unknown): Difference | undefined {
  if (canonical(left) === canonical(right)) return undefined
  if (!isObject(left) || !isObject(right) || Array.isArray(left) !== Array.isArray(right)) return { path, left, right }
  const isArray = Array.isArray(left)
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const inner = isArray ? `${path}[${key}]` : `${path}${path === '' ? '' : '.'}${key}`
    const found = differenceAt(inner, left[key], right[key])
    if (found !== undefined) return found
  }
  return { path, left, right }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/** JSON with keys in order, so that how an object was put together does not matter. */
function canonical(value: unknown): string {
  return JSON.stringify(value, sortKeys) ?? 'absent'
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof RegExp) return String(value)
  if (!isObject(value) || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)))
}
