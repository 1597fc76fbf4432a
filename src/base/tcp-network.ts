/**
 * The real network: TCP through `node:net`. Reads land in the receiver's buffers (`onread`), writes of several chunks leave
 * in one system call (cork), Nagle's delay is off because requests are framed already. Names are looked up by the system
 * (`/etc/hosts` counts), in its order.
 */
import { lookup } from 'node:dns/promises'
import { connect, isIP, type OnReadOpts, type Socket } from 'node:net'
import { MillraceError } from './millrace-error.ts'
import type { ConnectOptions, Network, NetworkConnection, NetworkReceiver } from './network.ts'

export class TcpNetwork implements Network {
  async lookup(host: string): Promise<readonly string[]> {
    if (isIP(host) !== 0) return [host]
    const found = await lookup(host, { all: true, order: 'verbatim' })
    return [...new Set(found.map(({ address }) => address))]
  }

  connect(options: ConnectOptions, receiver: NetworkReceiver): Promise<NetworkConnection> {
    // Never in the clear what was meant to be encrypted.
    if (options.tls !== undefined) {
      const where = `${options.host}:${options.port}`
      return Promise.reject(new MillraceError('NOT_SUPPORTED', `${where}: TLS is not supported by this network yet`))
    }
    return new Promise((resolve, reject) => {
      const onread: OnReadOpts = {
        buffer: () => receiver.buffer(),
        callback: (count) => {
          receiver.received(count)
          return true
        },
      }
      const { port, address = options.host } = options
      const socket = connect({ host: address, port, noDelay: true, keepAlive: true, onread })
      const where = address === options.host ? `${address}:${port}` : `${options.host}:${port} (${address})`
      let standing = false
      let failure: Error | undefined
      const timer = setTimeout(
        () => socket.destroy(new Error(`no connection to ${where} within ${options.timeoutMs} ms`)),
        options.timeoutMs,
      )
      socket.once('connect', () => {
        clearTimeout(timer)
        standing = true
        resolve(new TcpConnection(socket))
      })
      socket.once('error', (error) => {
        failure = error
      })
      socket.once('close', () => {
        clearTimeout(timer)
        if (standing) receiver.closed(failure)
        else reject(failure ?? new Error(`the connection to ${where} was closed before it stood`))
      })
    })
  }
}

/** A connection that stands, whichever side made it. */
export class TcpConnection implements NetworkConnection {
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket
    if (socket.destroyed) return true
    const [only] = chunks
    if (chunks.length === 1 && only !== undefined) return socket.write(only)
    socket.cork()
    let room = true
    for (const chunk of chunks) room = socket.write(chunk)
    socket.uncork()
    return room
  }

  drained(): Promise<void> {
    const socket = this.#socket
    if (socket.destroyed || !socket.writableNeedDrain) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        socket.off('drain', done)
        socket.off('close', done)
        resolve()
      }
      socket.on('drain', done)
      socket.on('close', done)
    })
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  destroy(error?: Error): void {
    this.#socket.destroy(error)
  }
}
