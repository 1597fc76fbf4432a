/**
 * What became of a flushed transaction (exactly-once, rule 11). Ending it is the surest question: a coordinator that commits
 * or has committed it says so. When it refuses, its description decides, and only these descriptions do: anything else is
 * `unknown`, never a guess. Every other trouble (authorization, coordinators away) is no verdict at all and is thrown.
 *
 * What the descriptions mean was observed: under version 2 an end raises the epoch by one, under version 1 a commit and an
 * abort by request keep it; an expiry raises it under both. Version 1 never starts a second transaction under one identity
 * (rule 4), and no id is used again before its last commit is durable (rule 3), so that nothing younger is mistaken for it.
 */
import { MillraceError, unreachable } from '../../base/index.ts'
import type {
  EndOutcome,
  ProducerIdentity,
  TransactionGateway,
  TransactionHandle,
  TransactionSnapshot,
} from './transaction-gateway.ts'

export type TransactionFate = 'open' | 'committed' | 'gone' | 'unknown'

export type CommitVerdict =
  | {
      readonly fate: 'committed'
      /** What the id's next transaction may begin with. */
      readonly next: ProducerIdentity | undefined
      /** The coordinator refused to end it and describes it as committed. */
      readonly already: boolean
      /** How often the coordinator was still busy with the id and was asked again. */
      readonly retries: number
    }
  | { readonly fate: 'gone' | 'unknown'; readonly answer: string }

/** What a description says of the transaction of exactly this identity. */
export function fateOf(handle: TransactionHandle, described: TransactionSnapshot): TransactionFate {
  const { state, producerId, producerEpoch } = described
  if (producerId !== handle.producerId) return 'unknown'
  const same = producerEpoch === handle.epoch
  const next = producerEpoch === handle.epoch + 1
  switch (state) {
    case 'Ongoing':
      return same ? 'open' : 'unknown'
    case 'PrepareCommit':
    case 'CompleteCommit':
      return (handle.version === 2 ? next : same) ? 'committed' : 'unknown'
    case 'PrepareAbort':
    case 'CompleteAbort':
    case 'PrepareEpochFence':
      return same || next ? 'gone' : 'unknown'
    default:
      return 'unknown'
  }
}

/** Looks without changing anything. Brokers that cannot be asked (before 3.0) leave it `open`: ending it will tell. */
export async function inspectTransactions(
  gateway: TransactionGateway,
  handles: readonly TransactionHandle[],
  timeoutMs: number,
): Promise<TransactionFate[]> {
  if (handles.length === 0) return []
  const described = await gateway.describe(handles.map((handle) => handle.transactionalId))
  if (described === undefined) return handles.map(() => 'open')
  const byId = new Map(described.map((one) => [one.transactionalId, one]))
  const fates: TransactionFate[] = []
  for (const handle of handles) {
    const found = byId.get(handle.transactionalId)
    let fate = found === undefined ? 'unknown' : fateOf(handle, found)
    if (fate === 'unknown' && found !== undefined && found.state !== 'NotFound') {
      if (await repeatTellsCommitted(gateway, handle, found, timeoutMs)) fate = 'committed'
    }
    fates.push(fate)
  }
  return fates
}

/**
 * Under version 2 the repeat of a commit is told from a new one even after the producer id rolled over. Asked only when the
 * coordinator shows another identity: then the request can end nothing, whatever is open there.
 */
async function repeatTellsCommitted(
  gateway: TransactionGateway,
  handle: TransactionHandle,
  found: TransactionSnapshot,
  timeoutMs: number,
): Promise<boolean> {
  const sameIdentity = found.producerId === handle.producerId && found.producerEpoch === handle.epoch
  if (handle.version !== 2 || sameIdentity) return false
  const outcome = await gateway.endTransaction(handle, true, timeoutMs)
  if (outcome.kind === 'undecided') throw unresolved('look into', handle, outcome.error)
  return outcome.kind === 'ended'
}

/** Commits; idempotent. */
export async function commitTransaction(
  gateway: TransactionGateway,
  handle: TransactionHandle,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<CommitVerdict> {
  const outcome = await gateway.endTransaction(handle, true, timeoutMs, signal)
  switch (outcome.kind) {
    case 'ended':
      return { fate: 'committed', next: outcome.next, already: false, retries: outcome.concurrentAnswers }
    case 'undecided':
      throw unresolved('commit', handle, outcome.error)
    case 'refused': {
      const fate = await fateAfterRefusal(gateway, handle, outcome)
      if (fate !== 'committed') return { fate, answer: outcome.error }
      return { fate, next: undefined, already: true, retries: 0 }
    }
    default:
      return unreachable(outcome)
  }
}

/** Aborts; idempotent. Rejects when it turns out to be committed: the caller believed otherwise. */
export async function abortTransaction(
  gateway: TransactionGateway,
  handle: TransactionHandle,
  timeoutMs: number,
): Promise<void> {
  const outcome = await gateway.endTransaction(handle, false, timeoutMs)
  switch (outcome.kind) {
    case 'ended':
      return
    case 'undecided':
      throw unresolved('abort', handle, outcome.error)
    case 'refused': {
      const fate = await fateAfterRefusal(gateway, handle, outcome)
      if (fate !== 'committed') return
      throw new MillraceError(
        'COMMIT_UNRESOLVED',
        `transaction ${nameOf(handle)} was to be aborted, but the broker shows it committed: its records are visible`,
        { next: 'Nothing else was aborted. Start again: recovery looks at every transaction of the checkpoint anew.' },
      )
    }
    default:
      return unreachable(outcome)
  }
}

async function fateAfterRefusal(
  gateway: TransactionGateway,
  handle: TransactionHandle,
  outcome: EndOutcome & { kind: 'refused' },
): Promise<'committed' | 'gone' | 'unknown'> {
  const described = await describedAfterRefusal(gateway, handle, outcome.error)
  const fate = described === undefined ? 'unknown' : fateOf(handle, described)
  if (fate !== 'open') return fate
  // Refused, and yet open under this very identity: no rule explains that, so nothing may be concluded from it.
  throw new MillraceError(
    'COMMIT_UNRESOLVED',
    `the broker refuses to end transaction ${nameOf(handle)} (${outcome.error}) and describes it as open`,
    { retriable: true, next: 'Nothing was aborted; its records stay invisible until it is ended.' },
  )
}

async function describedAfterRefusal(
  gateway: TransactionGateway,
  handle: TransactionHandle,
  refusal: string,
): Promise<TransactionSnapshot | undefined> {
  try {
    return (await gateway.describe([handle.transactionalId]))?.[0]
  } catch (error) {
    if (!MillraceError.is(error)) throw error
    throw unresolved(`tell, after the answer ${refusal}, what became of`, handle, error)
  }
}

export function nameOf(handle: TransactionHandle): string {
  return `"${handle.transactionalId}" (producer ${handle.producerId}/${handle.epoch}, version ${handle.version})`
}

function unresolved(verb: string, handle: TransactionHandle, cause: MillraceError): MillraceError {
  return new MillraceError(
    'COMMIT_UNRESOLVED',
    `could not ${verb} transaction ${nameOf(handle)}: no verdict from its coordinator: ${cause.message}`,
    {
      retriable: true,
      cause,
      next: 'Nothing was aborted: the records are safe, invisible to read_committed readers, until transaction.timeout.ms has passed. Repair the cause and start the job again before that.',
    },
  )
}
