/** Whole requests and responses: headers, lengths, what is left over, errors by code. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  ALL_APIS,
  apiByKey,
  apiVersionsApi,
  decodeRequestBody,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  fetchApi,
  initProducerIdApi,
  KafkaErrorCode,
  kafkaError,
  peekCorrelationId,
  produceApi,
  saslHandshakeApi,
} from './index.ts'

/** The message without its length, as a connection hands it on. */
function frameOf(chunks: readonly Uint8Array[]): Buffer {
  const whole = Buffer.concat(chunks)
  assert.equal(whole.readInt32BE(), whole.length - 4)
  return whole.subarray(4)
}

suite('requests and responses', () => {
  test('every version of every API goes through with its header', () => {
    for (const api of ALL_APIS) {
      for (let version = api.minVersion; version <= api.maxVersion; version++) {
        const frame = frameOf(encodeRequest(api, version, { correlationId: -5, clientId: 'me' }, {}))
        const { header, api: found, body } = decodeRequestHeader(frame)
        assert.equal(found, api)
        const expected = { requestApiKey: api.key, requestApiVersion: version, correlationId: -5, clientId: 'me' }
        assert.deepEqual(header, expected)
        assert.deepEqual(
          frameOf(encodeRequest(api, version, header, decodeRequestBody(api, version, body) as object)),
          frame,
        )
        const response = frameOf(encodeResponse(api, version, 9, {}))
        assert.equal(peekCorrelationId(response), 9)
        const decoded = decodeResponse(api, version, response)
        assert.deepEqual(frameOf(encodeResponse(api, version, 9, decoded as object)), response)
      }
    }
  })

  test('the header versions are those of Kafka', () => {
    assert.deepEqual([2, 3].map(apiVersionsApi.requestHeaderVersion), [1, 2])
    assert.deepEqual([2, 3].map(apiVersionsApi.responseHeaderVersion), [0, 0], 'its response header stays plain')
    assert.deepEqual([11, 12].map(fetchApi.requestHeaderVersion), [1, 2])
    assert.deepEqual([11, 12].map(fetchApi.responseHeaderVersion), [0, 1])
    assert.equal(saslHandshakeApi.requestHeaderVersion(1), 1)
    assert.equal(initProducerIdApi.latestVersionUnstable, true)
    assert.equal(produceApi.latestVersionUnstable, false)
  })

  test('the header of a request nobody knows can still be read, so that it can be refused', () => {
    const unknown = Buffer.from([0x7f, 0, 0, 1, 0, 0, 0, 3, 0xff, 0xff])
    const { header, api } = decodeRequestHeader(unknown)
    assert.equal(api, undefined)
    assert.deepEqual(header, { requestApiKey: 0x7f00, requestApiVersion: 1, correlationId: 3, clientId: null })
    assert.equal(apiByKey(1), fetchApi)
  })

  test('bytes left over are an error that names the message', () => {
    const chunks = [...encodeResponse(fetchApi, 12, 1, { responses: [] }), Buffer.from([0])]
    const frame = Buffer.concat(chunks).subarray(4)
    assert.throws(() => decodeResponse(fetchApi, 12, frame), /FetchResponse version 12: 1 bytes left over/)
  })

  test('records leave without a copy', () => {
    const records = Buffer.alloc(10_000, 1)
    const topicData = [{ name: 't', partitionData: [{ index: 0, records }] }]
    const chunks = encodeRequest(produceApi, 9, { correlationId: 1, clientId: null }, { acks: -1, topicData })
    assert.equal(chunks.length, 3)
    assert.equal(chunks[1], records)
  })

  test('an error names message, version and field', () => {
    const request = { topics: [], rackId: 'r', forgottenTopicsData: [{ topic: 't' }] }
    assert.throws(() => encodeRequest(fetchApi, 6, { correlationId: 1, clientId: null }, request), {
      name: 'ProtocolError',
      code: 'KAFKA_VERSION_UNSUPPORTED',
      retriable: false,
      message: /FetchRequest version 6: .*forgottenTopicsData/,
    })
  })
})

suite('error codes', () => {
  test('known codes have their names and what Java makes of them', () => {
    assert.deepEqual(kafkaError(6), { code: 6, name: 'NOT_LEADER_OR_FOLLOWER', retriable: true, staleMetadata: true })
    assert.deepEqual(kafkaError(0), { code: 0, name: 'NONE', retriable: false, staleMetadata: false })
    assert.equal(kafkaError(KafkaErrorCode.PRODUCER_FENCED).code, 90)
    assert.equal(kafkaError(KafkaErrorCode.CONCURRENT_TRANSACTIONS).retriable, true)
  })

  test('a code from the future is an error that is not retried', () => {
    assert.deepEqual(kafkaError(9999), {
      code: 9999,
      name: 'UNKNOWN_ERROR_9999',
      retriable: false,
      staleMetadata: false,
    })
  })
})
