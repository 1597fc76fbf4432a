/**
 * KafkaSink: writes elements to Kafka topics, with the guarantee asked for. It is a description, made once per thread when
 * the job's graph is built; writers (one a subtask) and the ledger (one a job) connect on their own.
 */
import { MillraceError } from '../base/index.ts'
import type { RuntimePorts, Sink, SinkWriter, SinkWriterContext, TransactionalSide } from '../core/index.ts'
import {
  describeCommittable,
  type KafkaCommittable,
  KafkaCommittableSerializer,
} from './committer/kafka-committable.ts'
import { KafkaTransactionLedger } from './committer/kafka-transaction-ledger.ts'
import type { DeliveryGuarantee, TransactionNamingStrategy } from './delivery-guarantee.ts'
import { KafkaSinkBuilder, type KafkaSinkOptions } from './kafka-sink-builder.ts'
import {
  BuiltRecordSerializationSchema,
  type KafkaRecordSerializationSchema,
} from './serializer/kafka-record-serialization-schema.ts'
import type { KafkaProperties, ParsedSinkProperties, SinkConnector } from './sink-connector.ts'
import { KafkaWriter } from './writer/kafka-writer.ts'
import { TransactionNames } from './writer/transaction-names.ts'
import { WriterTransactions } from './writer/writer-transactions.ts'

/** Checked by the builder. */
export interface KafkaSinkSettings<T> {
  readonly schema: KafkaRecordSerializationSchema<T>
  readonly guarantee: DeliveryGuarantee
  readonly prefix: string | undefined
  readonly naming: TransactionNamingStrategy
  /** With bootstrap.servers and the sink's defaults. */
  readonly properties: KafkaProperties
  /** Whether the user left it to the sink how long records wait for more. */
  readonly prompt: boolean
  readonly registerProducerMetrics: boolean
  readonly parsed: ParsedSinkProperties
  readonly connector: SinkConnector
}

export class KafkaSink<T> implements Sink<T, KafkaCommittable> {
  readonly transactional?: TransactionalSide<KafkaCommittable>
  readonly #settings: KafkaSinkSettings<T>

  /** Use `KafkaSink.builder()` or `KafkaSink.to()`. */
  constructor(settings: KafkaSinkSettings<T>) {
    this.#settings = settings
    const { guarantee, prefix } = settings
    if (guarantee === 'EXACTLY_ONCE' && prefix !== undefined) {
      this.transactional = {
        committableSerializer: new KafkaCommittableSerializer(),
        // Two lists of bootstrap servers may name one cluster, which nobody can tell while the graph is built.
        ownershipKey: `Kafka transactional id prefix "${prefix}"`,
        describeCommittable,
        createLedger: (ports) => this.#createLedger(ports, prefix),
      }
    }
  }

  static builder<T>(): KafkaSinkBuilder<T> {
    return new KafkaSinkBuilder<T>('builder')
  }

  /**
   * The same as the builder, as one object.
   *
   * @example
   * KafkaSink.to({ bootstrapServers, topic: 'totals', valueSerializationSchema: new JsonSchema<Total>() })
   */
  static to<T>(options: KafkaSinkOptions<T>): KafkaSink<T> {
    return new KafkaSinkBuilder<T>('object').setAll(options).build()
  }

  createWriter(context: SinkWriterContext): SinkWriter<T, KafkaCommittable> {
    const { schema, guarantee, properties, connector, prefix, prompt, registerProducerMetrics } = this.#settings
    const clientId = properties['client.id'] ?? `${context.jobName}-${context.uid}`
    const connection = connector.connect({ ...properties, 'client.id': `${clientId}-${context.subtask}` }, context)
    const fail = (error: Error): void => context.fail(error)
    return new KafkaWriter<T>({
      context,
      schema,
      guarantee,
      prompt,
      registerProducerMetrics,
      producer: connection.createProducer(fail),
      disconnect: () => connection.close(),
      transactions:
        this.transactional === undefined || prefix === undefined
          ? undefined
          : (shared) => this.#createTransactions(context, prefix, { ...shared, gateway: connection.gateway, fail }),
    })
  }

  #createTransactions(
    context: SinkWriterContext,
    prefix: string,
    shared: Pick<ConstructorParameters<typeof WriterTransactions>[0], 'producer' | 'metrics' | 'gateway' | 'fail'>,
  ): WriterTransactions {
    const { naming, parsed } = this.#settings
    const { settings } = context
    if (settings === undefined) {
      throw new MillraceError(
        'GRAPH_INVALID',
        `the exactly-once sink "${context.uid}" runs without its ledger's settings`,
      )
    }
    return new WriterTransactions({
      ...shared,
      names: new TransactionNames({
        strategy: naming,
        prefix,
        attempt: context.attempt,
        subtask: context.subtask,
        poolBound: settings.poolBound,
      }),
      clock: context.clock,
      sinkUid: context.uid,
      nextCheckpoint: context.nextCheckpoint,
      transactionTimeoutMs: settings.transactionTimeoutMs,
      commitTimeoutMs: parsed.apiTimeoutMs,
    })
  }

  #createLedger(ports: RuntimePorts, prefix: string): KafkaTransactionLedger {
    const { naming, parsed, properties, connector } = this.#settings
    return new KafkaTransactionLedger({
      gateway: connector.connect(properties, ports).gateway,
      logger: ports.logger,
      prefix,
      naming,
      transactionTimeoutMs: parsed.transactionTimeoutMs,
      commitTimeoutMs: parsed.apiTimeoutMs,
    })
  }

  describe(): Readonly<Record<string, unknown>> {
    const { schema, guarantee, prefix, naming, properties } = this.#settings
    const built = schema instanceof BuiltRecordSerializationSchema ? schema.parts.topic : undefined
    return {
      kind: 'KafkaSink',
      topic: typeof built === 'string' ? built : '(selected by element)',
      deliveryGuarantee: guarantee,
      ...(prefix === undefined ? {} : { transactionalIdPrefix: prefix, transactionNamingStrategy: naming }),
      properties: withoutSecrets(properties),
    }
  }
}

const SECRET = /password|secret|jaas|token|credential|\.key$|keystore|truststore/i

function withoutSecrets(properties: KafkaProperties): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const key of Object.keys(properties).sort()) shown[key] = SECRET.test(key) ? '***' : properties[key]
  return shown
}
