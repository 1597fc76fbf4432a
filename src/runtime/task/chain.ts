/**
 * Builds the operators of one subtask from the graph: a tree of direct calls below one source. All nodes reached by forward
 * edges belong to the chain.
 */
import { assert, unreachable } from '../../base/index.ts'
import {
  attemptId,
  checkpointId,
  type ElementTime,
  type GraphNode,
  type JobGraph,
  MetricRegistry,
  NO_OUTPUT,
  type Operator,
  type Output,
  type RuntimeContext,
  type RuntimePorts,
  type SinkNode,
  subtaskIndex,
} from '../../core/index.ts'
import type { TaskSpec } from '../channel/messages.ts'
import { SinkOperator } from './sink-operator.ts'

export interface ChainedOperator {
  readonly node: GraphNode
  readonly operator: Operator<unknown>
  readonly metrics: MetricRegistry
}

export interface ChainOptions {
  readonly graph: JobGraph
  readonly spec: TaskSpec
  readonly ports: RuntimePorts
  readonly time: ElementTime
  fail(error: Error): void
}

export class Chain {
  /** In the order of the flow: an operator stands before those it emits to. */
  readonly operators: readonly ChainedOperator[]
  readonly first: Output<unknown>
  readonly #blocking: readonly Operator<unknown>[]
  readonly #gathering: readonly Operator<unknown>[]

  constructor(options: ChainOptions) {
    const operators: ChainedOperator[] = []
    this.first = outputOf(options, options.spec.task.chain, operators)
    this.operators = operators.reverse()
    this.#blocking = this.operators
      .map((chained) => chained.operator)
      .filter((operator) => operator.writable !== undefined)
    this.#gathering = this.operators
      .map((chained) => chained.operator)
      .filter((operator) => operator.inputDry !== undefined)
  }

  inputDry(): void {
    for (const operator of this.#gathering) operator.inputDry?.()
  }

  get blocked(): boolean {
    for (const operator of this.#blocking) if (operator.blocked) return true
    return false
  }

  async writable(): Promise<void> {
    await Promise.all(this.#blocking.map((operator) => operator.writable?.()))
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

function outputOf(options: ChainOptions, from: number, operators: ChainedOperator[], tag?: string): Output<unknown> {
  const outputs: Output<unknown>[] = []
  for (const node of options.graph.nodes) {
    if (node.inputs.some((edge) => edge.from === from && edge.tag === tag))
      outputs.push(operatorOf(options, node, operators))
  }
  const [only] = outputs
  if (only === undefined) return NO_OUTPUT
  return outputs.length === 1 ? only : new FanOut(outputs)
}

function operatorOf(options: ChainOptions, node: GraphNode, operators: ChainedOperator[]): Operator<unknown> {
  const metrics = new MetricRegistry()
  const context = contextOf(options, node, metrics)
  let operator: Operator<unknown>
  switch (node.kind) {
    case 'source':
      return assert(false, `source ${node.uid} has an input`) as never
    case 'operator': {
      const output = outputOf(options, node.id, operators)
      const restored = options.spec.restored[node.uid] ?? []
      const sideOutput = (tag: string): Output<unknown> => outputOf(options, node.id, operators, tag)
      operator = node.factory.create({ ...context, time: options.time, restored, sideOutput }, output)
      break
    }
    case 'sink':
      operator = sinkOperator(options, node, metrics)
      break
    default:
      return unreachable(node)
  }
  operators.push({ node, operator, metrics })
  return operator
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
