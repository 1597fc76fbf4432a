/**
 * The coordinator by itself, in simulated time: the invariants of SPEC.md, and what takes too many requests to be shown over
 * the protocol.
 */
import assert from 'node:assert/strict'
import { beforeEach, suite, test } from 'node:test'
import { SeededRandom } from '../../base/index.ts'
import { kafkaError } from '../../kafka/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import { DEFAULT_SETTINGS } from '../broker-settings.ts'
import { Cluster } from '../cluster/cluster.ts'
import type { Partition } from '../cluster/topic.ts'
import { type Identity, TransactionCoordinator } from './transaction-coordinator.ts'

const LIMIT_MS = 1_000

suite('the transaction coordinator', () => {
  let clock: SimulatedClock
  let cluster: Cluster
  let coordinator: TransactionCoordinator
  let partition: Partition
  let ended: string[]

  beforeEach(() => {
    clock = new SimulatedClock()
    cluster = new Cluster({ nodes: 2, random: new SeededRandom(1), memoryBytesMax: 1 << 20 })
    const topic = cluster.createTopic({ name: 't', replicas: [[1]] })
    partition = topic.partitions[0] as Partition
    ended = []
    coordinator = new TransactionCoordinator({
      clock,
      cluster,
      settings: { ...DEFAULT_SETTINGS, markerDelayMs: 5 },
      groupEnded: (group, _producerId, commit) => void ended.push(`${group} ${commit}`),
      written: () => undefined,
    })
  })

  const name = (error: number): string => kafkaError(error).name
  const begun = (): Identity => {
    const answer = coordinator.init('id', LIMIT_MS, undefined)
    assert.equal(name(answer.error), 'NONE')
    return answer
  }
  const enlist = (identity: Identity, version: 1 | 2 = 2): string =>
    name(coordinator.enlist({ transactionalId: 'id', ...only(identity), partitions: [partition], groups: [] }, version))
  const end = (identity: Identity, commit: boolean, version: 1 | 2 = 2): Identity & { error: number } =>
    coordinator.end('id', { producerId: identity.producerId, producerEpoch: identity.epoch, commit, version })
  const only = ({ producerId, epoch }: Identity): Identity => ({ producerId, epoch })
  const state = (): string | undefined => coordinator.entries.get('id')?.state

  test('T1: what was asked to end in one way never ends in the other, in any order of requests', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new SeededRandom(seed)
      const id = `id-${seed}`
      const version = random.next() < 0.5 ? 1 : 2
      const { producerId, epoch } = coordinator.init(id, LIMIT_MS, undefined)
      const asked = { transactionalId: id, producerId, epoch, partitions: [partition], groups: [] }
      coordinator.enlist(asked, version)
      const outcomes = new Set<boolean>()
      const before = partition.log.endOffset
      for (let step = 0; step < 8; step++) {
        const commit = random.next() < 0.5
        const answer = coordinator.end(id, { producerId, producerEpoch: epoch, commit, version })
        if (answer.error === 0) outcomes.add(commit)
        if (random.next() < 0.3) clock.advance(5)
        if (random.next() < 0.1) coordinator.expire(id)
      }
      clock.advance(10)
      assert.ok(outcomes.size <= 1, `seed ${seed} said both`)
      const [said] = outcomes
      if (said !== undefined) {
        assert.equal(coordinator.entries.get(id)?.state, said ? 'CompleteCommit' : 'CompleteAbort', `seed ${seed}`)
        assert.equal(partition.log.endOffset, before + 1, 'one marker')
      }
    }
  })

  test('T2: markers are written after the answer, and until then every request for the id is told to come again', () => {
    const identity = begun()
    enlist(identity)
    assert.equal(name(end(identity, true).error), 'NONE')
    assert.equal(partition.log.endOffset, 0)
    const next = { ...identity, epoch: identity.epoch + 1 }
    assert.equal(enlist(next), 'CONCURRENT_TRANSACTIONS')
    assert.equal(name(coordinator.init('id', LIMIT_MS, undefined).error), 'CONCURRENT_TRANSACTIONS')
    assert.equal(name(end(identity, true).error), 'CONCURRENT_TRANSACTIONS')
    clock.advance(5)
    assert.equal(partition.log.endOffset, 1)
    assert.equal(enlist(next), 'NONE')
  })

  test('T3: a transaction that outlives its limit is aborted and its producer fenced; one that ended in time is not', () => {
    const identity = begun()
    enlist(identity)
    clock.advance(LIMIT_MS - 1)
    assert.equal(state(), 'Ongoing')
    clock.advance(1)
    assert.equal(state(), 'PrepareAbort')
    clock.advance(5)
    assert.equal(enlist(identity), 'PRODUCER_FENCED')
    const fresh = begun()
    enlist(fresh)
    assert.equal(name(end(fresh, true).error), 'NONE')
    clock.advance(10 * LIMIT_MS)
    assert.equal(state(), 'CompleteCommit')
    assert.equal(clock.pendingTimers, 0)
  })

  test('T4: no two owners ever have the same producer id and epoch', () => {
    const given = new Set<string>()
    for (let seed = 1; seed <= 50; seed++) {
      const random = new SeededRandom(seed)
      for (let step = 0; step < 30; step++) {
        const answer = coordinator.init(`id-${seed % 7}`, LIMIT_MS, undefined)
        if (answer.error === 0) {
          const key = `${answer.producerId}/${answer.epoch}`
          assert.ok(!given.has(key), key)
          given.add(key)
          if (random.next() < 0.7) {
            coordinator.enlist(
              { transactionalId: `id-${seed % 7}`, ...only(answer), partitions: [partition], groups: [] },
              2,
            )
          }
          if (random.next() < 0.3) coordinator.expire(`id-${seed % 7}`)
        } else clock.advance(3)
      }
    }
    assert.ok(given.size > 300)
  })

  test('T5: epochs that are used up lead to another producer id, and the last end may be repeated', () => {
    let identity = begun()
    const first = identity.producerId
    let last = identity
    for (let round = 0; round < 40_000 && identity.producerId === first; round++) {
      assert.equal(enlist(identity), 'NONE')
      last = only(identity)
      const answer = end(identity, true)
      assert.equal(name(answer.error), 'NONE')
      clock.advance(5)
      identity = answer
    }
    assert.deepEqual([identity.producerId > first, identity.epoch, last.epoch], [true, 0, 0x7ffe])
    assert.deepEqual(only(end(last, true)), only(identity))
    assert.equal(enlist(last), 'INVALID_PRODUCER_ID_MAPPING')
    assert.equal(enlist(identity), 'NONE')
  })

  test('epochs used up by initializing lead to another producer id as well', () => {
    const { producerId } = begun()
    const entry = coordinator.entries.get('id')
    assert.ok(entry !== undefined)
    entry.epoch = 0x7ffe
    const next = begun()
    assert.deepEqual([next.producerId > producerId, next.epoch], [true, 0])
  })

  test('an initialization that is repeated with the epoch it named gets the epoch it got', () => {
    const identity = begun()
    const first = coordinator.init('id', LIMIT_MS, only(identity))
    const again = coordinator.init('id', LIMIT_MS, only(identity))
    assert.deepEqual(only(again), only(first))
    begun()
    assert.equal(name(coordinator.init('id', LIMIT_MS, only(identity)).error), 'PRODUCER_FENCED')
  })

  test('offsets of groups end with the markers, and a deleted topic holds nothing up', () => {
    const identity = begun()
    enlist(identity)
    coordinator.enlist({ transactionalId: 'id', ...only(identity), partitions: [], groups: ['g'] }, 2)
    end(identity, true)
    cluster.deleteTopic(partition.topic)
    assert.deepEqual(ended, [])
    clock.advance(5)
    assert.deepEqual(ended, ['g true'])
    assert.equal(state(), 'CompleteCommit')
  })

  test('an abort of nothing gives the next epoch in version 2 and is refused in version 1', () => {
    const identity = begun()
    assert.equal(name(end(identity, false, 1).error), 'INVALID_TXN_STATE')
    assert.equal(end(identity, false, 2).epoch, identity.epoch + 1)
    clock.advance(5)
    assert.equal(partition.log.endOffset, 0)
  })

  test('ids that nobody used for long are forgotten, those with something open are not', () => {
    begun()
    clock.advance(100)
    coordinator.forgetIdleSince(clock.now())
    assert.equal(coordinator.entries.size, 0)
    enlist(begun())
    clock.advance(100)
    coordinator.forgetIdleSince(clock.now())
    assert.equal(coordinator.entries.size, 1)
  })
})
