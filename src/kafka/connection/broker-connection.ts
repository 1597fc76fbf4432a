/**
 * One connection to one broker: requests go out in order, answers come back in the same order, and every request ends — with
 * its answer, or with an error that says whether it was sent.
 *
 * What always holds: at most `inFlightRequestsMax` requests and (beyond a single one) `inFlightBytesMax` bytes are on their
 * way, the rest waits here in order; an answer that is late, malformed or out of order closes the connection and rejects all
 * that is pending; after that the connection is `closed` for good, and a new one has to be made.
 */
import type { Clock, Network, NetworkConnection, Timer } from '../../base/index.ts'
import type { ConnectionMetrics } from '../metrics/connection-metrics.ts'
import {
  type ConnectionMessage,
  connectionChannel,
  type RequestMessage,
  requestChannel,
} from '../metrics/diagnostics.ts'
import type { AnyApi, Api, Input } from '../protocol/api.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { decodeResponse, encodeRequest } from '../protocol/frame.ts'
import { type ApiVersionsResponse, apiVersionsApi } from '../protocol/generated/api-versions.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import {
  clientClosed,
  describePeer,
  disconnected,
  malformedResponse,
  notConnected,
  type Peer,
  timedOut,
} from './connection-errors.ts'
import { FrameReceiver } from './frame-receiver.ts'
import { fallbackVersion, NegotiatedVersions, type VersionRange } from './negotiated-versions.ts'
import { RequestQueue } from './request-queue.ts'

/** Sent with ApiVersions so that the broker's metrics and logs tell the clients apart (KIP-511). */
export const CLIENT_SOFTWARE_NAME = 'millrace'
export const CLIENT_SOFTWARE_VERSION = '0.1.0'

export interface BrokerConnectionOptions extends Peer {
  readonly clientId: string
  /** Which of the host's addresses; absent, the network takes one. */
  readonly address?: string | undefined
  readonly requestTimeoutMs: number
  readonly setupTimeoutMs: number
  /** Infinity: an idle connection is kept. */
  readonly maxIdleMs: number
  readonly inFlightRequestsMax?: number
  readonly inFlightBytesMax?: number
  readonly responseBytesMax?: number
}

export interface ConnectionPorts {
  readonly network: Network
  readonly clock: Clock
  /** Those of the client that the connection belongs to. */
  readonly connectionMetrics?: ConnectionMetrics
}

export interface SendOptions {
  readonly version?: number
  readonly timeoutMs?: number
  /** The broker does not answer this request (acks=0): resolves, with undefined, when it is handed to the network. */
  readonly expectNoResponse?: boolean
}

interface PendingRequest {
  readonly api: AnyApi
  readonly version: number
  readonly correlationId: number
  readonly bytes: number
  readonly timeoutMs: number
  readonly expectNoResponse: boolean
  readonly resolve: (response: unknown) => void
  readonly reject: (error: unknown) => void
  chunks: readonly Uint8Array[]
  deadlineMs: number
  /** Monotonic; -1 before it is handed to the network. */
  writtenMs: number
}

const IN_FLIGHT_REQUESTS_MAX = 64
const IN_FLIGHT_BYTES_MAX = 64 * 1024 * 1024
/** Above what any sensible fetch answers, below what the first bytes of TLS or HTTP would be as a size. */
const RESPONSE_BYTES_MAX = 256 * 1024 * 1024

export class BrokerConnection implements Peer {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly #options: BrokerConnectionOptions
  readonly #clock: Clock
  readonly #metrics: ConnectionMetrics | undefined
  readonly #receiver: FrameReceiver = new FrameReceiver({
    announced: (bytes, correlationId) => this.#announced(bytes, correlationId),
    frame: (frame) => this.#answered(frame),
    failed: (error) => this.#end(error),
    closed: (error) => this.#end(error),
  })
  readonly #inFlight: RequestQueue<PendingRequest> = new RequestQueue()
  readonly #waiting: RequestQueue<PendingRequest> = new RequestQueue()
  #network: NetworkConnection | undefined
  #versions: NegotiatedVersions | undefined
  #apiVersions: ApiVersionsResponse | undefined
  #inFlightBytes = 0
  #nextCorrelationId = 0
  #throttledUntilMs = 0
  #throttleTimer: Timer | undefined
  #deadlineTimer: Timer | undefined
  #deadlineTimerAtMs = Number.POSITIVE_INFINITY
  #idleTimer: Timer | undefined
  #lastUsedMs: number
  #closed = false
  #retiring = false

  private constructor(options: BrokerConnectionOptions, { clock, connectionMetrics }: ConnectionPorts) {
    this.nodeId = options.nodeId
    this.host = options.host
    this.port = options.port
    this.#options = options
    this.#clock = clock
    this.#metrics = connectionMetrics
    this.#lastUsedMs = clock.monotonic()
  }

  /** Resolves when the connection stands and the versions are agreed; both within the set-up timeout. */
  static async open(options: BrokerConnectionOptions, ports: ConnectionPorts): Promise<BrokerConnection> {
    const connection = new BrokerConnection(options, ports)
    await connection.#connect(ports.network)
    try {
      await connection.#agreeOnVersions()
    } catch (error) {
      connection.#end(error)
      throw error
    }
    connection.#watchIdleness()
    return connection
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Requests sent or waiting. */
  get pending(): number {
    return this.#inFlight.length + this.#waiting.length
  }

  supports(api: AnyApi): boolean {
    return this.#versions?.supports(api) ?? false
  }

  version(api: AnyApi, range: VersionRange = {}): number {
    if (this.#versions === undefined) throw disconnected(this, api.name, false, undefined)
    return this.#versions.version(api, range)
  }

  send<Q, R>(api: Api<Q, R>, request: Input<Q>, options: SendOptions = {}): Promise<R> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw disconnected(this, api.name, false, undefined)
      const version = options.version ?? this.version(api)
      const correlationId = this.#nextCorrelationId
      const chunks = encodeRequest(api, version, { correlationId, clientId: this.#options.clientId }, request)
      this.#nextCorrelationId = (correlationId + 1) & 0x7fff_ffff
      const timeoutMs = options.timeoutMs ?? this.#options.requestTimeoutMs
      const now = this.#clock.monotonic()
      const deadlineMs = Math.max(now, this.#throttledUntilMs) + timeoutMs
      this.#waiting.push({
        api,
        version,
        correlationId,
        chunks,
        bytes: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
        timeoutMs,
        deadlineMs,
        writtenMs: -1,
        expectNoResponse: options.expectNoResponse ?? false,
        resolve: resolve as (response: unknown) => void,
        reject,
      })
      this.#flush()
      this.#watchDeadline(deadlineMs, now)
    })
  }

  /** Nothing of the response in this memory is looked at any more: a later one may be read into it. */
  giveBack(memory: ArrayBufferLike): void {
    this.#receiver.pool.giveBack(memory)
  }

  /** What the broker said when the connection was made. */
  get apiVersions(): ApiVersionsResponse | undefined {
    return this.#apiVersions
  }

  /** Closes at once; all that is pending is rejected. Idempotent. */
  close(): void {
    this.#end(clientClosed(`The connection to ${describePeer(this)} was closed`))
  }

  /** Closes when nothing is pending any more; the owner gives it to nobody else. */
  retire(): void {
    this.#retiring = true
    if (this.pending === 0) this.close()
  }

  async #connect(network: Network): Promise<void> {
    const { host, port, address, setupTimeoutMs } = this.#options
    const where = address === undefined ? { host, port } : { host, port, address }
    try {
      const connected = await network.connect({ ...where, timeoutMs: setupTimeoutMs }, this.#receiver)
      this.#network = connected
    } catch (error) {
      this.#closed = true
      throw notConnected(this, error)
    }
    if (this.#closed) throw notConnected(this, new Error('it was closed at once'))
    this.#metrics?.opened()
    if (connectionChannel.hasSubscribers) this.#tell('opened')
  }

  async #agreeOnVersions(): Promise<void> {
    const request = { clientSoftwareName: CLIENT_SOFTWARE_NAME, clientSoftwareVersion: CLIENT_SOFTWARE_VERSION }
    const timeoutMs = this.#options.setupTimeoutMs
    let response = await this.send(apiVersionsApi, request, { version: apiVersionsApi.maxVersion, timeoutMs })
    if (response.errorCode === KafkaErrorCode.UNSUPPORTED_VERSION) {
      response = await this.send(apiVersionsApi, request, { version: fallbackVersion(response), timeoutMs })
    }
    if (response.errorCode !== KafkaErrorCode.NONE) {
      throw malformedResponse(this, apiVersionsApi.name, new Error(`error code ${response.errorCode}`))
    }
    this.#apiVersions = response
    this.#versions = new NegotiatedVersions(describePeer(this), response)
  }

  /** Sends what may be sent now, in order. */
  #flush(): void {
    while (!this.#closed) {
      const request = this.#waiting.first
      if (request === undefined || !this.#mayLeave(request)) return
      this.#waiting.shift()
      this.#write(request)
    }
  }

  #mayLeave(request: PendingRequest): boolean {
    const throttledMs = this.#throttledUntilMs - this.#clock.monotonic()
    if (throttledMs > 0) {
      this.#throttleTimer ??= this.#clock.setTimer(Math.ceil(throttledMs), () => {
        this.#throttleTimer = undefined
        this.#flush()
      })
      return false
    }
    if (this.#inFlight.length === 0) return true
    const { inFlightRequestsMax = IN_FLIGHT_REQUESTS_MAX, inFlightBytesMax = IN_FLIGHT_BYTES_MAX } = this.#options
    return this.#inFlight.length < inFlightRequestsMax && this.#inFlightBytes + request.bytes <= inFlightBytesMax
  }

  #write(request: PendingRequest): void {
    const network = this.#network
    if (network === undefined) return
    this.#lastUsedMs = this.#clock.monotonic()
    const chunks = request.chunks
    request.chunks = []
    request.writtenMs = this.#lastUsedMs
    this.#metrics?.sent(request.bytes)
    if (!request.expectNoResponse) {
      this.#inFlight.push(request)
      this.#inFlightBytes += request.bytes
    }
    const room = network.write(chunks)
    if (!request.expectNoResponse) return
    if (room && !this.#closed) {
      request.resolve(undefined)
      return
    }
    network.drained().then(() => {
      if (this.#closed) request.reject(disconnected(this, request.api.name, true, undefined))
      else request.resolve(undefined)
    }, request.reject)
  }

  #announced(bytes: number, correlationId: number): void {
    const expected = this.#inFlight.first
    const what = expected === undefined ? 'nothing' : describeRequest(expected)
    const bytesMax = this.#options.responseBytesMax ?? RESPONSE_BYTES_MAX
    if (bytes < 4 || bytes > bytesMax) {
      throw malformedResponse(this, what, new ProtocolError(`a size of ${bytes} bytes (4 to ${bytesMax} are possible)`))
    }
    if (expected === undefined || expected.correlationId !== correlationId) {
      const wanted = expected === undefined ? 'no request was sent' : `${expected.correlationId} is next`
      throw malformedResponse(this, what, new ProtocolError(`correlation id ${correlationId}, but ${wanted}`))
    }
  }

  #answered(frame: Buffer): void {
    const request = this.#inFlight.first
    if (request === undefined) return
    let response: unknown
    try {
      response = decodeResponse(request.api, decodingVersion(request, frame), frame)
    } catch (error) {
      throw malformedResponse(this, describeRequest(request), error)
    }
    this.#inFlight.shift()
    this.#inFlightBytes -= request.bytes
    this.#lastUsedMs = this.#clock.monotonic()
    this.#metrics?.answered(frame.length, this.#lastUsedMs - request.writtenMs)
    if (requestChannel.hasSubscribers) this.#tellRequest(request, frame.length)
    this.#throttle((response as { readonly throttleTimeMs?: number }).throttleTimeMs ?? 0)
    request.resolve(response)
    this.#flush()
    if (this.#retiring && this.pending === 0) this.close()
  }

  /** KIP-219: the broker has answered already and counts on the client to wait. */
  #throttle(throttleMs: number): void {
    if (throttleMs <= 0) return
    const untilMs = this.#clock.monotonic() + throttleMs
    const addedMs = untilMs - Math.max(this.#throttledUntilMs, this.#clock.monotonic())
    if (addedMs <= 0) return
    this.#throttledUntilMs = untilMs
    for (const waiting of this.#waiting) waiting.deadlineMs += addedMs
    this.#throttleTimer?.cancel()
    this.#throttleTimer = undefined
  }

  /** One timer at the earliest deadline; it is set again only when it fires, or for an earlier one. */
  #watchDeadline(deadlineMs: number, now: number): void {
    if (this.#closed || deadlineMs >= this.#deadlineTimerAtMs) return
    this.#deadlineTimer?.cancel()
    this.#deadlineTimerAtMs = deadlineMs
    const onTimer = (): void => {
      this.#deadlineTimerAtMs = Number.POSITIVE_INFINITY
      this.#checkDeadlines(this.#clock.monotonic())
    }
    this.#deadlineTimer = this.#clock.setTimer(Math.max(0, Math.ceil(deadlineMs - now)), onTimer, { background: true })
  }

  #checkDeadlines(now: number): void {
    let earliest = Number.POSITIVE_INFINITY
    for (const queue of [this.#inFlight, this.#waiting]) {
      for (const request of queue) earliest = Math.min(earliest, request.deadlineMs)
    }
    if (earliest > now) this.#watchDeadline(earliest, now)
    else this.#end(new Error('an earlier request on it was not answered in time'), now)
  }

  #watchIdleness(): void {
    const { maxIdleMs } = this.#options
    if (maxIdleMs === Number.POSITIVE_INFINITY || this.#closed) return
    const idleMs = this.pending > 0 ? 0 : this.#clock.monotonic() - this.#lastUsedMs
    if (idleMs >= maxIdleMs) {
      this.close()
      return
    }
    const onTimer = (): void => this.#watchIdleness()
    this.#idleTimer = this.#clock.setTimer(Math.ceil(maxIdleMs - idleMs), onTimer, { background: true })
  }

  /** The one end of a connection. Who waited longer than its time limit is told so, the others what happened instead. */
  #end(cause: unknown, now?: number): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#network !== undefined) {
      this.#metrics?.closed()
      if (connectionChannel.hasSubscribers) this.#tell('closed', cause)
    }
    for (const timer of [this.#throttleTimer, this.#deadlineTimer, this.#idleTimer]) timer?.cancel()
    const sent = this.#inFlight.drain()
    const unsent = this.#waiting.drain()
    this.#inFlightBytes = 0
    this.#network?.destroy()
    const first = sent[0]
    for (const request of sent) this.#reject(request, this.#reason(request, true, cause, now, request === first))
    for (const request of unsent) this.#reject(request, this.#reason(request, false, cause, now, false))
  }

  #reject(request: PendingRequest, error: unknown): void {
    if (requestChannel.hasSubscribers) this.#tellRequest(request, 0, error)
    request.reject(error)
  }

  #tell(event: ConnectionMessage['event'], cause?: unknown): void {
    const { nodeId, host, port } = this
    const byClient = event === 'closed' && isCode(cause, 'CANCELLED')
    const ended = event === 'closed' ? { byClient, ...(byClient || cause === undefined ? {} : { error: cause }) } : {}
    const message: ConnectionMessage = { event, clientId: this.#options.clientId, nodeId, host, port, ...ended }
    connectionChannel.publish(message)
  }

  #tellRequest(request: PendingRequest, responseBytes: number, error?: unknown): void {
    const { nodeId, host, port } = this
    const { version, correlationId, bytes, writtenMs } = request
    const message: RequestMessage = {
      clientId: this.#options.clientId,
      ...{ nodeId, host, port },
      ...{ api: request.api.name, version, correlationId, requestBytes: bytes, responseBytes },
      latencyMs: writtenMs < 0 ? 0 : this.#clock.monotonic() - writtenMs,
      ...(error === undefined ? {} : { error }),
    }
    requestChannel.publish(message)
  }

  #reason(request: PendingRequest, sent: boolean, cause: unknown, now: number | undefined, first: boolean): unknown {
    const name = describeRequest(request)
    if (now !== undefined && request.deadlineMs <= now) return timedOut(this, name, sent, request.timeoutMs)
    if (isCode(cause, 'CANCELLED')) return cause
    // The malformed answer was the first one's; the others only lost their connection by it.
    if (isCode(cause, 'KAFKA_PROTOCOL') && first) return cause
    return disconnected(this, name, sent, cause)
  }
}

/**
 * A broker too old for the version of ApiVersions that was asked for answers in the form of version 0 (KIP-511), which can be
 * told by the error code, since that stands at the same place in all versions.
 */
function decodingVersion(request: PendingRequest, frame: Buffer): number {
  const unsupported = KafkaErrorCode.UNSUPPORTED_VERSION
  if (request.api.key === apiVersionsApi.key && frame.length >= 6 && frame.readInt16BE(4) === unsupported) return 0
  return request.version
}

function describeRequest(request: PendingRequest): string {
  return `${request.api.name} (version ${request.version})`
}

function isCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && (error as { readonly code?: unknown }).code === code
}
