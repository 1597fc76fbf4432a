/**
 * Where the sink meets Kafka: the two things it needs of a cluster, made from properties and ports. The real connector is
 * KafkaSinkConnector; tests of the protocol hand in a model. One connection belongs to one writer or one ledger.
 */
import type { RuntimePorts } from '../core/index.ts'
import type { TransactionGateway } from './transaction/transaction-gateway.ts'
import type { RecordProducer } from './writer/record-producer.ts'

export type KafkaProperties = Readonly<Record<string, string | number | boolean>>

export interface SinkConnection {
  readonly gateway: TransactionGateway
  /** At most once for a connection. `fail` is told of a batch that could not be delivered. */
  createProducer(fail: (error: Error) => void): RecordProducer
  close(): Promise<void>
}

/** What the properties say that the sink itself needs; parsing them is also how they are checked. */
export interface ParsedSinkProperties {
  /** transaction.timeout.ms, when set. */
  readonly transactionTimeoutMs: number | undefined
  /** default.api.timeout.ms: how long an end of a transaction is tried. */
  readonly apiTimeoutMs: number
}

export interface SinkConnector {
  /** Throws OPTION_INVALID naming the property. */
  parse(properties: KafkaProperties): ParsedSinkProperties
  connect(properties: KafkaProperties, ports: RuntimePorts): SinkConnection
}
