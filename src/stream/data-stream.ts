/**
 * A stream of a job, as people write it. A method that makes elements adds one step and answers a new stream whose `name`, `uid`
 * and so on are about that step; one that only says where elements come from or go to (`union`, `keyBy`, `rebalance`,
 * `getSideOutput` ...) adds none. Nothing runs until the job is executed. Elements are immutable by contract: one object may go
 * to several operators.
 */
import { MillraceError } from '../base/index.ts'
import type {
  Collector,
  Configuration,
  FlatMapFunction,
  Key,
  KeyedProcessFunction,
  KeySelector,
  MapFunction,
  OperatorFactory,
  OutputTag,
  RecordSerializer,
  Sink,
  Sync,
  WatermarkPlan,
} from '../core/index.ts'
import {
  type Aggregation,
  aggregateField,
  assignTimestampsAndWatermarks,
  type FilterCallback,
  type FlatMapCallback,
  type FlatMapResult,
  filterOperator,
  flatMapOperator,
  keyedProcessOperator,
  keyedReduceOperator,
  mapOperator,
  type ProcessCallback,
  processOperator,
  type ReduceCallback,
} from '../operators/index.ts'
import { CollectSink } from './collect-sink.ts'
import { CollectedResults, type StartCollecting } from './collected-results.ts'
import { checkedKeySelector, checkedPartitioner } from './key-selector.ts'
import { PrintSink } from './print-sink.ts'
import { StreamStep } from './stream-step.ts'
import type { InputEdge, Transformation, TransformationContent, Transformations } from './transformation.ts'

/** What a stream needs of its environment. */
export interface StreamHost {
  readonly transformations: Transformations
  /** Runs the job with this last step in it. */
  readonly startCollecting: StartCollecting
}

/** A stream's origin: a step, or edges from several. */
export type StreamOrigin =
  | { readonly step: Transformation }
  | { readonly inputs: readonly InputEdge[]; readonly what: string }

export class DataStream<out T> extends StreamStep {
  readonly #host: StreamHost
  readonly #origin: StreamOrigin
  /** Makes streams of different elements different types. */
  declare protected readonly element: T

  constructor(host: StreamHost, origin: StreamOrigin) {
    super('step' in origin ? origin.step : undefined, 'step' in origin ? origin.step.name : origin.what)
    this.#host = host
    this.#origin = origin
  }

  /**
   * How this step's elements go to other threads when they are no plain data, or when there is a faster way. On one thread they
   * stay as they are; state is not written with it. (Flink: `returns` with a TypeInformation.)
   *
   *     payments.map(toMoney).returns({
   *       serialize: (money) => Buffer.from(String(money.cents)),
   *       deserialize: (bytes) => new Money(Number(Buffer.from(bytes).toString())),
   *     })
   */
  returns(serializer: RecordSerializer<T>): this {
    if (!('step' in this.#origin)) {
      throw new MillraceError(
        'OPTION_INVALID',
        `returns: ${this.#origin.what} is no step of its own; set this on the step before it`,
      )
    }
    this.#origin.step.serializer = serializer as RecordSerializer
    return this
  }

  /** One element for each. The function answers synchronously; an async one does not compile. */
  map<Out>(fn: ((value: T) => Sync<Out>) | MapFunction<T, Out>): DataStream<Out> {
    return this.#operator<Out>('map', 'Map', () => mapOperator<T, Out>(fn))
  }

  /** The elements for which the function says yes; a type guard narrows the stream. */
  filter<S extends T>(fn: (value: T) => value is S): DataStream<S>
  filter(fn: FilterCallback<T>): DataStream<T>
  filter(fn: FilterCallback<T>): DataStream<T> {
    return this.#operator<T>('filter', 'Filter', () => filterOperator<T>(fn))
  }

  /** Any number of elements for each: answered as an array, or collected one by one. */
  flatMap<Out>(fn: ((value: T, out: Collector<Out>) => FlatMapResult<Out>) | FlatMapFunction<T, Out>): DataStream<Out> {
    return this.#operator<Out>('flat-map', 'Flat Map', () => flatMapOperator<T, Out>(fn as FlatMapCallback<T, Out>))
  }

  /**
   * A function that sees the element's timestamp, has side outputs, and may keep lists of the subtask. It collects what it makes.
   *
   *     const late = new OutputTag<Order>('late')
   *     const orders = stream.process((order, context, out) => {
   *       if (order.at < opening) context.output(late, order)
   *       else out.collect(order)
   *     })
   *     orders.getSideOutput(late).print()
   */
  process<Out>(fn: ProcessCallback<T, Out>): DataStream<Out> {
    this.#host.transformations.own(fn)
    return this.#operator<Out>('process', 'Process', () => processOperator<T, Out>(fn))
  }

  /** What this stream's step gave to `context.output(tag, ...)`. */
  getSideOutput<X>(tag: OutputTag<X>): DataStream<X> {
    if (!('step' in this.#origin)) {
      throw new MillraceError(
        'GRAPH_INVALID',
        `getSideOutput: ${this.#origin.what} has no side outputs; ask the step that fills it`,
      )
    }
    const inputs = [{ from: this.#origin.step, tag: tag.id }]
    return new DataStream<X>(this.#host, { inputs, what: `side output "${tag.id}"` })
  }

  /**
   * Elements of one key go to one subtask, in their order, and steps behind may keep state for each key. A key is a string, number,
   * bigint or boolean, or a tuple of these; the function must answer the same for the same element in every run.
   */
  keyBy<const K extends Key>(keyOf: (value: T) => K): KeyedStream<T, K> {
    const selector = checkedKeySelector(keyOf)
    const inputs = this.#spread('keyed').map((edge) => ({ ...edge, keyOf: selector }))
    return new KeyedStream<T, K>(this.#host, { inputs, what: 'a keyed stream' }, selector)
  }

  /** The elements of all these streams, in no order between them. The watermark is the lowest of theirs. */
  union(...others: readonly DataStream<T>[]): DataStream<T> {
    for (const other of others) {
      if (other.#host !== this.#host) {
        throw new MillraceError('GRAPH_INVALID', 'union: the streams are of different environments')
      }
    }
    return new DataStream<T>(this.#host, {
      inputs: [this, ...others].flatMap((stream) => stream.#inputs()),
      what: 'a union of streams',
    })
  }

  /** Elements are dealt out to all subtasks in turn. */
  rebalance(): DataStream<T> {
    return new DataStream<T>(this.#host, { inputs: this.#spread('rebalance'), what: 'a rebalanced stream' })
  }

  /** Each subtask deals its elements out to its share of the next step's subtasks. */
  rescale(): DataStream<T> {
    return new DataStream<T>(this.#host, { inputs: this.#spread('rescale'), what: 'a rescaled stream' })
  }

  /** Each element goes to a subtask chosen at random. */
  shuffle(): DataStream<T> {
    return new DataStream<T>(this.#host, { inputs: this.#spread('shuffle'), what: 'a shuffled stream' })
  }

  /** Each element goes to every subtask. */
  broadcast(): DataStream<T> {
    return new DataStream<T>(this.#host, { inputs: this.#spread('broadcast'), what: 'a broadcast stream' })
  }

  /** Each element goes to the subtask that `partitioner` answers for its key: 0 to `partitions` - 1. */
  partitionCustom<K>(partitioner: (key: K, partitions: number) => number, keyOf: (value: T) => K): DataStream<T> {
    const partition = checkedPartitioner(partitioner, keyOf)
    const inputs = this.#spread('custom').map((edge) => ({ ...edge, partition }))
    return new DataStream<T>(this.#host, { inputs, what: 'a partitioned stream' })
  }

  /** New event time from here on. Where the source can do it (fromSource's strategy), it is better done there, per split. */
  assignTimestampsAndWatermarks(plan: WatermarkPlan<T>): DataStream<T> {
    return this.#operator<T>('timestamps', 'Timestamps/Watermarks', (configuration) =>
      assignTimestampsAndWatermarks<T>(plan, { watermarkIntervalMs: configuration.get('watermarkIntervalMs') }),
    )
  }

  sinkTo<Committable>(sink: Sink<T, Committable>): DataStreamSink {
    return this.#sink('sink', 'Sink', () => sink as Sink<unknown, unknown>)
  }

  /** Writes each element as a line to standard output, `prefix:subtask> ` before it where that says something. */
  print(prefix?: string): DataStreamSink {
    return this.#sink('print', 'Print', () => new PrintSink({ prefix }))
  }

  /**
   * Runs the job when iteration begins and answers this stream's elements; leaving the loop cancels the job. With
   * checkpoints on, elements come when their checkpoint is complete, each exactly once also across restarts.
   *
   *     for await (const order of stream.executeAndCollect()) ...
   */
  executeAndCollect(jobName?: string): AsyncIterableIterator<T> {
    const results = new CollectedResults<T>(this.#host.startCollecting, jobName)
    this.#sink('collect', 'Collect', (configuration) => {
      const whenComplete = configuration.get('checkpointIntervalMs') !== undefined
      return new CollectSink(results.buffer, whenComplete) as Sink<unknown, unknown>
    })
    return results
  }

  #operator<Out>(
    type: string,
    name: string,
    factory: (configuration: Configuration) => OperatorFactory<T, Out>,
  ): DataStream<Out> {
    return this.addOperator(type, name, factory, undefined)
  }

  /** `keyOf`: the operator has state and timers of a key. */
  protected addOperator<Out>(
    type: string,
    name: string,
    factory: (configuration: Configuration) => OperatorFactory<T, Out>,
    keyOf: KeySelector | undefined,
  ): DataStream<Out> {
    return new DataStream<Out>(this.#host, {
      step: this.#add(type, name, {
        kind: 'operator',
        factory: factory as (configuration: Configuration) => OperatorFactory<unknown, unknown>,
        ...(keyOf === undefined ? {} : { keyOf }),
      }),
    })
  }

  protected ownFunction(fn: unknown): void {
    this.#host.transformations.own(fn)
  }

  #sink(type: string, name: string, sink: (configuration: Configuration) => Sink<unknown, unknown>): DataStreamSink {
    return new DataStreamSink(this.#add(type, name, { kind: 'sink', sink }), name)
  }

  #add(type: string, name: string, content: TransformationContent): Transformation {
    return this.#host.transformations.add({ type, name, inputs: this.#inputs(), content })
  }

  #inputs(): readonly InputEdge[] {
    return 'step' in this.#origin ? [{ from: this.#origin.step }] : this.#origin.inputs
  }

  /** The last word on how elements are spread counts. */
  #spread(partitioning: InputEdge['partitioning'] & string): InputEdge[] {
    return this.#inputs().map(({ from, tag }) => ({ from, partitioning, ...(tag === undefined ? {} : { tag }) }))
  }
}

/** A field that can be summed. */
export type NumericField<T, Field extends keyof T> = T[Field] extends number
  ? Field
  : T[Field] extends bigint
    ? Field
    : never

/** A stream whose elements are grouped by a key. */
export class KeyedStream<out T, out K extends Key> extends DataStream<T> {
  readonly #keyOf: KeySelector
  /** Makes streams of different keys different types. */
  declare protected readonly key: K

  constructor(host: StreamHost, origin: StreamOrigin, keyOf: KeySelector) {
    super(host, origin)
    this.#keyOf = keyOf
  }

  /** A function with state and timers of the element's key; see docs/state.md. */
  override process<Out>(fn: KeyedProcessFunction<K, T, Out>): DataStream<Out> {
    if (typeof fn !== 'object' || typeof fn.processElement !== 'function') {
      throw new MillraceError(
        'OPTION_INVALID',
        'process of a keyed stream takes an object with processElement(value, context, out)',
      )
    }
    this.ownFunction(fn)
    return this.#keyed<Out>('keyed-process', 'KeyedProcess', () => keyedProcessOperator<K, T, Out>(fn))
  }

  /** Emits for each element what its key's elements have become so far. */
  reduce(fn: ReduceCallback<T>): DataStream<T> {
    return this.#keyed<T>('reduce', 'Keyed Reduce', () => keyedReduceOperator<T>(fn))
  }

  /** The running sum of a field; the other fields are those of the key's first element. */
  sum<Field extends keyof T>(field: NumericField<T, Field>): DataStream<T> {
    return this.#aggregate('sum', field as Field)
  }

  /** The lowest value of a field so far; the other fields are those of the key's first element. */
  min(field: keyof T): DataStream<T> {
    return this.#aggregate('min', field)
  }

  /** The highest value of a field so far; the other fields are those of the key's first element. */
  max(field: keyof T): DataStream<T> {
    return this.#aggregate('max', field)
  }

  #aggregate(aggregation: Aggregation, field: keyof T): DataStream<T> {
    const fn = aggregateField<T>(aggregation, field)
    return this.#keyed<T>(aggregation, 'Keyed Aggregation', () =>
      keyedReduceOperator<T>(fn as ReduceCallback<T>, aggregation),
    )
  }

  #keyed<Out>(type: string, name: string, factory: () => OperatorFactory<T, Out>): DataStream<Out> {
    return this.addOperator(type, name, factory, this.#keyOf)
  }
}

/** The end of a stream. */
export class DataStreamSink extends StreamStep {}
