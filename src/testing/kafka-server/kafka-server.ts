// A real Apache Kafka for tests: one or several nodes from the published jars, ready in seconds, gone without a trace.
//
// Why: whatever this project claims about Kafka is checked against Kafka itself, on a machine that has Node, Java and
// Maven and nothing else. What always holds: when `start` returns, a topic can be created and written to at once; when
// `close` returns, or this process is gone in whatever way, its processes and its folder are gone as well.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { classArchiveFlags, newClusterId } from './class-archive.ts'
import { installKafka, KAFKA_VERSIONS, type KafkaInstallation } from './kafka-installation.ts'
import { KafkaJavaTools } from './kafka-java-tools.ts'
import { KafkaServerError } from './kafka-server-error.ts'
import { KafkaServerNode } from './kafka-server-node.ts'
import { ParentGuard } from './parent-guard.ts'
import { PortBlock } from './port-block.ts'
import { type NodeAddress, type PropertyValue, type SecurityProtocol, serverProperties } from './server-properties.ts'

const START_ATTEMPTS_MAX = 4
const NODES_MAX = 7
const SETTLE_TIMEOUT_MS = 120_000
const UNKNOWN_TOPIC = 3

export interface KafkaServerOptions {
  /**
   * The version of Apache Kafka; default the newest the project is tested with. From 2.1 on; one before 3.9 keeps its cluster in
   * a ZooKeeper that runs inside its first node.
   */
  readonly version?: string
  /** Default 1. Several nodes form a quorum; internal topics then have up to three replicas. */
  readonly nodes?: number
  /** The level of the feature `transaction.version` to begin with; default that of the version of Kafka. */
  readonly transactionVersion?: 0 | 1 | 2
  /** Settings of every node, as in `server.properties`; they win over those of the launcher. */
  readonly properties?: Readonly<Record<string, PropertyValue>>
  /** Further listeners by name, each with a port of its own on every node: `{ SASL: 'SASL_PLAINTEXT' }`. */
  readonly listeners?: Readonly<Record<string, SecurityProtocol>>
  /** The heap of each node; default 512. */
  readonly heapMb?: number
  /** `quick` starts fast and stays small; `throughput` is for measurements. Default `quick`. */
  readonly jvm?: 'quick' | 'throughput'
}

export interface TopicOptions {
  /** Default 1. */
  readonly partitions?: number
  /** Default 3, or the number of nodes when there are fewer. */
  readonly replicationFactor?: number
  /** Settings of the topic. `retention.ms` is -1 unless given, so that old timestamps are safe from deletion. */
  readonly config?: Readonly<Record<string, PropertyValue>>
}

/**
 * A real Apache Kafka for tests. It needs Java 17 or newer (a development kit), Apache Maven and, once, the network: the
 * jars are kept in `MILLRACE_CACHE_DIR`, else `millrace` in the user's cache folder.
 *
 * ```ts
 * const server = await KafkaServer.start({ nodes: 3 })
 * try {
 *   await server.createTopic('in', { partitions: 4 })
 *   await server.java.produceJson('in', [{ id: 1 }, { id: 2 }], { key: (order) => String(order.id) })
 *   await server.nodes[0]?.kill()
 *   const records = await server.java.readAll('in')
 * } finally {
 *   await server.close()
 * }
 * ```
 */
export class KafkaServer implements AsyncDisposable {
  readonly version: string
  readonly nodes: readonly KafkaServerNode[]
  /** Kafka's own Java clients, for preparing and checking. */
  readonly java: KafkaJavaTools
  /** The folder of data and logs, removed by `close`. */
  readonly directory: string
  readonly #addresses: readonly NodeAddress[]
  readonly #guard: ParentGuard
  readonly #ports: PortBlock
  #closing: Promise<void> | undefined

  private constructor(installation: KafkaInstallation, flags: readonly string[], ports: PortBlock, input: Plan) {
    this.version = installation.version
    this.#ports = ports
    this.#addresses = addresses(ports, input)
    this.directory = mkdtempSync(join(tmpdir(), 'millrace-kafka-'))
    this.#guard = new ParentGuard(this.directory)
    const clusterId = newClusterId()
    const { java, classpath, node } = installation
    const shared = { java, guard: this.#guard }
    // The class archive is one of KafkaTools.
    const archive = node.main === 'KafkaTools' ? flags : []
    this.nodes = this.#addresses.map(
      (address) =>
        new KafkaServerNode({
          ...shared,
          address,
          directory: this.directory,
          classpath: node.classpath,
          main: node.main,
          flags: [`-Xmx${input.heapMb}m`, ...JVM_FLAGS[input.jvm], ...JVM_SETTINGS, ...archive],
          format: ['format', clusterId, ...input.features],
          properties: serverProperties({
            node: address,
            quorum: this.#addresses,
            keeper: node.keeper,
            dataDirectory: join(this.directory, `data-${address.id}`),
            listeners: input.listeners,
            properties: input.properties,
          }),
        }),
    )
    this.java = new KafkaJavaTools({
      ...shared,
      classpath,
      flags: ['-Xmx512m', ...JVM_FLAGS.quick, ...JVM_SETTINGS, ...flags],
      bootstrapServers: this.bootstrapServers,
      directory: this.directory,
    })
  }

  /** Starts a Kafka and waits, at most a few minutes, until all its nodes serve. */
  static async start(options: KafkaServerOptions = {}): Promise<KafkaServer> {
    const plan = planOf(options)
    const installation = await installKafka(options.version ?? KAFKA_VERSIONS.newest)
    const flags = await classArchiveFlags(installation)
    for (let attempt = 1; ; attempt++) {
      const ports = await PortBlock.take(plan.nodes * (2 + Object.keys(plan.listeners).length))
      const server = new KafkaServer(installation, flags, ports, plan)
      try {
        await server.#launch()
        return server
      } catch (error) {
        const portLost = server.nodes.some((node) => /BindException|Address already in use/.test(node.log()))
        await server.close()
        if (!portLost || attempt === START_ATTEMPTS_MAX) throw error
      }
    }
  }

  /** `host:port` of every node, with commas between. */
  get bootstrapServers(): string {
    return this.nodes.map((node) => node.bootstrapServer).join(',')
  }

  /** The bootstrap servers of one of the further `listeners`. */
  bootstrapServersOf(listener: string): string {
    const ports = this.#addresses.map((address) => address.listenerPorts.get(listener))
    if (ports.includes(undefined)) {
      throw new KafkaServerError('OPTION_INVALID', `there is no listener ${listener}: name it in the option listeners`)
    }
    return ports.map((port) => `127.0.0.1:${port}`).join(',')
  }

  /** Creates a topic and waits until every running node knows a leader for each partition, and each leader serves. */
  async createTopic(topic: string, options: TopicOptions = {}): Promise<void> {
    const partitions = options.partitions ?? 1
    const replicationFactor = options.replicationFactor ?? Math.min(3, this.nodes.length)
    const config = { 'retention.ms': -1, ...options.config }
    await this.java.request('createTopic', { topic, partitions, replicationFactor, config })
    await this.#waitForTopic(topic, `to know all ${partitions} partitions of the topic ${topic}`, (answer) => {
      return answer?.error === 0 && answer.readyPartitions >= partitions
    })
    // A broker publishes new metadata before its replicas take up their work. A producer with several requests in flight
    // that writes in between has its first batch refused and a later one appended, because a partition that knows no
    // producer takes any sequence number; Java's producer then repeats the first one until its delivery times out.
    await this.java.offsets(topic, 'latest')
  }

  /** Deletes a topic and waits until no running node knows it any more. */
  async deleteTopic(topic: string): Promise<void> {
    await this.java.request('deleteTopic', { topic })
    const what = `to have forgotten the topic ${topic}`
    await this.#waitForTopic(topic, what, (answer) => answer?.error === UNKNOWN_TOPIC)
  }

  /**
   * Sets the level of a feature, for example `transaction.version` from 1 to 2 while clients are at work, and waits until
   * every running node goes by it.
   */
  async setFeature(feature: string, level: number): Promise<void> {
    await this.java.request('setFeature', { feature, level })
    await Promise.all(this.#running().map((node) => node.waitForFeature(feature, level, SETTLE_TIMEOUT_MS)))
  }

  /** Ends all processes, paused ones too, and removes the folder. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #launch(): Promise<void> {
    for (const node of this.nodes) node.launch()
    const ids = this.nodes.map((node) => node.id)
    await Promise.all(this.nodes.map((node) => node.ready(ids)))
  }

  async #waitForTopic(
    topic: string,
    what: string,
    satisfies: (answer: { readonly error: number; readonly readyPartitions: number } | undefined) => boolean,
  ): Promise<void> {
    await Promise.all(
      this.#running().map((node) =>
        node.waitForMetadata([topic], (answer) => satisfies(answer.topics[0]), what, SETTLE_TIMEOUT_MS),
      ),
    )
  }

  #running(): readonly KafkaServerNode[] {
    return this.nodes.filter((node) => node.state === 'running')
  }

  async #close(): Promise<void> {
    // The data is thrown away, so that nobody needs to wait for an orderly end.
    await Promise.all([this.java.close(), ...this.nodes.map((node) => node.kill())])
    this.#guard.close()
    this.#ports.release()
  }
}

interface Plan {
  readonly nodes: number
  readonly heapMb: number
  readonly jvm: 'quick' | 'throughput'
  readonly features: readonly string[]
  readonly properties: Readonly<Record<string, PropertyValue>>
  readonly listeners: Readonly<Record<string, SecurityProtocol>>
}

// The first compiler only: a server for tests lives too short to earn the second one, which takes a core at the start.
const JVM_FLAGS: Readonly<Record<Plan['jvm'], readonly string[]>> = {
  quick: ['-Xms96m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
  throughput: ['-Xms256m', '-XX:+UseG1GC'],
}
const JVM_SETTINGS: readonly string[] = [
  '-XX:-UsePerfData',
  '-XX:+ExitOnOutOfMemoryError',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
]

function planOf(options: KafkaServerOptions): Plan {
  const nodes = options.nodes ?? 1
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > NODES_MAX) {
    throw new KafkaServerError('OPTION_INVALID', `nodes: ${nodes} is not a number from 1 to ${NODES_MAX}`)
  }
  const { transactionVersion } = options
  return {
    nodes,
    heapMb: options.heapMb ?? 512,
    jvm: options.jvm ?? 'quick',
    features: transactionVersion === undefined ? [] : [`transaction.version=${transactionVersion}`],
    properties: options.properties ?? {},
    listeners: options.listeners ?? {},
  }
}

function addresses(block: PortBlock, plan: Plan): NodeAddress[] {
  const ports = block.ports.values()
  const take = (): number => {
    const next = ports.next()
    if (next.done === true) throw new KafkaServerError('KAFKA_FATAL', 'the block of ports is too small')
    return next.value
  }
  return Array.from({ length: plan.nodes }, (_, index) => ({
    id: index + 1,
    port: take(),
    controllerPort: take(),
    listenerPorts: new Map(Object.keys(plan.listeners).map((name) => [name, take()])),
  }))
}
