/**
 * One connection to one node: requests come in, answers go out in the same order. As in Apache Kafka one request is worked on
 * at a time, so that a fetch that waits holds up what is behind it on its connection and nothing else.
 *
 * What always holds: every request ends with its answer or with the connection; bytes that are no request close it and harm
 * nobody else; what waits here is bounded, because reading stops while too much does.
 */
import {
  type Clock,
  describeError,
  type Logger,
  type NetworkConnection,
  type NetworkReceiver,
} from '../../base/index.ts'
import {
  type Api,
  apiVersionsApi,
  decodeRequestBody,
  decodeRequestHeader,
  encodeResponse,
  KafkaErrorCode,
  ProtocolError,
} from '../../kafka/index.ts'
import type { FaultPlan, FaultScene } from '../fault/fault-plan.ts'
import type { Endpoints, RequestContext } from './request-context.ts'
import { RequestReceiver } from './request-receiver.ts'
import type { Route } from './router.ts'

const WAITING_BYTES_MAX = 1024 * 1024
const WAITING_REQUESTS_MAX = 64

export interface SessionInput {
  readonly node: number
  readonly endpoints: Endpoints
  readonly clientHost: string
  readonly requestBytesMax: number
  readonly routes: ReadonlyMap<number, Route>
  readonly faults: FaultPlan
  readonly clock: Clock
  readonly logger: Logger
  /** After each request: what others waited for may be there. */
  readonly settled: () => void
  readonly ended: (session: Session) => void
}

export class Session implements NetworkReceiver {
  readonly node: number
  readonly #input: SessionInput
  readonly #receiver: RequestReceiver
  #connection: NetworkConnection | undefined
  #waiting: Buffer[] = []
  #waitingBytes = 0
  /** A request is being worked on, or its answer is on its way. */
  #busy = false
  #working = false
  #paused = false
  #gone = false
  #forget: (() => void) | undefined

  constructor(input: SessionInput) {
    this.node = input.node
    this.#input = input
    this.#receiver = new RequestReceiver(
      input.requestBytesMax,
      (frame) => this.#take(frame),
      (why) => this.close(new Error(why)),
    )
  }

  attach(connection: NetworkConnection): void {
    this.#connection = connection
  }

  buffer(): Uint8Array {
    return this.#receiver.buffer()
  }

  received(count: number): void {
    this.#receiver.received(count)
    this.#work()
  }

  closed(): void {
    if (this.#gone) return
    this.#gone = true
    this.#receiver.end()
    this.#waiting = []
    const forget = this.#forget
    this.#forget = undefined
    forget?.()
    this.#input.ended(this)
  }

  close(error?: Error): void {
    this.#connection?.destroy(error)
    this.closed()
  }

  #take(frame: Buffer): void {
    this.#waiting.push(frame)
    this.#waitingBytes += frame.length
    const much = this.#waitingBytes > WAITING_BYTES_MAX || this.#waiting.length > WAITING_REQUESTS_MAX
    if (!much || this.#paused) return
    this.#paused = true
    this.#connection?.pause()
  }

  /** One request after the other; answers that come at once do not deepen the stack. */
  #work(): void {
    if (this.#working) return
    this.#working = true
    while (!this.#busy && !this.#gone) {
      const frame = this.#waiting.shift()
      if (frame === undefined) break
      this.#waitingBytes -= frame.length
      this.#busy = true
      try {
        this.#handle(frame)
      } catch (error) {
        this.#fail(error)
      }
      this.#input.settled()
    }
    this.#working = false
    if (!this.#paused || this.#gone || this.#waitingBytes > WAITING_BYTES_MAX / 2) return
    if (this.#waiting.length > WAITING_REQUESTS_MAX / 2) return
    this.#paused = false
    this.#connection?.resume()
  }

  #handle(frame: Buffer): void {
    const { header, api, body } = decodeRequestHeader(frame)
    const version = header.requestApiVersion
    const route = this.#input.routes.get(header.requestApiKey)
    const clientId = header.clientId ?? ''
    if (api === undefined || route === undefined) {
      throw new ProtocolError(`a request with the unknown API key ${header.requestApiKey}`)
    }
    if (version < api.minVersion || version > route.maxVersion) {
      this.#refuseVersion(api.key, version, header.correlationId)
      return
    }
    const request = decodeRequestBody(api, version, body)
    const { node, endpoints, clientHost, faults } = this.#input
    const scene: FaultScene = { api: api.name, node, clientId }
    if (faults.drops(scene, 'before')) {
      this.close(new Error('dropped before the request, as planned'))
      return
    }
    const onGone = (forget: () => void): void => void (this.#forget = forget)
    const context: RequestContext = { api: api.name, version, node, clientId, clientHost, endpoints, onGone }
    let answered = false
    route.handle(request, context, (response) => {
      if (answered) return
      answered = true
      this.#forget = undefined
      this.#answer(api, version, header.correlationId, scene, response)
    })
  }

  /** Only the question for versions may be asked in a version nobody knows: it is answered in the first (KIP-511). */
  #refuseVersion(key: number, version: number, correlationId: number): void {
    if (key !== apiVersionsApi.key) throw new ProtocolError(`version ${version} of API key ${key} is not spoken here`)
    const apiKeys = [...this.#input.routes.values()].map(({ api, maxVersion }) => ({
      apiKey: api.key,
      minVersion: api.minVersion,
      maxVersion,
    }))
    const response = { errorCode: KafkaErrorCode.UNSUPPORTED_VERSION, apiKeys }
    this.#send(encodeResponse(apiVersionsApi, 0, correlationId, response))
  }

  #answer(
    api: Api<unknown, unknown>,
    version: number,
    correlationId: number,
    scene: FaultScene,
    response: unknown,
  ): void {
    if (this.#gone) return
    const { faults, clock } = this.#input
    if (faults.drops(scene, 'after')) {
      this.close(new Error('dropped after the request, as planned'))
      return
    }
    if (response === null) {
      this.#next()
      return
    }
    const throttleTimeMs = faults.throttleMs(scene)
    const told = throttleTimeMs > 0 ? { ...(response as object), throttleTimeMs } : response
    const send = (): void => {
      try {
        this.#send(encodeResponse(api, version, correlationId, told as never))
      } catch (error) {
        this.#fail(error)
      }
    }
    const delayMs = faults.delayMs(scene)
    if (delayMs > 0) clock.setTimer(delayMs, send)
    else send()
  }

  #send(chunks: readonly Uint8Array[]): void {
    const connection = this.#connection
    if (this.#gone || connection === undefined) return
    if (connection.write(chunks)) this.#next()
    else void connection.drained().then(() => this.#next())
  }

  #next(): void {
    this.#busy = false
    this.#work()
  }

  #fail(error: unknown): void {
    const { logger, node, clientHost } = this.#input
    const why = describeError(error)
    const bug = !(error instanceof ProtocolError)
    logger[bug ? 'error' : 'debug']({ node, client: clientHost, error: why }, 'a connection is closed for what it sent')
    this.close(error instanceof Error ? error : new Error(why))
  }
}
