/**
 * What a built source knows about itself, checked and typed: made by the builder, shared unchanged by enumerator and readers.
 * Properties keep their Java names and text, as the client's own options are parsed from them in the kafka room.
 */
import type { Boundedness, RuntimePorts } from '../core/index.ts'
import type { KafkaRecordDeserializationSchema } from './deserializer/kafka-record-deserialization-schema.ts'
import type { KafkaSubscriber } from './kafka-subscriber.ts'
import type { OffsetResetStrategy } from './offset-reset-strategy.ts'
import type { OffsetsInitializer } from './offsets-initializer.ts'
import type { ConnectSource, SourceClient } from './source-client.ts'

export interface KafkaSourceSettings<T> {
  /** With every property that the builder overrides or derives. */
  readonly properties: Readonly<Record<string, string>>
  readonly subscriber: KafkaSubscriber
  readonly startingOffsets: OffsetsInitializer
  /** Undefined: no partition has an end. */
  readonly stoppingOffsets: OffsetsInitializer | undefined
  readonly boundedness: Boundedness
  /** Undefined: partitions are looked for once. */
  readonly discoveryIntervalMs: number | undefined
  readonly deserializer: KafkaRecordDeserializationSchema<T>
  readonly groupId: string | undefined
  readonly clientIdPrefix: string | undefined
  readonly rackIdSupplier: (() => string) | undefined
  readonly commitOnCheckpoint: boolean
  /** For jobs without checkpoints; undefined: positions are not committed by time. */
  readonly autoCommitIntervalMs: number | undefined
  /** Infinite: as many as the engine takes. */
  readonly maxPollRecords: number
  /** The user's explicit `auto.offset.reset`, else that of the starting offsets. */
  readonly resetStrategy: OffsetResetStrategy
}

/** A client for one part of the source. Its id tells brokers and their logs which part that is. */
export function connectAs(
  connect: ConnectSource,
  settings: Pick<KafkaSourceSettings<unknown>, 'properties' | 'clientIdPrefix' | 'groupId'>,
  options: { readonly uid: string; readonly suffix: string; readonly rack?: string; readonly ports: RuntimePorts },
): SourceClient {
  const prefix = settings.clientIdPrefix ?? settings.groupId ?? `KafkaSource-${options.uid}`
  const properties: Record<string, string> = { ...settings.properties, 'client.id': `${prefix}-${options.suffix}` }
  if (options.rack !== undefined) properties['client.rack'] = options.rack
  return connect(properties, options.ports)
}
