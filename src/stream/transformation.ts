/**
 * What a job file has asked for so far, one step each, before it is known how it will run. DataStream methods add these and
 * set their names; the graph builder reads them once, when the job is executed. Nothing else changes them.
 */
import type { Configuration, OperatorFactory, Sink, Source, WatermarkPlan } from '../core/index.ts'

export type TransformationContent =
  | {
      readonly kind: 'source'
      readonly source: Source<unknown, unknown, unknown>
      readonly watermarks: WatermarkPlan<unknown>
    }
  | {
      readonly kind: 'operator'
      /** Made when the graph is built: only then is the configuration final. */
      readonly factory: (configuration: Configuration) => OperatorFactory<unknown, unknown>
    }
  | { readonly kind: 'sink'; readonly sink: (configuration: Configuration) => Sink<unknown, unknown> }

export interface Transformation {
  readonly id: number
  /** What it is, for its default uid: `map`, `filter`, `source` ... */
  readonly type: string
  readonly input: Transformation | undefined
  readonly content: TransformationContent
  name: string
  uid: string | undefined
  parallelism: number | undefined
  maxParallelism: number | undefined
  chaining: 'always' | 'head' | 'never'
}

/** The steps of one environment, in the order in which they were written. */
export class Transformations {
  readonly #all: Transformation[] = []

  get all(): readonly Transformation[] {
    return this.#all
  }

  add(step: Pick<Transformation, 'type' | 'input' | 'content' | 'name'>): Transformation {
    const transformation: Transformation = {
      ...step,
      id: this.#all.length,
      uid: undefined,
      parallelism: undefined,
      maxParallelism: undefined,
      chaining: 'always',
    }
    this.#all.push(transformation)
    return transformation
  }

  clear(): void {
    this.#all.length = 0
  }
}
