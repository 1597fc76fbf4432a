/**
 * Finds a broker that answers: one that is connected already, else those the metadata names, else the bootstrap servers, again
 * and again until the caller's time is over. Who gives up is told every address, what the system said about it, and what to
 * look at.
 */
import { describeError, MillraceError } from '../../base/index.ts'
import type { BrokerConnection } from '../connection/broker-connection.ts'
import { ConnectionSlot } from './connection-slot.ts'
import type { BrokerAddress, ClusterOptions, KafkaPorts } from './options.ts'
import { backoffMs, OUT_OF_TIME, type RetryLimits, within } from './retrying.ts'

export interface KnownBrokers {
  known(): readonly (BrokerAddress & { readonly nodeId: number })[]
  slot(nodeId: number): ConnectionSlot
}

interface Candidate {
  readonly address: BrokerAddress
  readonly slot: ConnectionSlot
}

export class BrokerFinder {
  readonly #options: ClusterOptions
  readonly #ports: KafkaPorts
  readonly #closing: AbortSignal
  readonly #brokers: KnownBrokers
  readonly #bootstrap: readonly Candidate[]
  #round: Promise<BrokerConnection | undefined> | undefined
  /** What happened last at each address that was tried since a broker last answered. */
  readonly #tried: Map<string, unknown> = new Map()

  constructor(options: ClusterOptions, ports: KafkaPorts, closing: AbortSignal, brokers: KnownBrokers) {
    this.#options = options
    this.#ports = ports
    this.#closing = closing
    this.#brokers = brokers
    const slot = (): ConnectionSlot => new ConnectionSlot(-1, options, ports, closing)
    this.#bootstrap = options.bootstrapServers.map((address) => ({ address, slot: slot() }))
  }

  async find(limits: RetryLimits): Promise<BrokerConnection> {
    const standing = this.#standing()
    if (standing !== undefined) return standing
    const { clock, random } = this.#ports
    const startedMs = clock.monotonic()
    const timeoutMs = limits.timeoutMs ?? this.#options.defaultApiTimeoutMs
    for (let failures = 0; ; failures++) {
      const remainingMs = Math.max(0, timeoutMs - (clock.monotonic() - startedMs))
      this.#round ??= this.#tryAll().finally(() => {
        this.#round = undefined
      })
      try {
        const connection = await within(clock, remainingMs, this.#round, limits.signal)
        if (connection !== undefined) return connection
      } catch (error) {
        if (error === OUT_OF_TIME) throw this.#notFound(clock.monotonic() - startedMs, true)
        throw error
      }
      const elapsedMs = clock.monotonic() - startedMs
      if (this.#hopeless()) throw this.#notFound(elapsedMs, false)
      const pauseMs = backoffMs(this.#options, random, failures)
      if (elapsedMs + pauseMs >= timeoutMs) throw this.#notFound(elapsedMs, true)
      await clock.sleep(pauseMs, limits.signal)
    }
  }

  /** The error for giving up now, if no broker answers. */
  unreachable(elapsedMs: number): MillraceError | undefined {
    if (this.#standing() !== undefined) return undefined
    return this.#tried.size > 0 || this.#round !== undefined ? this.#notFound(elapsedMs, true) : undefined
  }

  close(): void {
    for (const { slot } of this.#bootstrap) slot.close()
  }

  #standing(): BrokerConnection | undefined {
    for (const { nodeId } of this.#brokers.known()) {
      const connection = this.#brokers.slot(nodeId).standing
      if (connection !== undefined) return connection
    }
    return this.#bootstrap.find(({ slot }) => slot.standing !== undefined)?.slot.standing
  }

  /** Each address once, those first that need no pause; undefined when none answers. */
  async #tryAll(): Promise<BrokerConnection | undefined> {
    const known = this.#brokers.known().map((broker) => ({
      address: { host: broker.host, port: broker.port },
      slot: this.#brokers.slot(broker.nodeId),
    }))
    const candidates = [...shuffled(known, () => this.#ports.random.next()), ...this.#bootstrap]
    const now = this.#ports.clock.monotonic()
    candidates.sort((a, b) => pauseMs(a, now) - pauseMs(b, now))
    for (const { address, slot } of candidates) {
      this.#closing.throwIfAborted()
      try {
        const connection = await slot.get(address)
        this.#tried.clear()
        return connection
      } catch (error) {
        this.#closing.throwIfAborted()
        this.#tried.set(`${address.host}:${address.port}`, error)
      }
    }
    return undefined
  }

  /** Whether every address answered, but with something that another attempt will not change. */
  #hopeless(): boolean {
    if (this.#tried.size === 0) return false
    return [...this.#tried.values()].every((error) => MillraceError.is(error) && !error.retriable)
  }

  #notFound(elapsedMs: number, retriable: boolean): MillraceError {
    const addresses = [...this.#tried].map(([address, error]) => `${address} (${reason(error)})`)
    for (const { address } of this.#bootstrap) {
      const text = `${address.host}:${address.port}`
      if (!this.#tried.has(text)) addresses.push(`${text} (no answer yet)`)
    }
    const patience = retriable ? `, tried for ${Math.round(elapsedMs)} ms (default.api.timeout.ms)` : ''
    return new MillraceError(
      'KAFKA_UNREACHABLE',
      `No Kafka broker answers at ${addresses.join(', ')}${patience}. Nothing was sent, nothing is lost. Check that bootstrap.servers is right, that the brokers run, that their advertised.listeners can be reached from here, and that the listener speaks the configured security.protocol.`,
      { retriable },
    )
  }
}

function pauseMs({ slot }: Candidate, now: number): number {
  return Math.max(0, slot.notBeforeMs - now)
}

function reason(error: unknown): string {
  return describeError(MillraceError.is(error) && error.code === 'KAFKA_DISCONNECTED' ? (error.cause ?? error) : error)
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const shuffled = [...items]
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const moved = shuffled[i] as T
    shuffled[i] = shuffled[j] as T
    shuffled[j] = moved
  }
  return shuffled
}
