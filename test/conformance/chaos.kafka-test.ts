/**
 * Three nodes, of which one after the other is killed, paused or restarted at random, under an idempotent and a transactional
 * producer and a reader of each. Half a minute in the ordinary run, ten minutes in the long one.
 *
 * What must hold: what was acknowledged is there, once, in order, for this client's readers (who check each record as it
 * comes) and for Kafka's own; aborted transactions are seen by neither; readers meet no trouble; no promise floats; memory
 * stays flat. The seed is printed; MILLRACE_SEED chooses it, though the machine's timing is not part of it.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MillraceError, SeededRandom } from '../../src/base/index.ts'
import {
  endTransaction,
  Fetcher,
  initProducerId,
  type KafkaCluster,
  Producer,
  type ProducerIdentity,
  parseFetcherOptions,
  parseProducerOptions,
  type TransactionHandle,
} from '../../src/kafka/index.ts'
import { KafkaServer } from '../../src/testing/index.ts'
import { connect } from './connect.ts'

const CHAOS_MS = process.env.MILLRACE_LONG === '1' ? 600_000 : 60_000
const SETTLE_MS = 180_000
const SEED = Number(process.env.MILLRACE_SEED ?? Date.now() % 1_000_000)
const PARTITIONS = 3
const MEMORY_GROWTH_MAX_BYTES = 40 * 1024 * 1024
const JAVA_READS_MAX = 300_000

let server: KafkaServer
const clusters: KafkaCluster[] = []
const floating: unknown[] = []
const notice = (reason: unknown): void => void floating.push(reason)

before(async () => {
  process.on('unhandledRejection', notice)
  server = await KafkaServer.start({
    nodes: 3,
    heapMb: 300,
    // A node that sleeps is missed after 3 s and not 9, so that leaders move within the half minute.
    properties: {
      'broker.session.timeout.ms': 3_000,
      'broker.heartbeat.interval.ms': 500,
      'replica.lag.time.max.ms': 4_000,
    },
  })
})

after(async () => {
  await Promise.all(clusters.map((cluster) => cluster.close()))
  await server?.close()
  process.off('unhandledRejection', notice)
})

function newCluster(): KafkaCluster {
  const cluster = connect(server, { 'request.timeout.ms': 5_000 })
  clusters.push(cluster)
  return cluster
}

/** What the writers decided and the readers are held to. */
class Truth {
  /** Values 0 to n-1 were appended to each partition of `plain`. */
  readonly plain: number[] = new Array<number>(PARTITIONS).fill(0)
  /** By round: how many records each partition got, when the transaction was to be committed; else undefined. */
  readonly committed: (readonly number[] | undefined)[] = []
  /** Counts of what came about, for the last line. */
  readonly seen = { committed: 0, aborted: 0, lost: 0 }
}

async function writePlain(truth: Truth, random: SeededRandom, going: () => boolean): Promise<void> {
  const cluster = newCluster()
  const producer = new Producer(cluster, parseProducerOptions({ 'batch.size': 4_000 }))
  const topic = await producer.topic('plain')
  let sealed: Promise<unknown> = Promise.resolve()
  while (going()) {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const count = Math.floor(random.next() * 60)
      const first = truth.plain[partition] ?? 0
      for (let i = 0; i < count; i++) topic.append(partition, 1_000, null, `${first + i}`)
      truth.plain[partition] = first + count
    }
    if (producer.blocked) await producer.writable()
    if (random.next() < 0.1) sealed = producer.seal()
    sealed.catch(() => undefined)
    await sleep(30)
  }
  await producer.seal()
  await sealed
  await producer.close()
}

/** One transaction after the other, under a few ids, each by the identity its last end gave. */
async function writeTransactions(truth: Truth, random: SeededRandom, going: () => boolean): Promise<void> {
  const cluster = newCluster()
  const identities = new Map<string, ProducerIdentity>()
  let producer = new Producer(cluster, parseProducerOptions({ 'batch.size': 2_000 }))
  for (let round = 0; going(); round++) {
    const id = `chaos-${round % 3}`
    const counts = Array.from({ length: PARTITIONS }, () => Math.floor(random.next() * 50))
    const commit = random.next() < 0.7
    const identity = identities.get(id)
    identities.delete(id)
    // Long: an outage must not end what a test wants to see committed.
    producer.beginTransaction(id, 2, identity === undefined ? patiently(cluster, id) : Promise.resolve(identity))
    try {
      const topic = await producer.topic('transactional')
      for (const [partition, count] of counts.entries()) {
        for (let i = 0; i < count; i++) topic.append(partition, 1_000, null, `${round}:${i}`)
      }
      const { handle } = await producer.seal()
      if (handle !== undefined) {
        truth.committed[round] = commit ? counts : undefined
        const next = await end(cluster, handle, commit)
        if (next !== undefined) identities.set(id, next)
        truth.seen[commit ? 'committed' : 'aborted']++
      }
    } catch (error) {
      // A broker may say that this transaction can only be aborted: nothing of it was sealed, and it never will be.
      if (!MillraceError.is(error) || error.code !== 'KAFKA_TRANSACTION_ABORTED') throw error
      truth.committed[round] = undefined
      truth.seen.lost++
      producer = new Producer(cluster, parseProducerOptions({ 'batch.size': 2_000 }))
      await patiently(cluster, id)
    }
    await sleep(random.next() * 40)
  }
  await producer.close()
}

async function patiently(cluster: KafkaCluster, id: string): Promise<ProducerIdentity> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await initProducerId(cluster, id, 600_000)
    } catch (error) {
      if (!MillraceError.is(error) || error.code !== 'KAFKA_TIMEOUT' || attempt > 3) throw error
    }
  }
}

async function end(
  cluster: KafkaCluster,
  handle: TransactionHandle,
  commit: boolean,
): Promise<ProducerIdentity | undefined> {
  for (let attempt = 0; ; attempt++) {
    const outcome = await endTransaction(cluster, handle, commit, { deadlineMs: 60_000 })
    if (outcome.kind === 'ended') return outcome.next
    assert.notEqual(outcome.kind, 'refused', `${JSON.stringify(handle)}: ${JSON.stringify(outcome)}`)
    assert.ok(attempt < 5, JSON.stringify(outcome))
  }
}

/** Reads on and on, checking every value, until it is told to stop and stands at the ends. */
class CheckingReader {
  readonly counts: number[] = new Array<number>(PARTITIONS).fill(0)
  readonly #topic: string
  readonly #check: (partition: number, value: string) => void
  #ends: readonly number[] | undefined

  constructor(topic: string, check: (partition: number, value: string) => void) {
    this.#topic = topic
    this.#check = check
  }

  /** No record comes behind these offsets. */
  finishAt(ends: readonly number[]): void {
    this.#ends = ends
  }

  async run(failed: AbortSignal): Promise<void> {
    const properties = { 'isolation.level': 'read_committed', 'fetch.max.wait.ms': 200 } as const
    const fetcher = new Fetcher(newCluster(), parseFetcherOptions(properties))
    for (let partition = 0; partition < PARTITIONS; partition++) fetcher.add(this.#topic, partition, 0)
    const done = (): boolean =>
      this.#ends?.every((end, partition) => fetcher.position(this.#topic, partition) === end) === true
    while (!done()) {
      failed.throwIfAborted()
      const part = fetcher.next()
      if (part === undefined) {
        await Promise.race([fetcher.available(), sleep(100)])
        continue
      }
      if (part.kind === 'trouble') throw part.error
      while (part.reader.nextBatch()) {
        while (part.reader.next()) {
          this.#check(part.partition, part.reader.valueString() ?? '')
          this.counts[part.partition] = (this.counts[part.partition] ?? 0) + 1
        }
      }
    }
    await fetcher.close()
  }
}

function plainReader(): CheckingReader {
  const next = new Array<number>(PARTITIONS).fill(0)
  return new CheckingReader('plain', (partition, value) => {
    assert.equal(value, `${next[partition]}`, `plain-${partition}`)
    next[partition] = Number(value) + 1
  })
}

function transactionalReader(truth: Truth): CheckingReader {
  const at = Array.from({ length: PARTITIONS }, () => ({ round: 0, record: 0 }))
  return new CheckingReader('transactional', (partition, value) => {
    const place = at[partition]
    assert.ok(place !== undefined)
    while ((truth.committed[place.round]?.[partition] ?? 0) <= place.record) {
      assert.ok(
        place.round < truth.committed.length,
        `transactional-${partition} holds ${value}, which was not committed`,
      )
      place.round++
      place.record = 0
    }
    assert.equal(value, `${place.round}:${place.record}`, `transactional-${partition}`)
    place.record++
  })
}

/** Disturbs one node at a time, most often the leader of a partition; all run when it returns. */
async function disturb(random: SeededRandom, going: () => boolean, deeds: string[]): Promise<void> {
  const watching = newCluster()
  await watching.metadata.ensure(['plain'])
  while (going()) {
    await watching.metadata.refresh()
    const leader = watching.metadata.leader('plain', Math.floor(random.next() * PARTITIONS))?.nodeId
    const anyone = server.nodes[Math.floor(random.next() * server.nodes.length)]
    const node = random.next() < 0.7 ? (server.nodes.find(({ id }) => id === leader) ?? anyone) : anyone
    assert.ok(node !== undefined)
    const kind = (['kill', 'pause', 'restart'] as const)[Math.floor(random.next() * 3)]
    const awayMs = Math.floor(200 + random.next() * 4_500)
    deeds.push(`${kind} ${node.id}`)
    if (kind === 'pause') {
      node.pause()
      await sleep(awayMs)
      node.resume()
    } else {
      await (kind === 'kill' ? node.kill() : node.stop())
      await sleep(awayMs / 2)
      await node.start()
    }
    await sleep(random.next() * 2_000)
  }
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

async function memoryInUse(): Promise<number> {
  collectGarbage()
  await sleep(50)
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const NAME = `nothing acknowledged is lost, doubled or out of order while nodes fall and rise (seed ${SEED})`

test(NAME, { timeout: CHAOS_MS + 4 * SETTLE_MS }, async (context) => {
  const config = { 'min.insync.replicas': 2 }
  await server.createTopic('plain', { partitions: PARTITIONS, replicationFactor: 3, config })
  await server.createTopic('transactional', { partitions: PARTITIONS, replicationFactor: 3, config })
  const random = new SeededRandom(SEED)
  const truth = new Truth()
  const until = performance.now() + CHAOS_MS
  const failed = new AbortController()
  const deeds: string[] = []
  /** A slow machine gets the time that it takes until something has happened. */
  const happened = (): boolean => truth.seen.committed > 0 && deeds.length > 1
  const going = (): boolean => (performance.now() < until || !happened()) && !failed.signal.aborted
  /** The first failure ends all. */
  const watched = <T>(running: Promise<T>): Promise<T> => {
    running.catch((error: unknown) => failed.abort(error))
    return running
  }
  const readers = [plainReader(), transactionalReader(truth)] as const
  const reading = readers.map((reader) => watched(reader.run(failed.signal)))
  const writing = [
    watched(writePlain(truth, new SeededRandom(SEED + 1), going)),
    watched(writeTransactions(truth, new SeededRandom(SEED + 2), going)),
  ]
  const disturbing = watched(disturb(random, going, deeds))
  const memory: number[] = []
  const sampling = (async () => {
    while (going()) {
      await sleep(CHAOS_MS / 10)
      memory.push(await memoryInUse())
    }
  })()
  await disturbing
  context.diagnostic(`seed ${SEED}: ${deeds.join(', ')}`)
  await Promise.all([bounded(Promise.all(writing), 'the writers'), sampling])
  failed.signal.throwIfAborted()
  for (const [index, topic] of (['plain', 'transactional'] as const).entries()) {
    readers[index]?.finishAt(await server.java.offsets(topic, 'last-stable'))
  }
  await bounded(Promise.all(reading), 'the readers')
  context.diagnostic(`plain ${truth.plain.join('+')} records, transactions ${JSON.stringify(truth.seen)}`)

  const expected = truth.committed.reduce<number[]>(
    (sums, counts) => sums.map((sum, partition) => sum + (counts?.[partition] ?? 0)),
    new Array<number>(PARTITIONS).fill(0),
  )
  assert.deepEqual(readers[0].counts, truth.plain)
  assert.deepEqual(readers[1].counts, expected)
  assert.ok(happened(), 'something happened')
  if (sum(truth.plain) + sum(expected) < JAVA_READS_MAX) await checkWithJava(truth, expected)
  assert.deepEqual(floating, [])
  const growth = Math.max(...memory.slice(-2)) - Math.max(...memory.slice(1, 4))
  context.diagnostic(`memory ${memory.map((bytes) => (bytes / 1_048_576).toFixed(1)).join(', ')} MB`)
  assert.ok(growth < MEMORY_GROWTH_MAX_BYTES, `memory grew by ${growth} bytes`)
})

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)

async function bounded<T>(running: Promise<T>, who: string): Promise<T> {
  const timer = new AbortController()
  const late = sleep(SETTLE_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${who} had not come to their end ${SETTLE_MS / 1000} s after the last disturbance`)
  })
  late.catch(() => undefined)
  try {
    return await Promise.race([running, late])
  } finally {
    timer.abort()
  }
}

/** Kafka's own consumer sees the same records. */
async function checkWithJava(truth: Truth, expected: readonly number[]): Promise<void> {
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)
  const valuesOf = async (topic: string): Promise<string[][]> => {
    const all: string[][] = partitions.map(() => [])
    for (const { partition, value } of await server.java.readAll(topic)) all[partition]?.push(String(value))
    return all
  }
  const plain = await valuesOf('plain')
  for (const partition of partitions) {
    const count = truth.plain[partition] ?? 0
    assert.deepEqual(
      plain[partition],
      Array.from({ length: count }, (_, i) => `${i}`),
    )
  }
  const transactional = await valuesOf('transactional')
  for (const partition of partitions) {
    const values = truth.committed.flatMap((counts, round) =>
      Array.from({ length: counts?.[partition] ?? 0 }, (_, i) => `${round}:${i}`),
    )
    assert.equal(values.length, expected[partition])
    assert.deepEqual(transactional[partition], values)
  }
}
