/** What a job's processes ask of the brokers, read off the wire: whole requests, as they leave and as they arrive. */
import { decodeRequestBody, decodeRequestHeader } from '../../src/kafka/index.ts'
import type { FrameTap, Wiretap } from '../../src/testing/simulation/simulated-network.ts'
import type { SimulatedProcess } from '../../src/testing/simulation/simulated-process.ts'

export interface SeenRequest {
  readonly api: string
  readonly version: number
  readonly body: unknown
}

export interface WireListener {
  sent(process: SimulatedProcess, request: SeenRequest): void
  delivered(process: SimulatedProcess, request: SeenRequest): void
  /** The frames of answers, to be told otherwise; see planted bugs. */
  answered?(process: SimulatedProcess, bytes: Buffer): Buffer
}

/** Those that rules are about: Produce, Fetch, OffsetCommit, InitProducerId, AddPartitionsToTxn, EndTxn. */
const LOOKED_AT: ReadonlySet<number> = new Set([0, 1, 8, 22, 24, 26])
const LENGTH_BYTES = 4

export class Wire implements Wiretap {
  readonly #listener: WireListener

  constructor(listener: WireListener) {
    this.#listener = listener
  }

  attach(process: SimulatedProcess): FrameTap {
    const listener = this.#listener
    const underWay: { readonly request: SeenRequest; readonly endsAt: number }[] = []
    let rest: Buffer = Buffer.alloc(0)
    let sentBytes = 0
    let deliveredBytes = 0
    return {
      sent: (bytes) => {
        rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
        for (;;) {
          if (rest.length < LENGTH_BYTES) break
          const length = rest.readInt32BE(0) + LENGTH_BYTES
          if (rest.length < length) break
          sentBytes += length
          const request = decode(rest.subarray(LENGTH_BYTES, length))
          rest = rest.subarray(length)
          if (request === undefined) continue
          listener.sent(process, request)
          underWay.push({ request, endsAt: sentBytes })
        }
      },
      delivered: (count) => {
        deliveredBytes += count
        for (let next = underWay[0]; next !== undefined && next.endsAt <= deliveredBytes; next = underWay[0]) {
          underWay.shift()
          listener.delivered(process, next.request)
        }
      },
      answered: (bytes) => listener.answered?.(process, bytes) ?? bytes,
    }
  }
}

function decode(frame: Buffer): SeenRequest | undefined {
  if (!LOOKED_AT.has(frame.readInt16BE(0))) return undefined
  const { header, api, body } = decodeRequestHeader(frame)
  if (api === undefined) return undefined
  const version = header.requestApiVersion
  return { api: api.name, version, body: decodeRequestBody(api, version, body) }
}
