/**
 * What to do where a position is missing or no longer exists on the broker: begin at the earliest record, at the end, or fail.
 * The names are Kafka's, in capitals as in its Java enum; the property `auto.offset.reset` takes them in lower case.
 */
import { MillraceError } from '../base/index.ts'

export type OffsetResetStrategy = 'EARLIEST' | 'LATEST' | 'NONE'

export const OffsetResetStrategy: {
  readonly EARLIEST: 'EARLIEST'
  readonly LATEST: 'LATEST'
  readonly NONE: 'NONE'
} = { EARLIEST: 'EARLIEST', LATEST: 'LATEST', NONE: 'NONE' }

/** Throws MillraceError OPTION_INVALID that begins with `path`. */
export function parseOffsetResetStrategy(value: unknown, path: string): OffsetResetStrategy {
  const name = String(value).trim().toUpperCase()
  if (name === 'EARLIEST' || name === 'LATEST' || name === 'NONE') return name
  throw new MillraceError('OPTION_INVALID', `${path}: "${String(value)}" is none of earliest, latest, none`)
}
