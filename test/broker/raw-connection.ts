/**
 * A connection to the broker that sends whatever bytes it is given, and tells what came back: a whole answer, or
 * that the connection was closed.
 */
import type { Network, NetworkConnection, NetworkReceiver } from '../../src/base/index.ts'
import { type AnyApi, decodeResponse, encodeRequest, type Input } from '../../src/kafka/index.ts'

export class RawConnection implements NetworkReceiver {
  closedByPeer = false
  #connection: NetworkConnection | undefined
  #bytes: Buffer = Buffer.alloc(0)
  readonly #scratch: Buffer = Buffer.alloc(64 * 1024)
  #waiting: ((frame: Buffer | 'closed') => void) | undefined

  static async open(network: Network, address: string): Promise<RawConnection> {
    const [host = '', port] = address.split(':')
    const raw = new RawConnection()
    raw.#connection = await network.connect({ host, port: Number(port), timeoutMs: 60_000 }, raw)
    return raw
  }

  buffer(): Uint8Array {
    return this.#scratch
  }

  received(count: number): void {
    this.#bytes = Buffer.concat([this.#bytes, this.#scratch.subarray(0, count)])
    this.#offer()
  }

  closed(): void {
    this.closedByPeer = true
    this.#offer()
  }

  write(bytes: Uint8Array): void {
    this.#connection?.write([bytes])
  }

  destroy(): void {
    this.#connection?.destroy()
  }

  /** The next whole answer without its length, or that there will be none. */
  next(): Promise<Buffer | 'closed'> {
    return new Promise((resolve) => {
      this.#waiting = resolve
      this.#offer()
    })
  }

  /** One request and its answer; throws when the connection is closed instead. */
  async ask(api: AnyApi, version: number, request: Input<unknown>): Promise<unknown> {
    this.write(Buffer.concat(encodeRequest(api, version, { correlationId: 7, clientId: 'raw' }, request)))
    const frame = await this.next()
    if (frame === 'closed') throw new Error(`${api.name} version ${version}: the connection was closed`)
    return decodeResponse(api, version, frame)
  }

  #offer(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    const length = this.#bytes.length >= 4 ? this.#bytes.readInt32BE(0) : Number.POSITIVE_INFINITY
    if (this.#bytes.length >= length + 4) {
      const frame = this.#bytes.subarray(4, length + 4)
      this.#bytes = this.#bytes.subarray(length + 4)
      this.#waiting = undefined
      waiting(frame)
    } else if (this.closedByPeer) {
      this.#waiting = undefined
      waiting('closed')
    }
  }
}
