/**
 * Whether and when a failed execution is started again, within the same process. Every restart is a new attempt. Errors that
 * no repetition can change fail the job at once.
 */
import { type Clock, type ErrorCode, MillraceError, type Random, unreachable } from '../../base/index.ts'
import type { Configuration, RestartStrategyType } from '../../core/index.ts'
import { type Backoff, ExponentialDelay, FailureRate, FixedDelay, NoRestart } from './backoff.ts'

const HOPELESS: ReadonlySet<ErrorCode> = new Set([
  'OPTION_INVALID',
  'GRAPH_INVALID',
  'JOB_FILE_INVALID',
  'NOT_SUPPORTED',
  'USER_FUNCTION_ASYNC',
  'CHECKPOINT_DAMAGED',
  'LOG_DAMAGED',
  'STATE_INCOMPATIBLE',
  'STATE_NOT_RESTORED',
  'SUPERSEDED',
  'TASKS_LINGER',
  'ALREADY_RUNNING',
  'COMMIT_UNRESOLVED',
  'FOREIGN_TRANSACTIONS',
  'KAFKA_UNKNOWN_TOPIC',
  'KAFKA_AUTHORIZATION_FAILED',
  'KAFKA_AUTHENTICATION_FAILED',
  'KAFKA_VERSION_UNSUPPORTED',
])

/**
 * A writer sees one transaction only. Recovery sees the whole checkpoint: when nothing of it was committed it is void, and
 * nothing is lost.
 */
const DECIDED_BY_RECOVERY: ReadonlySet<ErrorCode> = new Set(['TRANSACTIONS_LOST', 'TRANSACTIONS_UNDECIDED'])

/**
 * These are about one element and its bytes, which are the same when they are read again. A deserializer may lean on something
 * outside that comes back, so it is not the first failure that is the last, but the third that says the very same, place included.
 */
const SAME_EVERY_TIME: ReadonlySet<ErrorCode> = new Set([
  'DESERIALIZATION_FAILED',
  'SERIALIZATION_FAILED',
  'RECORD_NOT_SERIALIZABLE',
])
const SAME_FAILURES_MAX = 3

export class RestartStrategy {
  readonly #backoff: Backoff
  #restarts = 0
  #lastMessage = ''
  #sameInARow = 0

  constructor(backoff: Backoff) {
    this.#backoff = backoff
  }

  /**
   * The pause before the next attempt, or undefined when the job fails for good. `running`: the job had recovered and ran;
   * what recovery itself refuses it would refuse again.
   */
  onFailure(error: Error, running: boolean): number | undefined {
    if (!mayPass(error, running)) return undefined
    if (this.#isTheSameAgain(error)) return undefined
    const pauseMs = this.#backoff.onFailure()
    if (pauseMs !== undefined) this.#restarts++
    return pauseMs
  }

  #isTheSameAgain(error: Error): boolean {
    const candidate = MillraceError.is(error) && SAME_EVERY_TIME.has(error.code)
    this.#sameInARow = candidate && error.message === this.#lastMessage ? this.#sameInARow + 1 : 1
    this.#lastMessage = candidate ? error.message : ''
    return candidate && this.#sameInARow >= SAME_FAILURES_MAX
  }

  /** All of them, those that are no longer counted against the attempts included. */
  get restarts(): number {
    return this.#restarts
  }
}

/** Whether doing the same again may end differently. `running`: the job had recovered and ran when it failed. */
export function mayPass(error: unknown, running: boolean): boolean {
  if (!MillraceError.is(error)) return true
  return !HOPELESS.has(error.code) && (running || !DECIDED_BY_RECOVERY.has(error.code))
}

/**
 * `restart-strategy.type` unset: with checkpoints exponential-delay (Flink 2's default), without checkpoints none, because a
 * restart would begin from nothing and repeat what was written.
 */
export function backoffOf(configuration: Configuration, checkpointing: boolean, clock: Clock, random: Random): Backoff {
  const type = typeOf(configuration, checkpointing)
  switch (type) {
    case 'none':
      return new NoRestart()
    case 'fixed-delay':
      return new FixedDelay({
        attempts: configuration.get('restartAttempts'),
        delayMs: configuration.get('restartDelayMs'),
      })
    case 'exponential-delay':
      return exponentialDelay(configuration, clock, random)
    case 'failure-rate':
      return new FailureRate(
        {
          failures: configuration.get('maxFailuresPerInterval'),
          intervalMs: configuration.get('failureRateIntervalMs'),
          delayMs: configuration.get('failureRateDelayMs'),
        },
        clock,
      )
    default:
      return unreachable(type)
  }
}

function typeOf(configuration: Configuration, checkpointing: boolean): RestartStrategyType {
  const type = configuration.get('restartStrategy')
  if (type !== undefined) return type
  return checkpointing ? 'exponential-delay' : 'none'
}

export function exponentialDelay(configuration: Configuration, clock: Clock, random: Random): ExponentialDelay {
  const initialMs = configuration.get('initialBackoffMs')
  const maxMs = configuration.get('maxBackoffMs')
  if (initialMs > maxMs) {
    throw new MillraceError(
      'OPTION_INVALID',
      `restart-strategy.exponential-delay.initial-backoff: ${initialMs} ms is more than the max-backoff of ${maxMs} ms`,
    )
  }
  return new ExponentialDelay(
    {
      initialMs,
      maxMs,
      multiplier: configuration.get('backoffMultiplier'),
      resetAfterMs: configuration.get('resetBackoffThresholdMs'),
      jitter: configuration.get('backoffJitterFactor'),
      attempts: configuration.get('attemptsBeforeResetBackoff'),
    },
    clock,
    random,
  )
}

/** The longest pause between a failure and the next attempt. */
export function longestPauseMs(configuration: Configuration, checkpointing: boolean): number {
  switch (typeOf(configuration, checkpointing)) {
    case 'none':
      return 0
    case 'fixed-delay':
      return configuration.get('restartDelayMs')
    case 'exponential-delay':
      return Math.max(configuration.get('initialBackoffMs'), configuration.get('maxBackoffMs'))
    case 'failure-rate':
      return configuration.get('failureRateDelayMs')
  }
}
