/**
 * What a job file has asked for so far, one step each, before it is known how it will run. DataStream methods add these and
 * set their names; the graph builder reads them once, when the job is executed. Nothing else changes them.
 */
import { MillraceError } from '../base/index.ts'
import type {
  Configuration,
  KeySelector,
  OperatorFactory,
  Partitioning,
  RecordSerializer,
  Sink,
  Source,
  WatermarkPlan,
} from '../core/index.ts'

export type TransformationContent =
  | {
      readonly kind: 'source'
      readonly source: Source<unknown, unknown, unknown>
      readonly watermarks: WatermarkPlan<unknown>
    }
  | {
      readonly kind: 'operator'
      /** Of one that has state and timers of a key. */
      readonly keyOf?: KeySelector
      /** Made when the graph is built: only then is the configuration final. */
      readonly factory: (configuration: Configuration) => OperatorFactory<unknown, unknown>
    }
  | { readonly kind: 'sink'; readonly sink: (configuration: Configuration) => Sink<unknown, unknown> }

/** Where the elements of a step come from. */
export interface InputEdge {
  readonly from: Transformation
  /** How they are spread over the subtasks; undefined when the job file does not say. */
  readonly partitioning?: Partitioning
  readonly tag?: string
  readonly keyOf?: KeySelector
  readonly partition?: (value: unknown, partitions: number) => number
}

export interface Transformation {
  readonly id: number
  /** What it is, for its default uid: `map`, `filter`, `source` ... */
  readonly type: string
  readonly inputs: readonly InputEdge[]
  readonly content: TransformationContent
  name: string
  uid: string | undefined
  parallelism: number | undefined
  maxParallelism: number | undefined
  chaining: 'always' | 'head' | 'never'
  /** How its elements go between threads; undefined: as plain data. */
  serializer: RecordSerializer | undefined
}

/** The steps of one environment, in the order in which they were written. */
export class Transformations {
  readonly #all: Transformation[] = []
  readonly #owned = new Set<unknown>()

  get all(): readonly Transformation[] {
    return this.#all
  }

  add(step: Pick<Transformation, 'type' | 'inputs' | 'content' | 'name'>): Transformation {
    const transformation: Transformation = {
      ...step,
      id: this.#all.length,
      uid: undefined,
      parallelism: undefined,
      maxParallelism: undefined,
      chaining: 'always',
      serializer: undefined,
    }
    this.#all.push(transformation)
    return transformation
  }

  /**
   * A function object whose state belongs to one step: in two steps it would hold the state of whichever was opened last. Throws
   * GRAPH_INVALID the second time.
   */
  own(fn: unknown): void {
    if (typeof fn !== 'object') return
    if (this.#owned.has(fn)) {
      throw new MillraceError(
        'GRAPH_INVALID',
        'one object is given to process(...) twice; its state can be that of one step only, so make an object for each',
      )
    }
    this.#owned.add(fn)
  }

  clear(): void {
    this.#all.length = 0
    this.#owned.clear()
  }
}
