/**
 * What can go wrong with a connection, in words. Retriable means: the same request on a new connection may succeed. Whether
 * the broker acted on a request whose answer never came is unknown, which is what the messages say.
 */
import { describeError, MillraceError } from '../../base/index.ts'

export interface Peer {
  /** -1 when it is known by its address only. */
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

const TRIES_AGAIN = 'The connection is closed; whoever asked tries again on a new one, until its own time limit.'

export function describePeer(peer: Peer): string {
  const address = peer.host.includes(':') ? `[${peer.host}]:${peer.port}` : `${peer.host}:${peer.port}`
  return peer.nodeId < 0 ? `the Kafka broker at ${address}` : `Kafka broker ${peer.nodeId} (${address})`
}

export function notConnected(peer: Peer, cause: unknown): MillraceError {
  return new MillraceError(
    'KAFKA_DISCONNECTED',
    `No connection to ${describePeer(peer)}: ${describeError(cause)}. Nothing was sent.`,
    { retriable: true, next: TRIES_AGAIN, cause },
  )
}

/** After every address of the host was tried. */
export function notConnectedAnywhere(peer: Peer, failures: ReadonlyMap<string, unknown>): MillraceError {
  const tried = [...failures].map(([address, error]) => {
    const cause = MillraceError.is(error) && error.code === 'KAFKA_DISCONNECTED' ? (error.cause ?? error) : error
    return `${address} (${describeError(cause)})`
  })
  return notConnected(peer, new Error(`none of the ${tried.length} addresses of ${peer.host}: ${tried.join(', ')}`))
}

export function disconnected(peer: Peer, request: string, sent: boolean, cause: unknown): MillraceError {
  const why = cause === undefined ? 'the broker closed it' : describeError(cause)
  const effect = sent ? 'Whether the broker acted on the request is unknown.' : 'The request was not sent.'
  return new MillraceError(
    'KAFKA_DISCONNECTED',
    `The connection to ${describePeer(peer)} ended before ${request} was answered: ${why}. ${effect}`,
    { retriable: true, next: TRIES_AGAIN, cause },
  )
}

export function timedOut(peer: Peer, request: string, sent: boolean, timeoutMs: number): MillraceError {
  const effect = sent ? 'Whether the broker acted on the request is unknown.' : 'The request was not sent.'
  return new MillraceError(
    'KAFKA_TIMEOUT',
    `${request} was not answered by ${describePeer(peer)} within ${timeoutMs} ms. ${effect}`,
    { retriable: true, next: TRIES_AGAIN },
  )
}

export function malformedResponse(peer: Peer, request: string, cause: unknown): MillraceError {
  return new MillraceError(
    'KAFKA_PROTOCOL',
    `What ${describePeer(peer)} sent as the answer to ${request} is no such message: ${describeError(cause)}. Is this address a Kafka broker's, and its listener's security protocol the configured one? Nothing of the answer was used.`,
    { next: 'The connection is closed.', cause },
  )
}

export function clientClosed(what: string): MillraceError {
  return new MillraceError('CANCELLED', `${what}: this Kafka client was closed meanwhile.`, {
    next: 'Nothing more is sent.',
  })
}
