/**
 * The one class of operating errors. A message says what happened, where (topic, partition, offset, checkpoint,
 * transactional id, option path), whether anything may be lost, and what to do; `next` says what the system does now.
 * Instances are recognised by brand, because a job file may load a second copy of the package.
 */
import type { ErrorCode } from './error-codes.ts'

const BRAND: unique symbol = Symbol.for('millrace.error') as never

export interface MillraceErrorOptions {
  /** Whether doing the same again may succeed without anybody changing anything. Default false. */
  readonly retriable?: boolean
  /** What the system does now, as a sentence. */
  readonly next?: string
  readonly cause?: unknown
}

export class MillraceError extends Error {
  override readonly name: string = 'MillraceError'
  readonly code: ErrorCode
  readonly retriable: boolean
  readonly next: string

  constructor(code: ErrorCode, message: string, options: MillraceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retriable = options.retriable ?? false
    this.next = options.next ?? ''
    Object.defineProperty(this, BRAND, { value: true })
  }

  static is(value: unknown): value is MillraceError {
    return typeof value === 'object' && value !== null && BRAND in value
  }
}

/** Anything that was thrown as one line of text, with its chain of causes. */
export function describeError(error: unknown): string {
  const parts: string[] = []
  let current: unknown = error
  for (let depth = 0; current !== undefined && current !== null && depth < 8; depth++) {
    parts.push(current instanceof Error ? current.message || current.name : String(current))
    current = current instanceof Error ? current.cause : undefined
  }
  return parts.join(': caused by: ')
}

/** Whatever was thrown as an Error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
