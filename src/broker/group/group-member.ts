/**
 * One member of a consumer group, and the requests of it that wait for others. A join waits for all to join again; a sync for
 * the leader's assignment. Answers are given at most once.
 */
import type { Timer } from '../../base/index.ts'

export interface MemberProtocol {
  readonly name: string
  readonly metadata: Buffer
}

export interface JoinAnswer {
  readonly error: number
  readonly generation: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly memberId: string
  readonly members: readonly { memberId: string; groupInstanceId: string | null; metadata: Buffer }[]
}

export interface SyncAnswer {
  readonly error: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Buffer
}

export interface GroupMember {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  protocolType: string
  protocols: readonly MemberProtocol[]
  assignment: Buffer
  /** Waiting for the others to join. */
  joining: ((answer: JoinAnswer) => void) | undefined
  /** Waiting for the leader's assignment. */
  syncing: ((answer: SyncAnswer) => void) | undefined
  session: Timer | undefined
}

export function sameProtocols(one: readonly MemberProtocol[], other: readonly MemberProtocol[]): boolean {
  return (
    one.length === other.length &&
    one.every((protocol, at) => protocol.name === other[at]?.name && protocol.metadata.equals(other[at].metadata))
  )
}
