/**
 * How long the brokers keep a flushed transaction before they abort it: the time a stopped job has to come back
 * (exactly-once, rule 15). As long as the brokers allow is the default, up to an hour; asking for more than they allow is
 * refused here, because they would refuse it at the first record.
 */
import { type Logger, MillraceError } from '../../base/index.ts'
import type { TransactionPlan } from '../../core/index.ts'

const DEFAULT_AT_MOST_MS = 3_600_000
const DEFAULT_WHEN_UNKNOWN_MS = 900_000

export interface TimeoutInputs {
  /** What the user set. */
  readonly explicitMs: number | undefined
  /** transaction.max.timeout.ms of the brokers. */
  readonly brokerMaxMs: number | undefined
  readonly prefix: string
}

export function decideTransactionTimeout(inputs: TimeoutInputs, plan: TransactionPlan, logger: Logger): number {
  const { explicitMs, brokerMaxMs, prefix } = inputs
  if (explicitMs !== undefined && brokerMaxMs !== undefined && explicitMs > brokerMaxMs) {
    throw new MillraceError(
      'OPTION_INVALID',
      `KafkaSink.builder().setProperty('transaction.timeout.ms'): ${explicitMs} ms is more than the brokers allow (transaction.max.timeout.ms = ${brokerMaxMs} ms)`,
      {
        next: `Nothing was started. Leave the option out (then it is ${fallback(brokerMaxMs)} ms) or raise the brokers' maximum.`,
      },
    )
  }
  const timeoutMs = explicitMs ?? fallback(brokerMaxMs)
  if (timeoutMs < plan.longestOpenMs) {
    logger.warn(
      {
        transactionalIdPrefix: prefix,
        transactionTimeoutMs: timeoutMs,
        longestOpenMs: plan.longestOpenMs,
        brokerMaxTimeoutMs: brokerMaxMs,
        checkpointIntervalMs: plan.checkpointIntervalMs,
      },
      `transaction.timeout.ms is ${timeoutMs} ms, but with this job's checkpoint settings a transaction may have to stay open for ${plan.longestOpenMs} ms; if it does, the brokers abort it and the job fails, naming what was lost. ${advice(brokerMaxMs, plan.longestOpenMs)}`,
    )
  }
  return timeoutMs
}

function fallback(brokerMaxMs: number | undefined): number {
  return brokerMaxMs === undefined ? DEFAULT_WHEN_UNKNOWN_MS : Math.min(brokerMaxMs, DEFAULT_AT_MOST_MS)
}

function advice(brokerMaxMs: number | undefined, wantedMs: number): string {
  const shorten = 'or shorten the checkpoint timeout'
  if (brokerMaxMs !== undefined && brokerMaxMs < wantedMs) {
    return `Raise transaction.max.timeout.ms of the brokers (now ${brokerMaxMs}), ${shorten}.`
  }
  return `Set transaction.timeout.ms of the sink to ${wantedMs} or more, ${shorten}.`
}
