/**
 * The language of the conformance suite: scenarios are plain data, so that two programs in two languages can act them out,
 * Kafka's own Java client (java/Recorder.java, which recorded expected.json) and this project's (client-under-test.ts).
 *
 * What always holds: a scenario is acted out alone, on topics, ids and groups of its own; what it writes is fixed to the byte
 * and the millisecond; every step has an answer, and none says when, where or how fast something happened.
 */

/** Text as UTF-8, bytes by their hexadecimal digits, a text many times over, or null. */
export type Bytes = string | null | { readonly hex: string } | { readonly repeat: string; readonly times: number }

export interface RecordToWrite {
  /** -1: the partitioner's choice. */
  readonly partition: number
  readonly timestamp: number
  readonly key: Bytes
  readonly value: Bytes
  readonly headers: readonly (readonly [key: string, value: Bytes])[]
}

/** Under Kafka's own names, as both clients take them. */
export type Settings = Readonly<Record<string, string | number>>

export type Isolation = 'read_committed' | 'read_uncommitted'

export type OffsetQuestion = 'earliest' | 'latest' | 'maxTimestamp' | { readonly timestamp: number }

/** Names of topics, ids, groups, producers and readers belong to the scenario; the actors make them unique. */
export type Step =
  | {
      readonly do: 'createTopic'
      readonly topic: string
      readonly partitions: number
      readonly replicationFactor: number
      readonly config: Settings
    }
  /** Appends and waits for the acknowledgement of all. The first use makes the producer. */
  | {
      readonly do: 'produce'
      readonly producer: string
      readonly topic: string
      readonly records: readonly RecordToWrite[]
      readonly settings: Settings
    }
  | {
      readonly do: 'begin'
      readonly producer: string
      readonly id: string
      readonly timeoutMs: number
      readonly settings: Settings
    }
  /** Answered when the markers are in the logs. */
  | { readonly do: 'commit' | 'abort'; readonly producer: string }
  /** Waits until the broker has ended the transaction of this id by its time limit. */
  | { readonly do: 'expire'; readonly id: string }
  | { readonly do: 'describeTransaction'; readonly id: string }
  | { readonly do: 'listTransactions'; readonly states: readonly string[] }
  /** Reads on to the end that its isolation has now. The first use makes the reader, at `from`. */
  | {
      readonly do: 'read'
      readonly reader: string
      readonly topic: string
      readonly isolation: Isolation
      /** The same offset in every partition. */
      readonly from: number
      readonly settings: Settings
    }
  | { readonly do: 'seek'; readonly reader: string; readonly partition: number; readonly offset: number }
  | { readonly do: 'pause' | 'resume'; readonly reader: string; readonly partition: number }
  | {
      readonly do: 'offsets'
      readonly topic: string
      readonly partitions: number
      readonly at: OffsetQuestion
      readonly isolation: Isolation
    }
  | { readonly do: 'deleteRecords'; readonly topic: string; readonly partition: number; readonly before: number }
  | {
      readonly do: 'commitGroup'
      readonly group: string
      readonly offsets: readonly GroupPosition[]
    }
  | { readonly do: 'groupOffsets'; readonly group: string }
  | { readonly do: 'describeTopic'; readonly topic: string }
  | { readonly do: 'describeConfigs'; readonly topic: string; readonly keys: readonly string[] }

export interface GroupPosition {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string
  /** -1: not said. */
  readonly leaderEpoch: number
}

/** What a broker must be able to do for a scenario; one that cannot leaves it out, by name. */
export type Capability = 'transactions' | 'expiry' | 'groups' | 'deleteRecords' | 'compression' | 'topicConfigs'

export interface Scenario {
  /** A sentence: the property that the answers show. */
  readonly name: string
  readonly needs: readonly Capability[]
  readonly steps: readonly Step[]
}

/** JSON as it stands in expected.json. Errors are `{ error: NAME }` under Kafka's names. */
export type Answer = unknown
