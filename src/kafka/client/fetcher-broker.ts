/**
 * What the fetcher keeps of one broker: the partitions it serves, and how much of what it sent is still unwalked.
 *
 * One request is in flight at most. The next one leaves as soon as a response is taken apart, before its records are walked,
 * unless RESPONSES_MAX responses of this broker still hold unwalked data: that, times fetch.max.bytes, bounds the memory.
 * The order of `partitions` is the order of asking. Who delivered goes to the end, so that the broker, which fills a response
 * from the front until it is full, starves nobody.
 */
import { assert } from '../../base/index.ts'
import type { FetcherConnection } from './fetcher-cluster.ts'
import type { FetcherPartition } from './fetcher-partition.ts'
import { FetcherSession } from './fetcher-session.ts'

export const RESPONSES_MAX = 2

export class FetcherBroker {
  readonly nodeId: number
  readonly partitions: Set<FetcherPartition> = new Set()
  readonly session: FetcherSession = new FetcherSession()
  inFlight = false
  /** Grows with each request. */
  requestNumber = 0
  /** Responses with data that is not walked to its end. */
  responsesHeld = 0
  /** Monotonic time before which the broker asked not to be asked (quota). */
  notBeforeMs = 0

  constructor(nodeId: number) {
    this.nodeId = nodeId
  }

  toTheEnd(partition: FetcherPartition): void {
    if (this.partitions.delete(partition)) this.partitions.add(partition)
  }
}

/**
 * One response with data; it counts against its broker until its last part was walked or dropped. Its memory is then given
 * back to the connection: what was handed out of it are copies.
 */
export class HeldResponse {
  readonly #broker: FetcherBroker
  readonly #connection: Pick<FetcherConnection, 'giveBack'>
  #parts = 0
  #memory: ArrayBufferLike | undefined

  constructor(broker: FetcherBroker, connection: Pick<FetcherConnection, 'giveBack'>) {
    this.#broker = broker
    this.#connection = connection
  }

  hold(records: Buffer): void {
    this.#memory = records.buffer
    if (this.#parts++ === 0) this.#broker.responsesHeld++
  }

  /** A part of it was walked or dropped. Answers the broker when it was the last one. */
  release(): FetcherBroker | undefined {
    assert(this.#parts > 0, 'a part of a response is released once')
    if (--this.#parts > 0) return undefined
    this.#broker.responsesHeld--
    if (this.#memory !== undefined) this.#connection.giveBack(this.#memory)
    this.#memory = undefined
    return this.#broker
  }
}
