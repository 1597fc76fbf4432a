/**
 * The sending end of a channel to another thread. Elements are gathered in a block, which goes when it is full or flushed and there
 * is a credit. Without credits the block waits and takes what one element still makes, and the edge is blocked once it is full.
 * Under way are at most `credits` blocks of about `blockBytes`; their buffers come back with the credits and are used again.
 */
import type { RecordSerializer } from '../../core/index.ts'
import { BlockWriter } from '../block/block-writer.ts'
import type { ChannelSender, Congestion } from './channel-sender.ts'
import { ACTIVE_MARK, BARRIER_MARK, END_MARK, FINAL_BARRIER_MARK, IDLE_MARK, WATERMARK_MARK } from './element-marks.ts'
import type { PortMessage } from './port-messages.ts'
import type { PortChannel, ThreadPort } from './thread-port.ts'

/** A buffer larger than this many blocks was made for one large value and is not kept. */
const KEPT_BLOCKS_MAX = 4

export interface RemoteSenderOptions {
  readonly name: string
  readonly port: ThreadPort
  readonly congestion: Congestion
  readonly credits: number
  readonly blockBytes: number
  /** Whose elements these are, for errors. */
  readonly owner: string
  readonly serializer?: RecordSerializer | undefined
}

export class RemoteSender implements ChannelSender, PortChannel {
  readonly #name: string
  readonly #port: ThreadPort
  readonly #congestion: Congestion
  readonly #blockBytes: number
  readonly #serializer: RecordSerializer | undefined
  readonly #writer: BlockWriter
  readonly #spare: ArrayBuffer[] = []
  #credits: number
  /** The block is full and counted as blocked. */
  #full = false
  /** The block is to go although it is not full. */
  #flushed = false
  #open = true

  constructor(options: RemoteSenderOptions) {
    this.#name = options.name
    this.#port = options.port
    this.#congestion = options.congestion
    this.#credits = options.credits
    this.#blockBytes = options.blockBytes
    this.#serializer = options.serializer
    this.#writer = new BlockWriter({ owner: options.owner })
    this.#port.connect(this.#name, this)
  }

  element(value: unknown, timestamp: number): void {
    if (!this.#open) return
    const writer = this.#writer
    if (this.#serializer === undefined) writer.write(value)
    else writer.write(this.#serializer.serialize(value))
    writer.writeNumber(timestamp)
    if (writer.byteLength >= this.#blockBytes) this.#filled()
  }

  watermark(timestamp: number): void {
    this.#mark(WATERMARK_MARK, timestamp)
  }

  idle(idle: boolean): void {
    this.#mark(idle ? IDLE_MARK : ACTIVE_MARK)
  }

  barrier(checkpoint: number, final: boolean): void {
    this.#mark(final ? FINAL_BARRIER_MARK : BARRIER_MARK, checkpoint)
  }

  end(): void {
    this.#mark(END_MARK)
    this.flush()
  }

  flush(): void {
    if (!this.#open || this.#writer.empty) return
    this.#flushed = true
    this.#advance()
  }

  look(): void {
    this.#port.look()
  }

  close(): void {
    if (!this.#open) return
    this.#port.disconnect(this.#name)
    this.lost()
  }

  receive(message: PortMessage): void {
    if (message.kind === 'closed') {
      this.lost()
      return
    }
    if (message.kind !== 'credit' || !this.#open) return
    this.#credits++
    const { buffer } = message
    if (buffer !== undefined && buffer.byteLength <= this.#blockBytes * KEPT_BLOCKS_MAX) this.#spare.push(buffer)
    if (this.#full || this.#flushed) this.#send()
  }

  lost(): void {
    this.#open = false
    this.#spare.length = 0
    this.#writer.reset()
    this.#unblock()
  }

  #mark(mark: number, number?: number): void {
    if (!this.#open) return
    const writer = this.#writer
    writer.writeMark(mark)
    if (number !== undefined) writer.writeNumber(number)
    if (writer.byteLength >= this.#blockBytes) this.#filled()
  }

  /** The block is full: it goes, or the edge is blocked until it does. */
  #filled(): void {
    if (!this.#full) {
      this.#full = true
      this.#congestion.add()
    }
    this.#advance()
  }

  /** Sends the block when there is a credit, also one that has come unseen; `look` then sends it by itself. */
  #advance(): void {
    if (this.#credits > 0) this.#send()
    else this.#port.look()
  }

  #send(): void {
    const spare = this.#spare.pop()
    if (spare !== undefined) this.#writer.offer(spare)
    const block = this.#writer.finish()
    this.#credits--
    this.#flushed = false
    this.#port.post({ kind: 'block', channel: this.#name, block }, [block.buffer])
    this.#unblock()
  }

  #unblock(): void {
    if (!this.#full) return
    this.#full = false
    this.#congestion.ease()
  }
}
