// A block of neighbouring free ports that no other test process takes at the same time.
//
// Why a block: a quorum must know the ports of all its members before the first one starts, and a node that is stopped
// must find its port free when it starts again. The block lies below the range from which the system gives ports to
// outgoing connections, and its first port stays bound by this process as the sign of ownership: the system itself
// releases it when the process ends, however it ends.

import { createServer, type Server } from 'node:net'
import { KafkaServerError } from './kafka-server-error.ts'

const FIRST_PORT = 20_000
const LAST_PORT = 32_000
const BLOCK_PORTS = 32
const ATTEMPTS_MAX = 60

export class PortBlock {
  readonly ports: readonly number[]
  readonly #sign: Server

  private constructor(ports: readonly number[], sign: Server) {
    this.ports = ports
    this.#sign = sign
  }

  /** Takes `count` free ports, or fails after a bounded number of blocks were found in use. */
  static async take(count: number): Promise<PortBlock> {
    if (count >= BLOCK_PORTS) {
      throw new KafkaServerError('OPTION_INVALID', `${count} ports are asked for; a block has ${BLOCK_PORTS - 1}`)
    }
    const blocks = Math.floor((LAST_PORT - FIRST_PORT) / BLOCK_PORTS)
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const first = FIRST_PORT + BLOCK_PORTS * Math.floor(Math.random() * blocks)
      const sign = await bind(first)
      if (sign === undefined) continue
      const ports = Array.from({ length: count }, (_, index) => first + 1 + index)
      if (await allFree(ports)) return new PortBlock(ports, sign)
      sign.close()
    }
    throw new KafkaServerError('KAFKA_FATAL', `no ${count} free neighbouring ports in ${ATTEMPTS_MAX} attempts`)
  }

  release(): void {
    this.#sign.close()
  }
}

async function allFree(ports: readonly number[]): Promise<boolean> {
  for (const port of ports) {
    const server = await bind(port)
    if (server === undefined) return false
    await new Promise((resolve) => server.close(resolve))
  }
  return true
}

function bind(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.unref()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server))
  })
}
