/**
 * One consumer group in the classic protocol (KIP-62, 345, 394): members join, the leader among them assigns, all sync, and
 * each keeps its session alive by heartbeats. States and their answers follow Apache Kafka.
 *
 * What always holds: a generation has one set of members; every join and sync that waits is answered exactly once, at the
 * latest when the rebalance times out; a member that is silent for its session timeout is removed.
 */
import type { Clock, Timer } from '../../base/index.ts'
import { KafkaErrorCode } from '../../kafka/index.ts'
import {
  type GroupMember,
  type JoinAnswer,
  type MemberProtocol,
  type SyncAnswer,
  sameProtocols,
} from './group-member.ts'
import { GroupOffsets } from './group-offsets.ts'

export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable'

export interface JoinRequest {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  readonly protocols: readonly MemberProtocol[]
  /** A new member is first given its id and told to come back with it (JoinGroup from version 4 on). */
  readonly idFirst: boolean
}

export interface SyncRequest {
  readonly memberId: string
  readonly instanceId: string | null
  readonly generation: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[]
}

export interface ClassicGroupInput {
  readonly groupId: string
  readonly clock: Clock
  readonly initialDelayMs: number
  readonly newId: () => string
}

const NO_BYTES = Buffer.alloc(0)

export class ClassicGroup {
  readonly groupId: string
  readonly offsets: GroupOffsets = new GroupOffsets()
  readonly members: Map<string, GroupMember> = new Map()
  state: GroupState = 'Empty'
  generation = 0
  protocolType: string | null = null
  protocolName: string | null = null
  leader: string | null = null
  readonly #input: ClassicGroupInput
  /** Ids that were given out and not used yet. */
  readonly #promised: Map<string, Timer> = new Map()
  readonly #instances: Map<string, string> = new Map()
  #rebalance: Timer | undefined
  /** A group that begins waits a moment for more members, however many there are. */
  #gathering = false

  constructor(input: ClassicGroupInput) {
    this.#input = input
    this.groupId = input.groupId
  }

  get isUnused(): boolean {
    return this.members.size === 0 && this.#promised.size === 0 && this.offsets.isEmpty
  }

  join(request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    const refuse = (error: number, memberId = request.memberId): void => answer(joinRefusal(error, memberId))
    if (!this.#agrees(request)) {
      refuse(KafkaErrorCode.INCONSISTENT_GROUP_PROTOCOL)
      return
    }
    if (request.memberId === '') {
      this.#joinNew(request, answer)
      return
    }
    const promise = this.#promised.get(request.memberId)
    if (promise !== undefined) {
      promise.cancel()
      this.#promised.delete(request.memberId)
      this.#admit(request.memberId, request, answer)
      return
    }
    const wrong = this.#wrongMember(request.memberId, request.instanceId)
    const member = this.members.get(request.memberId)
    if (wrong !== KafkaErrorCode.NONE || member === undefined) {
      refuse(wrong)
      return
    }
    this.#rejoin(member, request, answer)
  }

  sync(request: SyncRequest, answer: (answer: SyncAnswer) => void): void {
    const refuse = (error: number): void => answer(syncRefusal(error))
    const wrong = this.wrongGeneration(request.memberId, request.instanceId, request.generation)
    const member = this.members.get(request.memberId)
    if (wrong !== KafkaErrorCode.NONE || member === undefined) {
      refuse(wrong)
      return
    }
    const { protocolType, protocolName } = request
    const other =
      (protocolType !== null && protocolType !== this.protocolType) ||
      (protocolName !== null && protocolName !== this.protocolName)
    if (other) {
      refuse(KafkaErrorCode.INCONSISTENT_GROUP_PROTOCOL)
      return
    }
    switch (this.state) {
      case 'Empty':
        refuse(KafkaErrorCode.UNKNOWN_MEMBER_ID)
        return
      case 'PreparingRebalance':
        refuse(KafkaErrorCode.REBALANCE_IN_PROGRESS)
        return
      case 'Stable':
        this.#refresh(member)
        answer(this.#assignmentOf(member))
        return
      case 'CompletingRebalance':
        member.syncing?.(syncRefusal(KafkaErrorCode.REBALANCE_IN_PROGRESS))
        member.syncing = answer
        this.#refresh(member)
        if (member.memberId === this.leader) this.#assign(request.assignments)
    }
  }

  heartbeat(memberId: string, instanceId: string | null, generation: number): number {
    const wrong = this.wrongGeneration(memberId, instanceId, generation)
    const member = this.members.get(memberId)
    if (wrong !== KafkaErrorCode.NONE || member === undefined) return wrong
    this.#refresh(member)
    return this.state === 'PreparingRebalance' ? KafkaErrorCode.REBALANCE_IN_PROGRESS : KafkaErrorCode.NONE
  }

  leave(memberId: string, instanceId: string | null): { readonly memberId: string; readonly error: number } {
    const named = instanceId === null ? undefined : this.#instances.get(instanceId)
    if (instanceId !== null && named === undefined) return { memberId, error: KafkaErrorCode.UNKNOWN_MEMBER_ID }
    const id = memberId === '' ? (named ?? '') : memberId
    const promise = this.#promised.get(id)
    if (promise !== undefined) {
      promise.cancel()
      this.#promised.delete(id)
      this.#tryToCompleteJoin()
      return { memberId: id, error: KafkaErrorCode.NONE }
    }
    const error = this.#wrongMember(id, instanceId)
    const member = this.members.get(id)
    if (error !== KafkaErrorCode.NONE || member === undefined) return { memberId, error }
    this.#remove(member)
    this.#afterLoss()
    return { memberId: id, error: KafkaErrorCode.NONE }
  }

  /** What an offset commit is answered; without a member id (-1 as generation) it needs a group without members. */
  wrongCommitter(memberId: string, instanceId: string | null, generation: number): number {
    if (generation < 0 && memberId === '') {
      return this.members.size === 0 ? KafkaErrorCode.NONE : KafkaErrorCode.UNKNOWN_MEMBER_ID
    }
    const wrong = this.wrongGeneration(memberId, instanceId, generation)
    const member = this.members.get(memberId)
    if (wrong !== KafkaErrorCode.NONE || member === undefined) return wrong
    this.#refresh(member)
    return this.state === 'CompletingRebalance' ? KafkaErrorCode.REBALANCE_IN_PROGRESS : KafkaErrorCode.NONE
  }

  wrongGeneration(memberId: string, instanceId: string | null, generation: number): number {
    const wrong = this.#wrongMember(memberId, instanceId)
    if (wrong !== KafkaErrorCode.NONE) return wrong
    return generation === this.generation ? KafkaErrorCode.NONE : KafkaErrorCode.ILLEGAL_GENERATION
  }

  /** Nobody waits for this answer any more: its connection is gone. */
  abandon(memberId: string): void {
    const member = this.members.get(memberId)
    if (member === undefined) return
    if (member.joining !== undefined) member.joining = () => undefined
    member.syncing = undefined
  }

  metadataOf(member: GroupMember): Buffer {
    return member.protocols.find(({ name }) => name === this.protocolName)?.metadata ?? NO_BYTES
  }

  close(): void {
    this.#rebalance?.cancel()
    for (const member of this.members.values()) member.session?.cancel()
    for (const timer of this.#promised.values()) timer.cancel()
  }

  #joinNew(request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    const { instanceId, clientId } = request
    const memberId = `${instanceId ?? clientId}-${this.#input.newId()}`
    if (instanceId !== null) {
      const before = this.members.get(this.#instances.get(instanceId) ?? '')
      if (before !== undefined) {
        before.joining?.(joinRefusal(KafkaErrorCode.FENCED_INSTANCE_ID, before.memberId))
        before.syncing?.(syncRefusal(KafkaErrorCode.FENCED_INSTANCE_ID))
        before.joining = undefined
        before.syncing = undefined
        this.#remove(before)
      }
      this.#admit(memberId, request, answer)
      return
    }
    if (!request.idFirst) {
      this.#admit(memberId, request, answer)
      return
    }
    const forget = (): void => {
      this.#promised.delete(memberId)
      this.#tryToCompleteJoin()
    }
    this.#promised.set(memberId, this.#timer(request.sessionTimeoutMs, forget))
    answer(joinRefusal(KafkaErrorCode.MEMBER_ID_REQUIRED, memberId))
  }

  #admit(memberId: string, request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    const { instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocolType, protocols } = request
    const described = { memberId, instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs }
    const waiting = { assignment: NO_BYTES, joining: answer, syncing: undefined, session: undefined }
    this.members.set(memberId, { ...described, protocolType, protocols, ...waiting })
    if (instanceId !== null) this.#instances.set(instanceId, memberId)
    this.protocolType ??= protocolType
    this.#prepareRebalance()
  }

  #rejoin(member: GroupMember, request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    const changed = !sameProtocols(member.protocols, request.protocols)
    const again =
      this.state === 'PreparingRebalance' || changed || (this.state === 'Stable' && member.memberId === this.leader)
    this.#refresh(member)
    if (!again) {
      // It did not hear the answer to its last join.
      answer(this.#joinedAs(member))
      return
    }
    member.joining?.(joinRefusal(KafkaErrorCode.REBALANCE_IN_PROGRESS, member.memberId))
    member.protocols = request.protocols
    member.sessionTimeoutMs = request.sessionTimeoutMs
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs
    member.joining = answer
    member.session?.cancel()
    this.#prepareRebalance()
  }

  #prepareRebalance(): void {
    if (this.state === 'PreparingRebalance') {
      this.#tryToCompleteJoin()
      return
    }
    for (const member of this.members.values()) {
      member.syncing?.(syncRefusal(KafkaErrorCode.REBALANCE_IN_PROGRESS))
      member.syncing = undefined
    }
    this.#rebalance?.cancel()
    this.#gathering = this.state === 'Empty' && this.#input.initialDelayMs > 0
    this.state = 'PreparingRebalance'
    if (this.#gathering) {
      const gathered = (): void => {
        this.#gathering = false
        this.#awaitJoins()
      }
      this.#rebalance = this.#timer(this.#input.initialDelayMs, gathered)
      return
    }
    this.#awaitJoins()
  }

  #awaitJoins(): void {
    const longest = Math.max(0, ...[...this.members.values()].map(({ rebalanceTimeoutMs }) => rebalanceTimeoutMs))
    this.#rebalance?.cancel()
    this.#rebalance = this.#timer(longest, () => this.#completeJoin())
    this.#tryToCompleteJoin()
  }

  #tryToCompleteJoin(): void {
    if (this.state !== 'PreparingRebalance' || this.#gathering || this.#promised.size > 0) return
    for (const member of this.members.values()) if (member.joining === undefined) return
    this.#completeJoin()
  }

  /** The generation is made of those who came. */
  #completeJoin(): void {
    if (this.state !== 'PreparingRebalance') return
    this.#rebalance?.cancel()
    for (const member of [...this.members.values()]) if (member.joining === undefined) this.#remove(member)
    this.generation++
    if (this.members.size === 0) {
      this.#becomeEmpty()
      return
    }
    this.state = 'CompletingRebalance'
    this.protocolName = this.#vote()
    if (this.leader === null || !this.members.has(this.leader)) this.leader = [...this.members.keys()][0] ?? null
    let longest = 0
    for (const member of this.members.values()) {
      const { joining } = member
      member.joining = undefined
      longest = Math.max(longest, member.rebalanceTimeoutMs)
      this.#refresh(member)
      joining?.(this.#joinedAs(member))
    }
    this.#rebalance = this.#timer(longest, () => this.#dropUnsynced())
  }

  /** Who does not sync in time is removed, and the others begin anew. */
  #dropUnsynced(): void {
    if (this.state !== 'CompletingRebalance') return
    for (const member of [...this.members.values()]) if (member.syncing === undefined) this.#remove(member)
    this.#afterLoss()
  }

  #assign(assignments: SyncRequest['assignments']): void {
    const byMember = new Map(assignments.map(({ memberId, assignment }) => [memberId, assignment]))
    this.state = 'Stable'
    this.#rebalance?.cancel()
    for (const member of this.members.values()) {
      member.assignment = byMember.get(member.memberId) ?? NO_BYTES
      const { syncing } = member
      member.syncing = undefined
      syncing?.(this.#assignmentOf(member))
    }
  }

  #joinedAs(member: GroupMember): JoinAnswer {
    const members =
      member.memberId === this.leader
        ? [...this.members.values()].map((each) => ({
            memberId: each.memberId,
            groupInstanceId: each.instanceId,
            metadata: this.metadataOf(each),
          }))
        : []
    return {
      error: KafkaErrorCode.NONE,
      generation: this.generation,
      protocolType: this.protocolType,
      protocolName: this.protocolName,
      leader: this.leader ?? '',
      memberId: member.memberId,
      members,
    }
  }

  #assignmentOf(member: GroupMember): SyncAnswer {
    const { protocolType, protocolName } = this
    return { error: KafkaErrorCode.NONE, protocolType, protocolName, assignment: member.assignment }
  }

  /** The protocol that all know and most put first. */
  #vote(): string {
    const members = [...this.members.values()]
    const names = members[0]?.protocols.map(({ name }) => name) ?? []
    const known = names.filter((name) => members.every(({ protocols }) => protocols.some((one) => one.name === name)))
    const votes = new Map(known.map((name) => [name, 0]))
    for (const { protocols } of members) {
      const choice = protocols.find(({ name }) => votes.has(name))?.name
      if (choice !== undefined) votes.set(choice, (votes.get(choice) ?? 0) + 1)
    }
    return [...votes].reduce((best, each) => (each[1] > best[1] ? each : best), ['', -1])[0]
  }

  /** Whether all members, with this one, share a protocol. */
  #agrees(request: JoinRequest): boolean {
    const others = [...this.members.values()].filter(({ memberId }) => memberId !== request.memberId)
    if (others.length === 0) return true
    return (
      request.protocolType === this.protocolType &&
      request.protocols.some(({ name }) =>
        others.every(({ protocols }) => protocols.some((protocol) => protocol.name === name)),
      )
    )
  }

  #wrongMember(memberId: string, instanceId: string | null): number {
    const named = instanceId === null ? undefined : this.#instances.get(instanceId)
    if (named !== undefined && named !== memberId) return KafkaErrorCode.FENCED_INSTANCE_ID
    const known = this.members.has(memberId) && (instanceId === null || named !== undefined)
    return known ? KafkaErrorCode.NONE : KafkaErrorCode.UNKNOWN_MEMBER_ID
  }

  /** The session begins anew. Who waits for the others to join cannot be late. */
  #refresh(member: GroupMember): void {
    member.session?.cancel()
    if (member.joining !== undefined) return
    member.session = this.#timer(member.sessionTimeoutMs, () => {
      this.#remove(member)
      this.#afterLoss()
    })
  }

  #remove(member: GroupMember): void {
    member.session?.cancel()
    member.joining?.(joinRefusal(KafkaErrorCode.UNKNOWN_MEMBER_ID, member.memberId))
    member.syncing?.(syncRefusal(KafkaErrorCode.UNKNOWN_MEMBER_ID))
    member.joining = undefined
    member.syncing = undefined
    this.members.delete(member.memberId)
    if (member.instanceId !== null && this.#instances.get(member.instanceId) === member.memberId)
      this.#instances.delete(member.instanceId)
    if (this.leader === member.memberId) this.leader = null
  }

  #afterLoss(): void {
    if (this.state === 'PreparingRebalance') {
      if (this.members.size > 0 || this.#gathering) this.#tryToCompleteJoin()
      else this.#completeJoin()
    } else if (this.members.size > 0) this.#prepareRebalance()
    else if (this.state !== 'Empty') {
      this.generation++
      this.#becomeEmpty()
    }
  }

  #becomeEmpty(): void {
    this.#rebalance?.cancel()
    this.state = 'Empty'
    this.protocolName = null
    this.protocolType = null
    this.leader = null
  }

  #timer(delayMs: number, callback: () => void): Timer {
    return this.#input.clock.setTimer(delayMs, callback, { background: true })
  }
}

export function joinRefusal(error: number, memberId: string): JoinAnswer {
  return { error, generation: -1, protocolType: null, protocolName: null, leader: '', memberId, members: [] }
}

export function syncRefusal(error: number): SyncAnswer {
  return { error, protocolType: null, protocolName: null, assignment: NO_BYTES }
}
