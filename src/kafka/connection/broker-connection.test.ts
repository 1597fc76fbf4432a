import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { MillraceError, SeededRandom } from '../../base/index.ts'
import { ManualClock, settle } from '../client/manual-clock.test-double.ts'
import { encodeResponse } from '../protocol/frame.ts'
import { apiVersionsApi } from '../protocol/generated/api-versions.ts'
import { type FetchResponse, fetchApi } from '../protocol/generated/fetch.ts'
import { metadataApi } from '../protocol/generated/metadata.ts'
import { produceApi } from '../protocol/generated/produce.ts'
import { BrokerConnection, type BrokerConnectionOptions, CLIENT_SOFTWARE_VERSION } from './broker-connection.ts'
import {
  type Accept,
  apiVersionsOf,
  type ReceivedRequest,
  type Script,
  type ScriptedConnection,
  ScriptedNetwork,
  welcoming,
} from './scripted-network.test-double.ts'

const OPTIONS: BrokerConnectionOptions = {
  nodeId: 1,
  host: 'broker',
  port: 9092,
  clientId: 'me',
  requestTimeoutMs: 1_000,
  setupTimeoutMs: 400,
  maxIdleMs: Number.POSITIVE_INFINITY,
}

interface Opened {
  readonly connection: BrokerConnection
  readonly peer: ScriptedConnection
  readonly clock: ManualClock
  readonly network: ScriptedNetwork
  /** Requests after the agreement on versions. */
  readonly asked: ReceivedRequest[]
}

async function open(script: Script = () => undefined, options: Partial<BrokerConnectionOptions> = {}): Promise<Opened> {
  const clock = new ManualClock()
  const asked: ReceivedRequest[] = []
  const noting: Script = (request, connection) => {
    asked.push(request)
    script(request, connection)
  }
  const network = new ScriptedNetwork(() => welcoming(noting))
  const connection = await BrokerConnection.open({ ...OPTIONS, ...options }, { network, clock })
  const [peer] = network.connections
  assert.ok(peer !== undefined)
  return { connection, peer, clock, network, asked }
}

function withCode(code: string, pattern: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(MillraceError.is(error), String(error))
    assert.equal(error.code, code)
    assert.match(error.message, pattern)
    return true
  }
}

function cluster(clusterId: string): { clusterId: string } {
  return { clusterId }
}

function fetched(records: Buffer): Parameters<ScriptedConnection['answer']>[1] {
  const response: Partial<Record<keyof FetchResponse, unknown>> = {
    responses: [{ topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitions: [{ partitionIndex: 0, records }] }],
  }
  return response
}

function recordsOf(response: FetchResponse): Buffer {
  const records = response.responses[0]?.partitions[0]?.records
  assert.ok(records !== null && records !== undefined)
  return records
}

suite('agreeing on versions', () => {
  test('the newest common version is used, within the range asked for', async () => {
    const { connection } = await open()
    assert.equal(connection.version(metadataApi), metadataApi.maxVersion)
    assert.equal(connection.version(metadataApi, { max: 9 }), 9)
    assert.equal(connection.supports(metadataApi), true)
  })

  test('a broker that knows less is spoken to in its own versions; without a common one both ranges are named', async () => {
    const versions = apiVersionsOf({ Metadata: [0, 5], Fetch: 'absent' })
    const network = new ScriptedNetwork(() => welcoming(() => undefined, versions))
    const connection = await BrokerConnection.open(OPTIONS, { network, clock: new ManualClock() })
    assert.equal(connection.version(metadataApi), 5)
    const message = /Kafka broker 1 \(broker:9092\) speaks Metadata 0 to 5, this client needs 7 to 13/
    assert.throws(() => connection.version(metadataApi, { min: 7 }), withCode('KAFKA_VERSION_UNSUPPORTED', message))
    assert.throws(() => connection.version(fetchApi), withCode('KAFKA_VERSION_UNSUPPORTED', /does not know Fetch/))
    assert.equal(connection.supports(fetchApi), false)
  })

  for (const highest of [0, 2, 3]) {
    test(`a broker that knows ApiVersions up to ${highest} says so in version 0 and is asked again`, async () => {
      const answered: number[] = []
      const script: Script = (request, connection) => {
        if (request.version > highest) {
          const apiKeys = [{ apiKey: 18, minVersion: 0, maxVersion: highest }]
          connection.answer(request, { errorCode: 35, apiKeys }, 0)
          return
        }
        answered.push(request.version)
        connection.answer(request, apiVersionsOf({ ApiVersions: [0, highest] }))
      }
      const network = new ScriptedNetwork(() => script)
      const connection = await BrokerConnection.open(OPTIONS, { network, clock: new ManualClock() })
      assert.deepEqual(answered, [highest])
      assert.equal(connection.version(apiVersionsApi), highest)
    })
  }

  test('the broker is told which software this is, in a form it accepts', async () => {
    const { network } = await open()
    const first = network.connections[0]?.requests[0]
    assert.deepEqual(first?.body, { clientSoftwareName: 'millrace', clientSoftwareVersion: CLIENT_SOFTWARE_VERSION })
    const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
    assert.equal(manifest.version, CLIENT_SOFTWARE_VERSION)
    assert.match(CLIENT_SOFTWARE_VERSION, /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/)
  })

  test('a broker that accepts the connection and then says nothing is given up after the set-up timeout', async () => {
    const clock = new ManualClock()
    const network = new ScriptedNetwork(() => () => undefined)
    const opening = assert.rejects(
      BrokerConnection.open(OPTIONS, { network, clock }),
      withCode('KAFKA_TIMEOUT', /ApiVersions .* within 400 ms/),
    )
    await clock.advance(400)
    await opening
    assert.equal(network.connections[0]?.destroyed, true)
    assert.equal(clock.timers, 0)
  })

  test('an address that cannot be reached is named with the error of the system', async () => {
    const accept: Accept = () => new Error('connect ECONNREFUSED 10.0.0.1:9092')
    const opening = BrokerConnection.open(OPTIONS, { network: new ScriptedNetwork(accept), clock: new ManualClock() })
    await assert.rejects(opening, withCode('KAFKA_DISCONNECTED', /broker:9092.*ECONNREFUSED 10\.0\.0\.1/))
  })
})

suite('frames', () => {
  const sizes = [0, 1, 700, 66_000, 200_000]
  const contents = sizes.map((size, index) => {
    const random = new SeededRandom(index)
    return Buffer.from(Array.from({ length: size }, () => Math.floor(random.next() * 256)))
  })
  const content = (index: number): Buffer => contents[index] ?? Buffer.alloc(0)

  test('answers of all sizes arrive whole however they are cut, and what was handed out is never written again', async () => {
    for (const pieceBytes of [1, 2, 3, 5, 7, 8, 9, 4_096, 65_535, 65_536, 65_537, Number.POSITIVE_INFINITY]) {
      const { connection, peer, asked } = await open()
      peer.pieceBytes = pieceBytes
      const sending = sizes.map(() => connection.send(fetchApi, {}))
      await settle()
      const bytes = asked.flatMap((request, index) =>
        encodeResponse(fetchApi, request.version, request.correlationId, fetched(content(index)) as never),
      )
      // All in one stream, so that pieces hold the end of one answer and the beginning of the next.
      peer.deliver(bytes)
      const answers = await Promise.all(sending)
      for (const [index, answer] of answers.entries()) {
        assert.ok(recordsOf(answer).equals(content(index)), `answer ${index} in pieces of ${pieceBytes}`)
      }
    }
  })

  test('a stream of answers may be cut at every single byte', async () => {
    const probe = await open()
    void probe.connection.send(metadataApi, {}).catch(() => undefined)
    await settle()
    const version = probe.asked[0]?.version ?? 0
    const stream = (first: number): Buffer =>
      Buffer.concat(
        ['one', 'a longer one'].flatMap((id, at) => encodeResponse(metadataApi, version, first + at, cluster(id))),
      )
    const length = stream(1).length
    for (let cut = 1; cut < length; cut++) {
      const { connection, peer, asked } = await open()
      const sending = [connection.send(metadataApi, {}), connection.send(metadataApi, {})]
      await settle()
      const bytes = stream(asked[0]?.correlationId ?? 0)
      peer.deliver([bytes.subarray(0, cut)])
      await settle()
      peer.deliver([bytes.subarray(cut)])
      assert.deepEqual(
        (await Promise.all(sending)).map((answer) => answer.clusterId),
        ['one', 'a longer one'],
      )
    }
  })

  const garbage: readonly (readonly [string, (id: number) => Buffer, RegExp])[] = [
    ['a negative size', () => Buffer.from('ffffffff00000000', 'hex'), /a size of -1 bytes/],
    ['the answer of a web server', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n'), /a size of 1213486160 bytes/],
    ['an alert of TLS', () => Buffer.from('15030100020246', 'hex').subarray(0, 7), /./],
    ['another correlation id', (id) => frame(id + 7, Buffer.alloc(20)), /correlation id \d+, but \d+ is next/],
    ['a body that ends too early', (id) => frame(id, Buffer.alloc(2)), /Metadata/],
    ['a body with bytes left over', (id) => frame(id, Buffer.concat([goodBody(id), Buffer.alloc(3)])), /left over/],
  ]
  for (const [what, bytes, pattern] of garbage) {
    test(`${what} ends the connection: KAFKA_PROTOCOL for the one waiting, KAFKA_DISCONNECTED for the others`, async () => {
      const { connection, peer, asked, clock } = await open()
      const first = connection.send(metadataApi, {})
      const second = connection.send(metadataApi, {})
      await settle()
      peer.deliver([bytes(asked[0]?.correlationId ?? 0)])
      if (what === 'an alert of TLS') {
        // Too short for a head: it is the end of the connection or of the patience that ends it.
        peer.breakNow()
        await assert.rejects(first, withCode('KAFKA_DISCONNECTED', pattern))
      } else {
        await assert.rejects(first, withCode('KAFKA_PROTOCOL', pattern))
      }
      await assert.rejects(second, withCode('KAFKA_DISCONNECTED'))
      assert.equal(connection.closed, true)
      assert.equal(peer.destroyed, true)
      assert.equal(clock.timers, 0)
    })
  }

  test('an answer that nobody asked for ends the connection', async () => {
    const { connection, peer } = await open()
    peer.deliver([frame(99, Buffer.alloc(4))])
    assert.equal(connection.closed, true)
    await assert.rejects(connection.send(metadataApi, {}), withCode('KAFKA_DISCONNECTED', /was not sent/))
  })

  test('whatever bytes arrive, every request ends', async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new SeededRandom(seed)
      const { connection, peer, asked, clock } = await open()
      const outcomes = Promise.allSettled([connection.send(metadataApi, {}), connection.send(fetchApi, {})])
      await settle()
      const bytes = Buffer.concat([frame(asked[0]?.correlationId ?? 0, goodBody(0)), frame(1, Buffer.alloc(64))])
      for (let flips = 0; flips < 4; flips++)
        bytes[Math.floor(random.next() * bytes.length)] = Math.floor(random.next() * 256)
      peer.pieceBytes = 1 + Math.floor(random.next() * 40)
      peer.deliver([bytes])
      await clock.advance(1_001)
      for (const outcome of await outcomes) {
        if (outcome.status === 'rejected')
          assert.ok(MillraceError.is(outcome.reason), `seed ${seed}: ${outcome.reason}`)
      }
      assert.equal(connection.pending, 0, `seed ${seed}`)
    }
  })

  function frame(correlationId: number, body: Buffer): Buffer {
    const head = Buffer.alloc(8)
    head.writeInt32BE(4 + body.length, 0)
    head.writeInt32BE(correlationId, 4)
    return Buffer.concat([head, body])
  }

  function goodBody(correlationId: number): Buffer {
    const bytes = Buffer.concat(encodeResponse(metadataApi, metadataApi.maxVersion, correlationId, cluster('id')))
    return bytes.subarray(8)
  }
})

suite('the way of requests', () => {
  test('many requests are on their way at once and answered in order', async () => {
    const { connection, peer, asked } = await open()
    const order: number[] = []
    const sending = [0, 1, 2].map((n) => connection.send(metadataApi, {}).then(() => order.push(n)))
    await settle()
    assert.equal(asked.length, 3)
    for (const request of asked) peer.answer(request, {})
    await Promise.all(sending)
    assert.deepEqual(order, [0, 1, 2])
    const ids = asked.map(({ correlationId }) => correlationId)
    assert.deepEqual(ids, [...new Set(ids)], 'no id twice')
  })

  test('no more requests than the bound are on their way; the next leaves when one is answered', async () => {
    const { connection, peer, asked } = await open(() => undefined, { inFlightRequestsMax: 2 })
    const sending = [0, 1, 2, 3].map(() => connection.send(metadataApi, {}))
    await settle()
    assert.equal(asked.length, 2)
    assert.equal(connection.pending, 4)
    const answer = (index: number): void => {
      const request = asked[index]
      assert.ok(request !== undefined)
      peer.answer(request, {})
    }
    answer(0)
    await settle()
    assert.equal(asked.length, 3)
    answer(1)
    answer(2)
    await settle()
    answer(3)
    await Promise.all(sending)
  })

  test('no more bytes than the bound are on their way, but a single larger request leaves all the same', async () => {
    const { connection, peer, asked } = await open(() => undefined, { inFlightBytesMax: 1_000 })
    const big = { topics: [{ name: 'x'.repeat(400) }] }
    for (let n = 0; n < 6; n++) void connection.send(metadataApi, big).catch(() => undefined)
    await settle()
    assert.equal(asked.length, 2)
    for (let n = 0; n < 4; n++) {
      peer.answer(asked[n] as ReceivedRequest, {})
      await settle()
      assert.equal(asked.length, Math.min(6, n + 3), 'an answer makes room for the next')
    }
    const huge = await open(() => undefined, { inFlightBytesMax: 10 })
    void huge.connection.send(metadataApi, big).catch(() => undefined)
    await settle()
    assert.equal(huge.asked.length, 1)
  })

  test('a request that cannot be encoded is refused alone', async () => {
    const { connection, peer, asked } = await open()
    await assert.rejects(
      connection.send(metadataApi, { topics: [{ name: 'x'.repeat(40_000) }] }),
      withCode('KAFKA_PROTOCOL'),
    )
    const fine = connection.send(metadataApi, {})
    await settle()
    peer.answer(asked[0] as ReceivedRequest, cluster('fine'))
    assert.equal((await fine).clusterId, 'fine')
  })

  test('a late answer closes the connection: KAFKA_TIMEOUT for the late one, KAFKA_DISCONNECTED for those behind it', async () => {
    const { connection, clock, peer } = await open()
    const first = assert.rejects(
      connection.send(metadataApi, {}),
      withCode(
        'KAFKA_TIMEOUT',
        /Metadata .* was not answered by Kafka broker 1 \(broker:9092\) within 1000 ms.*unknown/,
      ),
    )
    await clock.advance(600)
    const second = assert.rejects(connection.send(fetchApi, {}), withCode('KAFKA_DISCONNECTED', /Fetch/))
    await clock.advance(399)
    assert.equal(connection.closed, false)
    await clock.advance(1)
    await Promise.all([first, second])
    assert.equal(connection.closed, true)
    assert.equal(peer.destroyed, true)
    assert.equal(clock.timers, 0)
  })

  test('a request may have a time limit of its own, also behind one with a longer limit', async () => {
    const { connection, clock } = await open()
    const first = assert.rejects(connection.send(metadataApi, {}), withCode('KAFKA_DISCONNECTED'))
    const second = assert.rejects(
      connection.send(metadataApi, {}, { timeoutMs: 50 }),
      withCode('KAFKA_TIMEOUT', /within 50 ms/),
    )
    await clock.advance(50)
    await Promise.all([first, second])
  })

  test('answered requests leave no timer that closes the connection later', async () => {
    const { connection, clock } = await open((request, peer) => peer.answer(request, {}))
    for (let n = 0; n < 100; n++) {
      await connection.send(metadataApi, {})
      await clock.advance(20)
    }
    await clock.advance(5_000)
    assert.equal(connection.closed, false)
  })

  test('when the broker closes the connection all that waits is told, with whether it was sent', async () => {
    const { connection, peer } = await open(() => undefined, { inFlightRequestsMax: 1 })
    const sent = connection.send(metadataApi, {})
    const unsent = connection.send(fetchApi, {})
    peer.breakNow(new Error('read ECONNRESET'))
    await assert.rejects(sent, withCode('KAFKA_DISCONNECTED', /ECONNRESET.*Whether the broker acted.*unknown/))
    await assert.rejects(unsent, withCode('KAFKA_DISCONNECTED', /The request was not sent/))
  })

  test('closing rejects all that is pending, and does so once', async () => {
    const { connection, clock } = await open()
    const pending = connection.send(metadataApi, {})
    connection.close()
    connection.close()
    await assert.rejects(pending, withCode('CANCELLED'))
    assert.equal(clock.timers, 0)
  })

  test('a retired connection answers what was asked and then closes', async () => {
    const { connection, peer, asked } = await open()
    const pending = connection.send(metadataApi, {})
    connection.retire()
    await settle()
    assert.equal(connection.closed, false)
    peer.answer(asked[0] as ReceivedRequest, cluster('last'))
    assert.equal((await pending).clusterId, 'last')
    assert.equal(connection.closed, true)
  })

  test('a request without an answer resolves when it is sent, and waits while the network has no room', async () => {
    const { connection, peer } = await open((request, from) => {
      if (request.api.key === metadataApi.key) from.answer(request, cluster('after'))
    })
    const produce = (): Promise<unknown> => connection.send(produceApi, { acks: 0 }, { expectNoResponse: true })
    assert.equal(await produce(), undefined)
    peer.roomy = false
    let sent = false
    const waiting = produce().then(() => {
      sent = true
    })
    await settle()
    assert.equal(sent, false)
    peer.drain()
    await waiting
    assert.equal((await connection.send(metadataApi, {})).clusterId, 'after', 'the order of answers is kept')
  })

  test('when the broker asks to slow down, later requests wait that long and their time limits with them', async () => {
    const { connection, peer, asked, clock } = await open()
    const first = connection.send(metadataApi, {})
    await settle()
    peer.answer(asked[0] as ReceivedRequest, { throttleTimeMs: 3_000 })
    await first
    const second = connection.send(metadataApi, {})
    await clock.advance(2_999)
    assert.equal(asked.length, 1)
    await clock.advance(1)
    assert.equal(asked.length, 2)
    await clock.advance(999)
    peer.answer(asked[1] as ReceivedRequest, cluster('slow'))
    assert.equal((await second).clusterId, 'slow')
  })

  test('a request that waits already when the broker asks to slow down gets that much more time', async () => {
    const { connection, peer, asked, clock } = await open(() => undefined, { inFlightRequestsMax: 1 })
    const first = connection.send(metadataApi, {})
    const second = connection.send(metadataApi, {})
    await settle()
    peer.answer(asked[0] as ReceivedRequest, { throttleTimeMs: 3_000 })
    await first
    await clock.advance(3_900)
    assert.equal(asked.length, 2)
    peer.answer(asked[1] as ReceivedRequest, cluster('patient'))
    assert.equal((await second).clusterId, 'patient')
  })

  test('an idle connection is closed, one that is used or waited for is not', async () => {
    const { connection, peer, asked, clock } = await open(() => undefined, { maxIdleMs: 500, requestTimeoutMs: 10_000 })
    await clock.advance(400)
    const pending = connection.send(metadataApi, {})
    await clock.advance(2_000)
    assert.equal(connection.closed, false)
    peer.answer(asked[0] as ReceivedRequest, {})
    await pending
    await clock.advance(499)
    assert.equal(connection.closed, false)
    await clock.advance(501)
    assert.equal(connection.closed, true)
    assert.equal(clock.timers, 0)
  })
})
