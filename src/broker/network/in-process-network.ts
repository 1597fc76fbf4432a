/**
 * A network without sockets: a connection is a pair of queues between a client and the broker in the same process. Bytes
 * arrive in a later turn of the event loop, all that are under way in one, in the order in which they were written; nothing
 * arrives within the call that sent it, so that neither side is entered while it is at work.
 *
 * What always holds: bytes written are copied before `write` returns; after `destroy` of either end both are told, once.
 */
import type { Clock, ConnectOptions, Network, NetworkConnection, NetworkReceiver } from '../../base/index.ts'

/** Bytes under way in one direction before the sender is asked to wait. */
const UNREAD_BYTES_MAX = 1024 * 1024

/** What stands behind an address. */
export interface Accepting {
  /** The broker's end for a new connection, or why there is none. */
  accept(host: string, port: number): AcceptedSession | Error
}

export interface AcceptedSession extends NetworkReceiver {
  attach(connection: NetworkConnection): void
}

export class InProcessNetwork implements Network {
  readonly #accepting: Accepting
  readonly #deliveries: Deliveries

  constructor(clock: Clock, accepting: Accepting) {
    this.#accepting = accepting
    this.#deliveries = new Deliveries(clock)
  }

  async connect(options: ConnectOptions, receiver: NetworkReceiver): Promise<NetworkConnection> {
    if (options.tls !== undefined) throw new Error('the embedded broker speaks no TLS')
    await this.#deliveries.turn()
    const session = this.#accepting.accept(options.host, options.port)
    if (session instanceof Error) throw session
    const client = new End(this.#deliveries, receiver)
    const broker = new End(this.#deliveries, session)
    client.pair(broker)
    broker.pair(client)
    session.attach(broker)
    return client
  }
}

/** Runs what is due, once a turn for all connections together: their order is that of the writes. */
class Deliveries {
  readonly #clock: Clock
  #due: (() => void)[] = []
  #scheduled = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  turn(): Promise<void> {
    return new Promise((resolve) => this.add(resolve))
  }

  add(deliver: () => void): void {
    this.#due.push(deliver)
    if (this.#scheduled) return
    this.#scheduled = true
    void this.#clock.nextTurn().then(() => {
      this.#scheduled = false
      const due = this.#due
      this.#due = []
      for (const each of due) each()
    })
  }
}

class End implements NetworkConnection {
  readonly #deliveries: Deliveries
  readonly #receiver: NetworkReceiver
  #peer: End | undefined
  /** What the peer wrote and this side has not read. */
  #unread: Buffer[] = []
  #unreadBytes = 0
  #scheduled = false
  #paused = false
  #gone = false
  #waiting: (() => void)[] = []

  constructor(deliveries: Deliveries, receiver: NetworkReceiver) {
    this.#deliveries = deliveries
    this.#receiver = receiver
  }

  pair(peer: End): void {
    this.#peer = peer
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const peer = this.#peer
    if (this.#gone || peer === undefined) return true
    peer.#arrive(Buffer.concat(chunks))
    return peer.#unreadBytes < UNREAD_BYTES_MAX
  }

  drained(): Promise<void> {
    const peer = this.#peer
    if (this.#gone || peer === undefined || peer.#unreadBytes < UNREAD_BYTES_MAX) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#schedule()
  }

  destroy(error?: Error): void {
    const peer = this.#peer
    this.#end(error)
    if (peer !== undefined) peer.#end()
  }

  #arrive(bytes: Buffer): void {
    this.#unread.push(bytes)
    this.#unreadBytes += bytes.length
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#paused || this.#gone || this.#unread.length === 0) return
    this.#scheduled = true
    this.#deliveries.add(() => {
      this.#scheduled = false
      this.#deliver()
    })
  }

  #deliver(): void {
    for (let bytes = this.#unread.shift(); bytes !== undefined; bytes = this.#unread.shift()) {
      this.#unreadBytes -= bytes.length
      for (let at = 0; at < bytes.length && !this.#gone; ) {
        const target = this.#receiver.buffer()
        const count = Math.min(target.length, bytes.length - at)
        target.set(bytes.subarray(at, at + count))
        at += count
        this.#receiver.received(count)
      }
      if (this.#paused || this.#gone) break
    }
    const peer = this.#peer
    if (peer !== undefined && this.#unreadBytes < UNREAD_BYTES_MAX) peer.#roomAgain()
  }

  #roomAgain(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }

  #end(error?: Error): void {
    if (this.#gone) return
    this.#gone = true
    this.#unread = []
    this.#unreadBytes = 0
    this.#roomAgain()
    this.#deliveries.add(() => this.#receiver.closed(error))
  }
}
