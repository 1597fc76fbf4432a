/**
 * A whole exactly-once job on the embedded broker, in this process and without sockets: source, engine and sink as they are,
 * killed at each joint of the protocol and started again, with brokers that fail meanwhile. The oracle is the output topic:
 * every record of the input once, each partition's in its order, nothing left open.
 */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { suite, test } from 'node:test'
import {
  JOINTS,
  type JointMessage,
  type JointName,
  MemoryStorage,
  SeededRandom,
  SystemClock,
  silentLogger,
} from '../../src/base/index.ts'
import { EmbeddedBroker } from '../../src/broker/index.ts'
import {
  Fetcher,
  KafkaAdmin,
  KafkaCluster,
  Producer,
  parseClusterOptions,
  parseFetcherOptions,
  parseProducerOptions,
} from '../../src/kafka/index.ts'
import { DeliveryGuarantee, KafkaRecordSerializationSchema } from '../../src/sink/index.ts'
import { defineJob, type JobDefinition, startJob, WatermarkStrategy } from '../../src/stream/index.ts'
import { fromIn, toOut } from '../sim/copy-ends.ts'
import { MortalLife } from './mortal-ports.ts'

const PARTITIONS = 2
const RECORDS = 120
const LIVES_MAX = 12
/** Of failed checkpoints, and of storage in a directory. */
const NOT_HERE: ReadonlySet<JointName> = new Set(['checkpoint-failed', 'record-before-link', 'record-linked'])
/** Where a life dies: the so-manieth time that it passes a joint, of those times at which a transaction is open if it says so. */
interface Death {
  readonly name: JointName
  readonly pass: number
  readonly transactionOpen?: boolean
}

/** Joints of a recovery are passed only when a life before them left something to do: by dying there. */
const LEFT_TO_DO_BY: ReadonlyMap<JointName, Death> = new Map([
  // However many barriers pass before the first record.
  ['sweep', { name: 'flushed', pass: 1, transactionOpen: true }],
  ['committed-written', { name: 'completed-written', pass: 1 }],
])
/** So many troubles in one life, one after the other; then it has its peace, so that a slow machine comes to an end as well. */
const TROUBLES_MAX = 200
const MANY_RESTARTS = { 'restart-strategy.fixed-delay.attempts': 10 * TROUBLES_MAX }

const WHERE_VERSIONS_DIFFER: ReadonlySet<JointName> = new Set([
  'flushed',
  'transaction-ended',
  'before-init-producer-id',
])

class Scene {
  readonly broker: EmbeddedBroker
  readonly cluster: KafkaCluster
  readonly storage: MemoryStorage = new MemoryStorage()
  lives = 0

  constructor(transactionVersion: 1 | 2, nodes = 1) {
    const clock = new SystemClock()
    const random = new SeededRandom(5)
    const topics = { in: { partitions: PARTITIONS }, out: { partitions: PARTITIONS } }
    this.broker = new EmbeddedBroker({ clock, random, nodes, transactionVersion, topics })
    const options = parseClusterOptions({ 'bootstrap.servers': this.broker.bootstrapServers })
    this.cluster = new KafkaCluster(options, { network: this.broker.network, clock, random, logger: silentLogger })
  }

  async fill(): Promise<void> {
    const producer = new Producer(this.cluster, parseProducerOptions({ 'batch.size': 200 }))
    const topic = await producer.topic('in')
    for (let i = 0; i < RECORDS; i++) topic.append(i % PARTITIONS, 1, null, `${i}`)
    await producer.seal()
    await producer.close()
  }

  job(): JobDefinition {
    const brokers = this.broker.bootstrapServers
    return defineJob('copy', (env) => {
      const source = fromIn(brokers, 300, ({ value }) => String(value)).build()
      const record = KafkaRecordSerializationSchema.builder<string>()
        .setPartitioner({ partition: (value) => Number(value) % PARTITIONS })
        .setValueSerializationSchema((value) => Buffer.from(value))
      const sink = toOut(brokers, DeliveryGuarantee.EXACTLY_ONCE, record).build()
      env
        .fromSource(source, WatermarkStrategy.noWatermarks(), 'in')
        .uid('in')
        .map(slowly)
        .uid('slow')
        .sinkTo(sink)
        .uid('out')
    })
  }

  /** One life; it dies at the n-th passing of a joint, or comes to an end. */
  async live(dieAt?: Death, settings: Readonly<Record<string, number>> = {}): Promise<'died' | 'ended'> {
    const life = new MortalLife(this.broker.network, this.storage, ++this.lives)
    let passes = 0
    const listen = (message: unknown): void => {
      if (life.dead || (message as JointMessage).name !== dieAt?.name) return
      if (dieAt.transactionOpen === true && !this.#transactionOpen) return
      if (++passes >= dieAt.pass) life.die()
    }
    if (dieAt !== undefined) subscribe('millrace:joint', listen)
    try {
      const running = startJob(this.job(), {
        ports: life.ports,
        storage: life.storage,
        configuration: {
          'execution.checkpointing.interval': 8,
          'restart-strategy.type': 'fixed-delay',
          'restart-strategy.fixed-delay.delay': 1,
          'restart-strategy.fixed-delay.attempts': 100,
          ...settings,
        },
      }).then((client) => client.result())
      return await Promise.race([running.then(() => 'ended' as const), life.died.then(() => 'died' as const)])
    } finally {
      unsubscribe('millrace:joint', listen)
      life.die()
    }
  }

  get #transactionOpen(): boolean {
    return this.broker.transactions().some(({ state }) => state === 'Ongoing')
  }

  async assertExact(): Promise<void> {
    const fetcher = new Fetcher(this.cluster, parseFetcherOptions({ 'isolation.level': 'read_committed' }))
    await this.cluster.metadata.ensure(['out'])
    const admin = new KafkaAdmin(this.cluster)
    const questions = Array.from({ length: PARTITIONS }, (_, partition) => ({
      topic: 'out',
      partition,
      at: 'latest' as const,
    }))
    const uncommitted = await admin.listOffsets(questions)
    const stable = await admin.listOffsets(questions, { isolation: 'read_committed' })
    assert.deepEqual(stable, uncommitted, 'nothing is left open')
    const seen: number[][] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      fetcher.add('out', partition, 0)
      seen.push([])
    }
    const done = (): boolean => stable.every(({ partition, offset }) => fetcher.position('out', partition) === offset)
    while (!done()) {
      const part = fetcher.next()
      if (part === undefined) await fetcher.available()
      else if (part.kind === 'trouble') throw part.error
      else
        while (part.reader.nextBatch())
          while (part.reader.next()) seen[part.partition]?.push(Number(part.reader.valueString()))
    }
    await fetcher.close()
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const expected = Array.from({ length: RECORDS }, (_, i) => i).filter((i) => i % PARTITIONS === partition)
      assert.deepEqual(seen[partition], expected)
    }
    const open = (await admin.listTransactions({ states: ['Ongoing', 'PrepareCommit', 'PrepareAbort'] })) ?? []
    assert.deepEqual(open, [])
    const groupOffsets = await admin.groupOffsets('copy')
    const perPartition = RECORDS / PARTITIONS
    assert.deepEqual(
      groupOffsets.map(({ offset }) => offset),
      Array(PARTITIONS).fill(perPartition),
    )
  }

  async close(): Promise<void> {
    await this.cluster.close()
    await this.broker.close()
  }
}

const never = new Int32Array(new SharedArrayBuffer(4))

/** So that several checkpoints fall into one life. */
function slowly(value: string): string {
  if (Number(value) % 4 === 0) Atomics.wait(never, 0, 0, 1)
  return value
}

for (const transactionVersion of [2, 1] as const) {
  suite(`an exactly-once job in this process, transaction version ${transactionVersion}`, () => {
    const all = transactionVersion === 2 || process.env.MILLRACE_LONG === '1'

    test('copies its input once when nothing happens', async () => {
      const scene = new Scene(transactionVersion)
      await scene.fill()
      assert.equal(await scene.live(), 'ended')
      await scene.assertExact()
      await scene.close()
    })

    for (const name of [
      'flushed',
      'metadata-written',
      'completed-written',
      'transaction-ended',
      'all-ended',
    ] as const) {
      test(`killed at ${name} with several checkpoints under way it loses and repeats nothing`, async () => {
        const several = {
          'execution.checkpointing.max-concurrent-checkpoints': 3,
          'execution.checkpointing.interval': 2,
        }
        const scene = new Scene(transactionVersion)
        await scene.fill()
        let [deaths, end] = [0, 'died']
        for (let life = 0; end === 'died' && life < LIVES_MAX; life++) {
          end = await scene.live(life < 4 ? { name, pass: life + 2 } : undefined, several)
          if (end === 'died') deaths++
        }
        assert.equal(end, 'ended')
        assert.ok(deaths >= 1, `never passed ${name}`)
        await scene.assertExact()
        await scene.close()
      })
    }

    for (const name of JOINTS.filter((one) => !NOT_HERE.has(one) && (all || WHERE_VERSIONS_DIFFER.has(one)))) {
      test(`killed at ${name} it loses and repeats nothing`, async (context) => {
        const scene = new Scene(transactionVersion)
        await scene.fill()
        const before = LEFT_TO_DO_BY.get(name)
        if (before !== undefined) assert.equal(await scene.live(before), 'died')
        let deaths = 0
        let end: 'died' | 'ended' = 'died'
        for (let life = 0; end === 'died' && life < LIVES_MAX; life++) {
          // Twice at this joint, earlier and later, and then in peace.
          end = await scene.live(life < 2 ? { name, pass: life + 1 } : undefined)
          if (end === 'died') deaths++
        }
        assert.equal(end, 'ended')
        context.diagnostic(`died ${deaths} times`)
        assert.ok(deaths >= 1, `never passed ${name}`)
        await scene.assertExact()
        await scene.close()
      })
    }

    test('with connections that break, answers that are lost and leaders that move it loses and repeats nothing', async () => {
      const scene = new Scene(transactionVersion, 3)
      await scene.fill()
      const random = new SeededRandom(transactionVersion)
      const { broker } = scene
      let troubles = 0
      const trouble = setInterval(() => {
        if (++troubles === TROUBLES_MAX) clearInterval(trouble)
        const apis = ['Produce', 'Fetch', 'EndTxn', 'InitProducerId', 'AddPartitionsToTxn', 'OffsetCommit']
        const api = apis[Math.floor(random.next() * apis.length)] ?? 'Produce'
        const kind = Math.floor(random.next() * 4)
        if (broker.faults.pending > 0) broker.faults.clear()
        else if (kind === 0) broker.faults.drop({ api, when: random.next() < 0.5 ? 'before' : 'after' })
        else if (kind === 1) broker.moveLeader('out', Math.floor(random.next() * PARTITIONS))
        else if (kind === 2) broker.dropConnections(1 + Math.floor(random.next() * 3))
        else broker.faults.fail({ api: 'EndTxn', error: 'COORDINATOR_LOAD_IN_PROGRESS' })
      }, 25)
      try {
        let end = await scene.live({ name: 'completed-written', pass: 3 }, MANY_RESTARTS)
        if (end === 'died') end = await scene.live(undefined, MANY_RESTARTS)
        assert.equal(end, 'ended')
      } finally {
        clearInterval(trouble)
        broker.faults.clear()
      }
      await scene.assertExact()
      await scene.close()
    })
  })
}
