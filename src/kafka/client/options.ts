/**
 * The client's options. At the edge they carry Kafka's Java property names and defaults; inside they are typed, with units in
 * their names, and were checked once. A property that is not read here is ignored, as Java's client does (it belongs to
 * somebody else, or to a part of the client that has no counterpart here).
 */
import { type Clock, type Logger, MillraceError, type Network, type Random } from '../../base/index.ts'
import type { ConnectionMetrics } from '../metrics/connection-metrics.ts'
import type { CompressionCodec } from '../records/compression.ts'
import { type KafkaProperties, PropertyValues } from './property-values.ts'

export type { KafkaProperties }

/** What the client reaches the world through. */
export interface KafkaPorts {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Where connections count what they do; a cluster has its own. */
  readonly connectionMetrics?: ConnectionMetrics
}

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

export interface ClusterOptions {
  readonly bootstrapServers: readonly BrokerAddress[]
  readonly clientId: string
  /** '' when the client says nothing about where it is. */
  readonly clientRack: string
  readonly requestTimeoutMs: number
  readonly defaultApiTimeoutMs: number
  readonly retryBackoffMs: number
  readonly retryBackoffMaxMs: number
  readonly reconnectBackoffMs: number
  readonly reconnectBackoffMaxMs: number
  readonly connectionSetupTimeoutMs: number
  readonly connectionSetupTimeoutMaxMs: number
  /** Infinity: never closed for being idle. */
  readonly connectionMaxIdleMs: number
  readonly metadataMaxAgeMs: number
}

export type IsolationLevel = 'read_uncommitted' | 'read_committed'

export interface FetcherOptions {
  readonly isolationLevel: IsolationLevel
  readonly fetchMinBytes: number
  readonly fetchMaxBytes: number
  readonly maxPartitionFetchBytes: number
  readonly fetchMaxWaitMs: number
  readonly checkCrcs: boolean
}

export interface ProducerOptions {
  /** -1 is "all". */
  readonly acks: -1 | 0 | 1
  readonly batchSize: number
  readonly lingerMs: number
  readonly bufferMemory: number
  readonly maxInFlightRequestsPerConnection: number
  readonly deliveryTimeoutMs: number
  /** How often a batch is sent again at most; Infinity unless set: delivery.timeout.ms is the bound then. */
  readonly retries: number
  readonly requestTimeoutMs: number
  readonly maxRequestSize: number
  readonly compressionType: CompressionCodec
  readonly enableIdempotence: boolean
  readonly partitionerAdaptive: boolean
  readonly partitionerIgnoreKeys: boolean
  readonly transactionTimeoutMs: number
}

export function parseClusterOptions(properties: KafkaProperties): ClusterOptions {
  const values = new PropertyValues(properties)
  const protocol = values.text('security.protocol', 'PLAINTEXT').toUpperCase()
  if (protocol !== 'PLAINTEXT') {
    throw new MillraceError(
      'NOT_SUPPORTED',
      `The Kafka property security.protocol is ${JSON.stringify(protocol)}; only PLAINTEXT connections exist so far.`,
      { next: 'Nothing was started.' },
    )
  }
  const dns = values.oneOf('client.dns.lookup', 'use_all_dns_ips', [
    'use_all_dns_ips',
    'resolve_canonical_bootstrap_servers_only',
  ])
  if (dns !== 'use_all_dns_ips') {
    throw new MillraceError(
      'NOT_SUPPORTED',
      `The Kafka property client.dns.lookup is ${JSON.stringify(dns)}; only use_all_dns_ips exists here. The other replaces each bootstrap server by the canonical names of its addresses, which Kerberos needs: name the brokers by these in bootstrap.servers instead.`,
      { next: 'Nothing was started.' },
    )
  }
  const retryBackoffMs = values.durationMs('retry.backoff.ms', 100)
  const reconnectBackoffMs = values.durationMs('reconnect.backoff.ms', 50)
  const setupTimeoutMs = values.durationMs('socket.connection.setup.timeout.ms', 10_000, { min: 1 })
  const setupTimeoutMaxMs = values.durationMs('socket.connection.setup.timeout.max.ms', 30_000, { min: 1 })
  const idleMs = values.durationMs('connections.max.idle.ms', 540_000, { min: -1 })
  return {
    bootstrapServers: bootstrapServers(values),
    clientId: values.text('client.id', 'millrace'),
    clientRack: values.text('client.rack', ''),
    requestTimeoutMs: values.durationMs('request.timeout.ms', 30_000, { min: 1 }),
    defaultApiTimeoutMs: values.durationMs('default.api.timeout.ms', 60_000, { min: 1 }),
    retryBackoffMs,
    // As in Java's client, a larger first pause lifts the bound.
    retryBackoffMaxMs: Math.max(retryBackoffMs, values.durationMs('retry.backoff.max.ms', 1_000)),
    reconnectBackoffMs,
    reconnectBackoffMaxMs: Math.max(reconnectBackoffMs, values.durationMs('reconnect.backoff.max.ms', 1_000)),
    connectionSetupTimeoutMs: setupTimeoutMs,
    connectionSetupTimeoutMaxMs: Math.max(setupTimeoutMs, setupTimeoutMaxMs),
    connectionMaxIdleMs: idleMs === -1 ? Number.POSITIVE_INFINITY : idleMs,
    metadataMaxAgeMs: values.durationMs('metadata.max.age.ms', 300_000, { min: 1 }),
  }
}

export function parseFetcherOptions(properties: KafkaProperties): FetcherOptions {
  const values = new PropertyValues(properties)
  return {
    isolationLevel: values.oneOf('isolation.level', 'read_uncommitted', ['read_uncommitted', 'read_committed']),
    fetchMinBytes: values.bytes('fetch.min.bytes', 1),
    fetchMaxBytes: values.bytes('fetch.max.bytes', 50 * 1024 * 1024, { min: 1 }),
    maxPartitionFetchBytes: values.bytes('max.partition.fetch.bytes', 1024 * 1024, { min: 1 }),
    fetchMaxWaitMs: values.durationMs('fetch.max.wait.ms', 500),
    checkCrcs: values.flag('check.crcs', true),
  }
}

export function parseProducerOptions(properties: KafkaProperties): ProducerOptions {
  const values = new PropertyValues(properties)
  const acksText = values.oneOf('acks', 'all', ['all', '-1', '0', '1'])
  const acks = acksText === '0' ? 0 : acksText === '1' ? 1 : -1
  const maxInFlight = values.integer('max.in.flight.requests.per.connection', 5, { min: 1 })
  // As in Java's client: on by default, off by itself when another option forbids it, an error when both are asked for.
  const retries = values.integer('retries', 0x7fff_ffff)
  const possible = acks === -1 && maxInFlight <= 5 && retries > 0
  const enableIdempotence = values.flag('enable.idempotence', possible)
  if (enableIdempotence && !possible) {
    throw values.invalid(
      'enable.idempotence',
      'false, or acks=all with max.in.flight.requests.per.connection of 5 or less and retries above 0',
    )
  }
  const lingerMs = values.durationMs('linger.ms', 5)
  const requestTimeoutMs = values.durationMs('request.timeout.ms', 30_000, { min: 1 })
  return {
    acks,
    batchSize: values.bytes('batch.size', 16_384),
    lingerMs,
    bufferMemory: values.bytes('buffer.memory', 32 * 1024 * 1024, { max: Number.MAX_SAFE_INTEGER }),
    maxInFlightRequestsPerConnection: maxInFlight,
    retries: retries === 0x7fff_ffff ? Number.POSITIVE_INFINITY : retries,
    // As in Java's client, the default gives way to longer times that were asked for.
    deliveryTimeoutMs: values.durationMs('delivery.timeout.ms', Math.max(120_000, lingerMs + requestTimeoutMs), {
      min: 1,
    }),
    requestTimeoutMs,
    maxRequestSize: values.bytes('max.request.size', 1024 * 1024, { min: 1 }),
    compressionType: values.oneOf('compression.type', 'none', ['none', 'gzip', 'snappy', 'lz4', 'zstd']),
    enableIdempotence,
    partitionerAdaptive: values.flag('partitioner.adaptive.partitioning.enable', true),
    partitionerIgnoreKeys: values.flag('partitioner.ignore.keys', false),
    transactionTimeoutMs: values.durationMs('transaction.timeout.ms', 60_000, { min: 1 }),
  }
}

function bootstrapServers(values: PropertyValues): readonly BrokerAddress[] {
  const key = 'bootstrap.servers'
  const wanted = 'a list such as "host1:9092,host2:9092"'
  const servers: BrokerAddress[] = []
  for (const part of values.text(key, '').split(',')) {
    const text = part.trim()
    if (text === '') continue
    const match = /^(?:[A-Z_]+:\/\/)?(?:\[([0-9a-f:.%a-z]+)\]|([^:[\]/\s]+)):(\d{1,5})$/i.exec(text)
    const host = match?.[1] ?? match?.[2]
    const port = Number(match?.[3])
    if (host === undefined || !(port >= 1 && port <= 65_535)) throw values.invalid(key, wanted)
    if (!servers.some((server) => server.host === host && server.port === port)) servers.push({ host, port })
  }
  if (servers.length === 0) throw values.invalid(key, wanted)
  return servers
}
