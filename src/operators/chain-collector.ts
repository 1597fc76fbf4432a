/**
 * What user functions collect into: the operator's output and its side outputs. One object for the operator's life. It remembers
 * a failure further down the chain: that failure is passed on unwrapped, and is not lost when the user's function catches
 * everything. Collecting after the function has returned is refused, because a barrier may have passed between and the element
 * would belong to neither side.
 *
 * The guarded call itself stands in each operator: one for all of them would see every user's function and inline none, which
 * costs 10 ns a record.
 */
import { MillraceError } from '../base/index.ts'
import type { Collector, OperatorContext, Output, OutputTag } from '../core/index.ts'
import { isThenable, userFunctionAsync, userFunctionFailed } from './user-function.ts'

export class ChainCollector<Out> implements Collector<Out> {
  /** True while the user's function is at work. */
  open = false
  failed = false
  failure: unknown
  readonly #output: Output<Out>
  readonly #context: OperatorContext
  readonly #method: string
  readonly #sides = new Map<string, Output<unknown>>()

  /** `method` is how messages call the user's function, e.g. `flatMap`. */
  constructor(output: Output<Out>, context: OperatorContext, method: string) {
    this.#output = output
    this.#context = context
    this.#method = method
  }

  collect(value: Out): void {
    if (!this.open) throw this.#collectedLate()
    try {
      this.#output.emit(value)
    } catch (error) {
      throw this.#remember(error)
    }
  }

  /** To a side output. */
  output<X>(tag: OutputTag<X>, value: X): void {
    if (!this.open) throw this.#collectedLate()
    let side = this.#sides.get(tag.id)
    if (side === undefined) {
      side = this.#context.sideOutput(tag.id)
      this.#sides.set(tag.id, side)
    }
    try {
      side.emit(value)
    } catch (error) {
      throw this.#remember(error)
    }
  }

  /** What a call of the user's function fails with that threw `error`; `method` is what was called, e.g. `onTimer`. */
  failureOf(method: string, error: unknown): unknown {
    return this.failed ? this.failure : userFunctionFailed(this.#context, method, error)
  }

  /** After a call that answers nothing: what the function caught and should not have, and a promise, fail it all the same. */
  refuse(method: string, result: unknown): void {
    if (this.failed) throw this.failure
    if (isThenable(result)) throw userFunctionAsync(this.#context, method, result)
  }

  #remember(error: unknown): unknown {
    this.failed = true
    this.failure = error
    return error
  }

  /** Kept as a failure, because whoever called `collect` late (a timer, a promise) is not the task. */
  #collectedLate(): unknown {
    if (!this.failed) {
      this.failed = true
      this.failure = new MillraceError(
        'USER_FUNCTION_ASYNC',
        `${this.#method} of operator "${this.#context.operatorName}" (uid ${this.#context.uid}, subtask ` +
          `${this.#context.subtask}) collected after it had returned; use asyncMap for a function that waits`,
        { next: 'The task fails with the next element. The element collected late was not passed on.' },
      )
    }
    return this.failure
  }
}
