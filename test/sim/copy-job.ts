/**
 * The job that the simulator runs: from a topic with transactions of others, some of them aborted, through a function that may
 * fail, exactly once into another topic. What must come out is known before it runs.
 */

import {
  type Collector,
  type KeyedProcessFunction,
  type KeyedProcessFunctionContext,
  type ValueState,
  ValueStateDescriptor,
} from '../../src/core/index.ts'
import {
  endTransaction,
  initProducerId,
  KafkaCluster,
  Producer,
  parseClusterOptions,
  parseProducerOptions,
  transactionVersion,
} from '../../src/kafka/index.ts'
import { encodeLogEntry, type LogRecord } from '../../src/runtime/checkpoint/job-log-record.ts'
import { DeliveryGuarantee, KafkaRecordSerializationSchema, TransactionNamingStrategy } from '../../src/sink/index.ts'
import { KafkaSinkConnector } from '../../src/sink/kafka-sink-connector.ts'
import { OffsetsInitializer } from '../../src/source/index.ts'
import { type DataStream, defineJob, type JobDefinition, WatermarkStrategy } from '../../src/stream/index.ts'
import { Dice } from '../../src/testing/simulation/dice.ts'
import { FIRST_DIRECTORY, type Simulation } from '../../src/testing/simulation/simulation.ts'
import { fromIn, toOut } from './copy-ends.ts'
import type { PlantedBug } from './planted-bugs.ts'

export const KEYS_PER_PARTITION = 2
const RECORDS_PER_BATCH = 4
const BATCHES = 24
const LATE_BATCHES = 3
/** Records of a log that was written long ago. */
const LONG_LOG = { fewest: 193, most: 199 }

/** What the seed decides of the job and its surroundings; plain data, kept with a seed that failed. */
export interface CopySettings {
  readonly inputPartitions: number
  readonly outputPartitions: number
  readonly naming: TransactionNamingStrategy
  /** Elements stay on their way from reader to writer, go to the task of their key, or are counted there for each key. */
  readonly way: 'forward' | 'spread' | 'counted'
  readonly concurrentCheckpoints: number
  /** Long for what usually goes on, or so short that what is slow fails them. */
  readonly checkpointTimeoutMs: number
  /** What one element costs. */
  readonly elementMs: number
  readonly markerDelayMs: number
  /** The prefix has a transaction that nobody knows of, although the job's directory is empty. */
  readonly foreign: boolean
  /** So many records stand in the log before the first life. */
  readonly oldRecords: number
  /** `late`: asked again once a checkpoint has completed, the starting offsets are the end, as of latest() when all input came since. */
  readonly start: 'earliest' | 'late'
  /** Absent in what was kept before there were several: one. */
  readonly retainedCheckpoints?: number
}

export interface CopyWorld extends CopySettings {
  /** By key, in order: what must come out. */
  readonly expected: Map<string, string[]>
  /** Whether a checkpoint of the present lineage has completed, void or not: where its input begins and ends is decided. */
  decided(): boolean
}

export function copySettings(seed: number): CopySettings {
  const dice = new Dice(seed, 'job')
  // Whoever finds a log does not ask whose an open transaction is.
  const foreign = dice.chance(0.05)
  return {
    inputPartitions: dice.between(2, 3),
    outputPartitions: dice.between(1, 2),
    naming: dice.chance(0.5) ? TransactionNamingStrategy.POOLING : TransactionNamingStrategy.INCREMENTING,
    way: dice.pick(['forward', 'spread', 'counted']),
    concurrentCheckpoints: dice.pick([1, 1, 2, 3]),
    elementMs: dice.pick([0.15, 0.3, 0.6]),
    markerDelayMs: dice.pick([0, 5, 25]),
    foreign,
    oldRecords: !foreign && dice.chance(0.25) ? dice.between(LONG_LOG.fewest, LONG_LOG.most) : 0,
    start: dice.pick(['earliest', 'late']),
    checkpointTimeoutMs: dice.pick([4_000, 4_000, 4_000, 40]),
    retainedCheckpoints: dice.pick([1, 1, 3]),
  }
}

/** Everything that lies there before the first life. */
export async function prepare(simulation: Simulation, world: CopyWorld): Promise<void> {
  const writer = new InputWriter(simulation, world)
  await writer.write(BATCHES, true)
  if (world.foreign) await writer.leaveOpen()
  await writer.close()
  const { oldRecords } = world
  for (let number = 1; number <= oldRecords; number++) {
    const lineage = { id: 'old', begin: { kind: 'fresh' as const } }
    const record: LogRecord =
      number === 1 ? { kind: 'attempt', lineage, sinks: [], firstCheckpoint: 1 } : { kind: 'cancelled' }
    const bytes = encodeLogEntry({ nonce: `old-${number}`, attempt: 1, at: 0, record })
    simulation.disk.objects.set(`${FIRST_DIRECTORY}/log/${String(number).padStart(10, '0')}`, bytes)
  }
}

/** Input that comes when the job has decided where it ends: none of it may come out. Errors that were planned may meet it too. */
export async function writeLate(simulation: Simulation, world: CopyWorld): Promise<void> {
  const writer = new InputWriter(simulation, world)
  await writer.write(LATE_BATCHES, false).catch(() => undefined)
  await writer.close()
}

class InputWriter {
  readonly #world: CopyWorld
  readonly #dice: Dice
  readonly #cluster: KafkaCluster
  readonly #plain: Producer
  readonly #transactional: Producer
  #number = 0

  constructor(simulation: Simulation, world: CopyWorld) {
    this.#world = world
    this.#dice = new Dice(simulation.plan.seed, 'input')
    const options = parseClusterOptions({ 'bootstrap.servers': simulation.broker.bootstrapServers })
    this.#cluster = new KafkaCluster(options, simulation.outsidePorts())
    this.#plain = new Producer(this.#cluster, parseProducerOptions({ 'linger.ms': 0 }))
    // Small batches, so that a transaction does not come in one answer to a reader.
    this.#transactional = new Producer(this.#cluster, parseProducerOptions({ 'linger.ms': 0, 'batch.size': 60 }))
  }

  /** Batches outside of transactions, of transactions that commit, and of transactions that abort, as chance has it. */
  async write(batches: number, expected: boolean): Promise<void> {
    const version = expected ? await transactionVersion(this.#cluster) : 1
    for (let batch = 0; batch < batches; batch++) {
      const kind = expected ? this.#dice.pick(['plain', 'commit', 'abort']) : 'plain'
      const producer = kind === 'plain' ? this.#plain : this.#transactional
      const topic = await producer.topic('in')
      if (kind !== 'plain') {
        producer.beginTransaction('writer', version, initProducerId(this.#cluster, 'writer', 60_000))
      }
      for (let partition = 0; partition < this.#world.inputPartitions; partition++) {
        for (let n = 0; n < RECORDS_PER_BATCH; n++) {
          const key = `${partition}-${this.#number % KEYS_PER_PARTITION}`
          const value = `${kind}-${expected ? '' : 'late-'}${this.#number++}`
          topic.append(partition, 1, key, value)
          if (expected && kind !== 'abort') this.#expect(key, value)
        }
      }
      const { handle } = await producer.seal()
      if (handle !== undefined) await endTransaction(this.#cluster, handle, kind === 'commit', { deadlineMs: 10_000 })
    }
  }

  /** A transaction under an id of the job's prefix, of a directory that is not there any more. */
  async leaveOpen(): Promise<void> {
    const producer = new Producer(this.#cluster, parseProducerOptions({ 'linger.ms': 0 }))
    const topic = await producer.topic('out')
    const id = 'copy-1-0-0'
    producer.beginTransaction(id, await transactionVersion(this.#cluster), initProducerId(this.#cluster, id, 900_000))
    topic.append(0, 1, 'foreign', 'foreign')
    await producer.seal()
    await producer.close({ discard: true })
  }

  async close(): Promise<void> {
    await this.#plain.close({ discard: true })
    await this.#transactional.close({ discard: true })
    await this.#cluster.close()
  }

  #expect(key: string, value: string): void {
    const values = this.#world.expected.get(key) ?? []
    this.#world.expected.set(key, values)
    values.push(this.#world.way === 'counted' ? counted(value, values.length + 1) : value)
  }
}

/** Of a client that waits in vain; the defaults of half a minute and more would fill a run with waiting. */
const PATIENCE = { 'request.timeout.ms': 3_000, 'default.api.timeout.ms': 12_000 }

export interface Element {
  readonly key: string
  readonly value: string
}

export function copyJob(simulation: Simulation, world: CopyWorld, bug: PlantedBug | undefined): JobDefinition {
  return defineJob('copy', (env, params) => {
    const brokers = params.required('brokers')
    const source = fromIn<Element>(brokers, 250, ({ key, value }) => ({ key: String(key), value: String(value) }))
      .setStartingOffsets(startingOffsets(world))
      .setProperty('isolation.level', 'read_committed')
      .setProperty('fetch.max.bytes', '500')
      .setProperties(PATIENCE)
      .build()
    const record = KafkaRecordSerializationSchema.builder<Element>()
      .setPartitioner({ partition: ({ key }) => (Number(key[0]) * 7 + Number(key[2])) % world.outputPartitions })
      .setKeySerializationSchema(({ key }) => Buffer.from(key))
      .setValueSerializationSchema(({ value }) => Buffer.from(value))
    const builder = toOut(brokers, DeliveryGuarantee.EXACTLY_ONCE, record)
      .setTransactionNamingStrategy(world.naming)
      .setProperty('batch.size', 120)
      .setProperty('linger.ms', 1)
      .setProperties({ ...PATIENCE, 'delivery.timeout.ms': 9_000 })
    if (bug?.connector !== undefined) builder.setConnector(bug.connector(new KafkaSinkConnector(), simulation))
    const sink = builder.build()
    const read = env
      .fromSource(bug?.source?.(source, simulation) ?? source, WatermarkStrategy.noWatermarks(), 'in')
      .uid('in')
    onWay(read, world.way)
      .map((element) => {
        simulation.loop.spend(world.elementMs)
        if (simulation.functionFails()) throw new Error('a function fails, as planned')
        return element
      })
      .uid('through')
      .sinkTo(bug?.sink?.(sink, simulation) ?? sink)
      .uid('out')
  })
}

function startingOffsets(world: CopyWorld): OffsetsInitializer {
  const earliest = OffsetsInitializer.earliest()
  if (world.start === 'earliest') return earliest
  const latest = OffsetsInitializer.latest()
  return {
    ...earliest,
    getPartitionOffsets: (...question) => (world.decided() ? latest : earliest).getPartitionOffsets(...question),
  }
}

function onWay(read: DataStream<Element>, way: CopyWorld['way']): DataStream<Element> {
  switch (way) {
    case 'forward':
      return read
    case 'spread':
      return read.partitionCustom(
        (key: string, partitions) => (Number(key[0]) + Number(key[2])) % partitions,
        ({ key }) => key,
      )
    case 'counted':
      return read
        .keyBy(({ key }) => key)
        .process(new RunningCount())
        .uid('count')
  }
}

const counted = (value: string, count: number): string => `${value}#${count}`

/** So that state that is lost, kept too long or restored for another key shows in every record behind it. */
class RunningCount implements KeyedProcessFunction<string, Element, Element> {
  #count: ValueState<number> | undefined

  open(context: KeyedProcessFunctionContext): void {
    this.#count = context.getState(new ValueStateDescriptor<number>('count'))
  }

  processElement({ key, value }: Element, _context: unknown, out: Collector<Element>): void {
    const count = (this.#count?.value() ?? 0) + 1
    this.#count?.update(count)
    out.collect({ key, value: counted(value, count) })
  }
}
