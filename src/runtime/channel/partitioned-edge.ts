/** The sending end of an edge: partitions elements over its channels, and sends all else to each of them. */
import type { ElementTime } from '../../core/index.ts'
import type { ChannelSender, Congestion } from './channel-sender.ts'
import type { OutputEdge } from './exchange.ts'
import type { Partitioner } from './partitioner.ts'

export interface PartitionedEdgeOptions {
  readonly channels: readonly ChannelSender[]
  readonly congestion: Congestion
  readonly partitioner: Partitioner
  readonly time: ElementTime
}

export class PartitionedEdge implements OutputEdge {
  readonly #channels: readonly ChannelSender[]
  readonly #congestion: Congestion
  readonly #partitioner: Partitioner
  readonly #time: ElementTime

  constructor(options: PartitionedEdgeOptions) {
    this.#channels = options.channels
    this.#congestion = options.congestion
    this.#partitioner = options.partitioner
    this.#time = options.time
  }

  emit(value: unknown): void {
    const channel = this.#channels[this.#partitioner.channelOf(value)]
    if (channel !== undefined) channel.element(value, this.#time.timestamp)
    // ALL_CHANNELS is the one answer that is no channel.
    else for (const each of this.#channels) each.element(value, this.#time.timestamp)
  }

  emitWatermark(timestamp: number): void {
    for (const channel of this.#channels) channel.watermark(timestamp)
  }

  emitIdle(idle: boolean): void {
    for (const channel of this.#channels) channel.idle(idle)
  }

  emitBarrier(checkpoint: number, final: boolean): void {
    for (const channel of this.#channels) channel.barrier(checkpoint, final)
  }

  end(): void {
    for (const channel of this.#channels) channel.end()
  }

  flush(): void {
    for (const channel of this.#channels) channel.flush()
  }

  get blocked(): boolean {
    return this.#congestion.blocked
  }

  writable(): Promise<void> {
    if (this.#congestion.blocked) for (const channel of this.#channels) channel.look()
    return this.#congestion.over()
  }

  close(): void {
    for (const channel of this.#channels) channel.close()
  }
}
