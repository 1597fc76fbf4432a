/**
 * The network between a job's processes and the embedded broker: what a real one may do to a connection it does by chance.
 * Bytes take their time, come in pieces, and are overtaken by those of other connections; on one connection they stay in order,
 * whole or cut off. Faults beyond the weather are asked of `fault`.
 */
import type { ConnectOptions, Network, NetworkConnection, NetworkReceiver } from '../../base/index.ts'
import type { Dice } from './dice.ts'
import { type EventLoop, type EventOwner, OUTSIDE } from './event-loop.ts'
import type { SimulatedProcess } from './simulated-process.ts'

export interface NetworkFault {
  /** Both ends are told, or nobody is and nothing arrives any more. */
  readonly kind: 'cut' | 'black-hole' | 'slow'
  readonly extraMs?: number
}

export type Direction = 'to the broker' | 'to the job'

/** Looks at the bytes, and may give others. */
export interface Wiretap {
  /** A connection was made; answers a listener for whole frames of it. */
  attach(process: SimulatedProcess): FrameTap
}

export interface FrameTap {
  /** Bytes that leave the process. */
  sent(bytes: Buffer): void
  /** Bytes for the broker arrived. */
  delivered(count: number): void
  /** Bytes that leave the broker, and what shall arrive instead. */
  answered(bytes: Buffer): Buffer
}

export class SimulatedNetwork {
  /** Asked at each write. */
  fault: (process: SimulatedProcess, direction: Direction) => NetworkFault | undefined = () => undefined
  tap: Wiretap | undefined
  readonly #loop: EventLoop
  readonly #dice: Dice
  readonly #brokers: Network

  constructor(loop: EventLoop, dice: Dice, brokers: Network) {
    this.#loop = loop
    this.#dice = dice
    this.#brokers = brokers
  }

  networkOf(process: SimulatedProcess): Network {
    return {
      connect: (options, receiver) =>
        new Promise((resolve, reject) => {
          if (!process.called('connect')) return
          process.whenAwake(() => {
            const link = new Link(this.#loop, this.#dice, this, process, receiver)
            this.#loop.after(this.latencyMs(), OUTSIDE, 'a connection is asked for', () => {
              void this.#connect(link, process, options, resolve, reject)
            })
          })
        }),
    }
  }

  /** What one message takes. */
  latencyMs(): number {
    const spike = this.#dice.chance(0.01) ? 8 : 0.25
    return 0.02 + this.#dice.next() * spike
  }

  async #connect(
    link: Link,
    process: SimulatedProcess,
    options: ConnectOptions,
    resolve: (connection: NetworkConnection) => void,
    reject: (error: Error) => void,
  ): Promise<void> {
    let told: () => void
    try {
      link.inner = await this.#brokers.connect(options, link.fromBroker)
      if (process.gone) link.inner.destroy()
      told = () => resolve(link)
    } catch (error) {
      told = () => reject(error instanceof Error ? error : new Error(String(error)))
    }
    this.#loop.after(this.latencyMs(), process, 'a connection stands or not', () => {
      if (process.called('connected')) told()
    })
  }
}

/** One connection: two lines, one each way. */
class Link implements NetworkConnection {
  inner: NetworkConnection | undefined
  readonly fromBroker: NetworkReceiver
  readonly #loop: EventLoop
  readonly #network: SimulatedNetwork
  readonly #process: SimulatedProcess
  readonly #receiver: NetworkReceiver
  readonly #tap: FrameTap | undefined
  readonly #up: Line
  readonly #down: Line
  /** Arrived at the job, which does not read at the moment. */
  readonly #unread: Buffer[] = []
  #paused = false
  #ended = false

  constructor(
    loop: EventLoop,
    dice: Dice,
    network: SimulatedNetwork,
    process: SimulatedProcess,
    receiver: NetworkReceiver,
  ) {
    this.#loop = loop
    this.#network = network
    this.#process = process
    this.#receiver = receiver
    this.#tap = network.tap?.attach(process)
    this.#up = new Line(loop, dice, network, OUTSIDE)
    this.#down = new Line(loop, dice, network, process)
    const arrived = Buffer.alloc(16 * 1024)
    this.fromBroker = {
      buffer: () => arrived,
      received: (count) => this.#answer(Buffer.from(arrived.subarray(0, count))),
      closed: (error) => this.#down.send('the broker closed', undefined, () => this.#close(error)),
    }
    process.onDeath.push(() => this.#die())
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const bytes = Buffer.concat(chunks)
    if (!this.#process.called('write')) return true
    this.#process.whenAwake(() => {
      if (this.#ended) return
      this.#tap?.sent(bytes)
      this.#strike('to the broker', this.#up)
      this.#up.sendPieces('bytes for the broker', bytes, (piece) => {
        this.#tap?.delivered(piece.length)
        this.inner?.write([piece])
      })
    })
    return true
  }

  async drained(): Promise<void> {}

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#read()
  }

  destroy(error?: Error): void {
    if (!this.#process.called('close a connection')) return
    this.#process.whenAwake(() => {
      this.#up.send('the job closed', undefined, () => this.inner?.destroy())
      this.#loop.after(0, this.#process, 'a connection is closed', () => this.#close(error))
    })
  }

  #answer(bytes: Buffer): void {
    if (this.#process.gone || this.#ended) return
    this.#strike('to the job', this.#down)
    const told = this.#tap?.answered(bytes) ?? bytes
    if (told.length === 0) return
    this.#down.sendPieces('bytes for the job', told, (piece) => {
      if (!this.#process.called('bytes arrive')) return
      this.#unread.push(piece)
      this.#read()
    })
  }

  #strike(direction: Direction, line: Line): void {
    const fault = this.#network.fault(this.#process, direction)
    if (fault === undefined) return
    if (fault.kind === 'slow') line.delay(fault.extraMs ?? 0)
    else if (fault.kind === 'black-hole') {
      this.#up.lose()
      this.#down.lose()
    } else {
      this.#up.lose()
      this.inner?.destroy(new Error('the connection was cut, as planned'))
      this.#down.lose()
      this.#down.restore()
      this.#down.send('the connection is cut', undefined, () => this.#close(new Error('the connection was cut')))
    }
  }

  #read(): void {
    while (!this.#paused && !this.#ended) {
      const bytes = this.#unread.shift()
      if (bytes === undefined) return
      for (let at = 0; at < bytes.length && !this.#ended; ) {
        const target = this.#receiver.buffer()
        const count = Math.min(target.length, bytes.length - at)
        target.set(bytes.subarray(at, at + count))
        at += count
        this.#receiver.received(count)
      }
    }
  }

  #close(error?: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#unread.length = 0
    if (!this.#process.gone) this.#receiver.closed(error)
  }

  /** What was written may still arrive, as far as it had come; then the other end is told. */
  #die(): void {
    this.#ended = true
    this.#up.cutSomewhere()
    this.#up.send('the connections of a dead process close', undefined, () => this.inner?.destroy())
  }
}

/** One direction of a connection: what is sent arrives in order. */
class Line {
  readonly #loop: EventLoop
  readonly #dice: Dice
  readonly #network: SimulatedNetwork
  readonly #owner: EventOwner
  #lastMs = 0
  #lost = false
  /** On their way, oldest first. */
  #underWay: { cancel(): void }[] = []

  constructor(loop: EventLoop, dice: Dice, network: SimulatedNetwork, owner: EventOwner) {
    this.#loop = loop
    this.#dice = dice
    this.#network = network
    this.#owner = owner
  }

  sendPieces(what: string, bytes: Buffer, arrive: (piece: Buffer) => void): void {
    let at = 0
    while (at < bytes.length) {
      const left = bytes.length - at
      const size = this.#dice.chance(0.06) ? 1 + this.#dice.below(left) : left
      const piece = bytes.subarray(at, at + size)
      this.send(what, piece, () => arrive(piece))
      at += size
    }
  }

  send(what: string, bytes: Buffer | undefined, arrive: () => void): void {
    if (this.#lost) return
    const atMs = Math.max(this.#loop.elapsedMs + this.#network.latencyMs(), this.#lastMs)
    this.#lastMs = atMs
    const timer = this.#loop.after(atMs - this.#loop.elapsedMs, this.#owner, what, () => {
      this.#underWay.splice(this.#underWay.indexOf(timer), 1)
      if (bytes !== undefined) this.#loop.note(what, bytes)
      arrive()
    })
    this.#underWay.push(timer)
  }

  delay(ms: number): void {
    this.#lastMs = Math.max(this.#lastMs, this.#loop.elapsedMs) + ms
  }

  /** Nothing arrives any more, nor what is on its way. */
  lose(): void {
    this.#lost = true
    for (const timer of this.#underWay.splice(0)) timer.cancel()
  }

  restore(): void {
    this.#lost = false
  }

  /** What is on its way arrives up to some point. */
  cutSomewhere(): void {
    const kept = this.#dice.below(this.#underWay.length + 1)
    for (const timer of this.#underWay.splice(kept)) timer.cancel()
  }
}
