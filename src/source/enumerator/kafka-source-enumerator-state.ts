/**
 * What the enumerator stores: every partition it knows, as the split it was first made with or restored as, where it began when
 * it was first found, and whether the first discovery is done. A split that a reader holds is superseded by the reader's own
 * snapshot of it; one that no reader ever got, or that is not subscribed at present, is kept here and nowhere else.
 */
import type { VersionedSerializer } from '../../core/index.ts'
import {
  type KafkaPartitionSplit,
  kafkaPartitionSplitSerializer,
  readStartingOffset,
  type StartingOffset,
  splitId,
  writeStartingOffset,
} from '../split/kafka-partition-split.ts'
import { StateReader, StateWriter, unknownVersion } from '../split/state-bytes.ts'

export interface KafkaSourceEnumeratorState {
  /** From then on newly found partitions start at their earliest offset, whatever the starting offsets say. */
  readonly initialDiscoveryFinished: boolean
  readonly splits: readonly KafkaPartitionSplit[]
  /** By split id: where each began, as looked up when it was first found, however far it was read since. */
  readonly initialOffsets: ReadonlyMap<string, StartingOffset>
}

/** The same with every split where it first began: no starting or stop offset is looked up again. */
export function beginningOf(state: KafkaSourceEnumeratorState): KafkaSourceEnumeratorState {
  return {
    ...state,
    splits: state.splits.map((split) => ({ ...split, startingOffset: initialOffsetOf(state, split) })),
  }
}

function initialOffsetOf(state: KafkaSourceEnumeratorState, split: KafkaPartitionSplit): StartingOffset {
  return state.initialOffsets.get(splitId(split)) ?? split.startingOffset
}

/** Flag, version of the split serializer, count, and each split's bytes. */
const VERSION_1 = 1
/** The same, and behind each split's bytes its initial offset: kind (0 earliest, 1 at) and offset. */
const VERSION_2 = 2

export const kafkaSourceEnumeratorStateSerializer: VersionedSerializer<KafkaSourceEnumeratorState> = {
  version: VERSION_2,

  serialize(state: KafkaSourceEnumeratorState): Uint8Array {
    const writer = new StateWriter()
    writer.uint8(state.initialDiscoveryFinished ? 1 : 0)
    writer.uint32(kafkaPartitionSplitSerializer.version)
    writer.uint32(state.splits.length)
    for (const split of state.splits) {
      writer.bytes(kafkaPartitionSplitSerializer.serialize(split))
      writeStartingOffset(writer, initialOffsetOf(state, split))
    }
    return writer.finish()
  },

  deserialize(version: number, bytes: Uint8Array): KafkaSourceEnumeratorState {
    if (version !== VERSION_1 && version !== VERSION_2) {
      throw unknownVersion('Kafka enumerator state', version, VERSION_2)
    }
    const reader = new StateReader(bytes, 'Kafka enumerator state')
    const initialDiscoveryFinished = reader.uint8() === 1
    const splitVersion = reader.uint32()
    const count = reader.uint32()
    const splits: KafkaPartitionSplit[] = []
    const initialOffsets = new Map<string, StartingOffset>()
    for (let index = 0; index < count; index++) {
      const split = kafkaPartitionSplitSerializer.deserialize(splitVersion, reader.bytes())
      splits.push(split)
      // Before version 2 that was where the split first began, unless its enumerator had itself been restored.
      initialOffsets.set(splitId(split), version === VERSION_1 ? split.startingOffset : readStartingOffset(reader))
    }
    reader.finish()
    return { initialDiscoveryFinished, splits, initialOffsets }
  },
}
