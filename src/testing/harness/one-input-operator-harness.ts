/**
 * Runs steps of a stream without a job: a test pushes elements, watermarks and time, and looks at what comes out. The steps are
 * written as in a job, so what is tested is what will run, open and close of functions included. Time stands still until the
 * test moves it.
 *
 * What always holds: one element goes through all steps before `push` returns; a failure of a step is thrown by the call that
 * caused it; a snapshot is that of the moment when it was asked for.
 */
import { assert, SeededRandom, silentLogger } from '../../base/index.ts'
import {
  AccumulatorRegistry,
  type CheckpointId,
  checkpointId,
  ElementTime,
  MetricRegistry,
  NO_OUTPUT,
  NO_TIMESTAMP,
  type Operator,
  type OperatorFactory,
  type Output,
  subtaskIndex,
  type VersionedBytes,
} from '../../core/index.ts'
import { type DataStream, StreamExecutionEnvironment } from '../../stream/index.ts'
import { SimulatedClock } from '../simulated-clock.ts'

export interface HarnessOptions {
  readonly clock?: SimulatedClock
  /** What `snapshot` answered: the operators begin with this state. */
  readonly restored?: HarnessSnapshot
  /** Settings by Flink's keys, e.g. `pipeline.auto-watermark-interval`. */
  readonly configuration?: Readonly<Record<string, string | number | boolean>>
}

/** The state of each operator by its place in the chain. */
export type HarnessSnapshot = ReadonlyMap<number, VersionedBytes>

/** `timestamp` is undefined for an element that has none. */
export type HarnessEvent<Out> =
  | { readonly kind: 'element'; readonly value: Out; readonly timestamp: number | undefined }
  | { readonly kind: 'watermark'; readonly timestamp: number }
  | { readonly kind: 'idle'; readonly idle: boolean }

interface Step {
  readonly name: string
  readonly uid: string
  readonly factory: OperatorFactory<unknown, unknown>
}

const NO_NETWORK = { connect: () => Promise.reject(new Error('an operator harness has no network')) }

export class OneInputOperatorHarness<In, Out> implements AsyncDisposable {
  readonly clock: SimulatedClock
  /** All that came out so far, in its order. */
  readonly events: HarnessEvent<Out>[] = []
  readonly #time: ElementTime = new ElementTime()
  /** In the order of the flow. */
  readonly #operators: readonly Operator<unknown>[]
  #checkpoint = 0
  #closed = false

  private constructor(steps: readonly Step[], options: HarnessOptions) {
    assert(steps.length > 0, 'an operator harness has at least one step')
    this.clock = options.clock ?? new SimulatedClock()
    const operators: Operator<unknown>[] = []
    let output: Output<unknown> = this.#recorder()
    for (const [index, step] of [...steps.entries()].reverse()) {
      const operator = step.factory.create(this.#context(step, options.restored?.get(index)), output)
      operators.unshift(operator)
      output = operator
    }
    this.#operators = operators
  }

  /** The steps between the stream given and the stream answered. They have one input and no sink. */
  static open<In, Out>(
    steps: (input: DataStream<In>) => DataStream<Out>,
    options: HarnessOptions = {},
  ): Promise<OneInputOperatorHarness<In, Out>> {
    const env = StreamExecutionEnvironment.createLocalEnvironment(options.configuration ?? {})
    steps(env.fromData<In>([])).print()
    const found = env
      .buildGraph('harness')
      .nodes.flatMap((node) =>
        node.kind === 'operator' ? [{ name: node.name, uid: node.uid, factory: node.factory }] : [],
      )
    return OneInputOperatorHarness.#opened(new OneInputOperatorHarness<In, Out>(found, options))
  }

  /** For an operator by itself, as those are made that the engine runs. */
  static openOperator<In, Out>(
    factory: OperatorFactory<In, Out>,
    options: HarnessOptions = {},
  ): Promise<OneInputOperatorHarness<In, Out>> {
    const step = { name: 'operator', uid: 'operator', factory: factory as OperatorFactory<unknown, unknown> }
    return OneInputOperatorHarness.#opened(new OneInputOperatorHarness<In, Out>([step], options))
  }

  static async #opened<In, Out>(harness: OneInputOperatorHarness<In, Out>): Promise<OneInputOperatorHarness<In, Out>> {
    // Nobody may be spoken to before it is open, so the last opens first.
    for (const operator of harness.#operators.toReversed()) await operator.open?.()
    return harness
  }

  push(value: In, timestamp: number = NO_TIMESTAMP): void {
    this.#time.timestamp = timestamp
    this.#first.emit(value)
  }

  pushWatermark(timestamp: number): void {
    this.#first.emitWatermark(timestamp)
  }

  pushIdle(idle: boolean): void {
    this.#first.emitIdle(idle)
  }

  /** Lets time pass; timers of the operators fire in their order. */
  advance(ms: number): void {
    this.clock.advance(ms)
  }

  /** The elements that came out, without their timestamps. */
  get output(): Out[] {
    return this.events.flatMap((event) => (event.kind === 'element' ? [event.value] : []))
  }

  get watermarks(): number[] {
    return this.events.flatMap((event) => (event.kind === 'watermark' ? [event.timestamp] : []))
  }

  /** The state of this moment, for `restored` of another harness. */
  async snapshot(): Promise<HarnessSnapshot> {
    const id: CheckpointId = checkpointId(++this.#checkpoint)
    // All are captured before anything is waited for, as between two elements of a job.
    const parts = this.#operators.map((operator) => operator.snapshot?.(id, false))
    const stored = await Promise.all(parts)
    return new Map(stored.flatMap((bytes, index) => (bytes === undefined ? [] : [[index, bytes] as const])))
  }

  /** The input has ended: operators emit what they kept. */
  async finish(): Promise<void> {
    for (const operator of this.#operators) await operator.finish?.()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const operator of this.#operators) await operator.close?.({ abandon: false })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #first(): Operator<unknown> {
    assert(!this.#closed, 'the harness is closed')
    const [first] = this.#operators
    assert(first !== undefined, 'an operator harness has at least one step')
    return first
  }

  #recorder(): Output<unknown> {
    return {
      emit: (value) => {
        const { timestamp } = this.#time
        this.events.push({
          kind: 'element',
          value: value as Out,
          timestamp: timestamp === NO_TIMESTAMP ? undefined : timestamp,
        })
      },
      emitWatermark: (timestamp) => void this.events.push({ kind: 'watermark', timestamp }),
      emitIdle: (idle) => void this.events.push({ kind: 'idle', idle }),
    }
  }

  #context(step: Step, restored: VersionedBytes | undefined): Parameters<Step['factory']['create']>[0] {
    return {
      jobName: 'harness',
      operatorName: step.name,
      uid: step.uid,
      subtask: subtaskIndex(0),
      parallelism: 1,
      maxParallelism: 128,
      metrics: new MetricRegistry(),
      clock: this.clock,
      random: new SeededRandom(1),
      network: NO_NETWORK,
      logger: silentLogger,
      time: this.#time,
      restored: restored === undefined ? [] : [restored],
      sideOutput: () => NO_OUTPUT,
      accumulators: new AccumulatorRegistry(),
      operatorList: () => assert(false, 'lists of a subtask are not hosted here yet') as never,
    }
  }
}
