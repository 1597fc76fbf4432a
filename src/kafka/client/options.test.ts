import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseClusterOptions, parseFetcherOptions, parseProducerOptions } from './options.ts'

const SERVERS = { 'bootstrap.servers': 'a:9092' }

test("without properties the defaults are Kafka's", () => {
  const cluster = parseClusterOptions(SERVERS)
  assert.deepEqual(cluster, {
    bootstrapServers: [{ host: 'a', port: 9092 }],
    clientId: 'millrace',
    clientRack: '',
    requestTimeoutMs: 30_000,
    defaultApiTimeoutMs: 60_000,
    retryBackoffMs: 100,
    retryBackoffMaxMs: 1_000,
    reconnectBackoffMs: 50,
    reconnectBackoffMaxMs: 1_000,
    connectionSetupTimeoutMs: 10_000,
    connectionSetupTimeoutMaxMs: 30_000,
    connectionMaxIdleMs: 540_000,
    metadataMaxAgeMs: 300_000,
  })
  assert.deepEqual(parseFetcherOptions({}), {
    isolationLevel: 'read_uncommitted',
    fetchMinBytes: 1,
    fetchMaxBytes: 52_428_800,
    maxPartitionFetchBytes: 1_048_576,
    fetchMaxWaitMs: 500,
    checkCrcs: true,
  })
  assert.deepEqual(parseProducerOptions({}), {
    acks: -1,
    batchSize: 16_384,
    lingerMs: 5,
    bufferMemory: 33_554_432,
    maxInFlightRequestsPerConnection: 5,
    retries: Number.POSITIVE_INFINITY,
    deliveryTimeoutMs: 120_000,
    requestTimeoutMs: 30_000,
    maxRequestSize: 1_048_576,
    compressionType: 'none',
    enableIdempotence: true,
    partitionerAdaptive: true,
    partitionerIgnoreKeys: false,
    transactionTimeoutMs: 60_000,
  })
})

test('a duration, a size and a number mean the same however they are written', () => {
  for (const value of [10_000, '10000', ' 10000 ', '10 s', '10s', '10000ms', '10 seconds']) {
    assert.equal(parseClusterOptions({ ...SERVERS, 'request.timeout.ms': value }).requestTimeoutMs, 10_000)
  }
  for (const value of [65_536, '65536', '64kb', '64 KB', '64k', '0.0625 mb']) {
    assert.equal(parseFetcherOptions({ 'fetch.max.bytes': value }).fetchMaxBytes, 65_536)
  }
  assert.equal(parseFetcherOptions({ 'check.crcs': 'false' }).checkCrcs, false)
  assert.equal(parseFetcherOptions({ 'check.crcs': false }).checkCrcs, false)
})

test('bootstrap servers: several, with spaces, IPv6, listener names; each once', () => {
  const { bootstrapServers } = parseClusterOptions({
    'bootstrap.servers': ' a:1, b.example.org:9093 ,[::1]:9094,PLAINTEXT://c:5,a:1,',
  })
  assert.deepEqual(
    bootstrapServers.map(({ host, port }) => `${host} ${port}`),
    ['a 1', 'b.example.org 9093', '::1 9094', 'c 5'],
  )
})

test('a bad value is refused with its key and what it should be', () => {
  const cases: readonly (readonly [string, string | number, () => unknown])[] = [
    ['bootstrap.servers', '', () => parseClusterOptions({ 'bootstrap.servers': '' })],
    ['bootstrap.servers', 'a', () => parseClusterOptions({ 'bootstrap.servers': 'a' })],
    ['bootstrap.servers', 'a:0', () => parseClusterOptions({ 'bootstrap.servers': 'a:0' })],
    ['bootstrap.servers', 'a:99999', () => parseClusterOptions({ 'bootstrap.servers': 'a:99999' })],
    ['request.timeout.ms', 'soon', () => parseClusterOptions({ ...SERVERS, 'request.timeout.ms': 'soon' })],
    ['request.timeout.ms', '10 parsecs', () => parseClusterOptions({ ...SERVERS, 'request.timeout.ms': '10 parsecs' })],
    ['request.timeout.ms', -1, () => parseClusterOptions({ ...SERVERS, 'request.timeout.ms': -1 })],
    ['fetch.max.bytes', '3gb', () => parseFetcherOptions({ 'fetch.max.bytes': '3gb' })],
    ['fetch.min.bytes', '0.5', () => parseFetcherOptions({ 'fetch.min.bytes': '0.5' })],
    ['isolation.level', 'loose', () => parseFetcherOptions({ 'isolation.level': 'loose' })],
    ['check.crcs', 'maybe', () => parseFetcherOptions({ 'check.crcs': 'maybe' })],
    ['compression.type', 'rar', () => parseProducerOptions({ 'compression.type': 'rar' })],
    ['acks', '2', () => parseProducerOptions({ acks: '2' })],
    ['enable.idempotence', 'true', () => parseProducerOptions({ acks: '1', 'enable.idempotence': 'true' })],
  ]
  for (const [key, value, parse] of cases) {
    assert.throws(parse, (error: Error & { code?: string }) => {
      assert.equal(error.code, 'OPTION_INVALID', `${key}=${value}`)
      assert.ok(error.message.includes(key) && error.message.includes(JSON.stringify(value)), error.message)
      return true
    })
  }
})

test('a security protocol that does not exist yet is refused, not ignored', () => {
  assert.throws(() => parseClusterOptions({ ...SERVERS, 'security.protocol': 'SASL_SSL' }), { code: 'NOT_SUPPORTED' })
  assert.equal(parseClusterOptions({ ...SERVERS, 'security.protocol': 'plaintext' }).clientId, 'millrace')
})

test('delivery.timeout.ms, when it is not set, leaves time for one request', () => {
  const long = { 'request.timeout.ms': '10 min', 'linger.ms': '1 s' }
  assert.equal(parseProducerOptions(long).deliveryTimeoutMs, 601_000)
  assert.equal(parseProducerOptions({ ...long, 'delivery.timeout.ms': 5_000 }).deliveryTimeoutMs, 5_000)
})

test('without retries there is no idempotence, and asking for both is refused', () => {
  assert.equal(parseProducerOptions({ retries: 0 }).enableIdempotence, false)
  assert.equal(parseProducerOptions({ retries: 3 }).retries, 3)
  assert.throws(() => parseProducerOptions({ retries: 0, 'enable.idempotence': true }), { message: /retries above 0/ })
})

test('the ways of looking names up: all addresses, and the other is refused with what to do instead', () => {
  const parse = (value: string): unknown => parseClusterOptions({ ...SERVERS, 'client.dns.lookup': value })
  assert.doesNotThrow(() => parse('use_all_dns_ips'))
  assert.throws(() => parse('resolve_canonical_bootstrap_servers_only'), {
    code: 'NOT_SUPPORTED',
    message: /client\.dns\.lookup.*only use_all_dns_ips.*name the brokers by these in bootstrap\.servers/,
  })
  assert.throws(() => parse('first'), { code: 'OPTION_INVALID', message: /client\.dns\.lookup/ })
})

test('idempotence is on unless another option forbids it', () => {
  assert.equal(parseProducerOptions({ acks: 1 }).enableIdempotence, false)
  assert.equal(parseProducerOptions({ acks: 0 }).acks, 0)
  assert.equal(parseProducerOptions({ 'max.in.flight.requests.per.connection': 6 }).enableIdempotence, false)
  assert.equal(parseProducerOptions({ 'enable.idempotence': false }).enableIdempotence, false)
})
