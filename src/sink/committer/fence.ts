/**
 * Takes the ids of earlier attempts away from whoever still holds them, and aborts what they left open (exactly-once, rule
 * 8). The ids are enumerated from what the log says of each attempt, so that nothing rests on what brokers are able to list;
 * listing is an extra sweep.
 *
 * Only ever called for attempts below the caller's, after the last completed checkpoint is committed: an InitProducerId on a
 * flushed transaction aborts it. An id that its coordinator has never seen is left alone: whoever may still use it would
 * first have to initialise it, which a fence beforehand could not prevent and the repeated sweep finds.
 */
import { joint } from '../../base/index.ts'
import type { AttemptIds } from '../../core/index.ts'
import type { ProducerIdentity, TransactionGateway, TransactionSnapshot } from '../transaction/transaction-gateway.ts'
import { formatTransactionalId, partsWithPrefix } from '../transaction/transactional-id.ts'

const IN_PARALLEL = 8
/** Ids described in one request; also how many are held at once, since an attempt may have had very many. */
const BATCH = 500
/** Of the ids fenced, which never carry a transaction again; any broker's maximum allows it. */
const FENCE_TIMEOUT_MS = 10_000
export const OPEN_STATES: readonly string[] = ['Ongoing', 'PrepareCommit', 'PrepareAbort', 'PrepareEpochFence']

export function* enumerateIds(attempt: AttemptIds): Generator<string> {
  const pooling = attempt.naming === 'POOLING'
  const first = pooling ? 0 : attempt.firstCheckpoint
  const last = pooling ? attempt.poolBound - 1 : attempt.lastCheckpoint
  for (let subtask = 0; subtask < attempt.parallelism; subtask++) {
    for (let k = first; k <= last; k++) yield formatTransactionalId(attempt.prefix, attempt.attempt, subtask, k)
  }
}

export class Fence {
  readonly #gateway: TransactionGateway
  /** What the own InitProducerId answered: an id that still shows it was not touched since, and needs no second one. */
  readonly #fenced = new Map<string, ProducerIdentity>()

  constructor(gateway: TransactionGateway) {
    this.#gateway = gateway
  }

  /** Returns how many were found open; brokers that describe nothing (before 3.0) tell of none. */
  async sweep(attempts: readonly AttemptIds[]): Promise<number> {
    let open = 0
    const seen = new Set<string>()
    for (const attempt of attempts) {
      let batch: string[] = []
      for (const id of enumerateIds(attempt)) {
        if (seen.has(id)) continue
        seen.add(id)
        batch.push(id)
        if (batch.length < BATCH) continue
        open += await this.#sweepBatch(batch)
        batch = []
      }
      open += await this.#sweepBatch(batch)
    }
    const listed = await this.#listed(attempts)
    return open + (await this.#sweepBatch(listed.filter((id) => !seen.has(id))))
  }

  /** Open ones of the same prefixes and attempts (or older ones) that the log does not account for. */
  async #listed(attempts: readonly AttemptIds[]): Promise<string[]> {
    const newest = new Map<string, number>()
    for (const { prefix, attempt } of attempts) newest.set(prefix, Math.max(attempt, newest.get(prefix) ?? -1))
    if (newest.size === 0) return []
    const listed = (await this.#gateway.list(OPEN_STATES)) ?? []
    return listed
      .map((one) => one.transactionalId)
      .filter((id) => [...newest].some(([prefix, upTo]) => (partsWithPrefix(id, prefix)?.attempt ?? Infinity) <= upTo))
  }

  async #sweepBatch(ids: readonly string[]): Promise<number> {
    if (ids.length === 0) return 0
    const described = await this.#gateway.describe(ids)
    const byId = described === undefined ? undefined : new Map(described.map((one) => [one.transactionalId, one]))
    let open = 0
    const todo: string[] = []
    for (const id of ids) {
      const found = byId?.get(id)
      if (found?.state === 'Ongoing') open++
      if (byId === undefined || this.#needsFence(id, found)) todo.push(id)
    }
    let next = 0
    const worker = async (): Promise<void> => {
      for (let id = todo[next++]; id !== undefined; id = todo[next++]) await this.#fenceOne(id)
    }
    await Promise.all(Array.from({ length: Math.min(IN_PARALLEL, todo.length) }, worker))
    return open
  }

  #needsFence(id: string, found: TransactionSnapshot | undefined): boolean {
    if (found === undefined || found.state === 'NotFound') return false
    const own = this.#fenced.get(id)
    const untouched = own?.producerId === found.producerId && own.epoch === found.producerEpoch
    return !(untouched && found.state === 'Empty')
  }

  async #fenceOne(id: string): Promise<void> {
    joint('sweep', { transactionalId: id })
    this.#fenced.set(id, await this.#gateway.initProducerId(id, FENCE_TIMEOUT_MS))
  }

  async one(id: string): Promise<void> {
    await this.#fenceOne(id)
  }
}
