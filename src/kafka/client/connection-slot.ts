/**
 * The place of one connection to one broker: made when asked for, shared by all who ask, made anew after it broke, with a
 * pause that doubles from reconnect.backoff.ms to reconnect.backoff.max.ms while the broker cannot be reached.
 *
 * A host with several addresses is tried address by address, each within the set-up timeout, and a connection that is made
 * anew begins with the address behind the last one used (Java's client.dns.lookup=use_all_dns_ips), so that one bad address
 * of a name costs a while but never the broker. The name is looked up each time: its addresses may be others by then.
 */
import { MillraceError } from '../../base/index.ts'
import { BrokerConnection } from '../connection/broker-connection.ts'
import { clientClosed, notConnected, notConnectedAnywhere, type Peer } from '../connection/connection-errors.ts'
import type { BrokerAddress, ClusterOptions, KafkaPorts } from './options.ts'
import { jittered, OUT_OF_TIME, within } from './retrying.ts'

export class ConnectionSlot {
  readonly nodeId: number
  readonly #options: ClusterOptions
  readonly #ports: KafkaPorts
  readonly #closing: AbortSignal
  #connection: BrokerConnection | undefined
  #opening: Promise<BrokerConnection> | undefined
  #openingTo: BrokerAddress | undefined
  /** The address that was tried last. */
  #lastTried: string | undefined
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
      const connection = await this.#connect({ ...address, nodeId: this.nodeId })
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

  /** Address by address; what another address would not change ends it at once. */
  async #connect(peer: Peer): Promise<BrokerConnection> {
    const setupTimeoutMs = this.#setupTimeoutMs()
    const failures = new Map<string, unknown>()
    for (const address of await this.#addresses(peer, setupTimeoutMs)) {
      this.#lastTried = address
      try {
        return await this.#connectTo(peer, address, setupTimeoutMs)
      } catch (error) {
        this.#closing.throwIfAborted()
        if (address === undefined || !MillraceError.is(error) || !error.retriable) throw error
        failures.set(address, error)
      }
    }
    const [only] = failures.values()
    throw failures.size === 1 ? only : notConnectedAnywhere(peer, failures)
  }

  #connectTo(peer: Peer, address: string | undefined, setupTimeoutMs: number): Promise<BrokerConnection> {
    const { clientId, requestTimeoutMs, connectionMaxIdleMs: maxIdleMs } = this.#options
    const options = { ...peer, address, clientId, requestTimeoutMs, setupTimeoutMs, maxIdleMs }
    return BrokerConnection.open(options, this.#ports)
  }

  /** The addresses of the host, beginning behind the one that was tried last; undefined where the network needs none. */
  async #addresses(peer: Peer, timeoutMs: number): Promise<readonly (string | undefined)[]> {
    const { network, clock } = this.#ports
    if (network.lookup === undefined) return [undefined]
    let addresses: readonly string[]
    try {
      addresses = await within(clock, timeoutMs, network.lookup(peer.host), this.#closing)
    } catch (error) {
      this.#closing.throwIfAborted()
      const late = `no address of ${peer.host} was found within ${timeoutMs} ms`
      throw notConnected(peer, error === OUT_OF_TIME ? new Error(late) : error)
    }
    if (addresses.length === 0) throw notConnected(peer, new Error(`${peer.host} has no address`))
    const first = this.#lastTried === undefined ? 0 : addresses.indexOf(this.#lastTried) + 1
    return [...addresses.slice(first), ...addresses.slice(0, first)]
  }

  /** Grows with the failures, as Java's does (KIP-601): where the network is slow, a short limit would never be met. */
  #setupTimeoutMs(): number {
    const { connectionSetupTimeoutMs: firstMs, connectionSetupTimeoutMaxMs: maxMs } = this.#options
    return this.#failures === 0 ? firstMs : Math.ceil(jittered(firstMs, maxMs, this.#ports.random, this.#failures))
  }
}

function leadsTo(there: BrokerAddress | undefined, address: BrokerAddress): boolean {
  return there !== undefined && there.host === address.host && there.port === address.port
}
