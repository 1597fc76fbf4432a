/**
 * Errors as plain data, for a thread boundary: what a structured clone would lose (code, retriable, next, the brand) is kept.
 * What was thrown comes back as an error that says the same, with the stack of where it was thrown.
 */
import { type ErrorCode, MillraceError } from '../../base/index.ts'

const CAUSES_MAX = 8
const STANDARD: ReadonlySet<string> = new Set(['name', 'message', 'stack', 'cause'])

export interface ErrorText {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Of a MillraceError. */
  readonly operating: { readonly code: ErrorCode; readonly retriable: boolean; readonly next: string } | undefined
  /** Of an error of the system: `code`, `errno`, `syscall` and the like. */
  readonly details: Readonly<Record<string, string | number | boolean>>
  readonly cause: ErrorText | undefined
}

export function textOf(thrown: unknown, depth = 0): ErrorText {
  if (!(thrown instanceof Error) && !MillraceError.is(thrown)) {
    const message = String(thrown)
    return { name: 'Error', message, stack: undefined, operating: undefined, details: {}, cause: undefined }
  }
  const { name, message, stack, cause } = thrown
  const operating = MillraceError.is(thrown)
    ? { code: thrown.code, retriable: thrown.retriable, next: thrown.next }
    : undefined
  const details: Record<string, string | number | boolean> = {}
  if (operating === undefined) {
    for (const [key, value] of Object.entries(thrown)) {
      if (STANDARD.has(key)) continue
      if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') details[key] = value
    }
  }
  const deeper = cause !== undefined && cause !== null && depth < CAUSES_MAX
  return { name, message, stack, operating, details, cause: deeper ? textOf(cause, depth + 1) : undefined }
}

export function errorOf(text: ErrorText): Error {
  const cause = text.cause === undefined ? {} : { cause: errorOf(text.cause) }
  if (text.operating !== undefined) {
    const { code, retriable, next } = text.operating
    return withStack(new MillraceError(code, text.message, { retriable, next, ...cause }), text.stack)
  }
  const error = new Error(text.message, cause)
  if (text.name !== 'Error') Object.defineProperty(error, 'name', { value: text.name, configurable: true })
  return withStack(Object.assign(error, text.details), text.stack)
}

function withStack<E extends Error>(error: E, stack: string | undefined): E {
  Object.defineProperty(error, 'stack', { value: stack, configurable: true, writable: true })
  return error
}
