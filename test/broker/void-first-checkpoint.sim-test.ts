/**
 * A job that begins at the end of its input, or wherever else depends on when it is asked, on the embedded broker: it is killed
 * between the first `completed` and its commit, and stays dead until the brokers have aborted its transactions. The first
 * checkpoint is then void and there is none before it, yet what came since the job first began is read: the oracle is the output.
 */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type JointMessage, MemoryStorage, SeededRandom, SystemClock, silentLogger } from '../../src/base/index.ts'
import { EmbeddedBroker } from '../../src/broker/index.ts'
import { KafkaCluster, Producer, parseClusterOptions, parseProducerOptions } from '../../src/kafka/index.ts'
import { DeliveryGuarantee, KafkaRecordSerializationSchema } from '../../src/sink/index.ts'
import {
  KafkaRecordDeserializationSchema,
  KafkaSource,
  OffsetResetStrategy,
  OffsetsInitializer,
} from '../../src/source/index.ts'
import { defineJob, type JobClient, type JobDefinition, startJob, WatermarkStrategy } from '../../src/stream/index.ts'
import { readCommitted } from '../../src/testing/simulation/committed-log.ts'
import { toOut } from '../sim/copy-ends.ts'
import { MortalLife } from './mortal-ports.ts'

const PARTITIONS = 2
const RECORDS_PER_BATCH = 10
const PATIENCE_MS = 60_000

/**
 * How a life that has read everything ends: its checkpoint completes and is then void, it dies without one, or it is stopped;
 * `restart`: the checkpoint is void while the process lives, which restarts the job, reads on, and is stopped.
 */
type End = 'void' | 'crash' | 'stop' | 'restart'

class Scene {
  readonly broker: EmbeddedBroker
  readonly #cluster: KafkaCluster
  readonly #producer: Producer
  readonly #storage = new MemoryStorage()
  readonly #startingOffsets: OffsetsInitializer
  /** What the function of the present life was given. */
  #seen: Set<number> = new Set()
  #written = 0
  #lives = 0

  constructor(transactionVersion: 1 | 2, startingOffsets: OffsetsInitializer) {
    this.#startingOffsets = startingOffsets
    const clock = new SystemClock()
    const random = new SeededRandom(5)
    const topics = { in: { partitions: PARTITIONS }, out: { partitions: PARTITIONS } }
    this.broker = new EmbeddedBroker({ clock, random, transactionVersion, topics })
    const options = parseClusterOptions({ 'bootstrap.servers': this.broker.bootstrapServers })
    this.#cluster = new KafkaCluster(options, { network: this.broker.network, clock, random, logger: silentLogger })
    this.#producer = new Producer(this.#cluster, parseProducerOptions({}))
  }

  /** Answers the numbers that it wrote. */
  async write(): Promise<number[]> {
    const topic = await this.#producer.topic('in')
    const numbers = Array.from({ length: RECORDS_PER_BATCH }, () => this.#written++)
    for (const number of numbers) topic.append(number % PARTITIONS, Date.now(), null, String(number))
    await this.#producer.seal()
    return numbers
  }

  /** Until it has read what is written while it runs. Answers these numbers. */
  async live(end: End): Promise<number[]> {
    this.#seen = new Set()
    const life = new MortalLife(this.broker.network, this.#storage, ++this.#lives)
    const client = await startJob(this.#job(), {
      ports: life.ports,
      storage: life.storage,
      configuration: {
        'execution.checkpointing.interval': '1 h',
        'restart-strategy.type': 'fixed-delay',
        'restart-strategy.fixed-delay.delay': 1,
        'restart-strategy.fixed-delay.attempts': 1,
      },
    })
    try {
      const numbers = await this.#read(client)
      if (end === 'void' || end === 'restart') {
        await whenCompleted(client, () => {
          if (end === 'void') life.die()
          this.#expire()
        })
      }
      if (end === 'restart') {
        await until('it restarts', () => client.figures().restarts === 1)
        numbers.push(...(await this.#read(client)))
      }
      if (end === 'stop' || end === 'restart') await client.stop()
      return numbers
    } finally {
      life.die()
    }
  }

  async #read(client: JobClient): Promise<number[]> {
    await until('the job runs', () => client.status() === 'running')
    const numbers = await this.write()
    await until('it has read what was written', () => numbers.every((number) => this.#seen.has(number)))
    return numbers
  }

  #expire(): void {
    const open = this.broker.transactions().filter(({ state }) => state === 'Ongoing')
    assert.ok(open.length > 0, 'the checkpoint that completed has flushed nothing')
    for (const { transactionalId } of open) this.broker.expireTransaction(transactionalId)
  }

  output(): number[] {
    return Array.from({ length: PARTITIONS }, (_, partition) => {
      const { committed, open } = readCommitted(this.broker, 'out', partition)
      assert.deepEqual(open, [])
      return committed.map(({ value }) => Number(value))
    }).flat()
  }

  async close(): Promise<void> {
    await this.#producer.close()
    await this.#cluster.close()
    await this.broker.close()
  }

  #job(): JobDefinition {
    const brokers = this.broker.bootstrapServers
    const seen = this.#seen
    return defineJob('copy', (env) => {
      const source = KafkaSource.builder()
        .setBootstrapServers(brokers)
        .setTopics('in')
        .setGroupId('copy')
        .setStartingOffsets(this.#startingOffsets)
        .setDeserializer(KafkaRecordDeserializationSchema.of(({ value }) => Number(value)))
        .build()
      const record = KafkaRecordSerializationSchema.builder<number>()
        .setPartitioner({ partition: (value) => value % PARTITIONS })
        .setValueSerializationSchema((value) => Buffer.from(String(value)))
      env
        .fromSource(source, WatermarkStrategy.noWatermarks(), 'in')
        .uid('in')
        .map((value) => {
          seen.add(value)
          return value
        })
        .uid('see')
        .sinkTo(toOut(brokers, DeliveryGuarantee.EXACTLY_ONCE, record).build())
        .uid('out')
    })
  }
}

/** At the moment at which a checkpoint has completed, and none of its transactions is ended. */
async function whenCompleted(client: JobClient, act: () => void): Promise<void> {
  const acted = new Promise<void>((resolve, reject) => {
    const listen = (message: unknown): void => {
      if ((message as JointMessage).name !== 'completed-written') return
      unsubscribe('millrace:joint', listen)
      try {
        act()
        resolve()
      } catch (error) {
        reject(error)
      }
    }
    subscribe('millrace:joint', listen)
  })
  client.triggerCheckpoint().catch(() => undefined)
  await acted
}

async function until(what: string, happened: () => boolean): Promise<void> {
  for (const beganMs = Date.now(); !happened(); await sleep(2)) {
    assert.ok(Date.now() - beganMs < PATIENCE_MS, `not within ${PATIENCE_MS} ms: ${what}`)
  }
}

const STARTS: Readonly<Record<string, OffsetsInitializer>> = {
  'the latest offsets': OffsetsInitializer.latest(),
  'committed offsets, of which there are none,': OffsetsInitializer.committedOffsets(OffsetResetStrategy.LATEST),
  'a time to come': OffsetsInitializer.timestamp(Date.now() + 3_600_000),
}
const LIVES: readonly (readonly End[])[] = [
  ['void', 'stop'],
  ['void', 'crash', 'stop'],
  ['void', 'void', 'crash', 'stop'],
  ['restart'],
]

for (const transactionVersion of [2, 1] as const) {
  for (const [start, startingOffsets] of Object.entries(STARTS).slice(0, transactionVersion === 2 ? 3 : 1)) {
    for (const ends of LIVES) {
      test(`the first checkpoint is void, and a start at ${start} leaves out nothing (${ends.join(', ')}; transaction version ${transactionVersion})`, async () => {
        const scene = new Scene(transactionVersion, startingOffsets)
        await scene.write()
        const expected: number[] = []
        for (const end of ends) {
          expected.push(...(await scene.live(end)))
          // While it is dead.
          if (end === 'void' || end === 'crash') expected.push(...(await scene.write()))
        }
        assert.deepEqual(
          scene.output(),
          expected.toSorted((left, right) => (left % PARTITIONS) - (right % PARTITIONS) || left - right),
        )
        await scene.close()
      })
    }
  }
}
