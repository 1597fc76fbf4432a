/**
 * The graph that a job file builds: nodes in the order they were made, each with its inputs. It is plain structure plus the
 * factories that make operators; everything serializable in it goes into the hash that coordinator and workers compare.
 */
import type { OperatorFactory } from './operator.ts'
import type { RecordSerializer } from './serializer.ts'
import type { Sink } from './sink.ts'
import type { Source } from './source.ts'
import type { KeySelector } from './state.ts'
import type { WatermarkPlan } from './time.ts'

export type Partitioning = 'forward' | 'keyed' | 'rebalance' | 'rescale' | 'shuffle' | 'broadcast' | 'custom'

export interface GraphEdge {
  readonly from: number
  readonly partitioning: Partitioning
  /** Of a side output: its tag. */
  readonly tag?: string
  /** Of a keyed edge: what decides which subtask an element goes to. */
  readonly keyOf?: KeySelector
  /** Of a custom edge: the receiving subtask, 0 to `partitions` - 1. */
  readonly partition?: (value: unknown, partitions: number) => number
  /** How elements become bytes between threads; absent: as plain data. */
  readonly serializer?: RecordSerializer
}

interface NodeBase {
  readonly id: number
  readonly name: string
  readonly uid: string
  readonly parallelism: number
  readonly maxParallelism: number
  readonly inputs: readonly GraphEdge[]
  readonly chaining: 'always' | 'head' | 'never'
}

export interface SourceNode extends NodeBase {
  readonly kind: 'source'
  readonly source: Source<unknown, unknown, unknown>
  readonly watermarks: WatermarkPlan<unknown>
}

export interface OperatorNode extends NodeBase {
  readonly kind: 'operator'
  /** Present behind keyBy: the operator has keyed state and timers, and its key is set before each element. */
  readonly keyOf?: KeySelector
  readonly factory: OperatorFactory<unknown, unknown>
}

export interface SinkNode extends NodeBase {
  readonly kind: 'sink'
  readonly sink: Sink<unknown, unknown>
}

export type GraphNode = SourceNode | OperatorNode | SinkNode

export interface JobGraph {
  readonly jobName: string
  readonly nodes: readonly GraphNode[]
}
