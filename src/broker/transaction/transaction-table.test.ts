/**
 * What Apache Kafka was observed to answer to ends, repeats and takeovers of transactions, row by row, in both versions, from
 * the embedded broker. The committer's verdicts rest on these answers; the same rows are held against Apache Kafka itself in
 * kafka/client/transactions.kafka-test.ts.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import {
  type EndOutcome,
  endTransaction,
  endTxnApi,
  initProducerId,
  initProducerIdApi,
  kafkaError,
  type ProducerIdentity,
  type TransactionHandle,
  type TransactionVersion,
  transactionVersion,
} from '../../kafka/index.ts'
import { BrokerWorld, HoldingClock } from '../broker-world.test-double.ts'

const TOPIC = 'written'
/** Of no other timers: those of the markers and of a transaction's own time limit. */
const MARKER_DELAY_MS = 11
const TIME_LIMIT_MS = 67
const DEADLINE = { deadlineMs: 60_000 }
const END_VERSIONS = { 1: 4, 2: 5 } as const

const at = (identity: ProducerIdentity, added = 0): string => `${identity.producerId}/${identity.epoch + added}`

for (const version of [2, 1] as const) {
  const other: TransactionVersion = version === 2 ? 1 : 2
  /** What a commit or abort adds to the epoch. */
  const bump = version === 2 ? 1 : 0

  suite(`transaction version ${version}`, () => {
    const clock = new HoldingClock()
    let world: BrokerWorld
    let ids = 0

    before(() => {
      const settings = { markerDelayMs: MARKER_DELAY_MS }
      world = new BrokerWorld({ clock, transactionVersion: version, topics: { [TOPIC]: { partitions: 2 } }, settings })
    })
    after(() => world.close())

    const newId = (): string => `probe-${version}-${ids++}`
    const flushed = (id = newId(), identity?: ProducerIdentity): Promise<TransactionHandle> =>
      world.flushed(id, TOPIC, { version, ...(identity === undefined ? {} : { identity }) })

    /** One EndTxn, as it is answered the first time. */
    async function once(handle: TransactionHandle, committed: boolean): Promise<string> {
      const { transactionalId, producerId, epoch: producerEpoch } = handle
      const request = { transactionalId, producerId, producerEpoch, committed }
      const answer = await world.ask(endTxnApi, request, { version: END_VERSIONS[handle.version] })
      const next = handle.version === 2 && answer.errorCode === 0 ? ` ${answer.producerId}/${answer.producerEpoch}` : ''
      return `${kafkaError(answer.errorCode).name}${next}`
    }

    async function answer(handle: TransactionHandle, commit: boolean): Promise<string> {
      const outcome: EndOutcome = await endTransaction(world.cluster, handle, commit, DEADLINE)
      return outcome.kind === 'ended' ? 'NONE' : outcome.kind === 'refused' ? outcome.error : 'undecided'
    }

    async function initNaming(handle: TransactionHandle): Promise<string> {
      const { transactionalId, producerId, epoch: producerEpoch } = handle
      for (let round = 0; round < 100; round++) {
        const request = { transactionalId, transactionTimeoutMs: 60_000, producerId, producerEpoch }
        const { errorCode, ...fresh } = await world.ask(initProducerIdApi, request, { version: 5 })
        const name = kafkaError(errorCode).name
        if (name === 'NONE') return `NONE ${fresh.producerId}/${fresh.producerEpoch}`
        if (name !== 'CONCURRENT_TRANSACTIONS') return name
        await world.clock.sleep(2)
      }
      return 'CONCURRENT_TRANSACTIONS for ever'
    }

    test('the cluster says in which version transactions are begun', async () => {
      assert.equal(await transactionVersion(world.cluster), version)
    })

    test('a commit may be repeated in its own version, and only in it', async () => {
      const handle = await flushed()
      assert.equal(await world.describe(handle.transactionalId), `Ongoing ${at(handle)}`)
      const done = version === 2 ? `NONE ${at(handle, 1)}` : 'NONE'
      clock.hold(MARKER_DELAY_MS)
      assert.equal(await once(handle, true), done)
      assert.equal(await once(handle, true), 'CONCURRENT_TRANSACTIONS', 'until the markers are written')
      assert.equal(await once(handle, false), 'INVALID_TXN_STATE', 'an abort of what is being committed')
      clock.letGo()
      assert.equal(await world.describe(handle.transactionalId), `CompleteCommit ${at(handle, bump)}`)
      assert.equal(await once(handle, true), done)
      assert.equal(await once(handle, true), done)
      const inOther = version === 2 ? 'PRODUCER_FENCED' : 'INVALID_TXN_STATE'
      assert.equal(await once({ ...handle, version: other }, true), inOther)
      assert.equal(await once(handle, false), 'INVALID_TXN_STATE')
      const fresh = await initProducerId(world.cluster, handle.transactionalId, 60_000)
      assert.equal(at(fresh), at(handle, bump + 1))
      assert.equal(await once(handle, true), 'PRODUCER_FENCED', 'the repeat after the id was initialized again')
      assert.equal(await world.describe(handle.transactionalId), `Empty ${at(fresh)}`)
    })

    test('a commit of what was aborted is refused, a repeated abort is not', async () => {
      const handle = await flushed()
      assert.equal(await answer(handle, false), 'NONE')
      assert.equal(await answer(handle, true), 'INVALID_TXN_STATE')
      assert.equal(await world.describe(handle.transactionalId), `CompleteAbort ${at(handle, bump)}`)
      assert.equal(await answer(handle, false), 'NONE')
    })

    test('initializing an id aborts what was flushed under it, and says to come again first', async () => {
      const handle = await flushed()
      const request = { transactionalId: handle.transactionalId, transactionTimeoutMs: 60_000 }
      const first = await world.ask(initProducerIdApi, request, { version: 5 })
      assert.equal(kafkaError(first.errorCode).name, 'CONCURRENT_TRANSACTIONS')
      assert.match(await world.describe(handle.transactionalId), /^CompleteAbort/)
      const fresh = await initProducerId(world.cluster, handle.transactionalId, 60_000)
      assert.equal(at(fresh), at(handle, 2))
      assert.equal(await once(handle, true), 'PRODUCER_FENCED')
      assert.equal(await world.describe(handle.transactionalId), `Empty ${at(handle, 2)}`)
    })

    test('initializing an id by naming its producer id and epoch aborts what was flushed as well', async () => {
      const handle = await flushed()
      assert.equal(await initNaming(handle), version === 2 ? `NONE ${at(handle, 1)}` : 'PRODUCER_FENCED')
      assert.equal(await once(handle, true), 'PRODUCER_FENCED')
      const state = version === 2 ? 'Empty' : 'CompleteAbort'
      assert.equal(await world.describe(handle.transactionalId), `${state} ${at(handle, 1)}`)
    })

    test('a commit in another identity is refused and ends nothing', async () => {
      const id = newId()
      await initProducerId(world.cluster, id, 60_000)
      const handle = await flushed(id)
      assert.equal(await once({ ...handle, epoch: handle.epoch + 1 }, true), 'PRODUCER_FENCED')
      assert.equal(await once({ ...handle, epoch: handle.epoch - 1 }, true), 'PRODUCER_FENCED')
      const stranger = { ...handle, producerId: handle.producerId + 100_000 }
      assert.equal(await once(stranger, true), 'INVALID_PRODUCER_ID_MAPPING')
      assert.equal(await world.describe(id), `Ongoing ${at(handle)}`)
      assert.equal(await answer(handle, true), 'NONE')
    })

    test('a commit of an id never used is refused, and describing it says NotFound', async () => {
      const never = { transactionalId: `never-${version}`, producerId: 1, epoch: 0, version }
      assert.equal(await once(never, true), 'INVALID_PRODUCER_ID_MAPPING')
      assert.equal(await world.describe(never.transactionalId), 'NotFound')
    })

    test('a commit of an empty transaction is refused', async () => {
      const transactionalId = newId()
      const identity = await initProducerId(world.cluster, transactionalId, 60_000)
      assert.equal(await once({ ...identity, transactionalId, version }, true), 'INVALID_TXN_STATE')
      assert.equal(await world.describe(transactionalId), `Empty ${at(identity)}`)
    })

    test('a repeated commit while the same producer has its next transaction open', async () => {
      const first = await flushed()
      assert.equal(await answer(first, true), 'NONE')
      assert.equal(await world.describe(first.transactionalId), `CompleteCommit ${at(first, bump)}`)
      const second = await flushed(first.transactionalId, { ...first, epoch: first.epoch + bump })
      if (version === 2) {
        assert.equal(await once(first, true), 'PRODUCER_FENCED')
        assert.equal(await world.describe(first.transactionalId), `Ongoing ${at(second)}`)
        assert.equal(await answer(second, true), 'NONE')
      } else {
        assert.equal(at(second), at(first))
        assert.equal(await once(first, true), 'NONE')
        assert.equal(await world.describe(first.transactionalId), `CompleteCommit ${at(first)}`)
      }
    })

    test('an expired transaction can be told by its description before anything is ended', async () => {
      clock.hold(TIME_LIMIT_MS)
      const handle = await world.flushed(newId(), TOPIC, { version, timeoutMs: TIME_LIMIT_MS })
      assert.equal(await world.describe(handle.transactionalId), `Ongoing ${at(handle)}`)
      clock.letGo()
      assert.equal(await world.describe(handle.transactionalId), `CompleteAbort ${at(handle, 1)}`)
      const refusal = version === 2 ? 'INVALID_TXN_STATE' : 'PRODUCER_FENCED'
      assert.equal(await once(handle, true), refusal)
      assert.equal(await once(handle, true), refusal)
      assert.equal(at(await initProducerId(world.cluster, handle.transactionalId, 60_000)), at(handle, 2))
    })

    test('an expiry on request is the same', async () => {
      const handle = await flushed()
      assert.equal(world.broker.expireTransaction(handle.transactionalId), true)
      assert.equal(await world.describe(handle.transactionalId), `CompleteAbort ${at(handle, 1)}`)
      assert.equal(world.broker.expireTransaction(handle.transactionalId), false)
    })

    test('a time limit above the maximum is refused', async () => {
      await assert.rejects(initProducerId(world.cluster, newId(), 86_400_000), /INVALID_TRANSACTION_TIMEOUT/)
    })
  })
}

test('a transaction begun in version 1 is ended in version 1 after the cluster went on to 2', async () => {
  const world = new BrokerWorld({ transactionVersion: 1, topics: { [TOPIC]: {} } })
  const handle = await world.flushed('moved', TOPIC, { version: 1 })
  world.broker.setTransactionVersion(2)
  assert.equal(await transactionVersion(world.cluster), 2)
  for (let repeat = 0; repeat < 2; repeat++) {
    const outcome = await endTransaction(world.cluster, handle, true, DEADLINE)
    assert.equal(outcome.kind, 'ended')
  }
  await world.close()
})
