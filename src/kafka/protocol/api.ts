/**
 * The shape of every generated API: a key, the versions there are, and a codec for each direction, so that the client
 * and the embedded broker speak from one source. The generated files hold field-by-field functions only; what is the
 * same for all of them (the version check, the name in errors, the header versions) stands here.
 */
import { ProtocolError } from './protocol-error.ts'
import type { ProtocolReader } from './protocol-reader.ts'
import type { BytesInput, ProtocolWriter } from './protocol-writer.ts'

/**
 * What an encoder takes: every field may be absent and then has the default of its definition, at any depth; bytes may
 * come in several pieces.
 */
export type Input<T> = T extends Uint8Array
  ? BytesInput
  : T extends readonly (infer Element)[]
    ? readonly Input<Element>[]
    : T extends object
      ? { readonly [Field in keyof T]?: Input<T[Field]> | undefined }
      : T

export interface Codec<T> {
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
  /** The first version with compact lengths and tagged fields; Infinity when there is none. */
  readonly flexibleFrom: number
  /** Throws a ProtocolError for a value the version cannot carry. */
  encode(writer: ProtocolWriter, value: Input<T>, version: number): void
  /** Throws a ProtocolError for bytes that are no such message. Fields the version lacks have their default. */
  decode(reader: ProtocolReader, version: number): T
}

export interface Api<Request, Response> {
  readonly key: number
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
  /** The newest version may still change on the brokers' side: neither offered nor used unless asked for. */
  readonly latestVersionUnstable: boolean
  readonly request: Codec<Request>
  readonly response: Codec<Response>
  requestHeaderVersion(version: number): 0 | 1 | 2
  responseHeaderVersion(version: number): 0 | 1
}

/** An API of which only the wire matters. */
export type AnyApi = Api<unknown, unknown>

/** The identifier of a topic that has none, or of none at all. */
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA'

/** ApiVersions is answered before the versions are agreed on, so its response header never became flexible (KIP-511). */
const API_VERSIONS_KEY = 18

export function defineCodec<T>(
  name: string,
  minVersion: number,
  maxVersion: number,
  flexibleFrom: number,
  encodeFields: (writer: ProtocolWriter, value: Input<T>, version: number) => void,
  decodeFields: (reader: ProtocolReader, version: number) => T,
): Codec<T> {
  function checkVersion(version: number): void {
    if (version >= minVersion && version <= maxVersion) return
    const range = `${minVersion} to ${maxVersion}`
    throw new ProtocolError(`${name} has versions ${range}, not ${version}`, 'KAFKA_VERSION_UNSUPPORTED')
  }
  function named(error: unknown, version: number): unknown {
    return error instanceof ProtocolError
      ? new ProtocolError(`${name} version ${version}: ${error.message}`, error.code)
      : error
  }
  return {
    name,
    minVersion,
    maxVersion,
    flexibleFrom,
    encode(writer, value, version) {
      checkVersion(version)
      try {
        encodeFields(writer, value, version)
      } catch (error) {
        throw named(error, version)
      }
    },
    decode(reader, version) {
      checkVersion(version)
      try {
        return decodeFields(reader, version)
      } catch (error) {
        throw named(error, version)
      }
    },
  }
}

export function defineApi<Request, Response>(
  key: number,
  name: string,
  latestVersionUnstable: boolean,
  request: Codec<Request>,
  response: Codec<Response>,
): Api<Request, Response> {
  return {
    key,
    name,
    minVersion: request.minVersion,
    maxVersion: request.maxVersion,
    latestVersionUnstable,
    request,
    response,
    requestHeaderVersion: (version) => (version >= request.flexibleFrom ? 2 : 1),
    responseHeaderVersion: (version) => (version >= response.flexibleFrom && key !== API_VERSIONS_KEY ? 1 : 0),
  }
}
