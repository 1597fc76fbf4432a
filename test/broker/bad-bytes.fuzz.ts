/**
 * Bytes that are no request, or almost one: random frames, requests with bytes changed, cut off or added, wrong keys and
 * versions, lengths that promise too much. Each ends in an answer or a closed connection; no handler breaks, memory stays
 * within its bound, and other clients are served as before. The seed is printed; MILLRACE_SEED replays it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Logger, SeededRandom, SystemClock, silentLogger } from '../../src/base/index.ts'
import { EmbeddedBroker } from '../../src/broker/index.ts'
import { ALL_APIS, apiVersionsApi, encodeRequest } from '../../src/kafka/index.ts'
import { RawConnection } from './raw-connection.ts'
import { sampleRequest } from './sample-requests.ts'

const SEED = Number(process.env.MILLRACE_SEED ?? Math.floor(Math.random() * 1e9))
const ROUNDS = process.env.MILLRACE_LONG === '1' ? 200_000 : 3_000
const MEMORY_BYTES_MAX = 4 * 1024 * 1024
const SPECIAL = [-1, 0, 1, 0x7f, 0x80, 0xff]

test(`no bytes break the broker (seed ${SEED})`, async (context) => {
  const random = new SeededRandom(SEED)
  const below = (count: number): number => Math.floor(random.next() * count)
  const bugs: unknown[] = []
  const logger: Logger = { ...silentLogger, error: (fields, message) => void bugs.push([message, fields]) }
  const settings = { partitionsMax: 500, coordinatedMax: 200, requestBytesMax: 1_000_000, connectionsMax: 50 }
  const clock = new SystemClock()
  const broker = new EmbeddedBroker({
    clock,
    random: new SeededRandom(SEED),
    logger,
    settings,
    memoryBytesMax: MEMORY_BYTES_MAX,
    topics: { in: { partitions: 2 } },
  })
  const counts = { answered: 0, closed: 0, waiting: 0 }
  let raw = await RawConnection.open(broker.network, broker.bootstrapServers)

  /** There and back takes two. */
  async function aFewTurns(): Promise<undefined> {
    for (let turn = 0; turn < 6; turn++) await clock.nextTurn()
    return undefined
  }

  function sample(): Buffer {
    const api = ALL_APIS[below(ALL_APIS.length)] ?? apiVersionsApi
    const highest = api.latestVersionUnstable ? api.maxVersion - 1 : api.maxVersion
    const version = api.minVersion + below(highest - api.minVersion + 1)
    const request = sampleRequest(api, version, { topicId: 'AAAAAAAAAAAAAAAAAAAAAA', producerId: 1_000 })
    return Buffer.concat(encodeRequest(api, version, { correlationId: 1, clientId: 'fuzz' }, request))
  }

  function spoil(frame: Buffer): Buffer {
    const bytes = Buffer.from(frame)
    switch (below(6)) {
      case 0:
        for (let change = below(4); change >= 0; change--) bytes[4 + below(bytes.length - 4)] = below(256)
        return bytes
      case 1:
        bytes[4 + below(bytes.length - 4)] = (SPECIAL[below(SPECIAL.length)] ?? 0) & 0xff
        return bytes
      case 2: {
        const cut = bytes.subarray(0, 4 + Math.max(8, below(bytes.length - 4)))
        cut.writeInt32BE(cut.length - 4, 0)
        return cut
      }
      case 3: {
        const longer = Buffer.concat([bytes, Buffer.from(random.hex(1 + below(20)), 'hex')])
        longer.writeInt32BE(longer.length - 4, 0)
        return longer
      }
      case 4:
        // A version or a key of another API.
        bytes.writeInt16BE(below(120) - 5, below(2) === 0 ? 4 : 6)
        return bytes
      default: {
        const at = 8 + below(Math.max(1, bytes.length - 12))
        bytes.writeInt32BE([0x7fffffff, -1, 0x10000000, -0x80000000][below(4)] ?? 0, Math.min(at, bytes.length - 4))
        return bytes
      }
    }
  }

  for (let round = 0; round < ROUNDS; round++) {
    const kind = below(10)
    if (kind === 0) {
      const noise = Buffer.from(random.hex(1 + below(200)), 'hex')
      const framed = Buffer.concat([Buffer.alloc(4), noise])
      framed.writeInt32BE(below(3) === 0 ? below(2 ** 31) : noise.length, 0)
      raw.write(framed)
    } else raw.write(kind === 1 ? sample() : spoil(sample()))
    // Some requests rightly wait, for other members or for bytes that never come; then the client goes.
    const outcome = await Promise.race([raw.next(), aFewTurns()])
    if (outcome === 'closed') counts.closed++
    else if (outcome === undefined) counts.waiting++
    else counts.answered++
    assert.deepEqual(bugs, [], `round ${round}`)
    assert.ok(broker.memoryBytes <= MEMORY_BYTES_MAX + 64 * 1024, `${broker.memoryBytes} bytes`)
    if (outcome === undefined || outcome === 'closed') {
      raw.destroy()
      raw = await RawConnection.open(broker.network, broker.bootstrapServers)
    }
  }
  assert.ok(broker.connections < 20, `${broker.connections} connections are left`)
  const good = await RawConnection.open(broker.network, broker.bootstrapServers)
  await good.ask(apiVersionsApi, 0, {})
  assert.ok(counts.answered > ROUNDS / 20 && counts.closed > ROUNDS / 20, JSON.stringify(counts))
  context.diagnostic(JSON.stringify(counts))
  await broker.close()
})
