/**
 * The real network's other side: accepts TCP connections through `node:net` and hands each to whoever listens as the same pair
 * of connection and receiver that `TcpNetwork` gives to whoever connects.
 */
import { createServer, type Socket } from 'node:net'
import type { NetworkConnection, NetworkReceiver } from './network.ts'
import { TcpConnection } from './tcp-network.ts'

/** What to do with a new connection: the receiver of its bytes, or undefined to refuse it. */
export type AcceptConnection = (connection: NetworkConnection, peer: string) => NetworkReceiver | undefined

export class TcpListener {
  readonly host: string
  readonly port: number
  readonly #stop: () => Promise<void>

  private constructor(host: string, port: number, stop: () => Promise<void>) {
    this.host = host
    this.port = port
    this.#stop = stop
  }

  /** Resolves when it listens; port 0 takes any free one. */
  static listen(
    options: { readonly host: string; readonly port: number },
    accept: AcceptConnection,
  ): Promise<TcpListener> {
    const sockets = new Set<Socket>()
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      connect(socket, accept)
    })
    const stop = (): Promise<void> =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(options.port, options.host, () => {
        server.off('error', reject)
        const address = server.address()
        const port = typeof address === 'object' && address !== null ? address.port : options.port
        resolve(new TcpListener(options.host, port, stop))
      })
    })
  }

  /** Closes all its connections too; idempotent. */
  close(): Promise<void> {
    return this.#stop()
  }
}

function connect(socket: Socket, accept: AcceptConnection): void {
  let failure: Error | undefined
  socket.on('error', (error) => {
    failure = error
  })
  const receiver = accept(new TcpConnection(socket), socket.remoteAddress ?? '')
  if (receiver === undefined) {
    socket.destroy()
    return
  }
  socket.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length && !socket.destroyed; ) {
      const target = receiver.buffer()
      const count = Math.min(target.length, chunk.length - at)
      target.set(chunk.subarray(at, at + count))
      at += count
      receiver.received(count)
    }
  })
  socket.once('close', () => receiver.closed(failure))
}
