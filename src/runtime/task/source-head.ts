/** A source's reader at the head of a task, with the outputs of its splits. */
import {
  attemptId,
  type CheckpointId,
  deserializeVersioned,
  type ElementTime,
  type JobGraph,
  type MetricRegistry,
  type PollStatus,
  type RuntimePorts,
  type SourceNode,
  type SourceReader,
  serializeVersioned,
} from '../../core/index.ts'
import type { CoordinatorMessage, TaskSpec } from '../channel/messages.ts'
import type { CheckpointPart } from '../checkpoint/checkpoint-metadata.ts'
import { type Chain, contextOf } from './chain.ts'
import { SourceOutput } from './source-output.ts'
import type { TaskHead } from './task-head.ts'

export interface SourceHeadOptions {
  readonly graph: JobGraph
  readonly spec: TaskSpec
  readonly ports: RuntimePorts
  readonly node: SourceNode
  readonly chain: Chain
  readonly time: ElementTime
  readonly metrics: MetricRegistry
}

export class SourceHead implements TaskHead {
  readonly barriersComeHere = false
  readonly #node: SourceNode
  readonly #subtask: number
  readonly #output: SourceOutput
  readonly #reader: SourceReader<unknown>

  constructor(options: SourceHeadOptions) {
    const { node, chain, time, spec, ports, metrics } = options
    this.#node = node
    this.#subtask = spec.task.subtask
    this.#output = new SourceOutput({
      head: chain,
      plan: node.watermarks,
      time,
      records: metrics.counter('numRecordsOut'),
      clock: ports.clock,
    })
    this.#reader = node.source.createReader({
      ...contextOf(options, node, metrics),
      attempt: attemptId(spec.attempt),
      time,
      output: this.#output,
      checkpointing: spec.checkpointing,
    })
  }

  async open(): Promise<void> {
    await this.#reader.open?.()
  }

  poll(budget: number): PollStatus {
    return this.#reader.poll(budget)
  }

  available(): Promise<void> {
    return this.#reader.available()
  }

  receive(letter: Extract<CoordinatorMessage, { kind: 'assign-splits' | 'no-more-splits' }>): void {
    if (letter.kind === 'no-more-splits') {
      this.#reader.noMoreSplits()
      return
    }
    const { splitSerializer } = this.#node.source
    this.#reader.addSplits(letter.splits.map((split) => deserializeVersioned(splitSerializer, split)))
  }

  onPeriodicEmit(): void {
    this.#output.onPeriodicEmit()
  }

  end(): void {
    this.#output.end()
  }

  snapshot(checkpoint: CheckpointId): CheckpointPart[] {
    const { splitSerializer } = this.#node.source
    return this.#reader.snapshotState(checkpoint).map((split) => ({
      uid: this.#node.uid,
      role: 'split',
      subtask: this.#subtask,
      ...serializeVersioned(splitSerializer, split),
    }))
  }

  async checkpointCompleted(checkpoint: CheckpointId): Promise<void> {
    await this.#reader.checkpointCompleted?.(checkpoint)
  }

  get pendingRecords(): number | undefined {
    return this.#reader.pendingRecords?.()
  }

  close(): Promise<void> {
    return this.#reader.close()
  }
}
