/**
 * What the enumerator stores: every partition it knows, as the split it was first made with, and whether the first discovery
 * is done. A split that a reader holds is superseded by the reader's own snapshot of it; one that no reader ever got, or that is
 * not subscribed at present, is kept here and nowhere else.
 */
import type { VersionedSerializer } from '../../core/index.ts'
import { type KafkaPartitionSplit, kafkaPartitionSplitSerializer } from '../split/kafka-partition-split.ts'
import { StateReader, StateWriter, unknownVersion } from '../split/state-bytes.ts'

export interface KafkaSourceEnumeratorState {
  /** From then on newly found partitions start at their earliest offset, whatever the starting offsets say. */
  readonly initialDiscoveryFinished: boolean
  readonly splits: readonly KafkaPartitionSplit[]
}

/** Flag, version of the split serializer, count, and each split's bytes. */
const VERSION_1 = 1

export const kafkaSourceEnumeratorStateSerializer: VersionedSerializer<KafkaSourceEnumeratorState> = {
  version: VERSION_1,

  serialize(state: KafkaSourceEnumeratorState): Uint8Array {
    const writer = new StateWriter()
    writer.uint8(state.initialDiscoveryFinished ? 1 : 0)
    writer.uint32(kafkaPartitionSplitSerializer.version)
    writer.uint32(state.splits.length)
    for (const split of state.splits) writer.bytes(kafkaPartitionSplitSerializer.serialize(split))
    return writer.finish()
  },

  deserialize(version: number, bytes: Uint8Array): KafkaSourceEnumeratorState {
    if (version !== VERSION_1) throw unknownVersion('Kafka enumerator state', version, VERSION_1)
    const reader = new StateReader(bytes, 'Kafka enumerator state')
    const initialDiscoveryFinished = reader.uint8() === 1
    const splitVersion = reader.uint32()
    const count = reader.uint32()
    const splits: KafkaPartitionSplit[] = []
    for (let index = 0; index < count; index++) {
      splits.push(kafkaPartitionSplitSerializer.deserialize(splitVersion, reader.bytes()))
    }
    reader.finish()
    return { initialDiscoveryFinished, splits }
  },
}
