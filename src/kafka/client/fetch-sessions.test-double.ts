/**
 * For tests: the fetch sessions of one broker as Kafka keeps them (KIP-227). A request within a session changes what is
 * remembered; the answer leaves out what has no records and the same ends as told before.
 */
import { KafkaErrorCode } from '../protocol/errors.ts'
import type { FetchRequest, FetchRequestPartition } from '../protocol/generated/fetch.ts'

export interface Remembered {
  /** As `topic/partition`. */
  readonly name: string
  readonly key: string
  readonly topic: string
  readonly topicId: string
  asked: FetchRequestPartition
  highWatermark: number
  logStartOffset: number
}

export interface Session {
  readonly id: number
  epoch: number
  readonly byId: boolean
  readonly partitions: Map<string, Remembered>
}

export interface Scope {
  readonly error: number
  readonly session: Session | undefined
  /** Everything is named in the answer. */
  readonly full: boolean
  readonly partitions: readonly Remembered[]
}

export class FetchSessionsDouble {
  readonly sessions: Map<number, Session> = new Map()
  /** False: as a broker whose room for sessions is used up. */
  room = true
  #lastId = 0

  scope(request: FetchRequest, version: number, nameOf: (topic: { topic: string; topicId: string }) => string): Scope {
    const byId = version >= 13
    const keyOf = ({ topic, topicId }: { topic: string; topicId: string }, partition: number): string =>
      `${byId ? topicId : topic}/${partition}`
    const named = request.topics.flatMap(({ topic, topicId, partitions }) =>
      partitions.map((asked): Remembered => {
        const name = `${nameOf({ topic, topicId })}/${asked.partition}`
        return {
          name,
          key: keyOf({ topic, topicId }, asked.partition),
          topic,
          topicId,
          asked,
          highWatermark: -1,
          logStartOffset: -1,
        }
      }),
    )
    if (request.sessionEpoch <= 0) {
      this.sessions.delete(request.sessionId)
      const session = this.room && request.sessionEpoch === 0 && version >= 7 ? this.#begin(byId) : undefined
      for (const one of named) session?.partitions.set(one.key, one)
      return { error: 0, session, full: true, partitions: named }
    }
    const session = this.sessions.get(request.sessionId)
    if (session === undefined) return failed(KafkaErrorCode.FETCH_SESSION_ID_NOT_FOUND)
    if (session.epoch !== request.sessionEpoch) return failed(KafkaErrorCode.INVALID_FETCH_SESSION_EPOCH)
    if (session.byId !== byId) return failed(KafkaErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
    session.epoch++
    for (const one of named) {
      const known = session.partitions.get(one.key)
      if (known === undefined) session.partitions.set(one.key, one)
      else known.asked = one.asked
    }
    // As Kafka does: what is forgotten goes last, so that one both named and forgotten is gone.
    for (const topic of request.forgottenTopicsData) {
      for (const partition of topic.partitions) session.partitions.delete(keyOf(topic, partition))
    }
    return { error: 0, session, full: false, partitions: [...session.partitions.values()] }
  }

  /** Whether the answer has to name it; what it says is told from now on. */
  tells(
    one: Remembered,
    scope: Scope,
    answer: {
      readonly errorCode: number
      readonly highWatermark: number
      readonly logStartOffset: number
      readonly preferredReadReplica: number
      readonly records: Buffer | null
      readonly divergingEpoch: { readonly endOffset: number }
    },
  ): boolean {
    const { errorCode, highWatermark, logStartOffset, records, divergingEpoch, preferredReadReplica } = answer
    const size = records?.length ?? 0
    const news = one.highWatermark !== highWatermark || one.logStartOffset !== logStartOffset
    const besides = errorCode !== 0 || preferredReadReplica >= 0 || divergingEpoch.endOffset >= 0
    one.highWatermark = errorCode !== 0 || divergingEpoch.endOffset >= 0 ? -1 : highWatermark
    one.logStartOffset = logStartOffset
    if (size > 0 && scope.session?.partitions.delete(one.key)) scope.session.partitions.set(one.key, one)
    return scope.full || size > 0 || news || besides
  }

  #begin(byId: boolean): Session {
    const session: Session = { id: ++this.#lastId, epoch: 1, byId, partitions: new Map() }
    this.sessions.set(session.id, session)
    return session
  }
}

function failed(error: number): Scope {
  return { error, session: undefined, full: true, partitions: [] }
}
