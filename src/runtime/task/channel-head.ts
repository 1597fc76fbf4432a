/**
 * Channels from other tasks at the head of a task. They are read in turn, each a bounded run at a time, so that a busy one
 * keeps nobody waiting. Barriers, watermarks, idleness and the end of each are put together here.
 */
import { assert, unreachable } from '../../base/index.ts'
import type { Counter, PollStatus } from '../../core/index.ts'
import type { InputChannel } from '../channel/exchange.ts'
import type { CheckpointPart } from '../checkpoint/checkpoint-metadata.ts'
import { BarrierAligner, type CheckpointMode } from './barrier-aligner.ts'
import type { Chain } from './chain.ts'
import type { TaskHead } from './task-head.ts'
import { WatermarkValve } from './watermark-valve.ts'

/** Most elements of one channel before the next one's turn. */
const RUN_ELEMENTS_MAX = 128

export interface ChannelHeadOptions {
  readonly channels: readonly InputChannel[]
  readonly chain: Chain
  readonly mode: CheckpointMode
  readonly records: Counter
  /** All barriers of a checkpoint came: takes the snapshot and sends the barrier on, synchronously. */
  onBarrier(checkpoint: number, final: boolean): void
}

export class ChannelHead implements TaskHead {
  readonly barriersComeHere = true
  readonly #channels: readonly InputChannel[]
  readonly #chain: Chain
  readonly #records: Counter
  readonly #onBarrier: (checkpoint: number, final: boolean) => void
  readonly #aligner: BarrierAligner
  readonly #valve: WatermarkValve
  readonly #ended = new Set<number>()
  #next = 0
  #endTold = false
  #wake: (() => void) | undefined

  constructor(options: ChannelHeadOptions) {
    const { channels, chain, mode, records } = options
    assert(channels.length > 0, 'a task that reads channels has some')
    this.#channels = channels
    this.#chain = chain
    this.#records = records
    this.#onBarrier = options.onBarrier
    this.#aligner = new BarrierAligner(channels.length, mode)
    this.#valve = new WatermarkValve(channels.length, chain.first)
    const arrived = (): void => {
      this.#wake?.()
      this.#wake = undefined
    }
    for (const channel of channels) channel.onArrival(arrived)
  }

  async open(): Promise<void> {}

  poll(budget: number): PollStatus {
    const count = this.#channels.length
    let left = budget
    let dry = 0
    while (left > 0 && dry < count) {
      const index = this.#next
      this.#next = index + 1 === count ? 0 : index + 1
      if (this.#aligner.waits(index)) {
        dry++
        continue
      }
      const read = this.#read(index, Math.min(left, RUN_ELEMENTS_MAX))
      if (this.#chain.blocked) return 'more'
      left -= read
      dry = read === 0 ? dry + 1 : 0
    }
    if (this.#ended.size === count && !this.#endTold) {
      this.#endTold = true
      return 'ended'
    }
    return left > 0 ? 'waiting' : 'more'
  }

  /** Reads one channel until it is empty, must wait, or had its turn. Answers how many items it brought. */
  #read(index: number, most: number): number {
    const channel = this.#channels[index]
    const chain = this.#chain
    const { first } = chain
    if (channel === undefined) return 0
    let read = 0
    while (read < most) {
      const item = channel.next()
      if (item === 'empty') break
      read++
      if (item === 'element') {
        this.#records.value++
        first.emit(channel.value)
        if (chain.blocked) break
      } else if (!this.#receiveEvent(index, channel, item)) {
        break
      }
    }
    return read
  }

  /** Answers whether the channel may be read on at once. */
  #receiveEvent(index: number, channel: InputChannel, item: 'watermark' | 'idle' | 'barrier' | 'end'): boolean {
    switch (item) {
      case 'watermark':
        this.#valve.onWatermark(index, channel.time.timestamp)
        return !this.#chain.blocked
      case 'idle':
        this.#valve.onIdle(index, channel.idle)
        return true
      case 'barrier':
        if (!this.#aligner.arrived(index, channel.checkpoint)) return !this.#aligner.waits(index)
        this.#onBarrier(channel.checkpoint, channel.final)
        return true
      case 'end':
        this.#ended.add(index)
        return true
      default:
        return unreachable(item)
    }
  }

  /**
   * Who waits is known before anything is looked at: a look at one channel takes in what has come for all others of the same
   * thread, those that were looked at before included, and tells of it once.
   */
  available(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      // What arrived since the last look, though the channel was not asked: on the way here a letter may have let it in.
      if (this.#channels.some((channel, index) => channel.ready && !this.#aligner.waits(index))) resolve()
    })
  }

  receive(): void {
    assert(false, 'splits are for sources')
  }

  onPeriodicEmit(): void {}

  /** Each channel brought the end of its event time before its own end. */
  end(): void {}

  snapshot(): CheckpointPart[] {
    return []
  }

  async checkpointCompleted(): Promise<void> {}

  get pendingRecords(): undefined {
    return undefined
  }

  async close(): Promise<void> {
    this.#wake?.()
    for (const channel of this.#channels) channel.close()
  }
}
