/**
 * A channel within a thread: elements go as they are, by reference, through a ring. Both ends are one object. It is blocked from
 * ELEMENTS_MAX on until half of them are read; the ring grows only by what one element makes beyond that.
 */
import { type ElementTime, NO_TIMESTAMP } from '../../core/index.ts'
import type { ChannelSender, Congestion } from './channel-sender.ts'
import type { ChannelItem, InputChannel } from './exchange.ts'

const ELEMENTS_MAX = 1024

/** What is no element, among elements. */
class ChannelEvent {
  readonly kind: 'watermark' | 'idle' | 'barrier' | 'end'
  readonly idle: boolean
  readonly checkpoint: number
  readonly final: boolean

  constructor(kind: ChannelEvent['kind'], idle = false, checkpoint = 0, final = false) {
    this.kind = kind
    this.idle = idle
    this.checkpoint = checkpoint
    this.final = final
  }
}

const WATERMARK = new ChannelEvent('watermark')
const IDLE = new ChannelEvent('idle', true)
const ACTIVE = new ChannelEvent('idle', false)
const END = new ChannelEvent('end')

/** The sender's end is `send`, the receiver's `receive`; each is asked for once, in any order. */
export class LocalChannel {
  readonly #ring = new Ring()
  #receiver: LocalReceiver | undefined
  #sender: LocalSender | undefined

  send(congestion: Congestion): ChannelSender {
    this.#sender = new LocalSender(this.#ring, congestion)
    return this.#sender
  }

  receive(time: ElementTime): InputChannel {
    this.#receiver = new LocalReceiver(this.#ring, time)
    return this.#receiver
  }

  /** Both ends were asked for. */
  get whole(): boolean {
    return this.#sender !== undefined && this.#receiver !== undefined
  }

  close(): void {
    this.#ring.drop()
  }
}

class Ring {
  values: unknown[] = new Array<unknown>(ELEMENTS_MAX).fill(undefined)
  times = new Float64Array(ELEMENTS_MAX)
  mask: number = ELEMENTS_MAX - 1
  head = 0
  size = 0
  open = true
  blocking: Congestion | undefined
  listener: (() => void) | undefined

  put(value: unknown, timestamp: number): void {
    if (this.size > this.mask) this.#grow()
    const at = (this.head + this.size) & this.mask
    this.values[at] = value
    this.times[at] = timestamp
    if (this.size++ === 0) this.listener?.()
  }

  /** Takes no more; what is there may be read. */
  shut(): void {
    this.open = false
    this.ease()
  }

  drop(): void {
    this.shut()
    this.size = 0
    this.values = []
  }

  ease(): void {
    this.blocking?.ease()
    this.blocking = undefined
  }

  #grow(): void {
    const capacity = (this.mask + 1) * 2
    const values = new Array<unknown>(capacity).fill(undefined)
    const times = new Float64Array(capacity)
    for (let i = 0; i < this.size; i++) {
      const at = (this.head + i) & this.mask
      values[i] = this.values[at]
      times[i] = this.times[at] ?? NO_TIMESTAMP
    }
    this.values = values
    this.times = times
    this.mask = capacity - 1
    this.head = 0
  }
}

class LocalSender implements ChannelSender {
  readonly #ring: Ring
  readonly #congestion: Congestion

  constructor(ring: Ring, congestion: Congestion) {
    this.#ring = ring
    this.#congestion = congestion
  }

  element(value: unknown, timestamp: number): void {
    const ring = this.#ring
    if (!ring.open) return
    ring.put(value, timestamp)
    if (ring.size >= ELEMENTS_MAX && ring.blocking === undefined) {
      ring.blocking = this.#congestion
      this.#congestion.add()
    }
  }

  watermark(timestamp: number): void {
    this.element(WATERMARK, timestamp)
  }

  idle(idle: boolean): void {
    this.element(idle ? IDLE : ACTIVE, NO_TIMESTAMP)
  }

  barrier(checkpoint: number, final: boolean): void {
    this.element(new ChannelEvent('barrier', false, checkpoint, final), NO_TIMESTAMP)
  }

  end(): void {
    this.element(END, NO_TIMESTAMP)
  }

  flush(): void {}

  look(): void {}

  close(): void {
    this.#ring.shut()
  }
}

class LocalReceiver implements InputChannel {
  readonly time: ElementTime
  value: unknown
  idle = false
  checkpoint = 0
  final = false
  readonly #ring: Ring

  constructor(ring: Ring, time: ElementTime) {
    this.#ring = ring
    this.time = time
  }

  next(): ChannelItem {
    const ring = this.#ring
    if (ring.size === 0) return 'empty'
    const at = ring.head
    const value = ring.values[at]
    ring.values[at] = undefined
    ring.head = (at + 1) & ring.mask
    ring.size--
    if (ring.blocking !== undefined && ring.size <= ELEMENTS_MAX / 2) ring.ease()
    this.time.timestamp = ring.times[at] ?? NO_TIMESTAMP
    if (value instanceof ChannelEvent) {
      this.idle = value.idle
      this.checkpoint = value.checkpoint
      this.final = value.final
      return value.kind
    }
    this.value = value
    return 'element'
  }

  get ready(): boolean {
    return this.#ring.size > 0
  }

  onArrival(listener: () => void): void {
    this.#ring.listener = listener
  }

  close(): void {
    this.#ring.drop()
    this.value = undefined
  }
}
