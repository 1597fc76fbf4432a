/**
 * The fetch session with one broker (KIP-227): the broker remembers which partitions are read from where, so that a request
 * names only what is new, moved or gone, and an answer only what has news. Here stands what the broker remembers.
 *
 * What always holds:
 * - what is kept here of a partition is what the broker was told last, never what is wished: a partition is left out of a
 *   request only when asking for it would say the very same again, so that a dropped answer costs nothing but its bytes;
 * - the broker's session holds the partitions that are asked for and no others;
 * - after whatever went wrong, the next request is a full one that names everything and ends the session before.
 */
import type { FetchResponse } from '../protocol/generated/fetch.ts'
import type { FetcherPartition } from './fetcher-partition.ts'

/** No session: with the first epoch, "begin one"; in an answer, "you have none". */
const NO_SESSION = 0
const FIRST_EPOCH = 0
/** The epochs of a session go on behind it with 1. */
const EPOCH_MAX = 0x7fff_ffff

/** What the broker was told last of a partition. */
interface Told {
  state: FetcherPartition
  fetchOffset: number
  fetchEpoch: number
  leaderEpoch: number
  bytesMax: number
  request: number
}

interface ToldTopic {
  readonly topic: string
  readonly partitions: Map<number, Told>
}

export interface ForgottenPartition {
  readonly topic: string
  /** The topic's name or, in a session by ids, its id. */
  readonly key: string
  readonly partition: number
}

export interface SessionRequest {
  readonly sessionId: number
  readonly sessionEpoch: number
  /** What the request must name. */
  readonly asked: readonly FetcherPartition[]
  readonly forgotten: readonly ForgottenPartition[]
}

export class FetcherSession {
  #id = NO_SESSION
  #epoch = FIRST_EPOCH
  #byId = false
  #connection: unknown
  /** By name or, in a session by ids, by id. */
  readonly #topics: Map<string, ToldTopic> = new Map()
  #size = 0
  #request = 0

  /** Whether the request under way names everything. */
  get isFull(): boolean {
    return this.#epoch === FIRST_EPOCH
  }

  /**
   * What to ask for so that the broker knows of exactly these partitions. `keyOf` says what a topic is called in the request;
   * a session is of one connection and calls topics one way, so that a change of either begins a new one.
   */
  next(
    connection: unknown,
    states: readonly FetcherPartition[],
    byId: boolean,
    keyOf: (topic: string) => string,
  ): SessionRequest {
    if (connection !== this.#connection || byId !== this.#byId) this.end()
    this.#connection = connection
    this.#byId = byId
    this.#request++
    if (this.isFull) {
      this.#topics.clear()
      this.#size = 0
    }
    const asked: FetcherPartition[] = []
    for (const state of states) if (this.#tell(state, keyOf(state.topic))) asked.push(state)
    const forgotten = this.#size > states.length ? this.#forget() : []
    return { sessionId: this.#id, sessionEpoch: this.#epoch, asked, forgotten }
  }

  /** The partition that a part of an answer is about; undefined when this session has no such. */
  find(topic: { readonly topic: string; readonly topicId: string }, partition: number): FetcherPartition | undefined {
    return this.#topics.get(this.#byId ? topic.topicId : topic.topic)?.partitions.get(partition)?.state
  }

  /** Takes in what an answer without an error of its own says about the session. */
  answered(response: Pick<FetchResponse, 'sessionId' | 'responses'>): void {
    const { sessionId } = response
    if (sessionId === NO_SESSION || !this.#isWhole(response)) {
      // The broker has no room for a session, has closed it, or means another one.
      this.#id = sessionId
      this.#epoch = FIRST_EPOCH
      return
    }
    this.#id = sessionId
    this.#epoch = this.#epoch === EPOCH_MAX ? 1 : this.#epoch + 1
  }

  /** The broker does not know this session: there is nothing to end. */
  unknown(): void {
    this.#id = NO_SESSION
    this.#epoch = FIRST_EPOCH
  }

  /** What the broker remembers is uncertain: the next request ends the session and begins another. */
  end(): void {
    this.#epoch = FIRST_EPOCH
  }

  /** Whether the request has to name the partition; it counts as told from now on. */
  #tell(state: FetcherPartition, key: string): boolean {
    let topic = this.#topics.get(key)
    if (topic === undefined) this.#topics.set(key, (topic = { topic: state.topic, partitions: new Map() }))
    const told = topic.partitions.get(state.partition)
    const { fetchOffset, fetchEpoch, leaderEpoch, bytesMax } = state
    if (told === undefined) {
      topic.partitions.set(state.partition, {
        state,
        fetchOffset,
        fetchEpoch,
        leaderEpoch,
        bytesMax,
        request: this.#request,
      })
      this.#size++
      return true
    }
    if (told.state !== state) {
      // Removed and added again between two requests: the broker has told its ends and will not repeat them.
      state.takeEnds(told.state)
      told.state = state
    }
    told.request = this.#request
    if (
      told.fetchOffset === fetchOffset &&
      told.fetchEpoch === fetchEpoch &&
      told.leaderEpoch === leaderEpoch &&
      told.bytesMax === bytesMax
    ) {
      return false
    }
    told.fetchOffset = fetchOffset
    told.fetchEpoch = fetchEpoch
    told.leaderEpoch = leaderEpoch
    told.bytesMax = bytesMax
    return true
  }

  /** Everything that this request did not ask for. */
  #forget(): ForgottenPartition[] {
    const forgotten: ForgottenPartition[] = []
    for (const [key, { topic, partitions }] of this.#topics) {
      for (const [partition, told] of partitions) {
        if (told.request === this.#request) continue
        partitions.delete(partition)
        this.#size--
        forgotten.push({ topic, key, partition })
      }
      if (partitions.size === 0) this.#topics.delete(key)
    }
    return forgotten
  }

  /** An answer to a full request names every partition, one within a session its own session and only partitions of it. */
  #isWhole({ sessionId, responses }: Pick<FetchResponse, 'sessionId' | 'responses'>): boolean {
    let parts = 0
    for (const topic of responses) {
      for (const part of topic.partitions) if (this.find(topic, part.partitionIndex) === undefined) return false
      parts += topic.partitions.length
    }
    return this.isFull ? parts === this.#size : sessionId === this.#id
  }
}
