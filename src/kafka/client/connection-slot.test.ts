/**
 * How a broker is reached whose name has several addresses, and how long one waits before the next attempt. Names are looked up
 * in the scripted network: no test asks a real name server.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConnectOptions, MillraceError, SeededRandom, silentLogger } from '../../base/index.ts'
import type { BrokerConnection } from '../connection/broker-connection.ts'
import { type Accept, ScriptedNetwork, welcoming } from '../connection/scripted-network.test-double.ts'
import { ConnectionSlot } from './connection-slot.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import { ManualClock } from './manual-clock.test-double.ts'
import { type KafkaProperties, parseClusterOptions } from './options.ts'

const BROKER = { host: 'broker', port: 9092 }
const WELCOME = welcoming(() => undefined)
const refused = ({ address, port }: ConnectOptions): Error => new Error(`connect ECONNREFUSED ${address}:${port}`)

interface World {
  readonly slot: ConnectionSlot
  readonly network: ScriptedNetwork
  readonly clock: ManualClock
  readonly timeouts: number[]
  readonly closing: AbortController
}

function world(
  accept: Accept,
  addresses: readonly string[] = ['a', 'b', 'c'],
  properties: KafkaProperties = {},
): World {
  const timeouts: number[] = []
  const network = new ScriptedNetwork((options) => {
    timeouts.push(options.timeoutMs)
    return accept(options)
  })
  network.name({ broker: addresses })
  const clock = new ManualClock()
  const options = parseClusterOptions({ 'bootstrap.servers': 'broker:9092', ...properties })
  const ports = { network, clock, random: new SeededRandom(1), logger: silentLogger }
  const closing = new AbortController()
  return { slot: new ConnectionSlot(1, options, ports, closing.signal), network, clock, timeouts, closing }
}

/** The outcome of one attempt, moving the clock as far as it takes. */
async function attempt({ slot, clock }: World, limitMs = 200_000): Promise<BrokerConnection | Error> {
  let outcome: BrokerConnection | Error | undefined
  slot.get(BROKER).then(
    (connection) => {
      outcome = connection
    },
    (error: Error) => {
      outcome = error
    },
  )
  for (let passed = 0; outcome === undefined && passed < limitMs; passed += 50) await clock.advance(50)
  assert.ok(outcome !== undefined, `an outcome within ${limitMs} ms`)
  return outcome
}

const stands = (outcome: BrokerConnection | Error): boolean => !(outcome instanceof Error) && !outcome.closed

test('an address that refuses costs nothing: the next one is tried in the same attempt', async () => {
  const here = world((options) => (options.address === 'c' ? WELCOME : refused(options)))
  assert.ok(stands(await attempt(here)))
  assert.deepEqual(here.network.attempts, ['a:9092', 'b:9092', 'c:9092'])
  assert.deepEqual(here.network.lookups, ['broker'])
  assert.ok(here.clock.monotonic() < 100)
})

test('an address that never answers costs the set-up timeout, and each has its own', async () => {
  const here: World = world(({ address, timeoutMs }) =>
    address === 'c'
      ? WELCOME
      : here.clock.sleep(timeoutMs).then(() => new Error(`no connection within ${timeoutMs} ms`)),
  )
  assert.ok(stands(await attempt(here)))
  assert.deepEqual(here.timeouts, [10_000, 10_000, 10_000])
  assert.ok(here.clock.monotonic() >= 20_000 && here.clock.monotonic() < 20_200)
})

test('an address that accepts and then says nothing is given up for the next one too', async () => {
  const here = world(({ address }) => (address === 'a' ? () => undefined : WELCOME))
  assert.ok(stands(await attempt(here)))
  assert.deepEqual(here.network.attempts, ['a:9092', 'b:9092'])
  assert.ok(here.clock.monotonic() >= 10_000)
})

test('who connects anew begins with the address behind the last one, and comes round', async () => {
  const here = world(() => WELCOME)
  for (let round = 0; round < 4; round++) {
    const connection = await attempt(here)
    assert.ok(!(connection instanceof Error))
    here.network.connections.at(-1)?.breakNow(new Error('read ECONNRESET'))
  }
  assert.deepEqual(here.network.attempts, ['a:9092', 'b:9092', 'c:9092', 'a:9092'])
})

test('a name that has other addresses by now is followed', async () => {
  const here = world(() => WELCOME, ['a', 'b'])
  await attempt(here)
  here.network.name({ broker: ['x', 'y'] })
  here.network.connections.at(-1)?.breakNow()
  await attempt(here)
  assert.deepEqual(here.network.attempts, ['a:9092', 'x:9092'])
})

test('when no address answers each is named with its own error, and it is worth another attempt', async () => {
  const here = world(refused, ['10.0.0.1', '10.0.0.2'])
  const error = await attempt(here)
  assert.ok(MillraceError.is(error) && error.retriable)
  assert.equal(error.code, 'KAFKA_DISCONNECTED')
  assert.match(
    error.message,
    /Kafka broker 1 \(broker:9092\).*none of the 2 addresses of broker: 10\.0\.0\.1 \(connect ECONNREFUSED 10\.0\.0\.1:9092\), 10\.0\.0\.2 \(connect ECONNREFUSED/,
  )
})

test('what another address would not change ends the attempt: a peer that is no broker', async () => {
  const here = world(() => (_, connection) => connection.deliver([Buffer.from('HTTP/1.1 400 Bad')]))
  const error = await attempt(here)
  assert.ok(MillraceError.is(error) && !error.retriable)
  assert.equal(error.code, 'KAFKA_PROTOCOL')
  assert.deepEqual(here.network.attempts, ['a:9092'])
})

test('a name without an address is told as that, and asked for again at the next attempt', async () => {
  const here = world(() => WELCOME)
  here.network.name({})
  const error = await attempt(here)
  assert.ok(MillraceError.is(error) && error.retriable)
  assert.match(error.message, /broker:9092.*getaddrinfo ENOTFOUND broker/)
  here.network.name({ broker: [] })
  assert.match(String(await attempt(here)), /broker has no address/)
  here.network.name({ broker: ['a'] })
  assert.ok(stands(await attempt(here)))
})

test('a name server that never answers costs the set-up timeout', async () => {
  const here = world(() => WELCOME)
  here.network.lookup = () => new Promise(() => undefined)
  assert.match(String(await attempt(here)), /no address of broker was found within 10000 ms/)
  assert.ok(here.clock.monotonic() < 10_200)
})

test('pauses and set-up timeouts grow with the failures up to their bounds, with a fifth of chance, and fall back after a success', async () => {
  let up = false
  const here = world((options) => (up ? WELCOME : refused(options)), ['a'], {
    'reconnect.backoff.ms': 100,
    'reconnect.backoff.max.ms': 1_500,
    'socket.connection.setup.timeout.ms': 1_000,
    'socket.connection.setup.timeout.max.ms': 5_000,
  })
  const pauses: number[] = []
  for (let failure = 0; failure < 8; failure++) {
    assert.ok((await attempt(here)) instanceof Error)
    pauses.push(here.slot.notBeforeMs - here.clock.monotonic())
  }
  const near = (got: number, wanted: number, slack: number): boolean =>
    got >= wanted * 0.8 - slack && got <= wanted * 1.2
  // The clock moves in steps of 50 ms while an attempt is waited for.
  for (const [failure, pause] of pauses.entries()) {
    assert.ok(near(pause, Math.min(1_500, 100 * 2 ** failure), 50), `pause ${failure} was ${pause}`)
  }
  for (const [failure, timeout] of here.timeouts.entries()) {
    assert.ok(near(timeout, Math.min(5_000, 1_000 * 2 ** failure), 0), `timeout ${failure} was ${timeout}`)
  }
  assert.ok(new Set(pauses.slice(4)).size > 1 && new Set(here.timeouts.slice(4)).size > 1, 'not all the same')
  up = true
  assert.ok(stands(await attempt(here)))
  assert.ok(near(here.slot.notBeforeMs - here.clock.monotonic(), 100, 50))
})

test('closing ends an attempt between two addresses', async () => {
  const here: World = world(({ timeoutMs }) => here.clock.sleep(timeoutMs).then(() => new Error('late')))
  const outcome = here.slot.get(BROKER).catch((error: unknown) => error)
  await here.clock.advance(1_000)
  here.closing.abort(new Error('closed'))
  await here.clock.advance(60_000)
  assert.match(String(await outcome), /closed/)
  assert.deepEqual(here.network.attempts, ['a:9092'])
})

test('bootstrap servers are reached by any of their addresses, and brokers by theirs', async () => {
  const here = world((options) => (options.address === 'b' ? WELCOME : refused(options)))
  const options = parseClusterOptions({ 'bootstrap.servers': 'broker:9092' })
  const { network, clock } = here
  const cluster = new KafkaCluster(options, { network, clock, random: new SeededRandom(1), logger: silentLogger })
  const connection = await cluster.anyConnection()
  assert.equal(connection.closed, false)
  assert.deepEqual(network.attempts, ['a:9092', 'b:9092'])
  await cluster.close()
})
