// The settings of one node: a combined broker and controller of a KRaft quorum, or a broker of a cluster kept in ZooKeeper,
// small enough for tests.
//
// Why these: few partitions and threads and a small cleaner buffer start quickly and keep memory low; short check
// intervals make time-outs of transactions and fencing visible within a test. What a test gives in `properties` is
// written last and wins. Settings that a version does not know are ignored by it.

export interface NodeAddress {
  readonly id: number
  readonly port: number
  readonly controllerPort: number
  /** Ports of further listeners by their names. */
  readonly listenerPorts: ReadonlyMap<string, number>
}

export type SecurityProtocol = 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'

export type PropertyValue = string | number | boolean

export interface ServerPropertiesInput {
  readonly node: NodeAddress
  readonly quorum: readonly NodeAddress[]
  /** With ZooKeeper, it is in the first node of the quorum and listens on the port of its controller. */
  readonly keeper: 'kraft' | 'zookeeper'
  readonly dataDirectory: string
  readonly listeners: Readonly<Record<string, SecurityProtocol>>
  readonly properties: Readonly<Record<string, PropertyValue>>
}

/** The text of `server.properties` of one node. */
export function serverProperties(input: ServerPropertiesInput): string {
  const { node, quorum } = input
  const replicas = Math.min(3, quorum.length)
  const inSync = Math.max(1, replicas - 1)
  const extra = [...node.listenerPorts].map(([name, port]) => `${name}://127.0.0.1:${port}`)
  const protocols = Object.entries(input.listeners).map(([name, protocol]) => `${name}:${protocol}`)
  const clients = [`PLAINTEXT://127.0.0.1:${node.port}`, ...extra]
  const settings: Record<string, PropertyValue> = {
    ...(input.keeper === 'kraft' ? kraft(input, clients) : zooKeeper(input, clients)),
    'broker.rack': `rack-${node.id}`,
    'advertised.listeners': clients.join(','),
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': ['CONTROLLER:PLAINTEXT', 'PLAINTEXT:PLAINTEXT', ...protocols].join(','),
    'log.dirs': input.dataDirectory,
    'log.segment.bytes': 1_073_741_824,
    'num.partitions': 1,
    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'auto.create.topics.enable': false,
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.num.partitions': 4,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'group.initial.rebalance.delay.ms': 0,
    // Kafka looks for expired transactions every 10 s; a test would wait that long for each.
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1_000,
    'log.initial.task.delay.ms': 1_000,
    // A node that was killed may come back only when its old session has expired: 9 s by default.
    'broker.session.timeout.ms': 4_000,
    'broker.heartbeat.interval.ms': 500,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    'log.cleaner.dedupe.buffer.size': 16_777_216,
    ...input.properties,
  }
  return `${Object.entries(settings)
    .map(([key, value]) => `${key}=${escapeValue(String(value))}`)
    .join('\n')}\n`
}

function kraft({ node, quorum }: ServerPropertiesInput, clients: readonly string[]): Record<string, PropertyValue> {
  return {
    'process.roles': 'broker,controller',
    'node.id': node.id,
    'controller.quorum.voters': quorum.map((each) => `${each.id}@127.0.0.1:${each.controllerPort}`).join(','),
    listeners: [...clients, `CONTROLLER://127.0.0.1:${node.controllerPort}`].join(','),
    'controller.listener.names': 'CONTROLLER',
  }
}

function zooKeeper({ node, quorum }: ServerPropertiesInput, clients: readonly string[]): Record<string, PropertyValue> {
  const port = quorum[0]?.controllerPort ?? node.controllerPort
  return {
    'broker.id': node.id,
    listeners: clients.join(','),
    'zookeeper.connect': `127.0.0.1:${port}`,
    'zookeeper.session.timeout.ms': 4_000,
    'zookeeper.connection.timeout.ms': 30_000,
    ...(node.controllerPort === port ? { 'embedded.zookeeper.port': port } : {}),
  }
}

/** Line ends and backslashes would be read as something else by java.util.Properties. */
function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
}
