/**
 * Finds a split's position where it has none or where the broker has nothing at it: at the earliest offset for a split that
 * begins there, else as the reset strategy says; or where the log parts from what was read. A question that fails for a passing reason is asked again for as long as the
 * reader lives, so that a partition without a leader holds up nobody else.
 */

import type { Clock } from '../../base/index.ts'
import { describeError, type Logger, MillraceError } from '../../base/index.ts'
import type { PartitionTrouble } from '../../kafka/index.ts'
import type { OffsetResetStrategy } from '../offset-reset-strategy.ts'
import type { SourceAdmin } from '../source-client.ts'
import type { SplitReading } from './split-reading.ts'

const RETRY_AFTER_MS = 1_000

export interface PositionLookupOptions {
  readonly admin: SourceAdmin
  readonly clock: Clock
  readonly logger: Logger
  readonly resetStrategy: OffsetResetStrategy
  readonly signal: AbortSignal
}

/** The offset of the first record that the broker still has. */
export function lookUpEarliest(reading: SplitReading<unknown>, options: PositionLookupOptions): Promise<number> {
  return ask(reading, 'earliest', options)
}

/**
 * Where to go on after the broker has refused `offset`. Rejects with KAFKA_OFFSET_OUT_OF_RANGE under the strategy NONE. An offset
 * that lies within the range after all (the leader had just moved) is tried once more.
 */
export async function lookUpReset(
  reading: SplitReading<unknown>,
  offset: number,
  options: PositionLookupOptions,
): Promise<number> {
  const earliest = await ask(reading, 'earliest', options)
  const latest = await ask(reading, 'latest', options)
  const again = offset >= earliest && offset <= latest && reading.outOfRangeAt !== offset
  reading.outOfRangeAt = offset
  if (again) return offset
  const has = `the broker has ${earliest} to ${latest} (end)`
  const strategy = reading.fromEarliest ? 'EARLIEST' : options.resetStrategy
  if (strategy === 'NONE') {
    throw new MillraceError(
      'KAFKA_OFFSET_OUT_OF_RANGE',
      `${reading.id}: offset ${offset} is out of range, ${has}, and the reset strategy is NONE. ${lossOf(offset, earliest, latest)}; set auto.offset.reset to earliest or latest to go on, or restore from another savepoint`,
      { next: 'The task fails and the restart strategy decides; the position is kept.' },
    )
  }
  const target = strategy === 'EARLIEST' ? earliest : latest
  const moved =
    target >= offset
      ? `${target - offset} offsets are skipped and will never be read`
      : `${offset - target} offsets are read a second time`
  options.logger.warn(
    { partition: reading.id, offset, earliest, latest, target },
    `${reading.id}: offset ${offset} is out of range, ${has}; going on at ${target} (${strategy.toLowerCase()}): ${moved}`,
  )
  return target
}

/**
 * Where to go on after the log lost what was read of it. As Kafka's consumer: where the logs part, unless the strategy is NONE;
 * then it rejects with KAFKA_LOG_TRUNCATED.
 */
export async function lookUpDivergence(
  reading: SplitReading<unknown>,
  trouble: PartitionTrouble,
  options: PositionLookupOptions,
): Promise<number> {
  const { offset, divergence, error } = trouble
  if (options.resetStrategy === 'NONE') {
    throw new MillraceError(
      'KAFKA_LOG_TRUNCATED',
      `${error.message} The reset strategy is NONE: set auto.offset.reset to earliest or latest to go on where the logs part, or restore from a savepoint of before`,
      { next: 'The task fails and the restart strategy decides; the position is kept.', cause: error },
    )
  }
  if (divergence === undefined) {
    // It is not out of range, but nothing at this offset is known to be what was meant.
    reading.outOfRangeAt = offset
    return lookUpReset(reading, offset, options)
  }
  const target = Math.min(divergence.offset, offset)
  options.logger.warn(
    { partition: reading.id, offset, target, epoch: divergence.epoch },
    `${error.message} Going on at ${target}, as the reset strategy is not NONE: what stands from there to ${offset} now is read as new`,
  )
  return target
}

function lossOf(offset: number, earliest: number, latest: number): string {
  if (offset < earliest) return `The broker has deleted ${earliest - offset} offsets that were not read`
  return `The partition is ${offset - latest} offsets shorter than what was read: it was recreated or lost its end`
}

/** One end of what the broker has. */
async function ask(
  reading: SplitReading<unknown>,
  at: 'earliest' | 'latest',
  options: PositionLookupOptions,
): Promise<number> {
  const { topic, partition } = reading
  for (;;) {
    try {
      const [answer] = await options.admin.listOffsets([{ topic, partition, at }], { isolation: 'read_uncommitted' })
      if (answer !== undefined && answer.offset >= 0) return answer.offset
      options.logger.warn({ partition: reading.id }, `${reading.id}: the broker does not tell its ${at} offset`)
    } catch (error) {
      if (!MillraceError.is(error) || !error.retriable || options.signal.aborted) throw error
      options.logger.warn(
        { partition: reading.id, error: describeError(error) },
        `${reading.id}: its ${at} offset cannot be looked up now; it is tried again, the other partitions go on`,
      )
    }
    await options.clock.sleep(RETRY_AFTER_MS, options.signal)
  }
}
