/**
 * Fetch sessions (KIP-227): the broker remembers which partitions a consumer reads, so that each request names only what
 * changed and each answer only what has news. Sessions of one node; when there are too many, new clients go on without.
 */
import { type FetchRequest, KafkaErrorCode } from '../../kafka/index.ts'
import type { TopicName } from '../handlers/partition-place.ts'

export interface AskedPartition {
  readonly topic: TopicName
  readonly index: number
  readonly offset: number
  readonly bytesMax: number
  readonly leaderEpoch: number
}

/** What the client was told last of a partition. */
interface Told {
  highWatermark: number
  logStartOffset: number
}

interface SessionPartition extends Told {
  asked: AskedPartition
}

export interface FetchSession {
  readonly id: number
  epoch: number
  usedMs: number
  readonly partitions: Map<string, SessionPartition>
}

/** What one request is about. */
export interface FetchScope {
  readonly error: number
  readonly sessionId: number
  readonly partitions: readonly AskedPartition[]
  /** The answer leaves out partitions without news; undefined when all are to be named. */
  readonly session: FetchSession | undefined
}

const NO_SESSION = 0
const FIRST_EPOCH = 0
const FINAL_EPOCH = -1
const SESSIONS_MAX = 1_000
/** One that was silent for so long makes room for another. */
const IDLE_MS = 120_000

export class FetchSessions {
  readonly #sessions: Map<number, FetchSession> = new Map()
  #lastId = 0

  /** Takes in what the request says about its session. */
  scope(request: FetchRequest, nowMs: number): FetchScope {
    const { sessionId, sessionEpoch } = request
    const partitions = askedPartitions(request)
    if (sessionEpoch === FINAL_EPOCH || sessionEpoch === FIRST_EPOCH) {
      this.#sessions.delete(sessionId)
      const begun = sessionEpoch === FINAL_EPOCH ? undefined : this.#begin(partitions, nowMs)
      return { error: KafkaErrorCode.NONE, sessionId: begun?.id ?? NO_SESSION, partitions, session: undefined }
    }
    const session = this.#sessions.get(sessionId)
    if (session === undefined) return failed(KafkaErrorCode.FETCH_SESSION_ID_NOT_FOUND)
    if (session.epoch !== sessionEpoch) return failed(KafkaErrorCode.INVALID_FETCH_SESSION_EPOCH)
    session.epoch = session.epoch === 0x7fffffff ? 1 : session.epoch + 1
    session.usedMs = nowMs
    for (const { topic, topicId, partitions: indexes } of request.forgottenTopicsData) {
      for (const index of indexes) session.partitions.delete(keyOf({ name: topic, id: topicId }, index))
    }
    for (const asked of partitions) remember(session, asked)
    const all = [...session.partitions.values()].map(({ asked }) => asked)
    return { error: KafkaErrorCode.NONE, sessionId, partitions: all, session }
  }

  /** Whether the client of this session knows it already; it does from now on. */
  isNews(session: FetchSession, asked: AskedPartition, told: Told): boolean {
    const key = keyOf(asked.topic, asked.index)
    const known = session.partitions.get(key)
    if (known === undefined) return true
    const same = known.highWatermark === told.highWatermark && known.logStartOffset === told.logStartOffset
    known.highWatermark = told.highWatermark
    known.logStartOffset = told.logStartOffset
    // Who was answered goes to the end, so that nobody is last for ever when an answer is full.
    session.partitions.delete(key)
    session.partitions.set(key, known)
    return !same
  }

  /** The session that a first, full answer begins. */
  get(sessionId: number): FetchSession | undefined {
    return this.#sessions.get(sessionId)
  }

  #begin(partitions: readonly AskedPartition[], nowMs: number): FetchSession | undefined {
    if (partitions.length === 0) return undefined
    if (this.#sessions.size >= SESSIONS_MAX) {
      for (const [id, { usedMs }] of this.#sessions) if (nowMs - usedMs > IDLE_MS) this.#sessions.delete(id)
      if (this.#sessions.size >= SESSIONS_MAX) return undefined
    }
    this.#lastId = this.#lastId === 0x7fffffff ? 1 : this.#lastId + 1
    const session: FetchSession = { id: this.#lastId, epoch: 1, usedMs: nowMs, partitions: new Map() }
    for (const asked of partitions) remember(session, asked)
    this.#sessions.set(session.id, session)
    return session
  }
}

function keyOf(topic: TopicName, index: number): string {
  return `${topic.name}/${topic.id}/${index}`
}

function remember(session: FetchSession, asked: AskedPartition): void {
  const key = keyOf(asked.topic, asked.index)
  const known = session.partitions.get(key)
  if (known === undefined) session.partitions.set(key, { asked, highWatermark: -1, logStartOffset: -1 })
  else known.asked = asked
}

function askedPartitions(request: FetchRequest): AskedPartition[] {
  return request.topics.flatMap(({ topic, topicId, partitions }) => {
    const name: TopicName = { name: topic, id: topicId }
    return partitions.map(({ partition, fetchOffset, partitionMaxBytes, currentLeaderEpoch }) => ({
      topic: name,
      index: partition,
      offset: fetchOffset,
      bytesMax: partitionMaxBytes,
      leaderEpoch: currentLeaderEpoch,
    }))
  })
}

function failed(error: number): FetchScope {
  return { error, sessionId: NO_SESSION, partitions: [], session: undefined }
}
