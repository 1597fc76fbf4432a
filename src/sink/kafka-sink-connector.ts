/**
 * The sink on real brokers: room kafka behind the two interfaces that the sink is written against.
 */
import type { RuntimePorts } from '../core/index.ts'
import {
  endTransaction,
  initProducerId,
  KafkaAdmin,
  KafkaCluster,
  type KafkaMetrics,
  Producer,
  parseClusterOptions,
  parseProducerOptions,
  transactionVersion,
} from '../kafka/index.ts'
import type { KafkaProperties, ParsedSinkProperties, SinkConnection, SinkConnector } from './sink-connector.ts'
import type {
  EndOutcome,
  ProducerIdentity,
  TransactionGateway,
  TransactionHandle,
  TransactionListing,
  TransactionSnapshot,
  TransactionVersion,
} from './transaction/transaction-gateway.ts'
import type { RecordProducer, RecordProducerMetrics, RecordTopic, SealedRecords } from './writer/record-producer.ts'

export class KafkaSinkConnector implements SinkConnector {
  parse(properties: KafkaProperties): ParsedSinkProperties {
    const { transactionTimeoutMs } = parseProducerOptions(properties)
    return {
      transactionTimeoutMs: properties['transaction.timeout.ms'] === undefined ? undefined : transactionTimeoutMs,
      apiTimeoutMs: parseClusterOptions(properties).defaultApiTimeoutMs,
    }
  }

  connect(properties: KafkaProperties, ports: RuntimePorts): SinkConnection {
    const cluster = new KafkaCluster(parseClusterOptions(properties), ports)
    return {
      gateway: new KafkaTransactionGateway(cluster),
      createProducer: (fail) =>
        new KafkaRecordProducer(cluster, new Producer(cluster, parseProducerOptions(properties), fail)),
      close: () => cluster.close(),
    }
  }
}

class KafkaTransactionGateway implements TransactionGateway {
  readonly #cluster: KafkaCluster
  readonly #admin: KafkaAdmin

  constructor(cluster: KafkaCluster) {
    this.#cluster = cluster
    this.#admin = new KafkaAdmin(cluster)
  }

  clusterId(): Promise<string> {
    return this.#cluster.clusterId()
  }

  transactionVersion(): Promise<TransactionVersion> {
    return transactionVersion(this.#cluster)
  }

  initProducerId(transactionalId: string, timeoutMs: number, signal?: AbortSignal): Promise<ProducerIdentity> {
    return initProducerId(this.#cluster, transactionalId, timeoutMs, signal)
  }

  endTransaction(
    handle: TransactionHandle,
    commit: boolean,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<EndOutcome> {
    const options = signal === undefined ? { deadlineMs: timeoutMs } : { deadlineMs: timeoutMs, signal }
    return endTransaction(this.#cluster, handle, commit, options)
  }

  describe(transactionalIds: readonly string[]): Promise<readonly TransactionSnapshot[] | undefined> {
    return this.#admin.describeTransactions(transactionalIds)
  }

  list(states: readonly string[]): Promise<readonly TransactionListing[] | undefined> {
    return this.#admin.listTransactions({ states: [...states] })
  }

  transactionMaxTimeoutMs(): Promise<number | undefined> {
    return this.#admin.transactionMaxTimeoutMs()
  }

  close(): Promise<void> {
    return this.#cluster.close()
  }
}

class KafkaRecordProducer implements RecordProducer {
  readonly #producer: Producer
  readonly kafkaMetrics: KafkaMetrics

  constructor(cluster: KafkaCluster, producer: Producer) {
    this.kafkaMetrics = new Map([...cluster.connectionMetrics.gauges, ...producer.kafkaMetrics])
    this.#producer = producer
  }

  topic(name: string): Promise<RecordTopic> {
    return this.#producer.topic(name)
  }

  get blocked(): boolean {
    return this.#producer.blocked
  }

  writable(): Promise<void> {
    return this.#producer.writable()
  }

  get failure(): RecordProducer['failure'] {
    return this.#producer.failure
  }

  nudge(): void {
    this.#producer.nudge()
  }

  beginTransaction(transactionalId: string, begin: Promise<TransactionHandle>): void {
    this.#producer.beginTransaction(transactionalId, undefined, begin)
  }

  seal(): Promise<SealedRecords> {
    return this.#producer.seal()
  }

  close(options: { readonly discard: boolean }): Promise<void> {
    return this.#producer.close(options)
  }

  metrics(): RecordProducerMetrics {
    const { bytesSent, sendTimeMs, recordsClosed, recordsAcknowledged } = this.#producer.metrics()
    const failed = this.#producer.failure !== undefined && this.#producer.failure.code !== 'CANCELLED'
    return { bytesSent, sendTimeMs, recordErrors: failed ? recordsClosed - recordsAcknowledged : 0 }
  }
}
