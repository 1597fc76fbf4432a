/**
 * Which versions of each API one broker speaks, as it said when the connection was made. Versions are agreed per connection,
 * never per cluster: in a rolling upgrade two brokers may differ.
 */
import { MillraceError } from '../../base/index.ts'
import type { AnyApi } from '../protocol/api.ts'
import { type ApiVersionsResponse, apiVersionsApi } from '../protocol/generated/api-versions.ts'

export interface VersionRange {
  readonly min?: number
  readonly max?: number
}

export class NegotiatedVersions {
  readonly #ranges: ReadonlyMap<number, { readonly min: number; readonly max: number }>
  readonly #peer: string

  constructor(peer: string, response: ApiVersionsResponse) {
    this.#peer = peer
    this.#ranges = new Map(response.apiKeys.map((api) => [api.apiKey, { min: api.minVersion, max: api.maxVersion }]))
  }

  supports(api: AnyApi): boolean {
    return this.#highest(api, {}) !== undefined
  }

  /** The highest version both sides know within the wanted range. */
  version(api: AnyApi, range: VersionRange = {}): number {
    const version = this.#highest(api, range)
    if (version !== undefined) return version
    const theirs = this.#ranges.get(api.key)
    const wanted = ours(api, range)
    const speaks =
      theirs === undefined ? `does not know ${api.name}` : `speaks ${api.name} ${theirs.min} to ${theirs.max}`
    throw new MillraceError(
      'KAFKA_VERSION_UNSUPPORTED',
      `There is no common version of ${api.name}: ${this.#peer} ${speaks}, this client needs ${wanted.min} to ${wanted.max}. Nothing was sent. Upgrade the broker, or do not use what needs this request.`,
    )
  }

  #highest(api: AnyApi, range: VersionRange): number | undefined {
    const theirs = this.#ranges.get(api.key)
    if (theirs === undefined) return undefined
    const { min, max } = ours(api, range)
    const version = Math.min(max, theirs.max)
    return version >= Math.max(min, theirs.min) ? version : undefined
  }
}

function ours(api: AnyApi, range: VersionRange): { min: number; max: number } {
  // An unstable version is spoken only with somebody who names it.
  const offered = api.latestVersionUnstable && range.max === undefined ? api.maxVersion - 1 : api.maxVersion
  return { min: Math.max(api.minVersion, range.min ?? 0), max: Math.min(offered, range.max ?? api.maxVersion) }
}

/** The newest version of ApiVersions itself to ask with, after a broker answered that it knows only these. */
export function fallbackVersion(response: ApiVersionsResponse): number {
  const own = response.apiKeys.find((api) => api.apiKey === apiVersionsApi.key)
  return own === undefined ? 0 : Math.max(0, Math.min(own.maxVersion, apiVersionsApi.maxVersion))
}
