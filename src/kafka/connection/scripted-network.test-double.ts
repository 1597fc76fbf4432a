/**
 * For tests: a network in memory whose other end is a script. It takes requests apart with the codecs, answers with whatever
 * the script says (also with bytes that are no answer), in pieces of any size, and can break at any moment.
 */
import type { ConnectOptions, Network, NetworkConnection, NetworkReceiver } from '../../base/index.ts'
import type { AnyApi, Api, Input } from '../protocol/api.ts'
import { decodeRequestBody, decodeRequestHeader, encodeResponse } from '../protocol/frame.ts'
import { type ApiVersionsResponse, apiVersionsApi } from '../protocol/generated/api-versions.ts'
import { ALL_APIS } from '../protocol/index.ts'

export interface ReceivedRequest {
  readonly api: AnyApi
  readonly version: number
  readonly correlationId: number
  readonly clientId: string | null
  readonly body: unknown
}

/** Called for each request; answers with `connection.answer`, now or later, or not at all. */
export type Script = (request: ReceivedRequest, connection: ScriptedConnection) => void

/** What stands behind an address: a script, or the system's error when connecting to it, at once or later. */
export type Accept = (options: ConnectOptions) => Script | Error | Promise<Error> | 'silence'

export class ScriptedNetwork implements Network {
  readonly connections: ScriptedConnection[] = []
  /** Addresses in the order of attempts. */
  readonly attempts: string[] = []
  /** Names that were looked up. */
  readonly lookups: string[] = []
  lookup?: (host: string) => Promise<readonly string[]>
  readonly #accept: Accept

  constructor(accept: Accept) {
    this.#accept = accept
  }

  /** From now on names have these addresses, and others none. */
  name(addresses: Readonly<Record<string, readonly string[]>>): void {
    this.lookup = (host) => {
      this.lookups.push(host)
      const found = addresses[host]
      return found === undefined ? Promise.reject(new Error(`getaddrinfo ENOTFOUND ${host}`)) : Promise.resolve(found)
    }
  }

  connect(options: ConnectOptions, receiver: NetworkReceiver): Promise<NetworkConnection> {
    this.attempts.push(`${options.address ?? options.host}:${options.port}`)
    const script = this.#accept(options)
    if (script === 'silence') return new Promise(() => undefined)
    if (script instanceof Promise) return script.then((error) => Promise.reject(error))
    if (script instanceof Error) return Promise.reject(script)
    const connection = new ScriptedConnection(receiver, script, options.port)
    this.connections.push(connection)
    return Promise.resolve(connection)
  }
}

export class ScriptedConnection implements NetworkConnection {
  readonly requests: ReceivedRequest[] = []
  /** The largest piece in which answers arrive. */
  pieceBytes: number = Number.POSITIVE_INFINITY
  destroyed = false
  /** What `write` says about the room left. */
  roomy = true
  readonly port: number
  readonly #receiver: NetworkReceiver
  readonly #script: Script
  readonly #drained: (() => void)[] = []

  constructor(receiver: NetworkReceiver, script: Script, port: number) {
    this.port = port
    this.#receiver = receiver
    this.#script = script
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (this.destroyed) return true
    const bytes = Buffer.concat(chunks)
    const { header, api, body } = decodeRequestHeader(bytes.subarray(4))
    if (bytes.readInt32BE(0) !== bytes.length - 4 || api === undefined) throw new Error('not one whole request')
    const version = header.requestApiVersion
    const request = {
      api,
      version,
      correlationId: header.correlationId,
      clientId: header.clientId,
      body: decodeRequestBody(api, version, body),
    }
    this.requests.push(request)
    queueMicrotask(() => {
      if (!this.destroyed) this.#script(request, this)
    })
    return this.roomy
  }

  drained(): Promise<void> {
    return this.roomy ? Promise.resolve() : new Promise((resolve) => this.#drained.push(resolve))
  }

  drain(): void {
    this.roomy = true
    for (const resolve of this.#drained.splice(0)) resolve()
  }

  pause(): void {}

  resume(): void {}

  destroy(error?: Error): void {
    this.breakNow(error)
  }

  /** The connection ends, as when the other side closes it. */
  breakNow(error?: Error): void {
    if (this.destroyed) return
    this.destroyed = true
    this.drain()
    this.#receiver.closed(error)
  }

  answer<R>(request: ReceivedRequest, response: Input<R>, version: number = request.version): void {
    this.deliver(encodeResponse(request.api as Api<unknown, R>, version, request.correlationId, response))
  }

  /** Bytes from the other side, in the order given, in pieces. */
  deliver(chunks: readonly Uint8Array[]): void {
    const bytes = Buffer.concat(chunks)
    let at = 0
    while (at < bytes.length && !this.destroyed) {
      const target = this.#receiver.buffer()
      const count = Math.min(target.length, bytes.length - at, this.pieceBytes)
      target.set(bytes.subarray(at, at + count))
      at += count
      this.#receiver.received(count)
    }
  }
}

/** What a broker says that knows every version this code knows; `ranges` narrows some, an absent one is left out. */
export function apiVersionsOf(
  ranges: Readonly<Record<string, readonly [number, number] | 'absent'>> = {},
  features: Readonly<Record<string, number>> = {},
): Input<ApiVersionsResponse> {
  const apiKeys = ALL_APIS.flatMap((api) => {
    const range = ranges[api.name] ?? ([api.minVersion, api.maxVersion] as const)
    return range === 'absent' ? [] : [{ apiKey: api.key, minVersion: range[0], maxVersion: range[1] }]
  })
  const finalizedFeatures = Object.entries(features).map(([name, level]) => ({
    name,
    minVersionLevel: level,
    maxVersionLevel: level,
  }))
  return { apiKeys, finalizedFeatures, finalizedFeaturesEpoch: 1 }
}

/** A script that agrees on versions and leaves the rest to `then`. */
export function welcoming(then: Script, versions: Input<ApiVersionsResponse> = apiVersionsOf()): Script {
  return (request, connection) => {
    if (request.api.key === apiVersionsApi.key) connection.answer(request, versions)
    else then(request, connection)
  }
}
