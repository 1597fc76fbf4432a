/**
 * What is asked of brokers that differ: one of them may be from before the requests about transactions (3.0), or be upgraded
 * while its neighbours are not.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeTransactionsApi } from '../protocol/generated/describe-transactions.ts'
import { listTransactionsApi } from '../protocol/generated/list-transactions.ts'
import { metadataApi } from '../protocol/generated/metadata.ts'
import { KafkaAdmin } from './kafka-admin.ts'
import { ScriptedCluster } from './scripted-cluster.test-double.ts'

const OLD = { ListTransactions: 'absent', DescribeTransactions: 'absent' } as const

function scripted(): ScriptedCluster {
  const world = new ScriptedCluster()
  world.script = (request, nodeId, connection) => {
    if (request.api.key === listTransactionsApi.key) {
      const transactionStates = [{ transactionalId: `of-${nodeId}`, producerId: nodeId, transactionState: 'Ongoing' }]
      connection.answer(request, { errorCode: 0, transactionStates })
    } else if (request.api.key === describeTransactionsApi.key) {
      const transactionStates = [
        { transactionalId: 'id', producerId: 7, producerEpoch: 1, transactionState: 'Ongoing' },
      ]
      connection.answer(request, { transactionStates })
    }
  }
  return world
}

test('all brokers know them: transactions are listed from each and described by their coordinator', async () => {
  const { cluster } = scripted()
  const admin = new KafkaAdmin(cluster)
  const listed = await admin.listTransactions()
  assert.deepEqual(listed?.map(({ transactionalId }) => transactionalId).sort(), ['of-1', 'of-2'])
  assert.equal((await admin.describeTransactions(['id']))?.[0]?.producerId, 7)
  await cluster.close()
})

test('one broker is too old: what it does not tell is undefined, never a list without its transactions', async () => {
  const world = scripted()
  world.ranges.set(2, OLD)
  const admin = new KafkaAdmin(world.cluster)
  assert.equal(await admin.listTransactions(), undefined)
  assert.equal((await admin.describeTransactions(['id']))?.length, 1, 'the coordinator is the new one')
  world.coordinator = 2
  world.cluster.forgetCoordinator('transaction', 'id')
  assert.equal(await admin.describeTransactions(['id']), undefined)
  await world.cluster.close()
})

test('versions are agreed with each broker, not with the cluster', async () => {
  const world = scripted()
  world.ranges.set(2, { Metadata: [1, 7] })
  await world.cluster.metadata.refresh()
  const versions = await Promise.all(
    [1, 2].map(async (nodeId) => (await world.cluster.connection(nodeId, 'control')).version(metadataApi)),
  )
  assert.equal(versions[1], 7)
  assert.ok((versions[0] ?? 0) > 7)
  const old = await world.cluster.connection(2, 'control')
  assert.throws(() => old.version(metadataApi, { min: 9 }), {
    code: 'KAFKA_VERSION_UNSUPPORTED',
    message: /Kafka broker 2 \(broker:9002\) speaks Metadata 1 to 7, this client needs 9 to \d+/,
  })
  await world.cluster.close()
})
