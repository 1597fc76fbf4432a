/**
 * Fetch: what is there of the asked partitions, at once or as soon as there is enough of it, at the latest after max.wait.
 * What always holds: an answer has at least one whole batch when there is any for the reader; a read_committed reader gets
 * nothing at or behind the last stable offset; nothing is copied, answers refer to the logs' own bytes.
 */
import {
  type FetchRequest,
  type FetchResponse,
  type FetchResponsePartitionData,
  fetchApi,
  type Input,
  KafkaErrorCode,
} from '../../kafka/index.ts'
import type { Partition } from '../cluster/topic.ts'
import { leaderHints, ledPartition } from '../handlers/partition-place.ts'
import type { BrokerCore } from '../request/broker-core.ts'
import type { RequestContext } from '../request/request-context.ts'
import { type Answer, type Route, waitingRoute } from '../request/router.ts'
import { type AskedPartition, type FetchScope, FetchSessions } from './fetch-sessions.ts'
import type { FetchWaits } from './fetch-waits.ts'

const LEADER_HINT_VERSION = 12
const ENDPOINT_VERSION = 16
const READ_COMMITTED = 1

interface Found {
  readonly asked: AskedPartition
  readonly partition: Partition | undefined
  readonly data: Input<FetchResponsePartitionData>
  readonly bytes: number
}

interface Gathered {
  readonly found: readonly Found[]
  readonly bytes: number
  readonly failed: boolean
}

export function fetchRoutes(core: BrokerCore, waits: FetchWaits): Route[] {
  const sessions = new Map(core.cluster.nodes.map((node) => [node, new FetchSessions()]))
  return [
    waitingRoute(fetchApi, (request, context, answer) => {
      const ofNode = sessions.get(context.node) ?? new FetchSessions()
      fetch(core, waits, ofNode, request, context, answer)
    }),
  ]
}

function fetch(
  core: BrokerCore,
  waits: FetchWaits,
  sessions: FetchSessions,
  request: FetchRequest,
  context: RequestContext,
  answer: Answer<FetchResponse>,
): void {
  const scope = sessions.scope(request, core.clock.now())
  if (scope.error !== KafkaErrorCode.NONE) {
    answer({ errorCode: scope.error })
    return
  }
  const enough = ({ bytes, failed }: Gathered): boolean => failed || bytes >= request.minBytes
  const now = gather(core, request, context, scope.partitions)
  if (request.maxWaitMs <= 0 || scope.partitions.length === 0 || enough(now)) {
    answer(response(context, sessions, scope, now))
    return
  }
  const finish = (gathered: Gathered): void => {
    timer.cancel()
    unwatch()
    answer(response(context, sessions, scope, gathered))
  }
  const watched = now.found.flatMap(({ partition }) => (partition === undefined ? [] : [partition]))
  const unwatch = waits.watch(watched, () => {
    const later = gather(core, request, context, scope.partitions)
    if (enough(later)) finish(later)
  })
  const timer = core.clock.setTimer(request.maxWaitMs, () => {
    finish(gather(core, request, context, scope.partitions))
  })
  context.onGone(() => {
    timer.cancel()
    unwatch()
  })
}

function gather(
  core: BrokerCore,
  request: FetchRequest,
  context: RequestContext,
  partitions: readonly AskedPartition[],
): Gathered {
  const committedOnly = request.isolationLevel === READ_COMMITTED
  let left = request.maxBytes
  let bytes = 0
  let failed = false
  const found = partitions.map((asked): Found => {
    const one = lookAt(core, context, asked, { left, committedOnly, atLeastOne: bytes === 0 })
    left -= one.bytes
    bytes += one.bytes
    failed ||= one.data.errorCode !== KafkaErrorCode.NONE
    return one
  })
  return { found, bytes, failed }
}

function lookAt(
  core: BrokerCore,
  context: RequestContext,
  asked: AskedPartition,
  limits: { readonly left: number; readonly committedOnly: boolean; readonly atLeastOne: boolean },
): Found {
  const { error, partition } = ledPartition(core, context, asked.topic, asked.index, asked.leaderEpoch)
  if (partition === undefined || error !== KafkaErrorCode.NONE) {
    return { asked, partition, bytes: 0, data: failure(context, asked, error, partition) }
  }
  const { log } = partition
  const { startOffset, endOffset, lastStableOffset } = log
  if (asked.offset < startOffset || asked.offset > endOffset) {
    const out = failure(context, asked, KafkaErrorCode.OFFSET_OUT_OF_RANGE, undefined)
    return { asked, partition, bytes: 0, data: { ...out, abortedTransactions: null } }
  }
  const { committedOnly, atLeastOne } = limits
  const bytesMax = Math.min(asked.bytesMax, limits.left)
  const read = log.read(asked.offset, { bytesMax, committedOnly, atLeastOne })
  const data = {
    partitionIndex: asked.index,
    errorCode: KafkaErrorCode.NONE,
    highWatermark: endOffset,
    lastStableOffset,
    logStartOffset: startOffset,
    abortedTransactions: read.aborted ?? null,
    records: read.pieces,
  }
  return { asked, partition, bytes: read.bytes, data }
}

function failure(
  context: RequestContext,
  asked: AskedPartition,
  errorCode: number,
  partition: Partition | undefined,
): Input<FetchResponsePartitionData> {
  const data = {
    partitionIndex: asked.index,
    errorCode,
    highWatermark: -1,
    lastStableOffset: -1,
    records: [],
  }
  const stale = errorCode === KafkaErrorCode.NOT_LEADER_OR_FOLLOWER || errorCode === KafkaErrorCode.FENCED_LEADER_EPOCH
  if (partition === undefined || !stale || context.version < LEADER_HINT_VERSION) return data
  return { ...data, currentLeader: { leaderId: partition.leader, leaderEpoch: partition.leaderEpoch } }
}

function response(
  context: RequestContext,
  sessions: FetchSessions,
  scope: FetchScope,
  gathered: Gathered,
): Input<FetchResponse> {
  const session = scope.session ?? sessions.get(scope.sessionId)
  const told = gathered.found.filter(({ asked, data, bytes }) => {
    if (session === undefined) return true
    const { highWatermark = -1, logStartOffset = -1, errorCode } = data
    const news = sessions.isNews(session, asked, { highWatermark, logStartOffset })
    return scope.session === undefined || news || bytes > 0 || errorCode !== KafkaErrorCode.NONE
  })
  const topics = new Map<string, { topic: string; topicId: string; partitions: Input<FetchResponsePartitionData>[] }>()
  for (const { asked, data } of told) {
    const { name, id } = asked.topic
    const key = `${name}/${id}`
    const topic = topics.get(key) ?? { topic: name, topicId: id, partitions: [] }
    topic.partitions.push(data)
    topics.set(key, topic)
  }
  const elsewhere = told.flatMap(({ data, partition }) =>
    data.currentLeader === undefined || partition === undefined ? [] : [partition],
  )
  const hints = context.version >= ENDPOINT_VERSION && elsewhere.length > 0
  return {
    sessionId: scope.sessionId,
    responses: [...topics.values()],
    ...(hints ? { nodeEndpoints: leaderHints(context, elsewhere) } : {}),
  }
}
