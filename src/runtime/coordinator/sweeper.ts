/**
 * Repeats the sweep of rule 8 in the background until one transaction timeout has passed: a superseded process that slept
 * may still open a transaction under its own attempt, and readers must not wait for its timeout.
 */
import { describeError, MillraceError } from '../../base/index.ts'
import { attemptId, type RuntimePorts } from '../../core/index.ts'
import type { JobLog } from '../checkpoint/job-log.ts'
import type { JobPlan } from './job-plan.ts'
import { earlierIds } from './recovery.ts'

const FIRST_PAUSE_MS = 2_000
const LONGEST_PAUSE_MS = 60_000

export interface SweeperOptions {
  readonly plan: JobPlan
  readonly log: JobLog
  readonly ports: RuntimePorts
  readonly transactionTimeoutMs: number
}

export class Sweeper {
  readonly #options: SweeperOptions
  #done = false

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  /** Attempts below it cannot have open transactions any more; undefined while that is not yet sure. */
  get fencedBelow(): number | undefined {
    return this.#done ? this.#options.log.attempt : undefined
  }

  /**
   * Ends when one timeout has passed or the signal is aborted. Never rejects: a sweep that fails is tried again. Answers the error
   * of a process that was found to be superseded.
   */
  async run(signal: AbortSignal): Promise<MillraceError | undefined> {
    const { ports, transactionTimeoutMs, plan } = this.#options
    if (plan.transactional.length === 0) return undefined
    const endMs = ports.clock.monotonic() + transactionTimeoutMs
    let pauseMs = FIRST_PAUSE_MS
    try {
      while (!this.#done) {
        const leftMs = endMs - ports.clock.monotonic()
        await ports.clock.sleep(leftMs > 0 ? Math.min(pauseMs, leftMs) : pauseMs, signal)
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
        const last = ports.clock.monotonic() >= endMs
        if (await this.#sweep(last)) this.#done = last
      }
    } catch (error) {
      if (MillraceError.is(error) && error.code === 'SUPERSEDED') return error
      if (!signal.aborted)
        ports.logger.warn({ error: describeError(error) }, 'the repeated sweep of transactions ended early')
    }
    return undefined
  }

  /** Aborts what earlier attempts have open now. Only the last sweep pays for brokers that cannot list transactions. */
  async #sweep(last: boolean): Promise<boolean> {
    const { plan, log, ports } = this.#options
    try {
      await log.checkOwnership()
      for (const sink of plan.transactional) {
        const open = await sink.ledger.openTransactions(attemptId(log.attempt))
        if (open === undefined && last) await sink.ledger.fence(earlierIds({ log, plan }, sink))
        for (const { transactionalId } of open ?? []) {
          ports.logger.warn({ transactionalId }, 'aborting a transaction that a superseded process opened')
          await sink.ledger.abortById(transactionalId)
        }
      }
      return true
    } catch (error) {
      // Another owner sweeps now.
      if (MillraceError.is(error) && error.code === 'SUPERSEDED') throw error
      ports.logger.debug({ error: describeError(error) }, 'a sweep of transactions failed and will be repeated')
      return false
    }
  }
}
