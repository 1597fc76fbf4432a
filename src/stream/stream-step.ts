/** What every step of a stream has: a name, a uid and settings. */
import { MillraceError } from '../base/index.ts'
import type { Transformation } from './transformation.ts'

/** Names and settings of one step; each setter answers the same object. */
export abstract class StreamStep {
  readonly #step: Transformation | undefined
  readonly #what: string

  /** `what` says for messages what a stream is that is no step of its own. */
  constructor(step: Transformation | undefined, what: string) {
    this.#step = step
    this.#what = what
  }

  /** How logs, metrics and errors call this step. */
  name(name: string): this {
    this.#named('name').name = nonEmpty('name', name)
    return this
  }

  /** What state and offsets are found again by. Set it on everything that a changed job must recognise. */
  uid(uid: string): this {
    this.#named('uid').uid = nonEmpty('uid', uid)
    return this
  }

  setParallelism(parallelism: number): this {
    this.#named('setParallelism').parallelism = atLeastOne('setParallelism', parallelism)
    return this
  }

  setMaxParallelism(maxParallelism: number): this {
    this.#named('setMaxParallelism').maxParallelism = atLeastOne('setMaxParallelism', maxParallelism)
    return this
  }

  /** This step is never put into one task with its neighbours. */
  disableChaining(): this {
    this.#named('disableChaining').chaining = 'never'
    return this
  }

  /** This step begins a task of its own; what follows may join it. */
  startNewChain(): this {
    this.#named('startNewChain').chaining = 'head'
    return this
  }

  #named(setter: string): Transformation {
    if (this.#step !== undefined) return this.#step
    throw new MillraceError(
      'OPTION_INVALID',
      `${setter}: ${this.#what} is no step of its own; set this on the step before it or on the one behind it`,
    )
  }
}

export function nonEmpty(what: string, text: string): string {
  if (typeof text === 'string' && text !== '') return text
  throw new MillraceError('OPTION_INVALID', `${what}: must be a text that is not empty`)
}

export function atLeastOne(what: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw new MillraceError('OPTION_INVALID', `${what}: ${value} must be a whole number of at least 1`)
}
