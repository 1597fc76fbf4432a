/**
 * Doing a thing again until it succeeds, fails for good, or the time limit passes. What is retriable says the error; pauses
 * double from retry.backoff.ms to retry.backoff.max.ms with a fifth of chance, so that many clients do not come at once.
 */
import { type Clock, MillraceError, type Random } from '../../base/index.ts'
import { type RetryMessage, retryChannel } from '../metrics/diagnostics.ts'
import type { ClusterOptions, KafkaPorts } from './options.ts'

export interface RetryingClient {
  readonly ports: Pick<KafkaPorts, 'clock' | 'random' | 'logger'>
  readonly options: Pick<ClusterOptions, 'retryBackoffMs' | 'retryBackoffMaxMs' | 'defaultApiTimeoutMs'>
  /** When no broker at all could be reached so far: the error that says so, which tells more than that time is over. */
  unreachable?(elapsedMs: number): MillraceError | undefined
}

export interface RetryLimits {
  /** From now; default.api.timeout.ms if absent. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

export interface Attempt {
  readonly number: number
  readonly remainingMs: number
}

/** `doing` names the thing for the error, as "Listing the topics". */
export async function retrying<T>(
  client: RetryingClient,
  doing: string,
  attempt: (attempt: Attempt) => Promise<T>,
  limits: RetryLimits = {},
): Promise<T> {
  const { clock } = client.ports
  const timeoutMs = limits.timeoutMs ?? client.options.defaultApiTimeoutMs
  const beganMs = clock.monotonic()
  const remaining = (): number => Math.max(0, beganMs + timeoutMs - clock.monotonic())
  let last: unknown
  const givingUp = (attempts: number): MillraceError =>
    client.unreachable?.(clock.monotonic() - beganMs) ?? timedOutAfter(doing, timeoutMs, attempts, last)
  for (let number = 0; ; number++) {
    const remainingMs = remaining()
    try {
      return await within(clock, remainingMs, attempt({ number, remainingMs }), limits.signal)
    } catch (error) {
      limits.signal?.throwIfAborted()
      if (error === OUT_OF_TIME) throw givingUp(number + 1)
      if (!MillraceError.is(error) || !error.retriable) throw error
      last = error
    }
    const pauseMs = backoffMs(client.options, client.ports.random, number)
    if (pauseMs >= remaining()) throw givingUp(number + 1)
    if (retryChannel.hasSubscribers) {
      const message: RetryMessage = { doing, attempt: number + 1, delayMs: pauseMs, error: last }
      retryChannel.publish(message)
    }
    await clock.sleep(pauseMs, limits.signal)
  }
}

export function backoffMs(
  options: Pick<ClusterOptions, 'retryBackoffMs' | 'retryBackoffMaxMs'>,
  random: Random,
  failures: number,
): number {
  return jittered(options.retryBackoffMs, options.retryBackoffMaxMs, random, failures)
}

export function jittered(firstMs: number, maxMs: number, random: Random, failures: number): number {
  // The bound holds for what comes out, as with Java's ExponentialBackoff.
  return Math.min(maxMs, Math.min(maxMs, firstMs * 2 ** Math.min(failures, 16)) * (0.8 + 0.4 * random.next()))
}

/** Rejects `within` when its time is over; never seen outside of this room. */
export const OUT_OF_TIME: unique symbol = Symbol('out of time')

/** The promise's outcome, unless the time or the signal ends first; it goes on unobserved then. */
export function within<T>(clock: Clock, timeoutMs: number, promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => finish(() => reject(signal?.reason))
    const timer = clock.setTimer(Math.ceil(timeoutMs), () => finish(() => reject(OUT_OF_TIME)))
    const finish = (settle: () => void): void => {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
      settle()
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    promise.then(
      (value) => finish(() => resolve(value)),
      (error) => finish(() => reject(error)),
    )
  })
}

function timedOutAfter(doing: string, timeoutMs: number, attempts: number, cause: unknown): MillraceError {
  const tries = attempts === 1 ? 'one attempt' : `${attempts} attempts`
  const last = MillraceError.is(cause) ? ` The last error: ${cause.message}` : ''
  return new MillraceError('KAFKA_TIMEOUT', `${doing} did not succeed within ${timeoutMs} ms (${tries}).${last}`, {
    retriable: true,
    next: 'It is not tried again here.',
    cause,
  })
}
