/**
 * Which node coordinates a group or a transactional id: one is chosen by the name, and when it is down, the next that is up.
 * All requests to coordinators are checked here, planned faults first.
 */
import { KafkaErrorCode } from '../../kafka/index.ts'
import type { BrokerCore } from '../request/broker-core.ts'
import type { RequestContext } from '../request/request-context.ts'
import { plannedError } from './partition-place.ts'

/** Kafka's number of partitions of its internal topics. */
const INTERNAL_PARTITIONS = 50
export const OFFSETS_TOPIC = '__consumer_offsets'

/** Java's hash of a string, by which Kafka spreads groups and transactional ids. */
export function javaHash(text: string): number {
  let hash = 0
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0
  return hash
}

/** The partition of an internal topic that stands for this name. */
export function internalPartition(name: string): number {
  return (javaHash(name) & 0x7fffffff) % INTERNAL_PARTITIONS
}

/** -1 when no node is up. */
export function coordinatorOf(core: BrokerCore, name: string): number {
  const { nodes } = core.cluster
  const first = internalPartition(name) % nodes.length
  for (let at = 0; at < nodes.length; at++) {
    const node = nodes[(first + at) % nodes.length]
    if (node !== undefined && core.cluster.isUp(node)) return node
  }
  return -1
}

/** Why this node does not answer for the name; 0 when it does. */
export function coordinatorError(core: BrokerCore, context: RequestContext, name: string): number {
  const planned = plannedError(core, context)
  if (planned !== KafkaErrorCode.NONE) return planned
  return coordinatorOf(core, name) === context.node ? KafkaErrorCode.NONE : KafkaErrorCode.NOT_COORDINATOR
}
