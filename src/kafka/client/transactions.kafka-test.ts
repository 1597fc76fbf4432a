/**
 * The table of what a broker answers, row by row, against Apache Kafka, in both transaction versions; and coordinators that
 * die, sleep, move and lie in between. The committer's verdicts rest on these answers: a row that changes must be seen here.
 */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, before, suite, test } from 'node:test'
import { type JointMessage, SystemClock, SystemRandom, silentLogger, TcpNetwork } from '../../base/index.ts'
import { KafkaServer } from '../../testing/index.ts'
import { kafkaError } from '../protocol/errors.ts'
import { initProducerIdApi } from '../protocol/generated/init-producer-id.ts'
import { KafkaAdmin } from './kafka-admin.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import { type KafkaProperties, parseClusterOptions, parseProducerOptions } from './options.ts'
import { Producer } from './producer.ts'
import {
  type EndOutcome,
  endTransaction,
  initProducerId,
  type ProducerIdentity,
  type TransactionHandle,
  type TransactionVersion,
  transactionVersion,
} from './transactions.ts'

const TOPIC = 'written'
/** These end what hangs. */
const DEADLINE_MS = 120_000
const SETTLE_MS = 60_000
/** Long: no transaction of these tests is to expire on a slow machine but those that are meant to. */
const LIMIT_MS = 600_000
/** A transaction that expires before it is flushed fails its writer: then the next limit is tried. */
const SHORT_LIMITS_MS = [1_000, 8_000, 60_000]

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

function connect(server: KafkaServer, properties: KafkaProperties = {}): KafkaCluster {
  const options = parseClusterOptions({ 'bootstrap.servers': server.bootstrapServers, ...properties })
  const ports = {
    network: new TcpNetwork(),
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: silentLogger,
  }
  return new KafkaCluster(options, ports)
}

function told(outcome: EndOutcome): string {
  switch (outcome.kind) {
    case 'ended':
      return 'NONE'
    case 'refused':
      return outcome.error
    case 'undecided':
      return `undecided: ${outcome.error.message}`
  }
}

for (const version of [2, 1] as const) {
  const other: TransactionVersion = version === 2 ? 1 : 2

  suite(`transaction version ${version}`, () => {
    let server: KafkaServer
    let cluster: KafkaCluster
    let admin: KafkaAdmin
    let ids = 0

    before(async () => {
      server = await KafkaServer.start({
        transactionVersion: version,
        properties: { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': 500 },
      })
      cluster = connect(server)
      admin = new KafkaAdmin(cluster)
      await admin.createTopics([{ name: TOPIC, partitions: 2 }])
    })

    after(async () => {
      await cluster?.close()
      await server?.close()
    })

    const newId = (): string => `probe-${version}-${ids++}`
    const end = (handle: TransactionHandle, commit: boolean): Promise<EndOutcome> =>
      endTransaction(cluster, handle, commit, { deadlineMs: DEADLINE_MS })
    const answer = async (handle: TransactionHandle, commit: boolean): Promise<string> =>
      told(await end(handle, commit))

    /** An open transaction with records in two partitions, all acknowledged: as after a barrier. */
    async function flushed(
      transactionalId: string = newId(),
      timeoutMs = LIMIT_MS,
      identity?: ProducerIdentity,
    ): Promise<TransactionHandle> {
      const producer = new Producer(cluster, parseProducerOptions({}))
      const topic = await producer.topic(TOPIC)
      const begun = identity ?? (await initProducerId(cluster, transactionalId, timeoutMs))
      producer.beginTransaction(transactionalId, version, Promise.resolve(begun))
      topic.append(0, 1, null, 'zero')
      topic.append(1, 1, null, 'one')
      try {
        const { handle } = await producer.seal()
        assert.ok(handle !== undefined)
        return handle
      } finally {
        await producer.close({ discard: true })
      }
    }

    async function describe(transactionalId: string): Promise<string> {
      // A moment of Prepare is how it gets to Complete.
      for (const until = performance.now() + SETTLE_MS; ; ) {
        const [found] = (await admin.describeTransactions([transactionalId])) ?? []
        assert.ok(found !== undefined)
        if (found.state.startsWith('Prepare') && performance.now() < until) await pause(20)
        else
          return found.state === 'NotFound' ? found.state : `${found.state} ${found.producerId}/${found.producerEpoch}`
      }
    }

    const at = (handle: ProducerIdentity, added = 0): string => `${handle.producerId}/${handle.epoch + added}`

    test('the cluster says in which version transactions are begun', async () => {
      assert.equal(await transactionVersion(cluster), version)
    })

    test('a commit may be repeated in its own version, and only in it', async () => {
      const handle = await flushed()
      assert.equal(await describe(handle.transactionalId), `Ongoing ${at(handle)}`)
      const first = await end(handle, true)
      assert.ok(first.kind === 'ended', told(first))
      const next = version === 2 ? { producerId: handle.producerId, epoch: handle.epoch + 1 } : undefined
      assert.deepEqual(first.next, next)
      for (let repeat = 0; repeat < 2; repeat++) {
        const again = await end(handle, true)
        assert.ok(again.kind === 'ended', told(again))
        assert.deepEqual(again.next, next)
      }
      assert.equal(await describe(handle.transactionalId), `CompleteCommit ${at(handle, version === 2 ? 1 : 0)}`)
      const inOther = await answer({ ...handle, version: other }, true)
      assert.equal(inOther, version === 2 ? 'PRODUCER_FENCED' : 'INVALID_TXN_STATE')
      assert.equal(await answer(handle, false), 'INVALID_TXN_STATE', 'an abort of what is committed')
      const fresh = await initProducerId(cluster, handle.transactionalId, LIMIT_MS)
      assert.equal(at(fresh), at(handle, version === 2 ? 2 : 1))
      assert.equal(await answer(handle, true), 'PRODUCER_FENCED', 'the repeat after the id was initialized again')
      assert.equal(await describe(handle.transactionalId), `Empty ${at(fresh)}`)
    })

    test('a commit of what was aborted is refused', async () => {
      const handle = await flushed()
      assert.equal(await answer(handle, false), 'NONE')
      assert.equal(await answer(handle, true), 'INVALID_TXN_STATE')
      assert.equal(await describe(handle.transactionalId), `CompleteAbort ${at(handle, version === 2 ? 1 : 0)}`)
    })

    test('initializing an id aborts what was flushed under it', async () => {
      const handle = await flushed()
      const fresh = await initProducerId(cluster, handle.transactionalId, LIMIT_MS)
      assert.equal(at(fresh), at(handle, 2))
      assert.equal(await answer(handle, true), 'PRODUCER_FENCED')
      assert.equal(await describe(handle.transactionalId), `Empty ${at(handle, 2)}`)
    })

    test('initializing an id by naming its producer id and epoch aborts what was flushed as well', async () => {
      const handle = await flushed()
      const answered = await initNaming(handle)
      if (version === 2) {
        assert.equal(answered, `NONE ${at(handle, 1)}`)
        assert.equal(await answer(handle, true), 'PRODUCER_FENCED')
        assert.equal(await describe(handle.transactionalId), `Empty ${at(handle, 1)}`)
      } else {
        assert.equal(answered, 'PRODUCER_FENCED')
        assert.equal(await answer(handle, true), 'PRODUCER_FENCED')
        assert.equal(await describe(handle.transactionalId), `CompleteAbort ${at(handle, 1)}`)
      }
    })

    async function initNaming(handle: TransactionHandle): Promise<string> {
      const { transactionalId, producerId, epoch: producerEpoch } = handle
      for (const until = performance.now() + SETTLE_MS; performance.now() < until; await pause(20)) {
        const connection = await cluster.coordinator('transaction', transactionalId)
        const request = { transactionalId, transactionTimeoutMs: LIMIT_MS, producerId, producerEpoch }
        const { errorCode, ...fresh } = await connection.send(initProducerIdApi, request, { version: 5 })
        const name = kafkaError(errorCode).name
        if (name === 'NONE') return `NONE ${fresh.producerId}/${fresh.producerEpoch}`
        if (name !== 'CONCURRENT_TRANSACTIONS') return name
      }
      return 'CONCURRENT_TRANSACTIONS for ever'
    }

    test('a commit in another identity is refused and ends nothing', async () => {
      const first = await initProducerId(cluster, 'warm', LIMIT_MS)
      assert.ok(first.epoch >= 0)
      const id = newId()
      await initProducerId(cluster, id, LIMIT_MS)
      const handle = await flushed(id)
      assert.equal(await answer({ ...handle, epoch: handle.epoch + 1 }, true), 'PRODUCER_FENCED')
      assert.equal(await answer({ ...handle, epoch: handle.epoch - 1 }, true), 'PRODUCER_FENCED')
      assert.equal(
        await answer({ ...handle, producerId: handle.producerId + 100_000 }, true),
        'INVALID_PRODUCER_ID_MAPPING',
      )
      assert.equal(await describe(id), `Ongoing ${at(handle)}`)
      assert.equal(await answer(handle, true), 'NONE')
    })

    test('a commit of an id never used is refused, and describing it says NotFound', async () => {
      const never = { transactionalId: `never-${version}`, producerId: 1, epoch: 0, version }
      assert.equal(await answer(never, true), 'INVALID_PRODUCER_ID_MAPPING')
      assert.equal(await describe(never.transactionalId), 'NotFound')
    })

    test('a commit of an empty transaction is refused', async () => {
      const transactionalId = newId()
      const identity = await initProducerId(cluster, transactionalId, LIMIT_MS)
      assert.equal(await answer({ ...identity, transactionalId, version }, true), 'INVALID_TXN_STATE')
      assert.equal(await describe(transactionalId), `Empty ${at(identity)}`)
    })

    test('a repeated commit while the same producer has its next transaction open', async () => {
      const first = await flushed()
      const ended = await end(first, true)
      assert.ok(ended.kind === 'ended', told(ended))
      // Until the markers are written the next transaction would be told to wait.
      assert.equal(await describe(first.transactionalId), `CompleteCommit ${at(first, version === 2 ? 1 : 0)}`)
      const second = await flushed(first.transactionalId, LIMIT_MS, ended.next ?? first)
      if (version === 2) {
        assert.equal(await answer(first, true), 'PRODUCER_FENCED')
        assert.equal(await describe(first.transactionalId), `Ongoing ${at(second)}`)
        assert.equal(await answer(second, true), 'NONE')
      } else {
        // This is why version 1 begins every transaction with InitProducerId: the repeat ended the younger transaction.
        assert.equal(at(second), at(first))
        assert.equal(await answer(first, true), 'NONE')
        assert.equal(await describe(first.transactionalId), `CompleteCommit ${at(first)}`)
      }
    })

    test('an expired transaction can be told by its description before anything is ended', async () => {
      const handle = await flushedShortly()
      const until = performance.now() + 120_000
      while ((await describe(handle.transactionalId)).startsWith('Ongoing') && performance.now() < until)
        await pause(50)
      assert.equal(await describe(handle.transactionalId), `CompleteAbort ${at(handle, 1)}`)
      const refusal = version === 2 ? 'INVALID_TXN_STATE' : 'PRODUCER_FENCED'
      assert.equal(await answer(handle, true), refusal)
      assert.equal(await answer(handle, true), refusal)
      assert.equal(at(await initProducerId(cluster, handle.transactionalId, LIMIT_MS)), at(handle, 2))
    })

    /** Flushed, and soon to expire. */
    async function flushedShortly(): Promise<TransactionHandle> {
      for (const limitMs of SHORT_LIMITS_MS.slice(0, -1)) {
        const handle = await flushed(newId(), limitMs).catch(() => undefined)
        if (handle !== undefined) return handle
      }
      return flushed(newId(), SHORT_LIMITS_MS.at(-1))
    }

    test('a second initialization takes over at once, and says so before each request', async () => {
      const joints: JointMessage[] = []
      const listen = (message: unknown): void => void joints.push(message as JointMessage)
      subscribe('millrace:joint', listen)
      try {
        const transactionalId = newId()
        const first = await initProducerId(cluster, transactionalId, LIMIT_MS)
        const second = await initProducerId(cluster, transactionalId, LIMIT_MS)
        assert.equal(at(second), at(first, 1))
        const expected = { name: 'before-init-producer-id', detail: { transactionalId } }
        assert.ok(joints.length >= 2)
        for (const joint of joints) assert.deepEqual(joint, expected)
      } finally {
        unsubscribe('millrace:joint', listen)
      }
    })

    test("a time limit above the broker's is an error that names both options", async () => {
      await assert.rejects(initProducerId(cluster, newId(), 86_400_000), {
        code: 'OPTION_INVALID',
        message: /transaction\.timeout\.ms 86400000.*INVALID_TRANSACTION_TIMEOUT.*transaction\.max\.timeout\.ms/,
      })
    })

    test('transactions are listed by state', async () => {
      const handle = await flushed()
      const ongoing = (await admin.listTransactions({ states: ['Ongoing'] })) ?? []
      const found = ongoing.filter(({ transactionalId }) => transactionalId === handle.transactionalId)
      assert.deepEqual(found, [
        { transactionalId: handle.transactionalId, producerId: handle.producerId, state: 'Ongoing' },
      ])
      const [described] = (await admin.describeTransactions([handle.transactionalId])) ?? []
      assert.deepEqual(described?.partitions.map(({ topic, partition }) => `${topic}-${partition}`).sort(), [
        `${TOPIC}-0`,
        `${TOPIC}-1`,
      ])
      assert.equal(described?.timeoutMs, LIMIT_MS)
      await end(handle, false)
    })

    test('a coordinator killed before and started again during a commit: it is committed, once', async () => {
      const handle = await flushed()
      const [node] = server.nodes
      assert.ok(node !== undefined)
      await node.kill()
      const ending = end(handle, true)
      await node.start()
      assert.equal(told(await ending), 'NONE')
      assert.equal(await answer(handle, true), 'NONE')
      assert.equal(await describe(handle.transactionalId), `CompleteCommit ${at(handle, version === 2 ? 1 : 0)}`)
    })

    test('while no coordinator answers a commit stays undecided, within its time', async () => {
      const handle = await flushed()
      const [node] = server.nodes
      assert.ok(node !== undefined)
      await node.kill()
      // A machine that is busy elsewhere for a while makes one try late, not each.
      const took: number[] = []
      while (took.length < 5 && !took.some((ms) => ms < 4_000)) {
        const began = performance.now()
        const outcome = await endTransaction(cluster, handle, true, { deadlineMs: 1_500 })
        took.push(performance.now() - began)
        assert.ok(outcome.kind === 'undecided')
      }
      assert.ok(Math.min(...took) < 4_000, `each took too long: ${took.map(Math.round).join(', ')} ms`)
      await node.start()
      assert.equal(await answer(handle, true), 'NONE')
    })

    test('a coordinator that sleeps longer than the request timeout is asked again', async () => {
      const impatient = connect(server, { 'request.timeout.ms': 2_500, 'socket.connection.setup.timeout.ms': 2_500 })
      try {
        const handle = await flushed()
        await initProducerId(impatient, newId(), LIMIT_MS)
        await impatient.coordinator('transaction', handle.transactionalId)
        const [node] = server.nodes
        assert.ok(node !== undefined)
        node.pause()
        const ending = endTransaction(impatient, handle, true, { deadlineMs: DEADLINE_MS })
        const initializing = initProducerId(impatient, newId(), LIMIT_MS)
        await pause(4_000)
        node.resume()
        assert.equal(told(await ending), 'NONE')
        assert.ok((await initializing).producerId >= 0)
      } finally {
        await impatient.close()
      }
    })
  })
}

suite('a feature that changes under way', () => {
  test('what was begun in version 1 is ended in version 1 after the cluster went on to 2', async () => {
    const server = await KafkaServer.start({ transactionVersion: 1 })
    const cluster = connect(server)
    try {
      await new KafkaAdmin(cluster).createTopics([{ name: TOPIC, partitions: 1 }])
      const producer = new Producer(cluster, parseProducerOptions({}))
      const topic = await producer.topic(TOPIC)
      assert.equal(await transactionVersion(cluster), 1)
      producer.beginTransaction('moved', 1, initProducerId(cluster, 'moved', LIMIT_MS))
      topic.append(0, 1, null, 'x')
      const { handle } = await producer.seal()
      assert.ok(handle !== undefined)
      await server.setFeature('transaction.version', 2)
      assert.equal(await transactionVersion(cluster), 2)
      for (let repeat = 0; repeat < 2; repeat++) {
        const outcome = await endTransaction(cluster, handle, true, { deadlineMs: DEADLINE_MS })
        assert.equal(told(outcome), 'NONE')
      }
      await producer.close()
    } finally {
      await cluster.close()
      await server.close()
    }
  })
})
