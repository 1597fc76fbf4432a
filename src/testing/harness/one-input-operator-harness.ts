/**
 * Runs steps of a stream without a job: a test pushes elements, watermarks and time, and looks at what comes out. The steps are
 * written as in a job, so what is tested is what will run, open and close of functions included. Time stands still until the
 * test moves it.
 *
 * What always holds: one element goes through all steps before `push` returns; a failure of a step is thrown by the call that
 * caused it; a snapshot is that of the moment when it was asked for.
 */
import { assert, SeededRandom, silentLogger, type Timer } from '../../base/index.ts'
import {
  AccumulatorRegistry,
  accumulatorResult,
  type CheckpointId,
  checkpointId,
  ElementTime,
  type Key,
  MetricRegistry,
  mergedAccumulators,
  NO_TIMESTAMP,
  type Operator,
  type OperatorContext,
  type OperatorFactory,
  type OperatorNode,
  type Output,
  type OutputTag,
  subtaskIndex,
  type VersionedBytes,
} from '../../core/index.ts'
import { KeyedInput, OperatorState } from '../../runtime/index.ts'
import { type DataStream, StreamExecutionEnvironment } from '../../stream/index.ts'
import { SimulatedClock } from '../simulated-clock.ts'

export interface HarnessOptions {
  readonly clock?: SimulatedClock
  /** What `snapshot` answered: the operators begin with this state. */
  readonly restored?: HarnessSnapshot
  /** Settings by Flink's keys, e.g. `pipeline.auto-watermark-interval`. */
  readonly configuration?: Readonly<Record<string, string | number | boolean>>
}

/** The state of each step, in their order. */
export interface HarnessSnapshot {
  readonly steps: readonly HarnessState[]
}

export interface HarnessState {
  /** What the operator itself stored. */
  readonly own: VersionedBytes | undefined
  readonly lists: readonly VersionedBytes[]
  readonly keyed: readonly (VersionedBytes & { readonly groups: readonly [first: number, last: number] })[]
}

/** `timestamp` is undefined for an element that has none. */
export type HarnessEvent<Out> =
  | { readonly kind: 'element'; readonly value: Out; readonly timestamp: number | undefined }
  | { readonly kind: 'watermark'; readonly timestamp: number }
  | { readonly kind: 'idle'; readonly idle: boolean }

interface Step {
  readonly node: OperatorNode
  readonly state: OperatorState
  readonly operator: Operator<unknown>
}

const PARALLELISM = 1
const MAX_PARALLELISM = 128

const NO_NETWORK = { connect: () => Promise.reject(new Error('an operator harness has no network')) }

export class OneInputOperatorHarness<In, Out> implements AsyncDisposable {
  readonly clock: SimulatedClock
  /** All that came out so far, in its order. */
  readonly events: HarnessEvent<Out>[] = []
  readonly #time: ElementTime = new ElementTime()
  /** In the order of the flow. */
  readonly #steps: readonly Step[]
  readonly #first: Output<unknown>
  readonly #accumulators: Map<number, AccumulatorRegistry> = new Map()
  readonly #sides: Map<string, HarnessEvent<unknown>[]> = new Map()
  #timer: Timer | undefined
  #checkpoint = 0
  #closed = false

  private constructor(nodes: readonly OperatorNode[], options: HarnessOptions) {
    assert(nodes.length > 0, 'an operator harness has at least one step')
    this.clock = options.clock ?? new SimulatedClock()
    const steps: Step[] = []
    let output: Output<unknown> = this.#recorder(this.events as HarnessEvent<unknown>[])
    for (const [index, node] of [...nodes.entries()].reverse()) {
      const stored = options.restored?.steps[index]
      const state = this.#state(node, stored)
      const operator = node.factory.create(this.#context(node, stored, state), output)
      steps.unshift({ node, state, operator })
      const { keyOf } = node
      output =
        keyOf === undefined || state.keyed === undefined ? operator : new KeyedInput(keyOf, state.keyed, operator)
    }
    this.#steps = steps
    this.#first = output
  }

  /** The steps between the stream given and the stream answered. They have one input and no sink. */
  static open<In, Out>(
    steps: (input: DataStream<In>) => DataStream<Out>,
    options: HarnessOptions = {},
  ): Promise<OneInputOperatorHarness<In, Out>> {
    const env = StreamExecutionEnvironment.createLocalEnvironment(options.configuration ?? {})
    steps(env.fromData<In>([])).print()
    const found = env.buildGraph('harness').nodes.flatMap((node) => (node.kind === 'operator' ? [node] : []))
    return OneInputOperatorHarness.#opened(new OneInputOperatorHarness<In, Out>(found, options))
  }

  /** For an operator by itself, as those are made that the engine runs; `keyOf` for one that has state of keys. */
  static openOperator<In, Out>(
    factory: OperatorFactory<In, Out>,
    options: HarnessOptions & { readonly keyOf?: (value: In) => Key } = {},
  ): Promise<OneInputOperatorHarness<In, Out>> {
    const { keyOf } = options
    const node: OperatorNode = {
      kind: 'operator',
      id: 1,
      uid: 'operator',
      name: 'operator',
      parallelism: PARALLELISM,
      maxParallelism: MAX_PARALLELISM,
      inputs: [],
      chaining: 'always',
      factory: factory as OperatorFactory<unknown, unknown>,
      ...(keyOf === undefined ? {} : { keyOf: (value: unknown) => keyOf(value as In) }),
    }
    return OneInputOperatorHarness.#opened(new OneInputOperatorHarness<In, Out>([node], options))
  }

  static async #opened<In, Out>(harness: OneInputOperatorHarness<In, Out>): Promise<OneInputOperatorHarness<In, Out>> {
    // Nobody may be spoken to before it is open, so the last opens first.
    for (const { operator, state } of harness.#steps.toReversed()) {
      await operator.open?.()
      state.opened()
      state.keyed?.onNextProcessingTimer(() => harness.#scheduleTimers())
    }
    harness.#scheduleTimers()
    return harness
  }

  push(value: In, timestamp: number = NO_TIMESTAMP): void {
    this.#assertOpen()
    this.#time.timestamp = timestamp
    this.#first.emit(value)
  }

  /** Event time goes on: timers of event time that fall due fire first. */
  pushWatermark(timestamp: number): void {
    this.#assertOpen()
    this.#first.emitWatermark(timestamp)
  }

  pushIdle(idle: boolean): void {
    this.#assertOpen()
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

  /** The elements that went to a side output. */
  sideOutput<T>(tag: OutputTag<T>): T[] {
    const events = this.#sides.get(tag.id) ?? []
    return events.flatMap((event) => (event.kind === 'element' ? [event.value as T] : []))
  }

  /** What the functions counted, as a job's result shows it. */
  get accumulators(): Readonly<Record<string, unknown>> {
    const merged = mergedAccumulators(this.#accumulators.values())
    return Object.fromEntries([...merged].map(([name, value]) => [name, accumulatorResult(value)]))
  }

  get watermarks(): number[] {
    return this.events.flatMap((event) => (event.kind === 'watermark' ? [event.timestamp] : []))
  }

  /** The state of this moment, for `restored` of another harness. */
  async snapshot(): Promise<HarnessSnapshot> {
    const id: CheckpointId = checkpointId(++this.#checkpoint)
    // All are captured before anything is waited for, as between two elements of a job.
    const taking = this.#steps.map(async ({ operator, state }): Promise<HarnessState> => {
      const own = operator.snapshot?.(id, false)
      const hosted = state.snapshot(id)
      state.keyed?.step(Number.POSITIVE_INFINITY)
      const parts = await hosted
      return {
        own: await own,
        lists: parts.filter(({ role }) => role === 'list'),
        keyed: parts.flatMap((part) => (part.groups === undefined ? [] : [{ ...part, groups: part.groups }])),
      }
    })
    return { steps: await Promise.all(taking) }
  }

  /** The input has ended: operators emit what they kept. */
  async finish(): Promise<void> {
    for (const { operator } of this.#steps) await operator.finish?.()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#timer?.cancel()
    for (const { operator, state } of this.#steps) {
      await operator.close?.({ abandon: false })
      state.keyed?.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #assertOpen(): void {
    assert(!this.#closed, 'the harness is closed')
  }

  /** Timers of processing time fire when the clock comes to them. */
  #scheduleTimers(): void {
    this.#timer?.cancel()
    const due = this.#steps.flatMap(({ state }) => state.keyed?.nextProcessingTimer ?? [])
    if (due.length === 0) return
    const delayMs = Math.max(0, Math.min(...due) - this.clock.now())
    this.#timer = this.clock.setTimer(delayMs, () => {
      for (const { state } of this.#steps) state.keyed?.fireProcessing(this.clock.now())
      this.#scheduleTimers()
    })
  }

  #state(node: OperatorNode, stored: HarnessState | undefined): OperatorState {
    const restored = {
      task: { chain: 0, subtask: 0 },
      lists: { [node.uid]: stored?.lists ?? [] },
      keyed: { [node.uid]: stored?.keyed ?? [] },
      allowNonRestoredState: false,
    }
    return new OperatorState({ ...node, parallelism: PARALLELISM }, restored, { clock: this.clock })
  }

  #accumulatorsOf({ id }: OperatorNode): AccumulatorRegistry {
    const registry = new AccumulatorRegistry()
    this.#accumulators.set(id, registry)
    return registry
  }

  #side(tag: string): Output<unknown> {
    const events = this.#sides.get(tag) ?? []
    this.#sides.set(tag, events)
    return this.#recorder(events)
  }

  #recorder(events: HarnessEvent<unknown>[]): Output<unknown> {
    return {
      emit: (value) => {
        const { timestamp } = this.#time
        events.push({
          kind: 'element',
          value,
          timestamp: timestamp === NO_TIMESTAMP ? undefined : timestamp,
        })
      },
      emitWatermark: (timestamp) => void events.push({ kind: 'watermark', timestamp }),
      emitIdle: (idle) => void events.push({ kind: 'idle', idle }),
    }
  }

  #context(node: OperatorNode, stored: HarnessState | undefined, { keyed, lists }: OperatorState): OperatorContext {
    return {
      jobName: 'harness',
      operatorName: node.name,
      uid: node.uid,
      subtask: subtaskIndex(0),
      parallelism: PARALLELISM,
      maxParallelism: node.maxParallelism,
      metrics: new MetricRegistry(),
      clock: this.clock,
      random: new SeededRandom(1),
      network: NO_NETWORK,
      logger: silentLogger,
      time: this.#time,
      restored: stored?.own === undefined ? [] : [stored.own],
      sideOutput: (tag) => this.#side(tag),
      accumulators: this.#accumulatorsOf(node),
      operatorList: (descriptor) => lists.list(descriptor),
      ...(keyed === undefined ? {} : { keyed }),
    }
  }
}
