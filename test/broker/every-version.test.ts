/**
 * Every API in every version that the broker offers is answered in that version, filled in as far as its fields go; versions
 * it does not offer are refused as Apache Kafka refuses them.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { type Logger, SeededRandom, SystemClock, silentLogger } from '../../src/base/index.ts'
import { EmbeddedBroker } from '../../src/broker/index.ts'
import {
  ALL_APIS,
  type ApiVersionsResponse,
  apiByKey,
  apiVersionsApi,
  decodeResponse,
  encodeRequest,
} from '../../src/kafka/index.ts'
import { RawConnection } from './raw-connection.ts'
import { sampleRequest } from './sample-requests.ts'

suite('every version of every API', () => {
  const bugs: unknown[] = []
  const logger: Logger = { ...silentLogger, error: (fields, message) => void bugs.push([message, fields]) }
  let broker: EmbeddedBroker
  let offered: ApiVersionsResponse
  let topicId: string

  const connect = (): Promise<RawConnection> => RawConnection.open(broker.network, broker.bootstrapServers)
  const metadata = apiByKey(3)

  before(async () => {
    const topics = { in: { partitions: 2 } }
    broker = new EmbeddedBroker({ clock: new SystemClock(), random: new SeededRandom(3), logger, topics })
    const raw = await connect()
    offered = (await raw.ask(apiVersionsApi, 4, {
      clientSoftwareName: 'raw',
      clientSoftwareVersion: '1',
    })) as ApiVersionsResponse
    assert.ok(metadata !== undefined)
    const described = (await raw.ask(metadata, 12, { topics: [{ name: 'in' }] })) as { topics: { topicId: string }[] }
    topicId = described.topics[0]?.topicId ?? ''
    raw.destroy()
  })
  after(() => broker.close())

  test('all APIs there is code for are offered, in all versions but unstable ones', () => {
    for (const { key, name, minVersion, maxVersion, latestVersionUnstable } of ALL_APIS) {
      const range = offered.apiKeys.find(({ apiKey }) => apiKey === key)
      // Produce says 0, though it begins later, because librdkafka looks for it.
      assert.equal(range?.minVersion, name === 'Produce' ? 0 : minVersion, name)
      assert.equal(range?.maxVersion, latestVersionUnstable ? maxVersion - 1 : maxVersion, name)
    }
    assert.equal(offered.apiKeys.length, ALL_APIS.length)
  })

  for (const api of ALL_APIS) {
    test(`${api.name} is answered in each`, async () => {
      const raw = await connect()
      const range = offered.apiKeys.find(({ apiKey }) => apiKey === api.key)
      assert.ok(range !== undefined)
      for (let version = api.minVersion; version <= range.maxVersion; version++) {
        const answer = await raw.ask(api, version, sampleRequest(api, version, { topicId, producerId: 1_000 }))
        assert.equal(typeof answer, 'object', `${api.name} version ${version}`)
      }
      assert.deepEqual(bugs, [])
      raw.destroy()
    })
  }

  test('a version that is not offered closes the connection, but the question for versions is answered in the first', async () => {
    const raw = await connect()
    const frame = Buffer.concat(encodeRequest(apiVersionsApi, 4, { correlationId: 5, clientId: null }, {}))
    frame.writeInt16BE(99, 6)
    raw.write(frame)
    const answer = await raw.next()
    assert.ok(answer !== 'closed')
    const { errorCode, apiKeys } = decodeResponse(apiVersionsApi, 0, answer)
    assert.equal(errorCode, 35)
    assert.ok(apiKeys.some(({ apiKey, maxVersion }) => apiKey === apiVersionsApi.key && maxVersion === 4))
    assert.ok(metadata !== undefined)
    const wrong = Buffer.concat(encodeRequest(metadata, 1, { correlationId: 6, clientId: null }, {}))
    wrong.writeInt16BE(99, 6)
    raw.write(wrong)
    assert.equal(await raw.next(), 'closed')
    assert.deepEqual(bugs, [])
  })
})
