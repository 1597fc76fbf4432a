/**
 * The border to the user's functions. Whatever they throw becomes USER_FUNCTION_FAILED naming the operator, so that a
 * failed job says which line of the job file to look at; a promise becomes USER_FUNCTION_ASYNC, because a chain passes
 * elements on synchronously and would otherwise write the promise itself. Every operator with a user function calls these.
 */
import { describeError, MillraceError } from '../base/index.ts'
import type { FunctionContext, OperatorContext, RichFunction, RuntimeContext } from '../core/index.ts'

/** Which of the user's functions a message is about. */
export interface UserFunctionPlace {
  readonly operatorName: string
  readonly uid: string
  readonly subtask: number
}

/** True for promises of any make. Costs one look at the object's shape; nothing for numbers and strings. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** The error of a user function that threw `cause`; `method` is what was called, e.g. `map`. */
export function userFunctionFailed(place: UserFunctionPlace, method: string, cause: unknown): MillraceError {
  return new MillraceError('USER_FUNCTION_FAILED', `${method} of ${describe(place)} threw: ${describeError(cause)}`, {
    cause,
    next: 'The task fails and the restart strategy decides. Nothing is lost: the element is read again after a restore.',
  })
}

/** The error of a user function that answered with `promise`, whose own rejection is kept from ending the process. */
export function userFunctionAsync(
  place: UserFunctionPlace,
  method: string,
  promise: PromiseLike<unknown>,
): MillraceError {
  promise.then(ignore, ignore)
  return new MillraceError(
    'USER_FUNCTION_ASYNC',
    `${method} of ${describe(place)} answered with a promise. ${method} must answer synchronously; ` +
      'use asyncMap for a function that waits',
    { next: 'The task fails. Nothing is lost: the element was not passed on.' },
  )
}

/** Opens and closes a user function that wants it; `open` may wait, and what it throws names the operator too. */
export async function openUserFunction(
  fn: unknown,
  context: OperatorContext,
  given: FunctionContext = functionContext(context),
): Promise<void> {
  if (!isRich(fn) || fn.open === undefined) return
  try {
    await fn.open(given)
  } catch (error) {
    throw userFunctionFailed(context, 'open', error)
  }
}

export async function closeUserFunction(fn: unknown, context: RuntimeContext): Promise<void> {
  if (!isRich(fn) || fn.close === undefined) return
  try {
    await fn.close()
  } catch (error) {
    throw userFunctionFailed(context, 'close', error)
  }
}

/** What `open` gets: no more of the operator's context than is meant for users. */
export function functionContext(context: OperatorContext): FunctionContext {
  const { jobName, operatorName, uid, subtask, parallelism, maxParallelism, metrics, accumulators } = context
  return {
    jobName,
    operatorName,
    uid,
    subtask,
    parallelism,
    maxParallelism,
    metrics,
    addAccumulator: (name, accumulator) => accumulators.add(name, accumulator),
    getAccumulator: (name) => accumulators.get(name),
  }
}

function isRich(fn: unknown): fn is RichFunction {
  return typeof fn === 'object' && fn !== null
}

function describe(place: UserFunctionPlace): string {
  return `operator "${place.operatorName}" (uid ${place.uid}, subtask ${place.subtask})`
}

function ignore(): void {
  // The promise was refused already; what becomes of it must not end the process as an unhandled rejection.
}
