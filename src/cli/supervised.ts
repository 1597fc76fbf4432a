/** The side of a process that is run by `--supervise`: it tells whether it ends by its own decision, and ends with the supervisor. */
import { MillraceError } from '../base/index.ts'
import { mayPass } from '../runtime/index.ts'

/** What is said before the end when another process of the same command would end the same way, or is not wanted. */
export const DECIDED = 'millrace: decided'

/** Calls back when the supervisor is gone. Nothing happens in a process that nobody supervises. */
export function onSupervisorGone(callback: () => void): void {
  if (process.send !== undefined) process.once('disconnect', callback)
}

/**
 * Whether a job that failed is given up. One that ran has restarted as often as its strategy says; one that never came to run is tried
 * again in another process unless nothing can change. Tasks that could not be proven gone are gone with the process.
 */
export function isGivenUp(error: unknown, ran: boolean): boolean {
  if (MillraceError.is(error) && error.code === 'TASKS_LINGER') return false
  return ran || !mayPass(error, false)
}

/** Resolves when the supervisor was told. */
export function tellDecided(): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve()
    else process.send(DECIDED, () => resolve())
  })
}
