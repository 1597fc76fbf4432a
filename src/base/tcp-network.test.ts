/** The real network on the loopback: bytes arrive in the receiver's buffers, and every end is told exactly once. */
import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { NetworkConnection, NetworkReceiver } from './network.ts'
import { TcpNetwork } from './tcp-network.ts'

/** Keeps what arrives, in buffers of a given size, and how it ended. */
class Collector implements NetworkReceiver {
  readonly chunks: Buffer[] = []
  readonly ends: (Error | undefined)[] = []
  readonly #size: number
  #current = Buffer.alloc(0)
  #wake: () => void = () => undefined

  constructor(size: number) {
    this.#size = size
  }

  buffer(): Uint8Array {
    this.#current = Buffer.alloc(this.#size)
    return this.#current
  }

  received(count: number): void {
    assert.ok(count > 0 && count <= this.#size)
    this.chunks.push(this.#current.subarray(0, count))
    this.#wake()
  }

  closed(error?: Error): void {
    this.ends.push(error)
    this.#wake()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

async function serve(context: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = []
  const server: Server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  context.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function connect(
  context: TestContext,
  port: number,
  receiver: NetworkReceiver,
  timeoutMs = 60_000,
): Promise<NetworkConnection> {
  const connection = new TcpNetwork().connect({ host: '127.0.0.1', port, timeoutMs }, receiver)
  connection.then(
    (standing) => context.after(() => standing.destroy()),
    () => undefined,
  )
  return connection
}

const sequence = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => index % 251))

test('a message larger than the buffers is read in parts, in order, into the buffers that were given', async (context) => {
  const sent = sequence(100_000)
  const port = await serve(context, (socket) => socket.write(sent))
  const receiver = new Collector(1_000)
  await connect(context, port, receiver)
  await receiver.until(() => receiver.bytes.length >= sent.length)
  assert.ok(receiver.chunks.length >= 100)
  assert.deepEqual(receiver.bytes, sent)
})

test('chunks of one write and of several arrive in order', async (context) => {
  const port = await serve(context, (socket) => socket.pipe(socket))
  const receiver = new Collector(64)
  const connection = await connect(context, port, receiver)
  connection.write([Buffer.from('a'), Buffer.from('bc'), Buffer.alloc(0), Buffer.from('d')])
  connection.write([Buffer.from('e')])
  connection.write([])
  connection.write([Buffer.from('f')])
  await receiver.until(() => receiver.bytes.length === 6)
  assert.equal(receiver.bytes.toString(), 'abcdef')
})

test('a slow peer is told by write and awaited by drained', async (context) => {
  const accepted = Promise.withResolvers<Socket>()
  const port = await serve(context, (socket) => accepted.resolve(socket.pause()))
  const connection = await connect(context, port, new Collector(64))
  const peer = await accepted.promise
  await connection.drained()
  const chunk = Buffer.alloc(1 << 20)
  let written = 0
  while (connection.write([chunk]) && written < 64) written++
  assert.ok(written < 64, 'the peer took 64 MiB without reading')
  let drained = false
  const waiting = connection.drained().then(() => {
    drained = true
  })
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(drained, false)
  peer.resume()
  await waiting
})

test('drained resolves too when the connection goes, and writes after that do nothing', async (context) => {
  const port = await serve(context, (socket) => socket.pause())
  const receiver = new Collector(64)
  const connection = await connect(context, port, receiver)
  while (connection.write([Buffer.alloc(1 << 20)]));
  const waiting = connection.drained()
  connection.destroy()
  await waiting
  await connection.drained()
  assert.equal(connection.write([Buffer.from('late')]), true)
})

test('a peer that closes in order is told once, without an error', async (context) => {
  const port = await serve(context, (socket) => socket.end('bye'))
  const receiver = new Collector(64)
  const connection = await connect(context, port, receiver)
  await receiver.until(() => receiver.ends.length > 0)
  assert.equal(receiver.bytes.toString(), 'bye')
  connection.destroy()
  connection.destroy()
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.deepEqual(receiver.ends, [undefined])
})

test('a peer that resets, and an own end with a reason, are told once with the error', async (context) => {
  const port = await serve(context, (socket) => socket.once('data', () => socket.resetAndDestroy()))
  const reset = new Collector(64)
  const connection = await connect(context, port, reset)
  connection.write([Buffer.from('x')])
  await reset.until(() => reset.ends.length > 0)
  assert.match(String(reset.ends[0]), /ECONNRESET/)
  const own = new Collector(64)
  const other = await connect(context, port, own)
  other.destroy(new Error('the frame was malformed'))
  await own.until(() => own.ends.length > 0)
  assert.match(String(own.ends[0]), /malformed/)
  assert.deepEqual([reset.ends.length, own.ends.length], [1, 1])
})

test('a paused connection reads nothing until it is resumed', async (context) => {
  const accepted = Promise.withResolvers<Socket>()
  const port = await serve(context, (socket) => accepted.resolve(socket))
  const receiver = new Collector(64)
  const connection = await connect(context, port, receiver)
  const peer = await accepted.promise
  connection.pause()
  peer.write('held back')
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.equal(receiver.bytes.length, 0)
  connection.resume()
  await receiver.until(() => receiver.bytes.length === 9)
})

test('a refused connection rejects with the system error, and the receiver hears nothing', async (context) => {
  // No service has this one; a port that was free a moment ago may be somebody's by now.
  const refusing = 1
  const receiver = new Collector(64)
  await assert.rejects(connect(context, refusing, receiver), /ECONNREFUSED/)
  assert.deepEqual(receiver.ends, [])
})

test('a name has the addresses that the system knows, and an address is its own', async () => {
  const network = new TcpNetwork()
  assert.deepEqual(await network.lookup('127.0.0.1'), ['127.0.0.1'])
  assert.deepEqual(await network.lookup('::1'), ['::1'])
  const found = await network.lookup('localhost')
  assert.ok(found.length > 0 && found.every((address) => ['127.0.0.1', '::1'].includes(address)), String(found))
})

test('a given address is connected to whatever the name is, and errors name both', async (context) => {
  const port = await serve(context, (socket) => socket.write('here'))
  const options = { host: 'broker.invalid', address: '127.0.0.1', port, timeoutMs: 60_000 }
  const receiver = new Collector(64)
  const connection = await new TcpNetwork().connect(options, receiver)
  context.after(() => connection.destroy())
  await receiver.until(() => receiver.bytes.length === 4)
  const unreachable = new TcpNetwork().connect({ ...options, address: '192.0.2.1', timeoutMs: 1 }, new Collector(1))
  await assert.rejects(unreachable, /broker\.invalid:\d+ \(192\.0\.2\.1\) within 1 ms|E[A-Z]+UNREACH|ECONNREFUSED/)
})

test('a connection that does not stand in time rejects, naming host, port and time', async (context) => {
  // A host of a documentation network never answers; where there is no route to it the system says so at once.
  const connecting = new TcpNetwork().connect({ host: '192.0.2.1', port: 9, timeoutMs: 50 }, new Collector(1))
  connecting.then(
    (connection) => context.after(() => connection.destroy()),
    () => undefined,
  )
  await assert.rejects(connecting, /no connection to 192\.0\.2\.1:9 within 50 ms|ENETUNREACH|EHOSTUNREACH|ECONNREFUSED/)
})

test('what was meant to be encrypted is never sent in the clear', async (context) => {
  let connected = 0
  const port = await serve(context, () => connected++)
  const options = { host: '127.0.0.1', port, timeoutMs: 1_000, tls: {} }
  await assert.rejects(new TcpNetwork().connect(options, new Collector(1)), /TLS is not supported/)
  assert.equal(connected, 0)
})
