/**
 * For tests: a few brokers in memory on a scripted network. They answer Metadata and FindCoordinator by a plan that the test
 * changes under way; all else is up to the test's script.
 */
import { SeededRandom, silentLogger } from '../../base/index.ts'
import {
  apiVersionsOf,
  type ReceivedRequest,
  type ScriptedConnection,
  ScriptedNetwork,
  welcoming,
} from '../connection/scripted-network.test-double.ts'
import type { Input } from '../protocol/api.ts'
import { findCoordinatorApi } from '../protocol/generated/find-coordinator.ts'
import { type MetadataRequest, type MetadataResponse, metadataApi } from '../protocol/generated/metadata.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import { ManualClock } from './manual-clock.test-double.ts'
import { type KafkaProperties, parseClusterOptions } from './options.ts'

export interface PlannedTopic {
  readonly topicId: string
  /** By partition: node and epoch, or nobody. */
  readonly leaders: readonly (readonly [nodeId: number, epoch: number] | undefined)[]
}

export class ScriptedCluster {
  readonly clock: ManualClock = new ManualClock()
  readonly network: ScriptedNetwork
  readonly cluster: KafkaCluster
  /** Brokers that answer. */
  readonly up: Set<number>
  readonly topics: Map<string, PlannedTopic> = new Map()
  /** Requests by API name, with the node that got them. */
  readonly requests: { readonly nodeId: number; readonly request: ReceivedRequest }[] = []
  coordinator = 1
  /** What a node knows less than the others, by API name. */
  readonly ranges: Map<number, Readonly<Record<string, readonly [number, number] | 'absent'>>> = new Map()
  /** Error codes to answer look-ups of coordinators with, first. */
  readonly lookupErrors: number[] = []
  script: (request: ReceivedRequest, nodeId: number, connection: ScriptedConnection) => void = () => undefined
  metadataDelayed = false
  readonly #delayed: (() => void)[] = []

  constructor(properties: KafkaProperties = {}, nodes: readonly number[] = [1, 2]) {
    this.up = new Set(nodes)
    this.network = new ScriptedNetwork(({ host, port }) => {
      const nodeId = port - 9000
      if (host !== 'broker' || !this.up.has(nodeId)) return new Error(`connect ECONNREFUSED ${host}:${port}`)
      return welcoming(
        (request, connection) => this.#answer(request, nodeId, connection),
        apiVersionsOf(this.ranges.get(nodeId) ?? {}, { 'transaction.version': 2 }),
      )
    })
    const servers = nodes.map((id) => `broker:${9000 + id}`).join(',')
    const options = parseClusterOptions({ 'bootstrap.servers': servers, ...properties })
    const ports = { network: this.network, clock: this.clock, random: new SeededRandom(1), logger: silentLogger }
    this.cluster = new KafkaCluster(options, ports)
  }

  count(name: string): number {
    return this.requests.filter(({ request }) => request.api.name === name).length
  }

  /** Breaks all connections to a broker; with `down` no new ones are taken. */
  disconnect(nodeId: number, down = false): void {
    if (down) this.up.delete(nodeId)
    for (const connection of this.network.connections) {
      if (connection.port === 9000 + nodeId) connection.breakNow(new Error('read ECONNRESET'))
    }
  }

  answerDelayed(): void {
    for (const answer of this.#delayed.splice(0)) answer()
  }

  #answer(request: ReceivedRequest, nodeId: number, connection: ScriptedConnection): void {
    this.requests.push({ nodeId, request })
    if (request.api.key === metadataApi.key) {
      const answer = (): void => connection.answer(request, this.#metadata(request.body as MetadataRequest))
      if (this.metadataDelayed) this.#delayed.push(answer)
      else answer()
    } else if (request.api.key === findCoordinatorApi.key) {
      const [key] = (request.body as { coordinatorKeys: string[] }).coordinatorKeys
      const place = { nodeId: this.coordinator, host: 'broker', port: 9000 + this.coordinator }
      connection.answer(request, { coordinators: [{ key, ...place, errorCode: this.lookupErrors.shift() ?? 0 }] })
    } else {
      this.script(request, nodeId, connection)
    }
  }

  #metadata(request: MetadataRequest): Input<MetadataResponse> {
    const names = request.topics === null ? [...this.topics.keys()] : request.topics.map(({ name }) => name ?? '')
    return {
      clusterId: 'scripted',
      controllerId: 1,
      brokers: [...this.up].map((nodeId) => ({ nodeId, host: 'broker', port: 9000 + nodeId, rack: null })),
      topics: names.map((name) => {
        const topic = this.topics.get(name)
        if (topic === undefined) return { name, errorCode: 3 }
        const partitions = topic.leaders.map((leader, partitionIndex) => ({
          partitionIndex,
          leaderId: leader?.[0] ?? -1,
          leaderEpoch: leader?.[1] ?? -1,
          errorCode: leader === undefined ? 5 : 0,
        }))
        return { name, topicId: topic.topicId, partitions }
      }),
    }
  }
}

/** A topic id that is easily told from another. */
export function topicIdOf(letter: string): string {
  return `${letter.repeat(21)}A`
}
