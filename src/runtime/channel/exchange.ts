/**
 * The two ends of an edge between tasks. Elements, watermarks and barriers travel in one order per channel (one sending subtask,
 * one receiving subtask). Between threads they go in blocks of serialised elements against credits, within a thread as they are;
 * the tasks see no difference. There is no message, promise or envelope per element.
 */
import type { ElementTime, Output } from '../../core/index.ts'

/**
 * What `next` found. `element`: `value` holds it, and the timestamp stands in the ElementTime that the channel was made with.
 * `watermark`: that ElementTime's field holds its time. `idle`: see `idle`. `barrier`: see `checkpoint` and `final`.
 * `end`: nothing will follow. `empty`: nothing has arrived yet.
 */
export type ChannelItem = 'element' | 'watermark' | 'idle' | 'barrier' | 'end' | 'empty'

/** The receiving end of one channel. */
export interface InputChannel {
  readonly time: ElementTime
  next(): ChannelItem
  readonly value: unknown
  readonly idle: boolean
  readonly checkpoint: number
  readonly final: boolean
  /** True when `next` would answer something other than `empty`. */
  readonly ready: boolean
  /** Called each time something arrives while the channel is empty. One listener. */
  onArrival(listener: () => void): void
  /** Drops what is under way. Idempotent. */
  close(): void
}

/**
 * The sending end of one edge of one subtask: all its channels. `emit` partitions; watermarks, idleness, barriers and the end go
 * to every channel. Nothing is refused: when credits are used up `blocked` is true, what one element still makes is kept, and
 * the task emits nothing more until `writable` resolves.
 */
export interface OutputEdge extends Output<unknown> {
  emitBarrier(checkpoint: number, final: boolean): void
  end(): void
  /** Sends blocks that are not full. Called when the input runs dry, when the chain is blocked, and after a barrier. */
  flush(): void
  readonly blocked: boolean
  writable(): Promise<void>
  /** Makes `writable` resolve; nothing is sent any more. Idempotent. */
  close(): void
}
