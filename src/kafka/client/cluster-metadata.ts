/**
 * Who leads which partition, as far as is known on this thread, for the topics somebody asked for. Look-ups are synchronous
 * and may be stale: whoever is told so by a broker calls `refresh`. Asks are coalesced and never closer than retry.backoff.ms.
 *
 * What always holds: within one life of a topic a leadership is never replaced by one of an older epoch, whichever broker
 * answers later; a refresh resolves only with an answer to a question asked after it was called.
 */
import { MillraceError, type Timer } from '../../base/index.ts'
import { ZERO_UUID } from '../protocol/api.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import type { MetadataResponse, MetadataResponseTopic } from '../protocol/generated/metadata.ts'
import { brokerError } from './error-classes.ts'
import { type RetryingClient, retrying } from './retrying.ts'
import { unknownTopicGrace } from './unknown-topic-grace.ts'

export interface KnownBroker {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export interface PartitionLeader {
  readonly nodeId: number
  readonly leaderEpoch: number
}

export interface MetadataSource extends RetryingClient {
  /** One question to any broker, without trying again. */
  askMetadata(topics: readonly string[]): Promise<MetadataResponse>
  readonly options: RetryingClient['options'] & { readonly metadataMaxAgeMs: number }
  /** Rejects what waits when the client is closed. */
  readonly closing: AbortSignal
}

interface KnownTopic {
  readonly topicId: string | undefined
  readonly partitionCount: number
  readonly leaders: readonly (PartitionLeader | undefined)[]
}

export class ClusterMetadata {
  readonly #source: MetadataSource
  readonly #wanted: Set<string> = new Set()
  readonly #topics: Map<string, KnownTopic> = new Map()
  readonly #names: Map<string, string> = new Map()
  /** Error codes of wanted topics in the last answer. */
  readonly #troubles: Map<string, number> = new Map()
  #brokers: Map<number, KnownBroker> = new Map()
  #clusterId: string | undefined
  #current: Promise<unknown> = Promise.resolve()
  #next: Promise<void> | undefined
  #askedAtMs = Number.NEGATIVE_INFINITY
  #ageTimer: Timer | undefined

  constructor(source: MetadataSource) {
    this.#source = source
  }

  leader(topic: string, partition: number): PartitionLeader | undefined {
    return this.#topics.get(topic)?.leaders[partition]
  }

  partitionCount(topic: string): number | undefined {
    return this.#topics.get(topic)?.partitionCount
  }

  topicId(topic: string): string | undefined {
    return this.#topics.get(topic)?.topicId
  }

  topicName(topicId: string): string | undefined {
    return this.#names.get(topicId)
  }

  brokers(): readonly KnownBroker[] {
    return [...this.#brokers.values()]
  }

  broker(nodeId: number): KnownBroker | undefined {
    return this.#brokers.get(nodeId)
  }

  /** '' when the brokers have none; undefined before the first answer. */
  get clusterId(): string | undefined {
    return this.#clusterId
  }

  /** Resolves when all are known (not necessarily led); a topic that does not exist is KAFKA_UNKNOWN_TOPIC. */
  async ensure(topics: Iterable<string>, signal?: AbortSignal): Promise<void> {
    const wanted = [...new Set(topics)]
    if (wanted.every((topic) => this.#topics.has(topic))) return
    const mayStillCome = unknownTopicGrace(this.#source.ports.clock)
    const doing = `Asking for the partitions of ${wanted.slice(0, 5).join(', ')}${wanted.length > 5 ? ', ...' : ''}`
    const ask = async (): Promise<void> => {
      for (const topic of wanted) this.#wanted.add(topic)
      await this.refresh()
      for (const topic of wanted) {
        if (!this.#topics.has(topic)) throw this.#trouble(topic, mayStillCome())
      }
    }
    try {
      await retrying(this.#source, doing, ask, { signal })
    } catch (error) {
      for (const topic of wanted) if (!this.#topics.has(topic)) this.#wanted.delete(topic)
      throw error
    }
  }

  /** Asks again soon; rejects (retriable) when no broker can be asked. */
  refresh(): Promise<void> {
    this.#next ??= this.#ask()
    return this.#next
  }

  /** A broker that was named in another answer than that of Metadata. */
  learn(broker: { readonly nodeId: number; readonly host: string; readonly port: number }): void {
    const known = this.#brokers.get(broker.nodeId)
    if (known?.host === broker.host && known.port === broker.port) return
    this.#brokers.set(broker.nodeId, { ...broker, rack: known?.rack ?? null })
  }

  /** Only the bootstrap servers are to be believed from now on. */
  forgetBrokers(): void {
    this.#brokers = new Map()
  }

  close(): void {
    this.#ageTimer?.cancel()
  }

  async #ask(): Promise<void> {
    const { ports, options, closing } = this.#source
    try {
      await this.#current
      const pauseMs = this.#askedAtMs + options.retryBackoffMs - ports.clock.monotonic()
      if (pauseMs > 0) await ports.clock.sleep(pauseMs, closing)
    } finally {
      this.#next = undefined
    }
    this.#askedAtMs = ports.clock.monotonic()
    const asked = [...this.#wanted]
    const answer = this.#source.askMetadata(asked).then((response) => this.apply(response))
    this.#current = answer.catch(() => undefined)
    await answer
  }

  /** Takes an answer in, also one that somebody else asked for. */
  apply(response: MetadataResponse): void {
    this.#clusterId = response.clusterId ?? ''
    if (response.brokers.length > 0) {
      this.#brokers = new Map(response.brokers.map((broker) => [broker.nodeId, broker]))
    }
    for (const topic of response.topics) this.#applyTopic(topic)
    this.#watchAge()
  }

  #applyTopic(topic: MetadataResponseTopic): void {
    const { name, errorCode } = topic
    if (name === null || !this.#wanted.has(name)) return
    if (errorCode !== KafkaErrorCode.NONE) {
      this.#troubles.set(name, errorCode)
      if (errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION) this.#forgetTopic(name)
      return
    }
    this.#troubles.delete(name)
    const topicId = topic.topicId === ZERO_UUID ? undefined : topic.topicId
    const before = this.#topics.get(name)
    const same = before !== undefined && before.topicId === topicId
    const leaders: (PartitionLeader | undefined)[] = []
    let partitionCount = 0
    for (const partition of topic.partitions) {
      const { partitionIndex, leaderId, leaderEpoch } = partition
      partitionCount = Math.max(partitionCount, partitionIndex + 1)
      const known = same ? before.leaders[partitionIndex] : undefined
      const stale = known !== undefined && leaderEpoch >= 0 && known.leaderEpoch > leaderEpoch
      leaders[partitionIndex] = stale ? known : leaderId < 0 ? undefined : { nodeId: leaderId, leaderEpoch }
    }
    if (!same) this.#forgetTopic(name)
    this.#topics.set(name, { topicId, partitionCount, leaders })
    if (topicId !== undefined) this.#names.set(topicId, name)
  }

  #forgetTopic(name: string): void {
    const topicId = this.#topics.get(name)?.topicId
    if (topicId !== undefined) this.#names.delete(topicId)
    this.#topics.delete(name)
  }

  #trouble(topic: string, mayAppear: boolean): MillraceError {
    const errorCode = this.#troubles.get(topic) ?? KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if (errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION) return unknownTopic([topic], mayAppear)
    return brokerError(errorCode, {
      context: 'admin',
      doing: `Asking for the partitions of topic ${topic}`,
      right: `DESCRIBE on topic ${topic}`,
    })
  }

  #watchAge(): void {
    this.#ageTimer?.cancel()
    const { ports, options, closing } = this.#source
    if (closing.aborted) return
    const onTimer = (): void => {
      this.refresh().catch((error) => {
        ports.logger.debug({ error: String(error) }, 'the metadata could not be renewed')
        this.#watchAge()
      })
    }
    this.#ageTimer = ports.clock.setTimer(options.metadataMaxAgeMs, onTimer, { background: true })
  }
}

export function unknownTopic(topics: readonly string[], retriable = false): MillraceError {
  const [first] = topics
  const names = topics.length === 1 ? `topic ${first}` : `topics ${topics.join(', ')}`
  return new MillraceError(
    'KAFKA_UNKNOWN_TOPIC',
    `The cluster does not know ${names}. The name is wrong, the topic was not created or was deleted, or the right DESCRIBE on it is missing. Nothing is lost.`,
    { retriable },
  )
}
