/**
 * Questions about offsets of partitions: by time and place, by leader epoch, and moving a partition's beginning.
 */
import {
  deleteRecordsApi,
  type Input,
  KafkaErrorCode,
  type ListOffsetsResponsePartition,
  listOffsetsApi,
  offsetForLeaderEpochApi,
  ZERO_UUID,
} from '../../kafka/index.ts'
import type { Partition } from '../cluster/topic.ts'
import type { BrokerCore } from '../request/broker-core.ts'
import { type Route, route } from '../request/router.ts'
import { ledPartition } from './partition-place.ts'

/** Offsets that are asked for by a negative time. */
const LATEST = -1
const EARLIEST = -2
const NEWEST_TIMESTAMP = -3
const EARLIEST_LOCAL = -4
const LATEST_TIERED = -5
const EARLIEST_PENDING_UPLOAD = -6

const READ_COMMITTED = 1
const LEADER_EPOCH_VERSION = 4
const HIGH_WATERMARK = -1

export function offsetRoutes(core: BrokerCore): Route[] {
  return [listOffsets(core), offsetForLeaderEpoch(core), deleteRecords(core)]
}

interface Found {
  readonly offset: number
  readonly timestamp: number
  readonly leaderEpoch: number
}

const NOTHING: Found = { offset: -1, timestamp: -1, leaderEpoch: -1 }

function listOffsets(core: BrokerCore): Route {
  return route(listOffsetsApi, (request, context) => ({
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(
        ({ partitionIndex, currentLeaderEpoch, timestamp }): Input<ListOffsetsResponsePartition> => {
          if (context.version < versionOf(timestamp)) {
            return { partitionIndex, errorCode: KafkaErrorCode.UNSUPPORTED_VERSION }
          }
          const topic = { name, id: ZERO_UUID }
          const place = ledPartition(core, context, topic, partitionIndex, currentLeaderEpoch)
          const failed = place.error !== KafkaErrorCode.NONE || place.partition === undefined
          const committedOnly = request.isolationLevel === READ_COMMITTED
          const found = failed ? NOTHING : findOffset(place.partition, timestamp, committedOnly)
          const { leaderEpoch, ...rest } = found
          const epoch = context.version >= LEADER_EPOCH_VERSION ? { leaderEpoch } : {}
          return { partitionIndex, errorCode: place.error, ...rest, ...epoch }
        },
      ),
    })),
  }))
}

/** From which version on a special time may be asked for; Infinity for one that does not exist. */
function versionOf(time: number): number {
  switch (time) {
    case LATEST:
    case EARLIEST:
      return 1
    case NEWEST_TIMESTAMP:
      return 7
    case EARLIEST_LOCAL:
      return 8
    case LATEST_TIERED:
      return 9
    case EARLIEST_PENDING_UPLOAD:
      return 11
    default:
      return time < 0 ? Number.POSITIVE_INFINITY : 1
  }
}

function findOffset(partition: Partition, time: number, committedOnly: boolean): Found {
  const { log } = partition
  const upTo = committedOnly ? log.lastStableOffset : log.endOffset
  const at = (offset: number, leaderEpoch: number): Found => ({ offset, timestamp: -1, leaderEpoch })
  switch (time) {
    case LATEST:
      return at(upTo, partition.leaderEpoch)
    case EARLIEST:
    case EARLIEST_LOCAL:
      return at(log.startOffset, log.epochs.at(log.startOffset))
    case NEWEST_TIMESTAMP:
      return log.newest() ?? NOTHING
    case LATEST_TIERED:
    case EARLIEST_PENDING_UPLOAD:
      return NOTHING
    default:
      return log.firstSince(time, upTo) ?? NOTHING
  }
}

function offsetForLeaderEpoch(core: BrokerCore): Route {
  return route(offsetForLeaderEpochApi, (request, context) => ({
    topics: request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition: index, currentLeaderEpoch, leaderEpoch }) => {
        const name = { name: topic, id: ZERO_UUID }
        const { error, partition } = ledPartition(core, context, name, index, currentLeaderEpoch)
        if (partition === undefined || error !== KafkaErrorCode.NONE) return { partition: index, errorCode: error }
        const { epoch, endOffset } = partition.log.epochs.endOf(leaderEpoch, partition.log.endOffset)
        return { partition: index, errorCode: error, leaderEpoch: epoch, endOffset }
      }),
    })),
  }))
}

function deleteRecords(core: BrokerCore): Route {
  return route(deleteRecordsApi, (request, context) => ({
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, offset }) => {
        const { error, partition } = ledPartition(core, context, { name, id: ZERO_UUID }, partitionIndex)
        const refused = (errorCode: number): object => ({ partitionIndex, lowWatermark: -1, errorCode })
        if (partition === undefined || error !== KafkaErrorCode.NONE) return refused(error)
        const { log, topic } = partition
        if (!topic.config.deletes) return refused(KafkaErrorCode.POLICY_VIOLATION)
        const before = offset === HIGH_WATERMARK ? log.endOffset : offset
        if (before < 0 || before > log.endOffset) return refused(KafkaErrorCode.OFFSET_OUT_OF_RANGE)
        log.deleteBefore(before)
        core.cluster.touched(partition)
        return { partitionIndex, lowWatermark: log.startOffset, errorCode: KafkaErrorCode.NONE }
      }),
    })),
  }))
}
