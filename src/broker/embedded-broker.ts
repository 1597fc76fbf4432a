/**
 * An Apache Kafka cluster in memory, for demos, tests and simulation. It speaks the real protocol: in this process through
 * `network`, and to any Kafka client through `listen`. Time and chance come from its ports, so that a simulator can drive it.
 *
 * ```ts
 * const broker = new EmbeddedBroker({ clock: new SystemClock(), random: new SystemRandom() })
 * broker.createTopic('orders', { partitions: 4 })
 * const cluster = new KafkaCluster(
 *   parseClusterOptions({ 'bootstrap.servers': broker.bootstrapServers }),
 *   { network: broker.network, clock, random, logger },
 * )
 * ```
 *
 * What always holds: all state lives in this object and is gone with `close`; nothing of it is shared between two brokers.
 */
import {
  type Clock,
  type Logger,
  MillraceError,
  type Network,
  type Random,
  silentLogger,
  TcpListener,
} from '../base/index.ts'
import { type BrokerSettings, DEFAULT_SETTINGS } from './broker-settings.ts'
import { Cluster } from './cluster/cluster.ts'
import { Features, TRANSACTION_VERSION, type TransactionVersionLevel } from './cluster/features.ts'
import type { Partition } from './cluster/topic.ts'
import { FaultPlan } from './fault/fault-plan.ts'
import { fetchRoutes } from './fetch/fetch-handler.ts'
import { FetchWaits } from './fetch/fetch-waits.ts'
import { GroupCoordinator } from './group/group-coordinator.ts'
import { clusterRoutes } from './handlers/cluster-handlers.ts'
import { configRoutes } from './handlers/config-handlers.ts'
import { groupRoutes } from './handlers/group-handlers.ts'
import { groupOffsetRoutes } from './handlers/group-offset-handlers.ts'
import { offsetRoutes } from './handlers/offset-handlers.ts'
import { produceRoutes } from './handlers/produce-handler.ts'
import { createTopic, planTopic } from './handlers/topic-creation.ts'
import { topicRoutes } from './handlers/topic-handlers.ts'
import { transactionRoutes } from './handlers/transaction-handlers.ts'
import { Housekeeping } from './housekeeping.ts'
import { InProcessNetwork } from './network/in-process-network.ts'
import type { BrokerCore } from './request/broker-core.ts'
import type { Endpoints } from './request/request-context.ts'
import type { Route } from './request/router.ts'
import { Session } from './request/session.ts'
import { TransactionCoordinator } from './transaction/transaction-coordinator.ts'

export interface EmbeddedBrokerOptions {
  readonly clock: Clock
  readonly random: Random
  readonly logger?: Logger
  /** Default 1. */
  readonly nodes?: number
  /** The finalized level of `transaction.version`; default 2, as of a new Kafka 4 cluster. */
  readonly transactionVersion?: TransactionVersionLevel
  /** Topics to begin with, by name. */
  readonly topics?: Readonly<Record<string, EmbeddedTopicOptions>>
  /** Bytes of records in all; default 1 GiB. More are refused with POLICY_VIOLATION. */
  readonly memoryBytesMax?: number
  readonly settings?: Partial<BrokerSettings>
}

export interface EmbeddedTopicOptions {
  /** Default 1. */
  readonly partitions?: number
  /** Default 3, or the number of nodes when there are fewer. */
  readonly replicationFactor?: number
  readonly config?: Readonly<Record<string, string | number | boolean>>
}

export interface ListenOptions {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Of the first node, the others take the ports behind it; 0, the default, takes any free ones. */
  readonly port?: number
}

/** A transactional id as its coordinator sees it. */
export interface EmbeddedTransaction {
  readonly transactionalId: string
  readonly state: 'Empty' | 'Ongoing' | 'PrepareCommit' | 'PrepareAbort' | 'CompleteCommit' | 'CompleteAbort'
  readonly producerId: number
  readonly epoch: number
  /** When its transaction began; -1 before the first. */
  readonly startMs: number
  readonly timeoutMs: number
}

/** The TCP side of a broker. */
export interface BrokerListener {
  readonly bootstrapServers: string
  readonly ports: readonly number[]
  close(): Promise<void>
}

const HOST = 'embedded'
const FIRST_PORT = 9_092
const DEFAULT_MEMORY_BYTES = 1024 * 1024 * 1024
const NODES_MAX = 100
const DEFAULT_REPLICAS_MAX = 3

export class EmbeddedBroker {
  /** Reaches the broker without sockets, under `bootstrapServers`. */
  readonly network: Network
  /** For `network`; `listen` returns that for TCP. */
  readonly bootstrapServers: string
  /** Faults on request. */
  readonly faults: FaultPlan = new FaultPlan()
  readonly #core: BrokerCore
  readonly #routes: Map<number, Route> = new Map()
  readonly #waits: FetchWaits = new FetchWaits()
  readonly #sessions: Set<Session> = new Set()
  readonly #listeners: Set<BrokerListener> = new Set()
  readonly #housekeeping: Housekeeping
  #closed = false

  constructor(options: EmbeddedBrokerOptions) {
    const nodes = options.nodes ?? 1
    if (!Number.isInteger(nodes) || nodes < 1 || nodes > NODES_MAX) {
      throw optionError('nodes', `${nodes}`, `a whole number from 1 to ${NODES_MAX}`)
    }
    this.#core = this.#assemble(options, nodes)
    this.#core.cluster.touched = (partition) => this.#waits.touch(partition)
    const { clock } = options
    const inProcess: Endpoints = { of: (node) => ({ host: HOST, port: FIRST_PORT + node - 1 }) }
    this.bootstrapServers = this.nodes.map((node) => `${HOST}:${inProcess.of(node).port}`).join(',')
    this.network = new InProcessNetwork(clock, {
      accept: (host, port) => this.#accept(port - FIRST_PORT + 1, `${host}:${port}`, inProcess, 'embedded'),
    })
    this.#housekeeping = new Housekeeping(this.#core)
    this.#housekeeping.start()
    for (const [name, topic] of Object.entries(options.topics ?? {})) this.createTopic(name, topic)
  }

  get nodes(): readonly number[] {
    return this.#core.cluster.nodes
  }

  get clusterId(): string {
    return this.#core.cluster.id
  }

  /** Bytes of memory taken for records. */
  get memoryBytes(): number {
    return this.#core.cluster.budget.used
  }

  get connections(): number {
    return this.#sessions.size
  }

  createTopic(name: string, options: EmbeddedTopicOptions = {}): void {
    const config = Object.entries(options.config ?? {}).map(([key, value]) => ({ name: key, value: String(value) }))
    const plan = planTopic(this.#core, {
      name,
      partitions: options.partitions ?? 1,
      replicationFactor: options.replicationFactor ?? Math.min(DEFAULT_REPLICAS_MAX, this.#core.cluster.nodesUp.length),
      assignments: [],
      config,
    })
    if ('error' in plan) throw optionError(`topics.${name}`, JSON.stringify(options), plan.message)
    createTopic(this.#core, plan)
  }

  /** Listens for TCP connections, one port for each node. */
  async listen(options: ListenOptions = {}): Promise<BrokerListener> {
    this.#assertOpen()
    const host = options.host ?? '127.0.0.1'
    const listeners: TcpListener[] = []
    const endpoints: Endpoints = { of: (node) => ({ host, port: listeners[node - 1]?.port ?? -1 }) }
    const close = async (): Promise<void> => {
      this.#listeners.delete(listener)
      await Promise.all(listeners.map((each) => each.close()))
    }
    try {
      for (const node of this.nodes) {
        const port = options.port === undefined || options.port === 0 ? 0 : options.port + node - 1
        const listening = await TcpListener.listen({ host, port }, (connection, peer) => {
          const session = this.#accept(node, `${host}:${port}`, endpoints, peer)
          if (session instanceof Error) return undefined
          session.attach(connection)
          return session
        })
        listeners.push(listening)
      }
    } catch (cause) {
      await Promise.all(listeners.map((each) => each.close()))
      throw optionError(
        'port',
        String(options.port ?? 0),
        'a port that is free, and as many behind it as there are nodes',
        cause,
      )
    }
    const ports = listeners.map(({ port }) => port)
    const listener: BrokerListener = {
      bootstrapServers: ports.map((port) => `${host}:${port}`).join(','),
      ports,
      close,
    }
    this.#listeners.add(listener)
    return listener
  }

  /** Closes the node's connections and takes no new ones; leaders move to replicas on other nodes. */
  stopNode(node: number): void {
    this.#core.cluster.stopNode(node)
    this.dropConnections(node)
    this.#waits.flush()
  }

  startNode(node: number): void {
    this.#core.cluster.startNode(node)
    this.#waits.flush()
  }

  /** Makes another node the leader: this one, or any. */
  moveLeader(topic: string, partition: number, node?: number): void {
    this.#core.cluster.moveLeader(this.#partition(topic, partition), node)
    this.#waits.flush()
  }

  leaderOf(topic: string, partition: number): number {
    return this.#partition(topic, partition).leader
  }

  /** Closes all connections, or those of one node, as a network that fails does. */
  dropConnections(node?: number): void {
    for (const session of [...this.#sessions]) {
      if (node === undefined || session.node === node) session.close(new Error('the connection was dropped'))
    }
  }

  /** Every transactional id with its newest transaction, as the coordinator knows it at this moment. */
  transactions(): EmbeddedTransaction[] {
    return [...this.#core.transactions.entries.keys()].flatMap((id) => this.transactionOf(id) ?? [])
  }

  transactionOf(transactionalId: string): EmbeddedTransaction | undefined {
    const entry = this.#core.transactions.entries.get(transactionalId)
    if (entry === undefined) return undefined
    const { state, producerId, epoch, startMs, timeoutMs } = entry
    return { transactionalId, state, producerId, epoch, startMs, timeoutMs }
  }

  partitionsOf(topic: string): number {
    return this.#core.cluster.topics.get(topic)?.partitions.length ?? 0
  }

  /** Where a partition's log begins, where readers of committed records stop, and where it ends. */
  offsetsOf(
    topic: string,
    partition: number,
  ): { readonly begin: number; readonly stable: number; readonly end: number } {
    const { log } = this.#partition(topic, partition)
    return { begin: log.startOffset, stable: log.lastStableOffset, end: log.endOffset }
  }

  /** The batches of a partition as they lie in its log, markers included. */
  batchesOf(topic: string, partition: number): Buffer[] {
    const { log } = this.#partition(topic, partition)
    const read = { bytesMax: Number.POSITIVE_INFINITY, atLeastOne: true, committedOnly: false }
    return [...log.read(log.startOffset, read).pieces]
  }

  /** Aborts a transaction as if its timeout were over; false when none is open under the id. */
  expireTransaction(transactionalId: string): boolean {
    return this.#core.transactions.expire(transactionalId)
  }

  /** Clients see the other level when they ask next, as after an upgrade of the cluster. */
  setTransactionVersion(level: TransactionVersionLevel): void {
    this.#core.features.set(TRANSACTION_VERSION, level)
  }

  /** Applies retention now, as happens by itself every five minutes. */
  applyRetention(): void {
    this.#housekeeping.run()
  }

  /** Closes listeners and connections and forgets everything; idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.dropConnections()
    this.#housekeeping.close()
    this.#core.transactions.close()
    this.#core.groups.close()
    await Promise.all([...this.#listeners].map((listener) => listener.close()))
    for (const topic of [...this.#core.cluster.topics.values()]) this.#core.cluster.deleteTopic(topic)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #assemble(options: EmbeddedBrokerOptions, nodes: number): BrokerCore {
    const { clock, random, logger = silentLogger } = options
    const defaultReplicationFactor = Math.min(DEFAULT_REPLICAS_MAX, nodes)
    const settings = { ...DEFAULT_SETTINGS, defaultReplicationFactor, ...options.settings }
    const cluster = new Cluster({ nodes, random, memoryBytesMax: options.memoryBytesMax ?? DEFAULT_MEMORY_BYTES })
    const features = new Features(options.transactionVersion ?? 2)
    const groups = new GroupCoordinator({ clock, random, settings })
    const transactions = new TransactionCoordinator({
      clock,
      cluster,
      settings,
      groupEnded: (group, producerId, commit) => groups.endTransaction(group, producerId, commit),
      written: () => this.#waits.flush(),
    })
    const core = { clock, random, logger, settings, cluster, features, faults: this.faults, transactions, groups }
    const routes = [
      ...produceRoutes(core),
      ...fetchRoutes(core, this.#waits),
      ...offsetRoutes(core),
      ...clusterRoutes(core, () => this.#routes.values()),
      ...topicRoutes(core),
      ...configRoutes(core),
      ...groupRoutes(core),
      ...groupOffsetRoutes(core),
      ...transactionRoutes(core),
    ]
    for (const route of routes) this.#routes.set(route.api.key, route)
    return core
  }

  #accept(node: number, address: string, endpoints: Endpoints, clientHost: string): Session | Error {
    const { cluster, settings, clock, logger, faults } = this.#core
    if (this.#closed || !cluster.isUp(node)) return new Error(`connection refused: no node is up at ${address}`)
    if (this.#sessions.size >= settings.connectionsMax) {
      return new Error(`connection refused: the embedded broker has ${settings.connectionsMax} connections`)
    }
    const session = new Session({
      node,
      endpoints,
      clientHost: `/${clientHost}`,
      requestBytesMax: settings.requestBytesMax,
      routes: this.#routes,
      faults,
      clock,
      logger,
      settled: () => this.#waits.flush(),
      ended: (ended) => this.#sessions.delete(ended),
    })
    this.#sessions.add(session)
    return session
  }

  #partition(topic: string, index: number): Partition {
    const partition = this.#core.cluster.partition(topic, index)
    if (partition === undefined)
      throw new MillraceError('KAFKA_UNKNOWN_TOPIC', `there is no partition ${topic}-${index}`)
    return partition
  }

  #assertOpen(): void {
    if (this.#closed) throw new MillraceError('CANCELLED', 'the embedded broker is closed')
  }
}

function optionError(option: string, value: string, wanted: string, cause?: unknown): MillraceError {
  return new MillraceError('OPTION_INVALID', `EmbeddedBroker: ${option} ${value}: ${wanted}`, { cause })
}
