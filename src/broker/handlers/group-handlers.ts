/**
 * The classic group protocol on the wire: joining, syncing, staying, leaving, and looking at groups.
 */
import {
  type DescribeGroupsResponseDescribedGroup,
  deleteGroupsApi,
  describeGroupsApi,
  heartbeatApi,
  type Input,
  type JoinGroupRequest,
  type JoinGroupResponse,
  joinGroupApi,
  KafkaErrorCode,
  leaveGroupApi,
  listGroupsApi,
  type SyncGroupResponse,
  syncGroupApi,
} from '../../kafka/index.ts'
import type { ClassicGroup } from '../group/classic-group.ts'
import { joinRefusal, syncRefusal } from '../group/classic-group.ts'
import type { JoinAnswer, SyncAnswer } from '../group/group-member.ts'
import type { BrokerCore } from '../request/broker-core.ts'
import type { RequestContext } from '../request/request-context.ts'
import { type Answer, type Route, route, waitingRoute } from '../request/router.ts'
import { coordinatorError, coordinatorOf } from './coordinator-place.ts'
import { plannedError } from './partition-place.ts'

const SESSION_TIMEOUT_MIN_MS = 6_000
const SESSION_TIMEOUT_MAX_MS = 1_800_000
const ID_FIRST_VERSION = 4
const LEAVING_MANY_VERSION = 3
const NULL_PROTOCOL_VERSION = 7
/** SyncGroup from here on repeats the protocol. */
const NAMED_PROTOCOL_VERSION = 5

export function groupRoutes(core: BrokerCore): Route[] {
  return [
    waitingRoute(joinGroupApi, (request, context, answer) => join(core, request, context, answer)),
    syncGroup(core),
    heartbeat(core),
    leaveGroup(core),
    describeGroups(core),
    listGroups(core),
    deleteGroups(core),
  ]
}

/** Why a request for a group is refused before the group is looked at. */
export function groupError(core: BrokerCore, context: RequestContext, groupId: string): number {
  const error = coordinatorError(core, context, groupId)
  return error === KafkaErrorCode.NONE && groupId === '' ? KafkaErrorCode.INVALID_GROUP_ID : error
}

function join(
  core: BrokerCore,
  request: JoinGroupRequest,
  context: RequestContext,
  answer: Answer<JoinGroupResponse>,
): void {
  const tell = (joined: JoinAnswer): void => answer(joinResponse(joined, context.version))
  const { groupId, memberId, sessionTimeoutMs, protocolType, protocols } = request
  const refuse = (error: number): void => tell(joinRefusal(error, memberId))
  const error = groupError(core, context, groupId)
  if (error !== KafkaErrorCode.NONE) {
    refuse(error)
    return
  }
  if (sessionTimeoutMs < SESSION_TIMEOUT_MIN_MS || sessionTimeoutMs > SESSION_TIMEOUT_MAX_MS) {
    refuse(KafkaErrorCode.INVALID_SESSION_TIMEOUT)
    return
  }
  if (protocolType === '' || protocols.length === 0) {
    refuse(KafkaErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    return
  }
  if (memberId !== '' && core.groups.get(groupId) === undefined) {
    refuse(KafkaErrorCode.UNKNOWN_MEMBER_ID)
    return
  }
  const group = core.groups.getOrCreate(groupId)
  if (group === undefined) {
    refuse(KafkaErrorCode.GROUP_MAX_SIZE_REACHED)
    return
  }
  let joinedId = memberId
  context.onGone(() => group.abandon(joinedId))
  const asked = {
    memberId,
    instanceId: request.groupInstanceId,
    clientId: context.clientId,
    clientHost: context.clientHost,
    sessionTimeoutMs,
    rebalanceTimeoutMs: context.version >= 1 ? request.rebalanceTimeoutMs : sessionTimeoutMs,
    protocolType,
    protocols,
    idFirst: context.version >= ID_FIRST_VERSION,
  }
  const known = new Set(group.members.keys())
  group.join(asked, tell)
  // A new member's id was made just now; it is needed when its connection breaks while it waits.
  if (memberId === '') joinedId = [...group.members.keys()].find((id) => !known.has(id)) ?? ''
}

function joinResponse(joined: JoinAnswer, version: number): Input<JoinGroupResponse> {
  const { error, generation, protocolType, leader, memberId, members } = joined
  const protocolName = joined.protocolName ?? (version >= NULL_PROTOCOL_VERSION ? null : '')
  const named = members.map(({ groupInstanceId, ...member }) =>
    version >= 5 ? { ...member, groupInstanceId } : member,
  )
  return { errorCode: error, generationId: generation, protocolType, protocolName, leader, memberId, members: named }
}

function syncGroup(core: BrokerCore): Route {
  return waitingRoute(syncGroupApi, (request, context, answer) => {
    const tell = ({ error, protocolType, protocolName, assignment }: SyncAnswer): void => {
      const response: Input<SyncGroupResponse> = { errorCode: error, protocolType, protocolName, assignment }
      answer(response)
    }
    const error = groupError(core, context, request.groupId)
    if (error !== KafkaErrorCode.NONE) {
      tell(syncRefusal(error))
      return
    }
    const unnamed = request.protocolType === null || request.protocolName === null
    if (context.version >= NAMED_PROTOCOL_VERSION && unnamed) {
      tell(syncRefusal(KafkaErrorCode.INCONSISTENT_GROUP_PROTOCOL))
      return
    }
    const group = core.groups.get(request.groupId)
    if (group === undefined) {
      tell(syncRefusal(KafkaErrorCode.UNKNOWN_MEMBER_ID))
      return
    }
    context.onGone(() => group.abandon(request.memberId))
    const { memberId, groupInstanceId, generationId, protocolType, protocolName, assignments } = request
    const asked = { memberId, instanceId: groupInstanceId, generation: generationId }
    group.sync({ ...asked, protocolType, protocolName, assignments }, tell)
  })
}

function heartbeat(core: BrokerCore): Route {
  return route(heartbeatApi, (request, context) => {
    const { groupId, memberId, groupInstanceId, generationId } = request
    const error = groupError(core, context, groupId)
    if (error !== KafkaErrorCode.NONE) return { errorCode: error }
    const group = core.groups.get(groupId)
    if (group === undefined) return { errorCode: KafkaErrorCode.UNKNOWN_MEMBER_ID }
    return { errorCode: group.heartbeat(memberId, groupInstanceId, generationId) }
  })
}

function leaveGroup(core: BrokerCore): Route {
  return route(leaveGroupApi, (request, context) => {
    const error = groupError(core, context, request.groupId)
    if (error !== KafkaErrorCode.NONE) return { errorCode: error }
    const group = core.groups.get(request.groupId)
    const leave = (memberId: string, instanceId: string | null): { memberId: string; error: number } =>
      group?.leave(memberId, instanceId) ?? { memberId, error: KafkaErrorCode.UNKNOWN_MEMBER_ID }
    if (context.version < LEAVING_MANY_VERSION) return { errorCode: leave(request.memberId, null).error }
    return {
      errorCode: KafkaErrorCode.NONE,
      members: request.members.map(({ memberId, groupInstanceId }) => {
        const left = leave(memberId, groupInstanceId)
        return { memberId: left.memberId, groupInstanceId, errorCode: left.error }
      }),
    }
  })
}

function describeGroups(core: BrokerCore): Route {
  return route(describeGroupsApi, (request, context) => ({
    groups: request.groups.map((groupId): Input<DescribeGroupsResponseDescribedGroup> => {
      const error = groupError(core, context, groupId)
      if (error !== KafkaErrorCode.NONE) return { groupId, errorCode: error }
      const group = core.groups.get(groupId)
      if (group !== undefined && !group.isUnused) return describedGroup(group)
      const dead = { groupId, groupState: 'Dead' }
      if (context.version < 6) return dead
      const errorMessage = `Group ${groupId} not found.`
      return { ...dead, errorCode: KafkaErrorCode.GROUP_ID_NOT_FOUND, errorMessage }
    }),
  }))
}

function describedGroup(group: ClassicGroup): Input<DescribeGroupsResponseDescribedGroup> {
  const stable = group.state === 'Stable'
  return {
    groupId: group.groupId,
    groupState: group.state,
    protocolType: group.protocolType ?? '',
    protocolData: stable ? (group.protocolName ?? '') : '',
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: stable ? group.metadataOf(member) : Buffer.alloc(0),
      memberAssignment: stable ? member.assignment : Buffer.alloc(0),
    })),
  }
}

function listGroups(core: BrokerCore): Route {
  return route(listGroupsApi, (request, context) => {
    const planned = plannedError(core, context)
    if (planned !== KafkaErrorCode.NONE) return { errorCode: planned, groups: [] }
    const states = new Set(request.statesFilter.map((state) => state.toLowerCase()))
    const types = new Set(request.typesFilter.map((type) => type.toLowerCase()))
    const groups = [...core.groups.groups.values()].filter(
      (group) =>
        !group.isUnused &&
        coordinatorOf(core, group.groupId) === context.node &&
        (states.size === 0 || states.has(group.state.toLowerCase())) &&
        (types.size === 0 || types.has('classic')),
    )
    return {
      groups: groups.map(({ groupId, protocolType, state }) => ({
        groupId,
        protocolType: protocolType ?? '',
        groupState: state,
        groupType: 'classic',
      })),
    }
  })
}

function deleteGroups(core: BrokerCore): Route {
  return route(deleteGroupsApi, (request, context) => ({
    results: request.groupsNames.map((groupId) => {
      const error = groupError(core, context, groupId)
      if (error !== KafkaErrorCode.NONE) return { groupId, errorCode: error }
      const group = core.groups.get(groupId)
      if (group === undefined || group.isUnused) return { groupId, errorCode: KafkaErrorCode.GROUP_ID_NOT_FOUND }
      if (group.members.size > 0) return { groupId, errorCode: KafkaErrorCode.NON_EMPTY_GROUP }
      core.groups.delete(group)
      return { groupId, errorCode: KafkaErrorCode.NONE }
    }),
  }))
}
