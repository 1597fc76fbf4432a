/**
 * `simulate`: a job of one's own in the simulated world, seed after seed. The job runs once in peace, which says what must come
 * out, and then once for each seed among faults; what comes out must be the same, record by record and key by key.
 *
 * ```ts
 * await simulate(job, {
 *   seeds: 100,
 *   topics: { orders: { partitions: 2, records: orders }, totals: { partitions: 2 } },
 * })
 * ```
 *
 * What always holds: a run that fails is told with its seed and its faults, and `seeds: [seed]` repeats it exactly.
 */
import { describeError } from '../../base/index.ts'
import type { EmbeddedTopicOptions } from '../../broker/index.ts'
import { KafkaCluster, Producer, parseClusterOptions, parseProducerOptions } from '../../kafka/index.ts'
import type { JobDefinition } from '../../stream/index.ts'
import type { RecordToProduce } from '../kafka-server/record-file.ts'
import { readCommitted } from './committed-log.ts'
import { describePlan, FAULT_KINDS, type FaultKind, makePlan, type RunPlan } from './run-plan.ts'
import { Simulation } from './simulation.ts'

/** After these a person may have to help, or they need a hand inside of the job's functions. */
const NOT_FOR_ANY_JOB = [
  'function-fails',
  'transaction-expires',
  'damaged-record',
  'damaged-checkpoint',
  'fresh-start',
  'moves-house',
] as const

/** What may happen to a job that must come through by itself; docs/simulation.md says what each is. */
export type SimulatedFault = Exclude<FaultKind, (typeof NOT_FOR_ANY_JOB)[number]>

export interface SimulatedTopic extends EmbeddedTopicOptions {
  /** What lies in it before the job starts; a plain text is a record of that value. */
  readonly records?: readonly (RecordToProduce | string)[]
}

export interface SimulateOptions {
  /** How many, from 1 on, or which. Default 100. */
  readonly seeds?: number | readonly number[]
  /** Default: all of them. */
  readonly faults?: readonly SimulatedFault[]
  readonly topics: Readonly<Record<string, SimulatedTopic>>
  /** The topics that are compared; default: those without records. */
  readonly outputs?: readonly string[]
  /** Given to the job beside `brokers`, the address of the simulated cluster. */
  readonly args?: Readonly<Record<string, string | number | boolean>>
  readonly configuration?: Readonly<Record<string, string | number | boolean>>
  /** Lives run with 1 up to so many subtasks; default 2. */
  readonly parallelismMax?: number
  /** Told of each seed when it has passed. */
  readonly onSeed?: (run: SimulatedRun) => void
}

export interface SimulatedRun {
  readonly seed: number
  /** The faults that were planned, in words. */
  readonly plan: string
  /** How each life of the job ended: `died`, `asleep`, `failed`, `stopped`, `finished`. */
  readonly lives: readonly string[]
  readonly checkpoints: number
  /** Of all events: the same for the same seed, whoever runs it. */
  readonly hash: string
}

export interface SimulationReport {
  readonly seeds: number
  readonly checkpoints: number
  /** Lives that were killed. */
  readonly crashes: number
  /** How often each kind of fault struck. */
  readonly faults: Readonly<Record<string, number>>
}

/** A seed did not come to its end, or not to the output of the run in peace. */
export class SimulationFailure extends Error {
  override readonly name: string = 'SimulationFailure'
  readonly seed: number
  readonly plan: string

  constructor(seed: number, plan: string, what: string, cause?: unknown) {
    super(
      `seed ${seed}: ${what}\n\n${plan}\n\nRepeat it with simulate(job, { seeds: [${seed}], ... })`,
      cause === undefined ? undefined : { cause },
    )
    this.seed = seed
    this.plan = plan
  }
}

const SEEDS = 100
const PARALLELISM_MAX = 2
const CHECKPOINT_INTERVAL_MS = 10
const PEACE = 0

/** Resolves when every seed has passed; rejects with a SimulationFailure at the first that has not. */
export async function simulate(job: JobDefinition, options: SimulateOptions): Promise<SimulationReport> {
  const { seeds = SEEDS, faults = FAULT_KINDS, parallelismMax = PARALLELISM_MAX } = options
  const never: readonly FaultKind[] = NOT_FOR_ANY_JOB
  const kinds = faults.filter((kind) => !never.includes(kind))
  const wanted = await outputInPeace(job, options)
  let checkpoints = 0
  let crashes = 0
  const struck: Record<string, number> = {}
  const numbers = typeof seeds === 'number' ? Array.from({ length: seeds }, (_, n) => n + 1) : seeds
  for (const seed of numbers) {
    const plan = makePlan(seed, { kinds, parallelismMax })
    const run = new Run(job, options, plan)
    await run.compare(wanted)
    checkpoints += run.checkpoints
    crashes += run.crashes
    for (const { kind } of run.simulation.struck) struck[kind] = (struck[kind] ?? 0) + 1
    options.onSeed?.(run.told())
  }
  return { seeds: numbers.length, checkpoints, crashes, faults: struck }
}

/** By topic: what was committed. */
type Output = ReadonlyMap<string, Committed>

interface Committed {
  /** The values of each key, in their order. */
  readonly byKey: ReadonlyMap<string, readonly string[]>
  /** Without a key no order is promised. */
  readonly withoutKey: readonly string[]
}

async function outputInPeace(job: JobDefinition, options: SimulateOptions): Promise<Output> {
  const plan: RunPlan = {
    seed: PEACE,
    lives: 0,
    nodes: 1,
    transactionVersion: 2,
    parallelism: [1],
    tolerableFailedCheckpoints: 0,
    faults: [],
  }
  return new Run(job, options, plan).output()
}

class Run {
  readonly simulation: Simulation
  checkpoints = 0
  readonly #plan: RunPlan
  readonly #options: SimulateOptions

  constructor(job: JobDefinition, options: SimulateOptions, plan: RunPlan) {
    this.#plan = plan
    this.#options = options
    this.simulation = new Simulation({
      plan,
      topics: options.topics,
      job: () => job,
      configuration: {
        'execution.checkpointing.interval': CHECKPOINT_INTERVAL_MS,
        'restart-strategy.type': 'fixed-delay',
        'restart-strategy.fixed-delay.delay': 2,
        'restart-strategy.fixed-delay.attempts': 3,
        ...options.configuration,
      },
      ...(options.args === undefined ? {} : { args: options.args }),
      fill: (simulation) => this.#fill(simulation),
      onlooker: {
        joint: (_process, { name }) => {
          if (name === 'completed-written') this.checkpoints++
        },
      },
    })
  }

  get crashes(): number {
    return this.simulation.lives.filter(({ end }) => end.kind === 'died').length
  }

  told(): SimulatedRun {
    const { lives, hash } = this.simulation
    const { seed } = this.#plan
    const plan = describePlan(this.#plan)
    return { seed, plan, lives: lives.map(({ end }) => end.kind), checkpoints: this.checkpoints, hash }
  }

  async output(): Promise<Output> {
    try {
      await this.simulation.run()
      const topics = this.#options.topics
      const outputs = this.#options.outputs ?? Object.keys(topics).filter((name) => topics[name]?.records === undefined)
      return new Map(outputs.map((topic) => [topic, this.#committed(topic)]))
    } catch (error) {
      const peace = this.#plan.seed === PEACE ? ' (in peace, before any seed; is its input bounded?)' : ''
      throw this.#failure(`the job does not come to its end${peace}: ${describeError(error)}`, error)
    } finally {
      await this.simulation.close()
    }
  }

  async compare(wanted: Output): Promise<void> {
    const output = await this.output()
    for (const [topic, expected] of wanted) {
      const got = output.get(topic) ?? { byKey: new Map(), withoutKey: [] }
      for (const key of new Set([...expected.byKey.keys(), ...got.byKey.keys()])) {
        this.#compareValues(`topic ${topic}, key ${key}`, got.byKey.get(key) ?? [], expected.byKey.get(key) ?? [])
      }
      this.#compareValues(`topic ${topic}, records without a key`, got.withoutKey, expected.withoutKey)
    }
  }

  #compareValues(where: string, got: readonly string[], wanted: readonly string[]): void {
    const at = wanted.findIndex((value, index) => got[index] !== value)
    if (at < 0 && got.length === wanted.length) return
    const index = at < 0 ? wanted.length : at
    const say = (value: string | undefined): string => (value === undefined ? 'nothing more' : `"${value}"`)
    throw this.#failure(
      `${where}: ${got.length} records, ${wanted.length} in peace; record ${index + 1} is ${say(got[index])}, not ${say(wanted[index])}`,
    )
  }

  #failure(what: string, cause?: unknown): SimulationFailure {
    return new SimulationFailure(this.#plan.seed, describePlan(this.#plan), what, cause)
  }

  #committed(topic: string): Committed {
    const byKey: Map<string, string[]> = new Map()
    const withoutKey: string[] = []
    for (let partition = 0; partition < this.simulation.broker.partitionsOf(topic); partition++) {
      for (const { key, value } of readCommitted(this.simulation.broker, topic, partition).committed) {
        const text = value ?? '(tombstone)'
        if (key === null) withoutKey.push(text)
        else if (byKey.get(key)?.push(text) === undefined) byKey.set(key, [text])
      }
    }
    return { byKey, withoutKey: withoutKey.sort() }
  }

  async #fill(simulation: Simulation): Promise<void> {
    const options = parseClusterOptions({ 'bootstrap.servers': simulation.broker.bootstrapServers })
    const cluster = new KafkaCluster(options, simulation.outsidePorts())
    const producer = new Producer(cluster, parseProducerOptions({ 'batch.size': 400 }))
    for (const [name, { records = [] }] of Object.entries(this.#options.topics)) {
      if (records.length === 0) continue
      const topic = await producer.topic(name)
      for (const record of records) {
        const whole = typeof record === 'string' ? { value: record } : record
        topic.append(whole.partition ?? -1, whole.timestamp ?? simulation.loop.epochMs, whole.key ?? null, whole.value)
        if (producer.blocked) await producer.writable()
      }
    }
    await producer.seal()
    await producer.close({ discard: true })
    await cluster.close()
  }
}
