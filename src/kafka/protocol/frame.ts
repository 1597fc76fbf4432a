/**
 * Whole messages as they stand on a connection: a length, a header, a body. Both sides are here, since the client sends
 * what the embedded broker receives and the other way round.
 * What always holds: encoders include the four bytes of length, decoders begin after them.
 */
import type { AnyApi, Api, Input } from './api.ts'
import { ALL_APIS, type RequestHeader, requestHeaderCodec, responseHeaderCodec } from './generated/index.ts'
import { ProtocolError } from './protocol-error.ts'
import { ProtocolReader } from './protocol-reader.ts'
import { ProtocolWriter } from './protocol-writer.ts'

const BY_KEY: ReadonlyMap<number, AnyApi> = new Map(ALL_APIS.map((api) => [api.key, api]))

/** The API of a key, or undefined when there is no code for it. */
export function apiByKey(key: number): AnyApi | undefined {
  return BY_KEY.get(key)
}

/** Names the request on its way: the broker sends the correlation id back, and logs the client id. */
export interface RequestIdentity {
  readonly correlationId: number
  readonly clientId: string | null
}

/** A request ready for the socket. The chunks may reference the caller's bytes: see ProtocolWriter. */
export function encodeRequest<Request>(
  api: Api<Request, unknown>,
  version: number,
  identity: RequestIdentity,
  request: Input<Request>,
): Uint8Array[] {
  const writer = new ProtocolWriter({ framed: true })
  const header = { requestApiKey: api.key, requestApiVersion: version, ...identity }
  requestHeaderCodec.encode(writer, header, api.requestHeaderVersion(version))
  api.request.encode(writer, request, version)
  return writer.finish()
}

export function encodeResponse<Response>(
  api: Api<unknown, Response>,
  version: number,
  correlationId: number,
  response: Input<Response>,
): Uint8Array[] {
  const writer = new ProtocolWriter({ framed: true })
  responseHeaderCodec.encode(writer, { correlationId }, api.responseHeaderVersion(version))
  api.response.encode(writer, response, version)
  return writer.finish()
}

/** The correlation id, which stands first in every version of the response header. */
export function peekCorrelationId(frame: Uint8Array): number {
  return new ProtocolReader(frame).int32()
}

/** Decodes a response; bytes left over mean that the two sides do not speak the same version, which is an error. */
export function decodeResponse<Response>(api: Api<unknown, Response>, version: number, frame: Uint8Array): Response {
  const reader = new ProtocolReader(frame)
  responseHeaderCodec.decode(reader, api.responseHeaderVersion(version))
  const response = api.response.decode(reader, version)
  assertConsumed(reader, api.response.name, version)
  return response
}

export interface RequestFrame {
  readonly header: RequestHeader
  /** Undefined when there is no code for the key in the header; `body` then stands after the oldest form of header. */
  readonly api: AnyApi | undefined
  /** Stands at the body: decode it with `decodeRequestBody`, if the version is one that is spoken. */
  readonly body: ProtocolReader
}

export function decodeRequestHeader(frame: Uint8Array): RequestFrame {
  const body = new ProtocolReader(frame)
  const start = new ProtocolReader(frame)
  const api = apiByKey(start.int16())
  const header = requestHeaderCodec.decode(body, api?.requestHeaderVersion(start.int16()) || 1)
  return { header, api, body }
}

export function decodeRequestBody<Request>(api: Api<Request, unknown>, version: number, body: ProtocolReader): Request {
  const request = api.request.decode(body, version)
  assertConsumed(body, api.request.name, version)
  return request
}

function assertConsumed(reader: ProtocolReader, name: string, version: number): void {
  if (reader.remaining === 0) return
  throw new ProtocolError(`${name} version ${version}: ${reader.remaining} bytes left over after the message`)
}
