/**
 * The epochs of a transactional id are used up after 32,767 of them, and the coordinator goes on under another producer id:
 * transactions on both sides of that, one after the other, each ended twice, as after a crash between its end and the note of it.
 */
import assert from 'node:assert/strict'
import {
  endTransaction,
  initProducerId,
  KafkaAdmin,
  Producer,
  type ProducerIdentity,
  parseProducerOptions,
  transactionVersion,
} from '../../src/kafka/index.ts'
import type { BrokerUnderTest } from './broker-under-test.ts'
import { connect } from './connect.ts'
import { readRecords } from './read-records.ts'

/** The last epoch that is given to a transaction lies a little above; so many are on either side of it. */
const NEAR_THE_END = 32_764
const TRANSACTIONS = 8
const ID = 'used-up'
const LIMIT = { deadlineMs: 120_000 }

export async function transactionsOverTheLastEpoch(broker: BrokerUnderTest): Promise<void> {
  const cluster = connect(broker)
  const admin = new KafkaAdmin(cluster)
  await admin.createTopics([{ name: 'out', partitions: 1, replicationFactor: 1, config: { 'retention.ms': -1 } }])
  const version = await transactionVersion(cluster)
  let identity = await initProducerId(cluster, ID, 60_000)
  while (identity.epoch < NEAR_THE_END) identity = await initProducerId(cluster, ID, 60_000)
  const producerIds = new Set<number>()
  const kept: string[] = []
  const producer = new Producer(cluster, parseProducerOptions({}))
  const out = await producer.topic('out')
  let next: ProducerIdentity | undefined = identity
  for (let number = 0; number < TRANSACTIONS; number++) {
    const used: ProducerIdentity = next ?? (await initProducerId(cluster, ID, 60_000))
    producerIds.add(used.producerId)
    producer.beginTransaction(ID, version, Promise.resolve(used))
    out.append(0, 1_000 + number, null, `value ${number}`)
    const { handle } = await producer.seal()
    assert.ok(handle !== undefined)
    const commits = number % 3 !== 1
    if (commits) kept.push(`value ${number}`)
    const first = await endTransaction(cluster, handle, commits, LIMIT)
    assert.equal(first.kind, 'ended', `transaction ${number} under ${used.producerId}/${used.epoch}`)
    // Under version 2 an abort is not told from a new one when it is repeated; a commit is, also when the id rolled over with it.
    if (commits || version === 1) assert.equal((await endTransaction(cluster, handle, commits, LIMIT)).kind, 'ended')
    next = first.kind === 'ended' ? first.next : undefined
    if (next !== undefined) assert.ok(next.producerId !== used.producerId || next.epoch === used.epoch + 1)
  }
  assert.equal(producerIds.size, 2, 'the producer id changed once')
  const seen = (await readRecords(cluster, 'out', 'read_committed')).flat().map(({ value }) => String(value))
  assert.deepEqual(seen, kept)
  await producer.close()
  await cluster.close()
}
