/**
 * Builds the operators of one subtask from the plan: a tree of direct calls below the chain's head, which ends in sinks and in
 * the sending ends of edges to other tasks.
 */
import { assert, unreachable } from '../../base/index.ts'
import {
  AccumulatorRegistry,
  attemptId,
  type CheckpointId,
  checkpointId,
  type ElementTime,
  type GraphNode,
  type JobGraph,
  MetricRegistry,
  NO_OUTPUT,
  type Operator,
  type OperatorContext,
  type Output,
  type RuntimeContext,
  type RuntimePorts,
  type SinkNode,
  subtaskIndex,
} from '../../core/index.ts'
import type { OutputEdge } from '../channel/exchange.ts'
import type { TaskSpec } from '../channel/messages.ts'
import type { PlannedChain, PlannedEdge } from '../plan/physical-plan.ts'
import type { HostedKeyedState } from '../state/hosted-state.ts'
import { KeyedInput, OperatorState } from './operator-state.ts'
import { SinkOperator } from './sink-operator.ts'

export interface ChainedOperator {
  readonly node: GraphNode
  readonly operator: Operator<unknown>
  readonly metrics: MetricRegistry
  readonly state?: OperatorState
  readonly accumulators?: AccumulatorRegistry
}

export interface ChainOptions {
  readonly graph: JobGraph
  readonly chain: PlannedChain
  readonly spec: TaskSpec
  readonly ports: RuntimePorts
  readonly time: ElementTime
  /** The sending end of an edge to other tasks. Called once for each. */
  createOutput(edge: PlannedEdge): OutputEdge
  fail(error: Error): void
}

/** What is under construction: operators in the reverse order of the flow. */
interface Parts extends ChainOptions {
  readonly operators: ChainedOperator[]
  readonly edges: OutputEdge[]
}

type Blocking = Pick<Operator<unknown>, 'blocked' | 'writable'>

export class Chain {
  /** In the order of the flow: an operator stands before those it emits to. */
  readonly operators: readonly ChainedOperator[]
  /** Where the head's elements go: of a source to what follows it, else to the head itself. */
  readonly first: Output<unknown>
  readonly edges: readonly OutputEdge[]
  readonly #blocking: readonly Blocking[]
  readonly #gathering: readonly Operator<unknown>[]
  readonly #keyed: readonly HostedKeyedState[]

  constructor(options: ChainOptions) {
    const parts: Parts = { ...options, operators: [], edges: [] }
    const { head } = options.chain
    this.first = head.kind === 'source' ? outputOf(parts, head.id) : operatorOf(parts, head)
    this.operators = parts.operators.reverse()
    this.edges = parts.edges
    const operators = this.operators.map((chained) => chained.operator)
    this.#blocking = [...operators.filter((operator) => operator.writable !== undefined), ...this.edges]
    this.#gathering = operators.filter((operator) => operator.inputDry !== undefined)
    this.#keyed = this.operators.flatMap(({ state }) => (state?.keyed === undefined ? [] : [state.keyed]))
  }

  /** Keyed state is being captured: `capture` is to be called between elements. */
  get capturing(): boolean {
    for (const keyed of this.#keyed) if (keyed.capturing) return true
    return false
  }

  capture(budgetMs: number): void {
    for (const keyed of this.#keyed) if (keyed.capturing) keyed.step(budgetMs)
  }

  /** When the next processing-time timer is due; undefined when there is none. */
  get nextTimer(): number | undefined {
    let next: number | undefined
    for (const { nextProcessingTimer } of this.#keyed) {
      if (nextProcessingTimer !== undefined && (next === undefined || nextProcessingTimer < next)) {
        next = nextProcessingTimer
      }
    }
    return next
  }

  /** Calls when a timer was registered that is due before all others of its operator. */
  onNextTimer(listener: () => void): void {
    for (const keyed of this.#keyed) keyed.onNextProcessingTimer(listener)
  }

  fireTimers(nowMs: number): void {
    for (const keyed of this.#keyed) keyed.fireProcessing(nowMs)
  }

  /** Nothing will be captured any more. */
  closeState(): void {
    for (const keyed of this.#keyed) keyed.close()
  }

  /** The input has nothing more at the moment: what was gathered leaves. */
  inputDry(): void {
    for (const operator of this.#gathering) operator.inputDry?.()
    this.flush()
  }

  /** What was gathered for other tasks leaves. */
  flush(): void {
    for (const edge of this.edges) edge.flush()
  }

  /** Follows right behind the last element before it. */
  emitBarrier(checkpoint: CheckpointId, final: boolean): void {
    for (const edge of this.edges) edge.emitBarrier(checkpoint, final)
    this.flush()
  }

  end(): void {
    for (const edge of this.edges) edge.end()
    this.flush()
  }

  get blocked(): boolean {
    for (const part of this.#blocking) if (part.blocked) return true
    return false
  }

  async writable(): Promise<void> {
    await Promise.all(this.#blocking.map((part) => part.writable?.()))
  }
}

export function contextOf(
  options: Pick<ChainOptions, 'graph' | 'spec' | 'ports'>,
  node: GraphNode,
  metrics: MetricRegistry,
): RuntimeContext & RuntimePorts {
  return {
    ...options.ports,
    jobName: options.graph.jobName,
    operatorName: node.name,
    uid: node.uid,
    subtask: subtaskIndex(options.spec.task.subtask),
    parallelism: node.parallelism,
    maxParallelism: node.maxParallelism,
    metrics,
  }
}

/** What reads the elements of a node, or of one of its side outputs. */
function outputOf(parts: Parts, from: number, tag?: string): Output<unknown> {
  const { chain } = parts
  const outputs: Output<unknown>[] = []
  for (const node of chain.nodes) {
    if (node !== chain.head && node.inputs.some((edge) => edge.from === from && edge.tag === tag)) {
      outputs.push(operatorOf(parts, node))
    }
  }
  for (const planned of chain.outputs) {
    if (planned.from.id !== from || planned.edge.tag !== tag) continue
    const edge = parts.createOutput(planned)
    parts.edges.push(edge)
    outputs.push(edge)
  }
  const [only] = outputs
  if (only === undefined) return NO_OUTPUT
  return outputs.length === 1 ? only : new FanOut(outputs)
}

/** What feeds the node's operator. */
function operatorOf(parts: Parts, node: GraphNode): Output<unknown> {
  const metrics = new MetricRegistry()
  const context = contextOf(parts, node, metrics)
  switch (node.kind) {
    case 'source':
      return assert(false, `source ${node.uid} has an input`) as never
    case 'operator': {
      const output = outputOf(parts, node.id)
      const restored = parts.spec.restored[node.uid] ?? []
      const side = sideOutputs(parts, node)
      const sideOutput = (tag: string): Output<unknown> => side.get(tag) ?? NO_OUTPUT
      const accumulators = new AccumulatorRegistry()
      const state = new OperatorState(node, parts.spec, parts.ports)
      const operatorList: OperatorContext['operatorList'] = (descriptor) => state.lists.list(descriptor)
      const { keyed } = state
      const operator = node.factory.create(
        {
          ...context,
          time: parts.time,
          restored,
          sideOutput,
          accumulators,
          operatorList,
          ...(keyed === undefined ? {} : { keyed }),
        },
        output,
      )
      parts.operators.push({ node, operator, metrics, state, accumulators })
      return node.keyOf === undefined || keyed === undefined ? operator : new KeyedInput(node.keyOf, keyed, operator)
    }
    case 'sink': {
      const operator = sinkOperator(parts, node, metrics)
      parts.operators.push({ node, operator, metrics })
      return operator
    }
    default:
      return unreachable(node)
  }
}

/** All of them are made with their operator, whether or not it ever asks: an edge is there for barriers too. */
function sideOutputs(parts: Parts, node: GraphNode): ReadonlyMap<string, Output<unknown>> {
  const { chain } = parts
  const inside = chain.nodes.flatMap((other) => (other === chain.head ? [] : other.inputs))
  const edges = [...inside, ...chain.outputs.map((planned) => planned.edge)]
  const tags = new Set(edges.flatMap(({ from, tag }) => (from === node.id && tag !== undefined ? [tag] : [])))
  return new Map([...tags].map((tag) => [tag, outputOf(parts, node.id, tag)]))
}

function sinkOperator(options: ChainOptions, node: SinkNode, metrics: MetricRegistry): SinkOperator {
  const { spec, time, fail } = options
  const writer = node.sink.createWriter({
    ...contextOf(options, node, metrics),
    attempt: attemptId(spec.attempt),
    nextCheckpoint: checkpointId(spec.nextCheckpoint),
    settings: spec.sinkSettings[node.uid],
    time,
    fail,
  })
  return new SinkOperator({
    writer,
    serializer: node.sink.transactional?.committableSerializer,
    records: metrics.counter('numRecordsIn'),
  })
}

/** One element to several operators, in the order in which the job file names them. */
class FanOut implements Output<unknown> {
  readonly #outputs: readonly Output<unknown>[]

  constructor(outputs: readonly Output<unknown>[]) {
    this.#outputs = outputs
  }

  emit(value: unknown): void {
    for (const output of this.#outputs) output.emit(value)
  }

  emitWatermark(timestamp: number): void {
    for (const output of this.#outputs) output.emitWatermark(timestamp)
  }

  emitIdle(idle: boolean): void {
    for (const output of this.#outputs) output.emitIdle(idle)
  }
}
