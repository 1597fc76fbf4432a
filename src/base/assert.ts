/**
 * Assertions stay on in production: a broken invariant is a bug, fails the task that found it and is never swallowed.
 * Operating errors (a broker away, a bad option) are MillraceErrors instead.
 */

/** A bug in millrace or in a custom connector, never an operating condition. */
export class AssertionFailed extends Error {
  override readonly name: string = 'AssertionFailed'
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message)
}

/** Ends a `switch` over a closed union; the compiler refuses it while a case is missing. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`no case for ${JSON.stringify(value)}`)
}
