/**
 * One request of each API in each version to Apache Kafka and to the embedded broker: the same answers, field by field, but for
 * what is listed here with its reason (and in docs/embedded-broker.md).
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Network, SeededRandom, SystemClock, TcpNetwork } from '../../src/base/index.ts'
import { EmbeddedBroker } from '../../src/broker/index.ts'
import { ALL_APIS, findCoordinatorApi, initProducerIdApi, metadataApi, offsetFetchApi } from '../../src/kafka/index.ts'
import { KafkaServer } from '../../src/testing/index.ts'
import { comparable, differences } from './comparable.ts'
import { RawConnection } from './raw-connection.ts'
import { type SampleWorld, sampleRequest } from './sample-requests.ts'

/** `API path`, as a pattern -> why the embedded broker answers otherwise. */
const WANTED: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [
    /^ApiVersions \.(?:apiKeys|supportedFeatures|finalizedFeatures)/,
    'it has the APIs and features that clients of a job need',
  ],
  [/^(?:DescribeConfigs|CreateTopics) \S*\.value: "3600000" <> /, 'records may be later than a simulated clock'],
  [/^CreateTopics \S*\.configSource: [34] <> 5$/, 'brokers here have no settings of their own for topics'],
  [
    /^DescribeConfigs \S*(?:synonyms|configSource)/,
    'the names of the brokers settings behind those of topics are left out',
  ],
  [/^DescribeConfigs \S*documentation/, 'there is none'],
  [/^(?:Metadata|DescribeCluster) \.brokers\[\]\.rack: "rack-\d" <> null$/, 'the nodes of the tests’ Kafka have racks'],
]

interface Side {
  readonly network: Network
  readonly address: string
  world: SampleWorld
}

suite('the same requests to Apache Kafka and to the embedded broker', () => {
  let server: KafkaServer
  let broker: EmbeddedBroker
  let theirs: Side
  let ours: Side

  before(async () => {
    server = await KafkaServer.start()
    await server.createTopic('in', { partitions: 2 })
    const topics = { in: { partitions: 2 } }
    broker = new EmbeddedBroker({ clock: new SystemClock(), random: new SeededRandom(3), topics })
    const nowhere = { topicId: '', producerId: -1 }
    theirs = { network: new TcpNetwork(), address: server.bootstrapServers, world: nowhere }
    ours = { network: broker.network, address: broker.bootstrapServers, world: nowhere }
    for (const side of [theirs, ours]) await prepare(side)
  })
  after(async () => {
    await server?.close()
    await broker?.close()
  })

  for (const api of ALL_APIS) {
    test(`${api.name} is answered alike in every version`, async () => {
      const highest = api.latestVersionUnstable ? api.maxVersion - 1 : api.maxVersion
      for (let version = api.minVersion; version <= highest; version++) {
        const answers: unknown[] = []
        for (const { network, address, world } of [theirs, ours]) {
          const raw = await RawConnection.open(network, address)
          answers.push(comparable(await raw.ask(api, version, sampleRequest(api, version, world))))
          raw.destroy()
        }
        const found = differences(answers[0], answers[1]).map((line) => `${api.name} ${line.slice(0, 600)}`)
        const unwanted = found.filter((line) => !WANTED.some(([pattern]) => pattern.test(line)))
        assert.deepEqual(unwanted, [], `version ${version}`)
      }
    })
  }
})

/** The internal topics of a new cluster take a moment. */
async function prepare(side: Side): Promise<void> {
  const raw = await RawConnection.open(side.network, side.address)
  async function until<Answer extends { readonly errorCode: number }>(ask: () => Promise<unknown>): Promise<Answer> {
    for (const until = performance.now() + 120_000; performance.now() < until; await sleep(50)) {
      const answer = (await ask()) as Answer
      if (answer.errorCode === 0) return answer
    }
    throw new Error('the coordinators do not answer')
  }
  await until(() => raw.ask(findCoordinatorApi, 3, { key: 'group', keyType: 0 }))
  await until(() => raw.ask(findCoordinatorApi, 3, { key: 'id', keyType: 1 }))
  await until(() => raw.ask(offsetFetchApi, 7, { groupId: 'group', topics: null, requireStable: false }))
  const { producerId } = await until<{ errorCode: number; producerId: number }>(() =>
    raw.ask(initProducerIdApi, 4, { transactionalId: 'id', transactionTimeoutMs: 60_000 }),
  )
  const described = (await raw.ask(metadataApi, 12, { topics: [{ name: 'in' }] })) as { topics: { topicId: string }[] }
  side.world = { topicId: described.topics[0]?.topicId ?? '', producerId }
  raw.destroy()
}
