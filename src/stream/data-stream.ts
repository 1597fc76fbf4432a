/**
 * A stream of a job, as people write it. Every method adds one step and answers a new stream whose `name`, `uid` and so on
 * are about that step. Nothing runs until the job is executed. Elements are immutable by contract: one object may go to
 * several operators.
 */
import { MillraceError } from '../base/index.ts'
import type {
  Collector,
  Configuration,
  FlatMapFunction,
  MapFunction,
  OperatorFactory,
  Sink,
  Sync,
  WatermarkPlan,
} from '../core/index.ts'
import {
  assignTimestampsAndWatermarks,
  type FilterCallback,
  type FlatMapCallback,
  type FlatMapResult,
  filterOperator,
  flatMapOperator,
  mapOperator,
} from '../operators/index.ts'
import { CollectSink } from './collect-sink.ts'
import { CollectedResults, type StartCollecting } from './collected-results.ts'
import { PrintSink } from './print-sink.ts'
import type { Transformation, Transformations } from './transformation.ts'

/** What a stream needs of its environment. */
export interface StreamHost {
  readonly transformations: Transformations
  /** Runs the job with this last step in it. */
  readonly startCollecting: StartCollecting
}

/** Names and settings of one step; each setter answers the same object. */
export abstract class StreamStep {
  protected readonly step: Transformation

  constructor(step: Transformation) {
    this.step = step
  }

  /** How logs, metrics and errors call this step. */
  name(name: string): this {
    this.step.name = nonEmpty('name', name)
    return this
  }

  /** What state and offsets are found again by. Set it on everything that a changed job must recognise. */
  uid(uid: string): this {
    this.step.uid = nonEmpty('uid', uid)
    return this
  }

  setParallelism(parallelism: number): this {
    this.step.parallelism = atLeastOne('setParallelism', parallelism)
    return this
  }

  setMaxParallelism(maxParallelism: number): this {
    this.step.maxParallelism = atLeastOne('setMaxParallelism', maxParallelism)
    return this
  }

  /** This step is never put into one task with its neighbours. */
  disableChaining(): this {
    this.step.chaining = 'never'
    return this
  }

  /** This step begins a task of its own; what follows may join it. */
  startNewChain(): this {
    this.step.chaining = 'head'
    return this
  }
}

export class DataStream<T> extends StreamStep {
  readonly #host: StreamHost
  /** Makes streams of different elements different types. */
  declare protected readonly element: T

  constructor(host: StreamHost, step: Transformation) {
    super(step)
    this.#host = host
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
    const content = {
      kind: 'operator',
      factory: factory as (configuration: Configuration) => OperatorFactory<unknown, unknown>,
    } as const
    return new DataStream<Out>(this.#host, this.#host.transformations.add({ type, name, input: this.step, content }))
  }

  #sink(type: string, name: string, sink: (configuration: Configuration) => Sink<unknown, unknown>): DataStreamSink {
    const content = { kind: 'sink', sink } as const
    return new DataStreamSink(this.#host.transformations.add({ type, name, input: this.step, content }))
  }
}

/** The end of a stream. */
export class DataStreamSink extends StreamStep {}

export function nonEmpty(what: string, text: string): string {
  if (typeof text === 'string' && text !== '') return text
  throw new MillraceError('OPTION_INVALID', `${what}: must be a text that is not empty`)
}

export function atLeastOne(what: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw new MillraceError('OPTION_INVALID', `${what}: ${value} must be a whole number of at least 1`)
}
