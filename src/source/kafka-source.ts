/**
 * Reads Kafka topics into a stream, exactly once by its own checkpoints. Immutable; made by a builder or from one plain object.
 *
 * @example
 * const source = KafkaSource.builder()
 *   .setBootstrapServers('localhost:9092')
 *   .setTopics('orders')
 *   .setGroupId('orders-job')
 *   .setStartingOffsets(OffsetsInitializer.earliest())
 *   .setValueOnlyDeserializer(new SimpleStringSchema())
 *   .build()
 */
import { describeError } from '../base/index.ts'
import type {
  Boundedness,
  RuntimePorts,
  Source,
  SourceReader,
  SourceReaderContext,
  SplitEnumerator,
  SplitEnumeratorContext,
  VersionedSerializer,
} from '../core/index.ts'
import { KafkaSourceEnumerator } from './enumerator/kafka-source-enumerator.ts'
import {
  beginningOf,
  type KafkaSourceEnumeratorState,
  kafkaSourceEnumeratorStateSerializer,
} from './enumerator/kafka-source-enumerator-state.ts'
import { KafkaSourceBuilder } from './kafka-source-builder.ts'
import { buildFrom, type KafkaSourceDefinition } from './kafka-source-definition.ts'
import { withoutSecrets } from './kafka-source-properties.ts'
import { connectAs, type KafkaSourceSettings } from './kafka-source-settings.ts'
import { KafkaSourceReader } from './reader/kafka-source-reader.ts'
import { type ConnectSource, connectKafka } from './source-client.ts'
import { type KafkaPartitionSplit, kafkaPartitionSplitSerializer, splitId } from './split/kafka-partition-split.ts'

export class KafkaSource<T> implements Source<T, KafkaPartitionSplit, KafkaSourceEnumeratorState> {
  readonly splitSerializer: VersionedSerializer<KafkaPartitionSplit> = kafkaPartitionSplitSerializer
  readonly enumeratorStateSerializer: VersionedSerializer<KafkaSourceEnumeratorState> =
    kafkaSourceEnumeratorStateSerializer
  readonly #settings: KafkaSourceSettings<T>
  readonly #connect: ConnectSource

  /** For the builder. `connect` stands in for Kafka's client in tests. */
  constructor(settings: KafkaSourceSettings<T>, connect: ConnectSource = connectKafka) {
    this.#settings = settings
    this.#connect = connect
  }

  static builder<T = unknown>(): KafkaSourceBuilder<T> {
    return new KafkaSourceBuilder<T>((settings) => new KafkaSource(settings))
  }

  /** The same from one object; its type follows from the deserializer. */
  static from<T>(definition: KafkaSourceDefinition<T>): KafkaSource<T> {
    return buildFrom(KafkaSource.builder(), definition).build()
  }

  get boundedness(): Boundedness {
    return this.#settings.boundedness
  }

  splitId(split: KafkaPartitionSplit): string {
    return splitId(split)
  }

  createEnumerator(
    context: SplitEnumeratorContext<KafkaPartitionSplit>,
    restored?: { readonly state: KafkaSourceEnumeratorState; readonly splits: readonly KafkaPartitionSplit[] },
  ): SplitEnumerator<KafkaSourceEnumeratorState> {
    return new KafkaSourceEnumerator({ context, settings: this.#settings, connect: this.#connect, restored })
  }

  beginningOf(state: KafkaSourceEnumeratorState): KafkaSourceEnumeratorState {
    return beginningOf(state)
  }

  createReader(context: SourceReaderContext<T>): SourceReader<KafkaPartitionSplit> {
    return new KafkaSourceReader({ context, settings: this.#settings, connect: this.#connect })
  }

  /** Sets the group's offsets to the positions of a restored checkpoint. */
  async publishPositions(splits: readonly KafkaPartitionSplit[], ports: RuntimePorts): Promise<void> {
    const { groupId, commitOnCheckpoint } = this.#settings
    const offsets = splits.flatMap(({ topic, partition, startingOffset }) =>
      startingOffset.kind === 'at' ? [{ topic, partition, offset: startingOffset.offset }] : [],
    )
    if (groupId === undefined || !commitOnCheckpoint || offsets.length === 0) return
    const client = connectAs(this.#connect, this.#settings, { uid: groupId, suffix: 'recovery', ports })
    try {
      await client.admin.commitGroupOffsets(groupId, offsets)
    } catch (error) {
      ports.logger.warn(
        { group: groupId, partitions: offsets.length, error: describeError(error) },
        'the positions of the restored checkpoint could not be committed; the next checkpoint commits newer ones',
      )
    } finally {
      await client.close()
    }
  }

  describe(): Readonly<Record<string, unknown>> {
    const { subscriber, startingOffsets, stoppingOffsets, boundedness, properties, deserializer } = this.#settings
    return {
      kind: 'KafkaSource',
      subscription: nameOf(subscriber),
      startingOffsets: nameOf(startingOffsets),
      stoppingOffsets: stoppingOffsets === undefined ? 'none' : nameOf(stoppingOffsets),
      boundedness,
      deserializer: nameOf(deserializer),
      properties: withoutSecrets(properties),
    }
  }

  toString(): string {
    const { subscriber, properties } = this.#settings
    return `KafkaSource(${nameOf(subscriber)} of ${properties['bootstrap.servers']})`
  }
}

/** What an object says of itself, or else the name of its class. */
function nameOf(object: object): string {
  return object.toString === Object.prototype.toString ? object.constructor.name : String(object)
}
