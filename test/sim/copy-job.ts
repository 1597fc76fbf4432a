/**
 * The job that the simulator runs: from a topic with transactions of others, some of them aborted, through a function that may
 * fail, exactly once into another topic. What must come out is known before it runs.
 */
import {
  endTransaction,
  initProducerId,
  KafkaCluster,
  Producer,
  parseClusterOptions,
  parseProducerOptions,
  transactionVersion,
} from '../../src/kafka/index.ts'
import {
  DeliveryGuarantee,
  KafkaRecordSerializationSchema,
  KafkaSink,
  TransactionNamingStrategy,
} from '../../src/sink/index.ts'
import { KafkaRecordDeserializationSchema, KafkaSource, OffsetsInitializer } from '../../src/source/index.ts'
import { defineJob, type JobDefinition, WatermarkStrategy } from '../../src/stream/index.ts'
import { Dice } from '../../src/testing/simulation/dice.ts'
import type { Simulation } from '../../src/testing/simulation/simulation.ts'

export const KEYS_PER_PARTITION = 2
const RECORDS_PER_BATCH = 4
const BATCHES = 24

export interface CopyWorld {
  readonly inputPartitions: number
  readonly outputPartitions: number
  readonly naming: TransactionNamingStrategy
  /** What one element costs. */
  readonly elementMs: number
  /** By key, in order: what must come out. */
  readonly expected: Map<string, string[]>
}

export function copyWorld(seed: number): CopyWorld {
  const dice = new Dice(seed, 'job')
  return {
    inputPartitions: dice.between(2, 3),
    outputPartitions: dice.between(1, 2),
    naming: dice.chance(0.5) ? TransactionNamingStrategy.POOLING : TransactionNamingStrategy.INCREMENTING,
    elementMs: dice.pick([0.15, 0.3, 0.6]),
    expected: new Map(),
  }
}

/** Batches outside of transactions, of transactions that commit, and of transactions that abort, as chance has it. */
export async function fillInput(simulation: Simulation, world: CopyWorld): Promise<void> {
  const dice = new Dice(simulation.plan.seed, 'input')
  const ports = simulation.outsidePorts()
  const cluster = new KafkaCluster(
    parseClusterOptions({ 'bootstrap.servers': simulation.broker.bootstrapServers }),
    ports,
  )
  const plain = new Producer(cluster, parseProducerOptions({ 'linger.ms': 0 }))
  const transactional = new Producer(cluster, parseProducerOptions({ 'linger.ms': 0 }))
  const version = await transactionVersion(cluster)
  let number = 0
  for (let batch = 0; batch < BATCHES; batch++) {
    const kind = dice.pick(['plain', 'commit', 'abort'])
    const producer = kind === 'plain' ? plain : transactional
    const topic = await producer.topic('in')
    if (kind !== 'plain') producer.beginTransaction('writer', version, initProducerId(cluster, 'writer', 60_000))
    for (let partition = 0; partition < world.inputPartitions; partition++) {
      for (let n = 0; n < RECORDS_PER_BATCH; n++) {
        const key = `${partition}-${number % KEYS_PER_PARTITION}`
        const value = `${kind}-${number++}`
        topic.append(partition, 1, key, value)
        if (kind === 'abort') continue
        const values = world.expected.get(key)
        if (values === undefined) world.expected.set(key, [value])
        else values.push(value)
      }
    }
    const { handle } = await producer.seal()
    if (handle !== undefined) await endTransaction(cluster, handle, kind === 'commit', { deadlineMs: 10_000 })
  }
  await plain.close({ discard: true })
  await transactional.close({ discard: true })
  await cluster.close()
}

interface Element {
  readonly key: string
  readonly value: string
}

export function copyJob(simulation: Simulation, world: CopyWorld): JobDefinition {
  return defineJob('copy', (env, params) => {
    const brokers = params.required('brokers')
    const source = KafkaSource.builder()
      .setBootstrapServers(brokers)
      .setTopics('in')
      .setGroupId('copy')
      .setStartingOffsets(OffsetsInitializer.earliest())
      .setBounded(OffsetsInitializer.latest())
      .setProperty('isolation.level', 'read_committed')
      .setProperty('max.partition.fetch.bytes', '250')
      .setProperty('fetch.max.bytes', '500')
      .setDeserializer(
        KafkaRecordDeserializationSchema.of<Element>(({ key, value }) => ({ key: String(key), value: String(value) })),
      )
      .build()
    const sink = KafkaSink.builder<Element>()
      .setBootstrapServers(brokers)
      .setRecordSerializer(
        KafkaRecordSerializationSchema.builder<Element>()
          .setTopic('out')
          .setPartitioner({ partition: ({ key }) => (Number(key[0]) * 7 + Number(key[2])) % world.outputPartitions })
          .setKeySerializationSchema(({ key }) => Buffer.from(key))
          .setValueSerializationSchema(({ value }) => Buffer.from(value))
          .build(),
      )
      .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
      .setTransactionalIdPrefix('copy')
      .setTransactionNamingStrategy(world.naming)
      .setProperty('batch.size', 120)
      .setProperty('linger.ms', 1)
      .build()
    env
      .fromSource(source, WatermarkStrategy.noWatermarks(), 'in')
      .uid('in')
      .map((element) => {
        simulation.loop.spend(world.elementMs)
        if (simulation.functionFails()) throw new Error('a function fails, as planned')
        return element
      })
      .uid('through')
      .sinkTo(sink)
      .uid('out')
  })
}
