/**
 * The virtual cluster: nodes that can be down, topics, and who leads what. Nothing here knows of requests.
 *
 * What always holds: a partition is led by a node that is up, or by none; every change of leader is a new epoch, written down
 * at the end of the log; a topic's name and id name the same topic until it is deleted.
 */
import { assert, type Random } from '../../base/index.ts'
import { MemoryBudget } from './memory-budget.ts'
import { Partition, Topic } from './topic.ts'

export interface ClusterSettings {
  readonly nodes: number
  readonly random: Random
  readonly memoryBytesMax: number
}

export interface NewTopicPlan {
  readonly name: string
  readonly replicas: readonly (readonly number[])[]
}

export class Cluster {
  readonly id: string
  readonly nodes: readonly number[]
  readonly budget: MemoryBudget
  readonly topics: Map<string, Topic> = new Map()
  /** Counts changes of leaders and nodes, as a coordinator's epoch does. */
  epoch = 0
  readonly #byId: Map<string, Topic> = new Map()
  readonly #down: Set<number> = new Set()
  readonly #random: Random
  /** Told of what can make a waiting request go on. */
  touched: (partition: Partition) => void = () => undefined
  #nextReplica = 0

  constructor(settings: ClusterSettings) {
    this.#random = settings.random
    this.id = this.#newId()
    this.nodes = Array.from({ length: settings.nodes }, (_, at) => at + 1)
    this.budget = new MemoryBudget(settings.memoryBytesMax)
  }

  isUp(node: number): boolean {
    return this.nodes.includes(node) && !this.#down.has(node)
  }

  get nodesUp(): number[] {
    return this.nodes.filter((node) => !this.#down.has(node))
  }

  /** The first that is up; -1 when none is. */
  get controller(): number {
    return this.nodesUp[0] ?? -1
  }

  get partitionCount(): number {
    let count = 0
    for (const topic of this.topics.values()) count += topic.partitions.length
    return count
  }

  topicById(id: string): Topic | undefined {
    return this.#byId.get(id)
  }

  partition(topic: string, index: number): Partition | undefined {
    return this.topics.get(topic)?.partitions[index]
  }

  *partitions(): Generator<Partition> {
    for (const topic of this.topics.values()) yield* topic.partitions
  }

  /** Replicas for so many partitions, going round the nodes that are up. */
  assign(partitions: number, replicationFactor: number): number[][] {
    const up = this.nodesUp
    assert(
      replicationFactor >= 1 && replicationFactor <= up.length,
      `${replicationFactor} replicas on ${up.length} nodes`,
    )
    return Array.from({ length: partitions }, () => {
      const first = this.#nextReplica++
      return Array.from({ length: replicationFactor }, (_, at) => up[(first + at) % up.length] as number)
    })
  }

  createTopic(plan: NewTopicPlan): Topic {
    assert(!this.topics.has(plan.name), `topic ${plan.name} exists`)
    const topic = new Topic(plan.name, this.#newId())
    this.topics.set(topic.name, topic)
    this.#byId.set(topic.id, topic)
    this.addPartitions(topic, plan.replicas)
    return topic
  }

  addPartitions(topic: Topic, replicas: readonly (readonly number[])[]): void {
    for (const nodes of replicas) {
      const leader = nodes.find((node) => this.isUp(node)) ?? -1
      topic.partitions.push(new Partition(topic, topic.partitions.length, nodes, leader, this.budget))
    }
  }

  deleteTopic(topic: Topic): void {
    this.topics.delete(topic.name)
    this.#byId.delete(topic.id)
    for (const partition of topic.partitions) {
      partition.leader = -1
      partition.log.release()
      this.touched(partition)
    }
  }

  /** Leaders move to replicas that are up; partitions with none have no leader until one comes back. */
  stopNode(node: number): void {
    assert(this.nodes.includes(node), `there is no node ${node}`)
    if (this.#down.has(node)) return
    this.#down.add(node)
    this.epoch++
    for (const partition of this.partitions()) if (partition.leader === node) this.#elect(partition)
  }

  startNode(node: number): void {
    if (!this.#down.delete(node)) return
    this.epoch++
    for (const partition of this.partitions()) {
      if (partition.leader === -1 && partition.replicas.includes(node)) this.#elect(partition)
    }
  }

  /** Makes this node the leader, replica or not, or any other replica when none is named. */
  moveLeader(partition: Partition, to: number | undefined): void {
    const others = partition.replicas.filter((node) => node !== partition.leader && this.isUp(node))
    const next = to ?? others[0] ?? this.nodesUp.find((node) => node !== partition.leader) ?? partition.leader
    assert(this.isUp(next), `node ${next} is not up`)
    this.#lead(partition, next)
  }

  #elect(partition: Partition): void {
    this.#lead(partition, partition.replicas.find((node) => this.isUp(node)) ?? -1)
  }

  #lead(partition: Partition, node: number): void {
    partition.leader = node
    partition.leaderEpoch++
    if (node >= 0) partition.log.epochs.begin(partition.leaderEpoch, partition.log.endOffset)
    this.touched(partition)
  }

  #newId(): string {
    for (;;) {
      const id = Buffer.from(this.#random.hex(16), 'hex').toString('base64url')
      // Kafka gives none that could be taken for an option of a command.
      if (!id.startsWith('-') && !/^A{21}/.test(id)) return id
    }
  }
}
