/**
 * Which channel of an edge an element goes to, one class for each way. Channels are counted from 0 among those that the sending
 * subtask has, which for all but forward and rescale are all subtasks of the receiver.
 */
import { MillraceError, type Random, unreachable } from '../../base/index.ts'
import type { GraphEdge, KeySelector } from '../../core/index.ts'
import { KeyGrouping, subtaskOfKeyGroup } from '../state/key-group.ts'

/** Answered instead of a channel: to all of them. */
export const ALL_CHANNELS = -1

export interface Partitioner {
  channelOf(value: unknown): number
}

export interface PartitionerOptions {
  readonly edge: GraphEdge
  readonly channels: number
  /** Of the receiver. */
  readonly maxParallelism: number
  readonly random: Random
  /** Of the sending operator, for errors. */
  readonly operatorName: string
}

export function partitionerOf(options: PartitionerOptions): Partitioner {
  const { edge, channels, random } = options
  const { partitioning } = edge
  switch (partitioning) {
    case 'forward':
      return { channelOf: () => 0 }
    case 'keyed':
      return new ByKey(required(edge.keyOf, options), channels, options.maxParallelism)
    case 'rebalance':
      // Anywhere, so that many senders with few elements do not all begin with the first receiver (Flink: RebalancePartitioner).
      return new InTurn(channels, Math.floor(random.next() * channels))
    case 'rescale':
      return new InTurn(channels, 0)
    case 'shuffle':
      return { channelOf: () => Math.floor(random.next() * channels) }
    case 'broadcast':
      return { channelOf: () => ALL_CHANNELS }
    case 'custom':
      return new ByFunction(required(edge.partition, options), channels, options.operatorName)
    default:
      return unreachable(partitioning)
  }
}

function required<T>(fn: T | undefined, { edge, operatorName }: PartitionerOptions): T {
  if (fn !== undefined) return fn
  throw new MillraceError('GRAPH_INVALID', `the ${edge.partitioning} edge from ${operatorName} has no function`)
}

class ByKey implements Partitioner {
  readonly #keyOf: KeySelector
  readonly #grouping: KeyGrouping
  /** The receiving subtask of each key group. */
  readonly #subtasks: Uint16Array

  constructor(keyOf: KeySelector, parallelism: number, maxParallelism: number) {
    this.#keyOf = keyOf
    this.#grouping = new KeyGrouping(maxParallelism)
    this.#subtasks = Uint16Array.from({ length: maxParallelism }, (_, keyGroup) =>
      subtaskOfKeyGroup(maxParallelism, parallelism, keyGroup),
    )
  }

  channelOf(value: unknown): number {
    const keyOf = this.#keyOf
    return this.#subtasks[this.#grouping.groupOf(keyOf(value))] as number
  }
}

class InTurn implements Partitioner {
  readonly #channels: number
  #next: number

  constructor(channels: number, first: number) {
    this.#channels = channels
    this.#next = first
  }

  channelOf(): number {
    const channel = this.#next
    this.#next = channel + 1 === this.#channels ? 0 : channel + 1
    return channel
  }
}

class ByFunction implements Partitioner {
  readonly #partition: (value: unknown, partitions: number) => number
  readonly #channels: number
  readonly #operatorName: string

  constructor(partition: (value: unknown, partitions: number) => number, channels: number, operatorName: string) {
    this.#partition = partition
    this.#channels = channels
    this.#operatorName = operatorName
  }

  channelOf(value: unknown): number {
    const partition = this.#partition
    const channel = partition(value, this.#channels)
    if (Number.isInteger(channel) && channel >= 0 && channel < this.#channels) return channel
    throw new MillraceError(
      'USER_FUNCTION_FAILED',
      `the partitioner behind operator "${this.#operatorName}" answered ${String(channel)}; there are subtasks 0 to ${this.#channels - 1}`,
      { next: 'The task fails and the job goes back to its last checkpoint.' },
    )
  }
}
