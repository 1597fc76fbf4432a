/**
 * Whether and when a failed execution is started again, within the same process. Every restart is a new attempt. Errors that
 * no repetition can change fail the job at once.
 */
import { type Clock, type ErrorCode, MillraceError } from '../../base/index.ts'
import type { Configuration } from '../../core/index.ts'

/** Restarts when nothing is configured, and the time without a failure after which they are counted anew. */
const DEFAULT_ATTEMPTS = 3
const DEFAULT_FORGET_MS = 10 * 60_000

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

export class RestartStrategy {
  readonly #clock: Clock
  readonly #attempts: number
  readonly #delayMs: number
  readonly #forgetMs: number
  #used = 0
  #total = 0
  #lastFailureMs = Number.NEGATIVE_INFINITY

  /**
   * `restart-strategy.type` unset: with checkpoints fixed-delay, with a few attempts that are counted anew after ten quiet
   * minutes; without checkpoints none, because a restart would begin from nothing and repeat what was written.
   */
  constructor(configuration: Configuration, clock: Clock, checkpointing: boolean) {
    this.#clock = clock
    const type = configuration.get('restartStrategy')
    const unset = type === undefined && !configuration.has('restartAttempts')
    this.#attempts =
      type === 'none' || (unset && !checkpointing) ? 0 : unset ? DEFAULT_ATTEMPTS : configuration.get('restartAttempts')
    this.#forgetMs = unset ? DEFAULT_FORGET_MS : Number.POSITIVE_INFINITY
    this.#delayMs = configuration.get('restartDelayMs')
  }

  /**
   * The pause before the next attempt, or undefined when the job fails for good. `running`: the job had recovered and ran;
   * what recovery itself refuses it would refuse again.
   */
  onFailure(error: Error, running: boolean): number | undefined {
    const now = this.#clock.monotonic()
    if (now - this.#lastFailureMs >= this.#forgetMs) this.#used = 0
    this.#lastFailureMs = now
    if (MillraceError.is(error) && HOPELESS.has(error.code)) return undefined
    if (MillraceError.is(error) && !running && DECIDED_BY_RECOVERY.has(error.code)) return undefined
    if (this.#used >= this.#attempts) return undefined
    this.#used++
    this.#total++
    return this.#delayMs
  }

  /** All of them, those that are no longer counted against the attempts included. */
  get restarts(): number {
    return this.#total
  }
}
