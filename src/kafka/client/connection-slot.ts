/**
 * The place of one connection to one broker: made when asked for, shared by all who ask, made anew after it broke, with a
 * pause that doubles from reconnect.backoff.ms to reconnect.backoff.max.ms while the broker cannot be reached.
 */
import { MillraceError } from '../../base/index.ts'
import { BrokerConnection } from '../connection/broker-connection.ts'
import { clientClosed } from '../connection/connection-errors.ts'
import type { BrokerAddress, ClusterOptions, KafkaPorts } from './options.ts'
import { jittered } from './retrying.ts'

export class ConnectionSlot {
  readonly nodeId: number
  readonly #options: ClusterOptions
  readonly #ports: KafkaPorts
  readonly #closing: AbortSignal
  #connection: BrokerConnection | undefined
  #opening: Promise<BrokerConnection> | undefined
  #openingTo: BrokerAddress | undefined
  #failures = 0
  #notBeforeMs = Number.NEGATIVE_INFINITY

  constructor(nodeId: number, options: ClusterOptions, ports: KafkaPorts, closing: AbortSignal) {
    this.nodeId = nodeId
    this.#options = options
    this.#ports = ports
    this.#closing = closing
  }

  /** The connection when it stands. */
  get standing(): BrokerConnection | undefined {
    return this.#connection?.closed === false ? this.#connection : undefined
  }

  /** Monotonic time before which no new connection is made. */
  get notBeforeMs(): number {
    return this.#notBeforeMs
  }

  /** One attempt, after the pause that earlier failures asked for. */
  get(address: BrokerAddress): Promise<BrokerConnection> {
    const standing = this.standing
    if (standing !== undefined) {
      if (leadsTo(standing, address)) return Promise.resolve(standing)
      // The broker has moved. Who still waits for the old one may get its answer.
      standing.retire()
      this.#connection = undefined
    }
    if (this.#opening === undefined || !leadsTo(this.#openingTo, address)) {
      this.#openingTo = address
      const opening = this.#open(address).finally(() => {
        if (this.#opening === opening) this.#opening = undefined
      })
      this.#opening = opening
    }
    return this.#opening
  }

  close(): void {
    this.#connection?.close()
  }

  async #open(address: BrokerAddress): Promise<BrokerConnection> {
    const { clock, random } = this.#ports
    const { reconnectBackoffMs, reconnectBackoffMaxMs } = this.#options
    const pauseMs = this.#notBeforeMs - clock.monotonic()
    if (pauseMs > 0) await clock.sleep(pauseMs, this.#closing)
    this.#closing.throwIfAborted()
    try {
      const connection = await BrokerConnection.open(
        {
          ...address,
          nodeId: this.nodeId,
          clientId: this.#options.clientId,
          requestTimeoutMs: this.#options.requestTimeoutMs,
          setupTimeoutMs: this.#options.connectionSetupTimeoutMs,
          maxIdleMs: this.#options.connectionMaxIdleMs,
        },
        this.#ports,
      )
      if (this.#closing.aborted) {
        connection.close()
        throw clientClosed('Connecting to a broker was given up')
      }
      this.#failures = 0
      this.#connection = connection
      return connection
    } catch (error) {
      if (MillraceError.is(error) && error.retriable)
        this.#ports.logger.debug({ error: error.message }, 'no connection')
      this.#failures++
      throw error
    } finally {
      // Also after a success: a broker that closes at once is not to be asked in a circle.
      const failures = Math.max(0, this.#failures - 1)
      const backoffMs = jittered(reconnectBackoffMs, reconnectBackoffMaxMs, random, failures)
      this.#notBeforeMs = clock.monotonic() + backoffMs
    }
  }
}

function leadsTo(there: BrokerAddress | undefined, address: BrokerAddress): boolean {
  return there !== undefined && there.host === address.host && there.port === address.port
}
