/**
 * One Kafka cluster as seen from one thread: its brokers, its metadata, its coordinators, and a connection per broker and
 * purpose (a long poll of the fetcher must not hold up a produce request behind it: brokers answer a connection in order).
 *
 * What always holds: every call ends within its time limit; a broker that cannot be reached delays only those who ask for it;
 * after `close` nothing is sent any more and all that is pending is rejected.
 */
import { MillraceError } from '../../base/index.ts'
import type { BrokerConnection } from '../connection/broker-connection.ts'
import { CLIENT_SOFTWARE_NAME, CLIENT_SOFTWARE_VERSION } from '../connection/broker-connection.ts'
import { clientClosed, describePeer } from '../connection/connection-errors.ts'
import { ConnectionMetrics } from '../metrics/connection-metrics.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import { apiVersionsApi } from '../protocol/generated/api-versions.ts'
import { type FindCoordinatorResponse, findCoordinatorApi } from '../protocol/generated/find-coordinator.ts'
import { type MetadataResponse, metadataApi } from '../protocol/generated/metadata.ts'
import { BrokerFinder } from './broker-finder.ts'
import { ClusterMetadata } from './cluster-metadata.ts'
import { ConnectionSlot } from './connection-slot.ts'
import { brokerError } from './error-classes.ts'
import type { ClusterOptions, KafkaPorts } from './options.ts'
import { type RetryLimits, retrying } from './retrying.ts'

export type ConnectionPurpose = 'fetch' | 'produce' | 'control'
export type CoordinatorKind = 'group' | 'transaction'

/** Below it topics were created by merely asking for them; brokers from 0.11 on have it. */
const METADATA_WITHOUT_CREATION = 4
const API_VERSIONS_WITH_FEATURES = 3

export class KafkaCluster {
  readonly options: ClusterOptions
  readonly ports: KafkaPorts
  readonly metadata: ClusterMetadata
  /** Of all its connections together. */
  readonly connectionMetrics: ConnectionMetrics
  readonly #slots: Map<string, ConnectionSlot> = new Map()
  readonly #coordinators: Map<string, number> = new Map()
  readonly #closing: AbortController = new AbortController()
  readonly #finder: BrokerFinder

  constructor(options: ClusterOptions, ports: KafkaPorts) {
    this.options = options
    this.connectionMetrics = new ConnectionMetrics(ports.clock)
    this.ports = { ...ports, connectionMetrics: this.connectionMetrics }
    const closing = this.#closing.signal
    this.#finder = new BrokerFinder(options, this.ports, closing, {
      known: () => this.metadata.brokers(),
      slot: (nodeId) => this.#slot(nodeId, 'control'),
    })
    const askMetadata = (topics: readonly string[]): Promise<MetadataResponse> => this.askMetadata(topics)
    const unreachable = (elapsedMs: number): MillraceError | undefined => this.unreachable(elapsedMs)
    this.metadata = new ClusterMetadata({ ports, options, closing, askMetadata, unreachable })
  }

  /** The error for giving up now, if no broker answers. */
  unreachable(elapsedMs: number): MillraceError | undefined {
    return this.#finder.unreachable(elapsedMs)
  }

  /** '' when the brokers have none. */
  async clusterId(limits: RetryLimits = {}): Promise<string> {
    if (this.metadata.clusterId === undefined) {
      await retrying(this, 'Asking for the cluster id', () => this.metadata.refresh(), limits)
    }
    return this.metadata.clusterId ?? ''
  }

  /** The finalized level of a cluster feature, 0 when it is absent. Asked anew at each call, so that a change is seen. */
  finalizedFeature(name: string, limits: RetryLimits = {}): Promise<number> {
    const ask = async ({ remainingMs }: { remainingMs: number }): Promise<number> => {
      const connection = await this.anyConnection({ ...limits, timeoutMs: remainingMs })
      const version = connection.version(apiVersionsApi)
      if (version < API_VERSIONS_WITH_FEATURES) return 0
      const request = { clientSoftwareName: CLIENT_SOFTWARE_NAME, clientSoftwareVersion: CLIENT_SOFTWARE_VERSION }
      const response = await connection.send(apiVersionsApi, request, { version })
      return response.finalizedFeatures.find((feature) => feature.name === name)?.maxVersionLevel ?? 0
    }
    return retrying(this, `Asking for the feature ${name}`, ask, limits)
  }

  /** A connection to this broker, kept for this purpose. One attempt; the error says whether another may help. */
  async connection(nodeId: number, purpose: ConnectionPurpose): Promise<BrokerConnection> {
    this.#closing.signal.throwIfAborted()
    let broker = this.metadata.broker(nodeId)
    if (broker === undefined) {
      await this.metadata.refresh()
      broker = this.metadata.broker(nodeId)
    }
    if (broker === undefined) {
      throw new MillraceError(
        'KAFKA_DISCONNECTED',
        `The cluster names no address for broker ${nodeId} now. Nothing was sent.`,
        {
          retriable: true,
          next: 'It is tried again until the time limit.',
        },
      )
    }
    return this.#slot(nodeId, purpose).get({ host: broker.host, port: broker.port })
  }

  /** A connection to any broker, known or from bootstrap.servers; KAFKA_UNREACHABLE when none answers in time. */
  async anyConnection(limits: RetryLimits = {}): Promise<BrokerConnection> {
    this.#closing.signal.throwIfAborted()
    return this.#finder.find(limits)
  }

  /** A connection to the coordinator of a group or transactional id, looked up if not known. */
  coordinator(kind: CoordinatorKind, key: string, limits: RetryLimits = {}): Promise<BrokerConnection> {
    const doing =
      kind === 'group'
        ? `Finding the coordinator of group ${key}`
        : `Finding the coordinator of transactional id ${key}`
    const find = async ({ remainingMs }: { remainingMs: number }): Promise<BrokerConnection> => {
      const cached = this.#coordinators.get(`${kind}/${key}`)
      const nodeId = cached ?? (await this.#lookUpCoordinator(kind, key, doing, { ...limits, timeoutMs: remainingMs }))
      try {
        return await this.connection(nodeId, 'control')
      } catch (error) {
        this.forgetCoordinator(kind, key)
        throw error
      }
    }
    return retrying(this, doing, find, limits)
  }

  forgetCoordinator(kind: CoordinatorKind, key: string): void {
    this.#coordinators.delete(`${kind}/${key}`)
  }

  /** One question about topics (null: all of them) to any broker. What it says about the brokers is taken in. */
  async askMetadata(topics: readonly string[] | null, limits: RetryLimits = {}): Promise<MetadataResponse> {
    const connection = await this.anyConnection(limits)
    const version = connection.version(metadataApi, { min: METADATA_WITHOUT_CREATION })
    const request = { topics: topics === null ? null : topics.map((name) => ({ name })), allowAutoTopicCreation: false }
    const response = await connection.send(metadataApi, request, { version })
    if (response.errorCode !== KafkaErrorCode.NONE) {
      // REBOOTSTRAP_REQUIRED (KIP-1102): the addresses learned so far lead into another cluster.
      this.metadata.forgetBrokers()
      connection.retire()
      throw new MillraceError(
        'KAFKA_RETRIABLE',
        `${describePeer(connection)} has no metadata to give. Nothing was done.`,
        {
          retriable: true,
        },
      )
    }
    return response
  }

  /** Closes all connections at once; idempotent. */
  close(): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.resolve()
    this.#closing.abort(clientClosed('The request was given up'))
    this.metadata.close()
    this.#finder.close()
    for (const slot of this.#slots.values()) slot.close()
    return Promise.resolve()
  }

  #slot(nodeId: number, purpose: ConnectionPurpose): ConnectionSlot {
    const key = `${nodeId}/${purpose}`
    let slot = this.#slots.get(key)
    if (slot === undefined) {
      slot = new ConnectionSlot(nodeId, this.options, this.ports, this.#closing.signal)
      this.#slots.set(key, slot)
    }
    return slot
  }

  async #lookUpCoordinator(kind: CoordinatorKind, key: string, doing: string, limits: RetryLimits): Promise<number> {
    const connection = await this.anyConnection(limits)
    const keyType = kind === 'group' ? 0 : 1
    const version = connection.version(findCoordinatorApi, { min: 1 })
    const request = version >= 4 ? { keyType, coordinatorKeys: [key] } : { keyType, key }
    const found = onlyCoordinator(await connection.send(findCoordinatorApi, request, { version }), version)
    if (found.errorCode !== KafkaErrorCode.NONE) {
      throw brokerError(found.errorCode, {
        context: kind === 'group' ? 'admin' : 'transaction',
        doing,
        right: `DESCRIBE on ${kind === 'group' ? 'group' : 'transactional id'} ${key}`,
        message: found.errorMessage,
      })
    }
    this.metadata.learn({ nodeId: found.nodeId, host: found.host, port: found.port })
    this.#coordinators.set(`${kind}/${key}`, found.nodeId)
    return found.nodeId
  }
}

type FoundCoordinator = Pick<FindCoordinatorResponse, 'errorCode' | 'errorMessage' | 'nodeId' | 'host' | 'port'>

function onlyCoordinator(response: FindCoordinatorResponse, version: number): FoundCoordinator {
  if (version < 4) return response
  const [found] = response.coordinators
  if (found !== undefined) return found
  return { errorCode: KafkaErrorCode.COORDINATOR_NOT_AVAILABLE, errorMessage: null, nodeId: -1, host: '', port: 0 }
}
