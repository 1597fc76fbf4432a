/**
 * A topic and its partitions: who leads them in which epoch, and their logs. Replicas are a matter of metadata: behind all of
 * them stands the one log, so that a leader can move without losing anything.
 */
import { PartitionLog } from '../log/partition-log.ts'
import type { MemoryBudget } from './memory-budget.ts'
import { TopicConfig } from './topic-config.ts'

export class Partition {
  readonly topic: Topic
  readonly index: number
  readonly replicas: readonly number[]
  readonly log: PartitionLog
  /** Called once each, when something was added to the log or the partition changed; see FetchWaits. */
  readonly watchers: Set<() => void> = new Set()
  /** -1: none is there. */
  leader: number
  leaderEpoch = 0

  constructor(topic: Topic, index: number, replicas: readonly number[], leader: number, budget: MemoryBudget) {
    this.topic = topic
    this.index = index
    this.replicas = replicas
    this.leader = leader
    this.log = new PartitionLog(budget)
    this.log.epochs.begin(0, 0)
  }

  toString(): string {
    return `${this.topic.name}-${this.index}`
  }
}

export class Topic {
  readonly name: string
  /** 22 characters of base64url, as on the wire. */
  readonly id: string
  readonly config: TopicConfig = new TopicConfig()
  readonly partitions: Partition[] = []

  constructor(name: string, id: string) {
    this.name = name
    this.id = id
  }
}
