/** A consumer group by itself, in simulated time: joining, assigning, leaving, falling silent, static members. */
import assert from 'node:assert/strict'
import { beforeEach, suite, test } from 'node:test'
import { kafkaError } from '../../kafka/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import { ClassicGroup, type JoinRequest } from './classic-group.ts'
import type { JoinAnswer, SyncAnswer } from './group-member.ts'

const SESSION_MS = 10_000
const REBALANCE_MS = 30_000

suite('a consumer group', () => {
  let clock: SimulatedClock
  let group: ClassicGroup
  let ids: number

  function create(initialDelayMs = 0): void {
    clock = new SimulatedClock()
    ids = 0
    group = new ClassicGroup({ groupId: 'g', clock, initialDelayMs, newId: () => `${ids++}` })
  }
  beforeEach(() => create())

  function waits(told: { answer?: unknown }, why?: string): void {
    assert.equal(told.answer, undefined, why)
  }

  const name = (error: number): string => kafkaError(error).name

  /** The answer once it came. */
  function join(memberId: string, more: Partial<JoinRequest> = {}): { answer?: JoinAnswer } {
    const told: { answer?: JoinAnswer } = {}
    const request: JoinRequest = {
      memberId,
      instanceId: null,
      clientId: 'c',
      clientHost: '/h',
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: REBALANCE_MS,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('m') }],
      idFirst: false,
      ...more,
    }
    group.join(request, (answer) => {
      assert.equal(told.answer, undefined, 'answered once')
      told.answer = answer
    })
    return told
  }

  function sync(
    memberId: string,
    generation: number,
    assignments: Record<string, string> = {},
  ): { answer?: SyncAnswer } {
    const told: { answer?: SyncAnswer } = {}
    const given = Object.entries(assignments).map(([to, text]) => ({ memberId: to, assignment: Buffer.from(text) }))
    const request = {
      memberId,
      instanceId: null,
      generation,
      protocolType: null,
      protocolName: null,
      assignments: given,
    }
    group.sync(request, (answer) => {
      assert.equal(told.answer, undefined, 'answered once')
      told.answer = answer
    })
    return told
  }

  /** Two members in a stable generation. */
  function stable(): { one: string; two: string } {
    const one = join('').answer?.memberId ?? ''
    sync(one, 1, { [one]: 'all' })
    const second = join('')
    waits(second, 'it waits for the first to join again')
    assert.equal(name(group.heartbeat(one, null, 1)), 'REBALANCE_IN_PROGRESS')
    const again = join(one)
    assert.equal(again.answer?.leader, one)
    assert.equal(again.answer?.members.length, 2)
    const two = second.answer?.memberId ?? ''
    assert.deepEqual(second.answer?.members, [])
    const waiting = sync(two, 2)
    waits(waiting, 'it waits for the leader')
    sync(one, 2, { [one]: 'left', [two]: 'right' })
    assert.equal(waiting.answer?.assignment.toString(), 'right')
    assert.equal(group.state, 'Stable')
    return { one, two }
  }

  /** Time goes by with heartbeats of these members. */
  function beat(members: readonly string[], ms: number): void {
    for (let at = 0; at < ms; at += 1_000) {
      clock.advance(1_000)
      for (const member of members) group.heartbeat(member, null, group.generation)
    }
  }

  test('members share what the leader assigns, and a silent one is removed for the others to go on', () => {
    const { one, two } = stable()
    beat([one, two], 3 * SESSION_MS)
    assert.equal(group.members.size, 2)
    beat([one], SESSION_MS)
    assert.equal(group.state, 'PreparingRebalance')
    const alone = join(one)
    assert.equal(alone.answer?.generation, 3)
    assert.equal(alone.answer?.members.length, 1)
    assert.equal(name(group.heartbeat(two, null, 3)), 'UNKNOWN_MEMBER_ID')
  })

  test('who does not join again within the rebalance timeout is left out', () => {
    const { one, two } = stable()
    const third = join('')
    const rejoined = join(one)
    beat([two], SESSION_MS)
    waits(third)
    beat([two], REBALANCE_MS)
    assert.equal(third.answer?.generation, 3)
    assert.equal(rejoined.answer?.members.length, 2)
    assert.equal(name(group.heartbeat(two, null, 2)), 'UNKNOWN_MEMBER_ID')
  })

  test('a member that leaves makes the others share anew; the last one leaves it empty', () => {
    const { one, two } = stable()
    assert.equal(group.leave(one, null).error, 0)
    assert.equal(name(group.heartbeat(two, null, 2)), 'REBALANCE_IN_PROGRESS')
    assert.equal(join(two).answer?.leader, two)
    assert.equal(group.leave(two, null).error, 0)
    assert.equal(group.state, 'Empty')
    assert.equal(name(group.leave(two, null).error), 'UNKNOWN_MEMBER_ID')
    assert.equal(clock.pendingTimers, 0)
  })

  test('a leader that never assigns is removed with its generation', () => {
    const one = join('').answer?.memberId ?? ''
    beat([one], REBALANCE_MS)
    assert.equal(group.state, 'Empty')
  })

  test('a new member is given its id first, and waited for, but not for ever', () => {
    const { one } = stable()
    const promised = join('', { idFirst: true }).answer
    assert.equal(name(promised?.error ?? 0), 'MEMBER_ID_REQUIRED')
    assert.equal(group.state, 'Stable')
    const joined = join(promised?.memberId ?? '')
    waits(joined)
    assert.equal(group.state, 'PreparingRebalance')
    assert.equal(name(join('c-unheard-of').answer?.error ?? 0), 'UNKNOWN_MEMBER_ID')
    const { memberId = '' } = join('', { idFirst: true }).answer ?? {}
    beat([one], SESSION_MS)
    assert.equal(name(join(memberId).answer?.error ?? 0), 'UNKNOWN_MEMBER_ID')
  })

  test('commits need the right generation, and none of them while a generation is being assigned', () => {
    assert.equal(name(group.wrongCommitter('', null, -1)), 'NONE', 'a group without members')
    const { one } = stable()
    assert.equal(name(group.wrongCommitter('', null, -1)), 'UNKNOWN_MEMBER_ID')
    assert.equal(name(group.wrongCommitter(one, null, 1)), 'ILLEGAL_GENERATION')
    assert.equal(name(group.wrongCommitter(one, null, 2)), 'NONE')
    group.leave(one, null)
    const two = [...group.members.keys()][0] ?? ''
    assert.equal(
      name(group.wrongCommitter(two, null, 2)),
      'NONE',
      'what was done before the rebalance may be committed',
    )
    join(two)
    assert.equal(name(group.wrongCommitter(two, null, 3)), 'REBALANCE_IN_PROGRESS')
  })

  test('members without a common protocol are refused, and the common one that most want is chosen', () => {
    const protocols = (...names: string[]): { name: string; metadata: Buffer }[] =>
      names.map((one) => ({ name: one, metadata: Buffer.from(one) }))
    const one = join('', { protocols: protocols('a', 'b', 'c') }).answer?.memberId ?? ''
    assert.equal(name(join('', { protocols: protocols('x') }).answer?.error ?? 0), 'INCONSISTENT_GROUP_PROTOCOL')
    assert.equal(name(join('', { protocolType: 'connect' }).answer?.error ?? 0), 'INCONSISTENT_GROUP_PROTOCOL')
    const second = join('', { protocols: protocols('c', 'b') })
    const third = join('', { protocols: protocols('c', 'b') })
    join(one, { protocols: protocols('a', 'b', 'c') })
    assert.equal(second.answer?.protocolName, 'c')
    assert.equal(third.answer?.protocolName, 'c')
  })

  test('a static member that comes back takes the place of its former self, which is fenced', () => {
    const first = join('', { instanceId: 'i' }).answer?.memberId ?? ''
    sync(first, 1, { [first]: 'all' })
    const again = join('', { instanceId: 'i' })
    const second = again.answer?.memberId ?? ''
    assert.notEqual(second, first)
    assert.equal(group.members.size, 1)
    assert.equal(name(group.heartbeat(first, 'i', group.generation)), 'FENCED_INSTANCE_ID')
    assert.equal(group.leave('', 'i').error, 0)
    assert.equal(group.state, 'Empty')
  })

  test('a group that begins waits for more members when it is told to', () => {
    create(3_000)
    const one = join('')
    const two = join('')
    clock.advance(2_999)
    waits(one)
    clock.advance(1)
    assert.equal(one.answer?.generation, 1)
    assert.equal(two.answer?.generation, 1)
    assert.equal(one.answer?.members.length, 2)
  })

  test('a member whose connection broke while it waited is removed when its session is over', () => {
    const { one, two } = stable()
    const third = join('')
    const id = [...group.members.keys()].at(-1) ?? ''
    group.abandon(id)
    join(one)
    join(two)
    waits(third)
    assert.equal(group.members.size, 3)
    sync(one, 3, {})
    beat([one, two], SESSION_MS)
    assert.equal(group.members.has(id), false)
  })
})
