/**
 * One request of each API in each of its versions, about things that exist and things that do not, so that every
 * field of every answer is filled in. Topic `in` with its id, group `group`, transactional id `id` are taken to exist.
 */
import { type AnyApi, BatchWriter, type Input, ZERO_UUID } from '../../src/kafka/index.ts'

export interface SampleWorld {
  readonly topicId: string
  readonly producerId: number
}

export function recordBatch(
  values: readonly string[],
  producer?: { id: number; epoch: number; sequence: number },
): Buffer {
  const writer = new BatchWriter(64 * 1024)
  for (const [at, value] of values.entries()) writer.append(1_000 + at, `k${at}`, value)
  const stamp = {
    producerId: producer?.id ?? -1,
    producerEpoch: producer?.epoch ?? -1,
    baseSequence: producer?.sequence ?? -1,
  }
  return Buffer.from(writer.close({ ...stamp, transactional: false }))
}

type Maker = (version: number, world: SampleWorld) => Input<unknown>

const byName = (from: number) => (version: number, world: SampleWorld, name: string) =>
  version >= from
    ? { topicId: name === 'in' ? world.topicId : name === '' ? ZERO_UUID : 'BBBBBBBBBBBBBBBBBBBBBA' }
    : { topic: name, name }

const MAKERS: Readonly<Record<string, Maker>> = {
  Produce: (version, world) => ({
    acks: -1,
    timeoutMs: 20_000,
    topicData: ['in', 'absent'].map((name) => ({
      ...byName(13)(version, world, name),
      partitionData: [
        { index: 0, records: recordBatch(['a', 'b']) },
        { index: 9, records: recordBatch(['c']) },
        { index: 1, records: Buffer.concat([recordBatch(['d']), Buffer.alloc(0)]).fill(1, 17, 21) },
      ],
    })),
  }),
  Fetch: (version, world) => ({
    maxWaitMs: 1,
    minBytes: 1,
    maxBytes: 100_000,
    isolationLevel: 1,
    ...(version >= 7 ? { sessionId: 0, sessionEpoch: 0 } : {}),
    topics: ['in', 'absent'].map((name) => ({
      ...byName(13)(version, world, name),
      partitions: [0, 1, 9].map((partition) => ({
        partition,
        fetchOffset: partition === 1 ? 999 : 0,
        partitionMaxBytes: 10_000,
        ...(version >= 9 ? { currentLeaderEpoch: partition === 9 ? 5 : 0 } : {}),
      })),
    })),
  }),
  ListOffsets: (version) => ({
    replicaId: -1,
    ...(version >= 2 ? { isolationLevel: version % 2 } : {}),
    topics: ['in', 'absent'].map((name) => ({
      name,
      partitions: [0, 1, 9].map((partitionIndex) => ({
        partitionIndex,
        timestamp: [-1, -2, -3, 0, 5, -4, -5, 1_001][(version + partitionIndex) % 8] ?? 0,
      })),
    })),
  }),
  Metadata: (version) => ({
    topics: version === 9 || version === 0 ? [] : version === 10 ? null : [{ name: 'in' }, { name: 'ab!sent' }],
    ...(version >= 4 ? { allowAutoTopicCreation: false } : {}),
  }),
  OffsetCommit: (version, world) => ({
    groupId: 'group',
    generationIdOrMemberEpoch: -1,
    memberId: '',
    topics: ['in', 'absent'].map((name) => ({
      ...byName(10)(version, world, name),
      partitions: [0, 9].map((partitionIndex) => ({ partitionIndex, committedOffset: 3, committedMetadata: 'm' })),
    })),
  }),
  OffsetFetch: (version, world) =>
    version >= 8
      ? {
          groups: [
            { groupId: 'group', topics: null },
            { groupId: 'group', topics: [{ ...byName(10)(version, world, 'in'), partitionIndexes: [0, 1] }] },
            { groupId: 'absent', topics: [{ ...byName(10)(version, world, 'absent'), partitionIndexes: [0] }] },
          ],
          requireStable: true,
        }
      : { groupId: 'group', topics: version >= 2 ? null : [{ name: 'in', partitionIndexes: [0] }] },
  FindCoordinator: (version) =>
    version >= 4
      ? { keyType: 1, coordinatorKeys: ['id', 'other'] }
      : { key: 'group', ...(version >= 1 ? { keyType: 0 } : {}) },
  JoinGroup: (version) => ({
    groupId: `joined-${version}`,
    // Longer than all the questions take: ListGroups is asked afterwards.
    sessionTimeoutMs: 600_000,
    ...(version >= 1 ? { rebalanceTimeoutMs: 600_000 } : {}),
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('m') }],
    ...(version >= 5 && version % 2 === 1 ? { groupInstanceId: 'static' } : {}),
  }),
  Heartbeat: () => ({ groupId: 'group', generationId: 1, memberId: 'nobody' }),
  LeaveGroup: (version) =>
    version >= 3 ? { groupId: 'group', members: [{ memberId: 'nobody' }] } : { groupId: 'group', memberId: 'nobody' },
  SyncGroup: () => ({ groupId: 'group', generationId: 1, memberId: 'nobody' }),
  DescribeGroups: () => ({ groups: ['group', 'absent'] }),
  ListGroups: (version) => (version >= 4 ? { statesFilter: ['Empty'] } : {}),
  SaslHandshake: () => ({ mechanism: 'PLAIN' }),
  ApiVersions: (version) => (version >= 3 ? { clientSoftwareName: 'raw', clientSoftwareVersion: '1.0' } : {}),
  CreateTopics: (version) => ({
    topics: [
      {
        name: `made-${version}`,
        numPartitions: 2,
        replicationFactor: 1,
        configs: [{ name: 'retention.ms', value: '5' }],
      },
      { name: 'in', numPartitions: 1, replicationFactor: 1 },
      { name: 'w!ong', numPartitions: 1, replicationFactor: 1 },
    ],
    timeoutMs: 20_000,
  }),
  DeleteTopics: (version) =>
    version >= 6
      ? { timeoutMs: 20_000, topics: [{ name: 'absent' }, { name: null, topicId: 'BBBBBBBBBBBBBBBBBBBBBA' }] }
      : { timeoutMs: 20_000, topicNames: ['absent'] },
  DeleteRecords: () => ({
    topics: [{ name: 'in', partitions: [{ partitionIndex: 0, offset: 1 }, { partitionIndex: 9 }] }],
  }),
  InitProducerId: () => ({ transactionalId: 'id', transactionTimeoutMs: 60_000 }),
  OffsetForLeaderEpoch: (version) => ({
    ...(version >= 3 ? { replicaId: -1 } : {}),
    topics: [
      { topic: 'in', partitions: [0, 9].map((partition) => ({ partition, currentLeaderEpoch: -1, leaderEpoch: 0 })) },
    ],
  }),
  AddPartitionsToTxn: (version, { producerId }) => {
    const topics = [{ name: 'in', partitions: [0, 1] }]
    return version >= 4
      ? { transactions: [{ transactionalId: 'id', producerId, producerEpoch: 0, verifyOnly: false, topics }] }
      : {
          v3AndBelowTransactionalId: 'id',
          v3AndBelowProducerId: producerId,
          v3AndBelowProducerEpoch: 0,
          v3AndBelowTopics: topics,
        }
  },
  AddOffsetsToTxn: (_, { producerId }) => ({ transactionalId: 'id', producerId, producerEpoch: 0, groupId: 'group' }),
  EndTxn: (_, { producerId }) => ({ transactionalId: 'id', producerId, producerEpoch: 0, committed: true }),
  WriteTxnMarkers: () => ({
    markers: [
      { producerId: 77, producerEpoch: 0, transactionResult: true, topics: [{ name: 'in', partitionIndexes: [1, 9] }] },
    ],
  }),
  TxnOffsetCommit: (_, { producerId }) => ({
    transactionalId: 'id',
    groupId: 'group',
    producerId,
    producerEpoch: 0,
    topics: [{ name: 'in', partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }] }],
  }),
  DescribeConfigs: () => ({
    resources: [
      { resourceType: 2, resourceName: 'in', configurationKeys: null },
      { resourceType: 4, resourceName: '1', configurationKeys: ['transaction.max.timeout.ms'] },
      { resourceType: 2, resourceName: 'absent', configurationKeys: null },
    ],
    includeSynonyms: true,
  }),
  SaslAuthenticate: () => ({ authBytes: Buffer.from('x') }),
  CreatePartitions: () => ({
    topics: [
      { name: 'in', count: 1, assignments: null },
      { name: 'absent', count: 3, assignments: [{ brokerIds: [1] }] },
    ],
    timeoutMs: 20_000,
  }),
  DeleteGroups: () => ({ groupsNames: ['absent'] }),
  IncrementalAlterConfigs: () => ({
    resources: [
      { resourceType: 2, resourceName: 'in', configs: [{ name: 'retention.ms', configOperation: 0, value: '60000' }] },
      {
        resourceType: 2,
        resourceName: 'in',
        configs: [{ name: 'cleanup.policy', configOperation: 2, value: 'compact' }],
      },
      { resourceType: 2, resourceName: 'absent', configs: [{ name: 'no.such', configOperation: 0, value: '1' }] },
      { resourceType: 4, resourceName: '1', configs: [] },
    ],
    validateOnly: true,
  }),
  UpdateFeatures: () => ({ timeoutMs: 20_000, featureUpdates: [{ feature: 'no.such', maxVersionLevel: 1 }] }),
  DescribeCluster: () => ({}),
  DescribeProducers: () => ({ topics: [{ name: 'in', partitionIndexes: [0, 1, 9] }] }),
  DescribeTransactions: () => ({ transactionalIds: ['id', 'absent'] }),
  ListTransactions: (version) => ({
    stateFilters: ['Empty', 'NoSuch'],
    producerIdFilters: [],
    ...(version >= 2 ? { transactionalIdPattern: 'i.*' } : {}),
  }),
}

export function sampleRequest(api: AnyApi, version: number, world: SampleWorld): Input<unknown> {
  const maker = MAKERS[api.name]
  if (maker === undefined) throw new Error(`there is no sample of ${api.name}`)
  return maker(version, world)
}
