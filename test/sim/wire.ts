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
}

/** An answer to be told otherwise: a planted bug of the client, at its edge. */
export type AnswerChange = (api: string, version: number, frame: Buffer) => Buffer

/** Those that rules are about: Produce, Fetch, OffsetCommit, InitProducerId, AddPartitionsToTxn, EndTxn. */
const LOOKED_AT: ReadonlySet<number> = new Set([0, 1, 8, 22, 24, 26])
const LENGTH_BYTES = 4

export class Wire implements Wiretap {
  readonly #listener: WireListener
  readonly #change: AnswerChange | undefined

  constructor(listener: WireListener, change?: AnswerChange) {
    this.#listener = listener
    this.#change = change
  }

  attach(process: SimulatedProcess): FrameTap {
    const listener = this.#listener
    const underWay: { readonly request: SeenRequest; readonly endsAt: number }[] = []
    let rest: Buffer = Buffer.alloc(0)
    const asked: Map<number, SeenRequest> = new Map()
    let answers: Buffer = Buffer.alloc(0)
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
          if (request !== undefined) asked.set(rest.readInt32BE(LENGTH_BYTES + 4), request)
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
      answered: (bytes) => {
        if (this.#change === undefined) return bytes
        answers = Buffer.concat([answers, bytes])
        const told: Buffer[] = []
        while (answers.length >= LENGTH_BYTES && answers.length >= answers.readInt32BE(0) + LENGTH_BYTES) {
          const length = answers.readInt32BE(0) + LENGTH_BYTES
          const frame = answers.subarray(0, length)
          answers = answers.subarray(length)
          const request = asked.get(frame.readInt32BE(LENGTH_BYTES))
          told.push(request === undefined ? frame : this.#change(request.api, request.version, frame))
        }
        return Buffer.concat(told)
      },
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
