/**
 * The receiving end of a channel from another thread. A block is read in place; when its last element was taken its buffer goes
 * back as the credit for the next. When the other thread is gone nothing comes any more, and no end is made up: whoever watches
 * the threads fails the task.
 */
import { assert } from '../../base/index.ts'
import type { ElementTime, RecordSerializer } from '../../core/index.ts'
import { BlockReader } from '../block/block-reader.ts'
import { BlockWriter } from '../block/block-writer.ts'
import type { ReaderShapes } from '../block/reader-shapes.ts'
import { ACTIVE_MARK, BARRIER_MARK, END_MARK, FINAL_BARRIER_MARK, IDLE_MARK, WATERMARK_MARK } from './element-marks.ts'
import type { ChannelItem, InputChannel } from './exchange.ts'
import type { PortMessage } from './port-messages.ts'
import type { PortChannel, ThreadPort } from './thread-port.ts'

export interface RemoteReceiverOptions {
  readonly name: string
  readonly port: ThreadPort
  readonly time: ElementTime
  readonly shapes: ReaderShapes
  readonly serializer?: RecordSerializer | undefined
}

export class RemoteReceiver implements InputChannel, PortChannel {
  readonly time: ElementTime
  value: unknown
  idle = false
  checkpoint = 0
  final = false
  readonly #name: string
  readonly #port: ThreadPort
  readonly #serializer: RecordSerializer | undefined
  readonly #blocks: Uint8Array<ArrayBuffer>[] = []
  readonly #reader: BlockReader
  /** The block that is being read. */
  #block: Uint8Array<ArrayBuffer> | undefined
  #listener: (() => void) | undefined
  #open = true

  constructor(options: RemoteReceiverOptions) {
    this.time = options.time
    this.#name = options.name
    this.#port = options.port
    this.#serializer = options.serializer
    this.#reader = new BlockReader(new BlockWriter().finish(), { shapes: options.shapes, views: true })
    this.#port.connect(this.#name, this)
  }

  next(): ChannelItem {
    const reader = this.#reader
    if (reader.done && !this.#turn()) return 'empty'
    const mark = reader.readMark()
    if (mark >= 0) return this.#event(mark)
    const value = reader.read()
    this.time.timestamp = reader.readNumber()
    this.value = this.#serializer === undefined ? value : this.#serializer.deserialize(value as Uint8Array)
    return 'element'
  }

  get ready(): boolean {
    if (!this.#reader.done || this.#blocks.length > 0) return true
    if (this.#open) this.#port.look()
    return this.#blocks.length > 0
  }

  onArrival(listener: () => void): void {
    this.#listener = listener
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#port.disconnect(this.#name)
    this.#port.post({ kind: 'closed', channel: this.#name })
    this.#blocks.length = 0
    this.#block = undefined
    this.value = undefined
    this.#reader.open(new BlockWriter().finish())
  }

  receive(message: PortMessage): void {
    if (message.kind !== 'block' || !this.#open) return
    this.#blocks.push(message.block)
    if (this.#blocks.length === 1 && this.#reader.done) this.#listener?.()
  }

  lost(): void {}

  /** Gives the block back that was read and opens the next one; false when there is none. */
  #turn(): boolean {
    if (this.#block !== undefined) {
      const { buffer } = this.#block
      this.#block = undefined
      if (this.#reader.viewed) this.#port.post({ kind: 'credit', channel: this.#name, buffer: undefined })
      else this.#port.post({ kind: 'credit', channel: this.#name, buffer }, [buffer])
    }
    if (this.#blocks.length === 0 && this.#open) this.#port.look()
    this.#block = this.#blocks.shift()
    if (this.#block === undefined) return false
    this.#reader.open(this.#block)
    return true
  }

  #event(mark: number): ChannelItem {
    switch (mark) {
      case WATERMARK_MARK:
        this.time.timestamp = this.#reader.readNumber()
        return 'watermark'
      case IDLE_MARK:
      case ACTIVE_MARK:
        this.idle = mark === IDLE_MARK
        return 'idle'
      case BARRIER_MARK:
      case FINAL_BARRIER_MARK:
        this.checkpoint = this.#reader.readNumber()
        this.final = mark === FINAL_BARRIER_MARK
        return 'barrier'
      case END_MARK:
        return 'end'
      default:
        return assert(false, `a channel has no mark ${mark}`) as never
    }
  }
}
