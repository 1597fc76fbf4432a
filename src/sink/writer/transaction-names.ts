/**
 * Which id a writer's next transaction gets. A pool slot is taken again only after `release`, which its owner calls when a
 * durable `committed` covers its last transaction (exactly-once, rule 3); when no slot is free the pool grows, and beyond
 * its bound it fails instead of waiting or reusing. INCREMENTING takes the number of the checkpoint that is to flush it.
 */
import { assert, MillraceError } from '../../base/index.ts'
import type { TransactionNamingStrategy } from '../delivery-guarantee.ts'
import type { ProducerIdentity } from '../transaction/transaction-gateway.ts'
import { formatTransactionalId } from '../transaction/transactional-id.ts'

export interface TransactionName {
  readonly transactionalId: string
  readonly k: number
  /** Under version 2: what the EndTxn of the id's last transaction said the next one begins with. */
  next: ProducerIdentity | undefined
}

export interface TransactionNamesOptions {
  readonly strategy: TransactionNamingStrategy
  readonly prefix: string
  readonly attempt: number
  readonly subtask: number
  readonly poolBound: number
}

export class TransactionNames {
  readonly #options: TransactionNamesOptions
  /** By slot; an entry says whether it is taken. */
  readonly #slots: { readonly name: TransactionName; taken: boolean }[] = []
  #lastCheckpoint = -1

  constructor(options: TransactionNamesOptions) {
    this.#options = options
  }

  /** `checkpoint`: the one expected to flush the transaction. */
  take(checkpoint: number): TransactionName {
    return this.#options.strategy === 'POOLING' ? this.#takeSlot() : this.#takeCheckpoint(checkpoint)
  }

  release(name: TransactionName): void {
    if (this.#options.strategy !== 'POOLING') return
    const slot = this.#slots[name.k]
    assert(slot !== undefined && slot.name === name && slot.taken, `slot ${name.k} was not taken`)
    slot.taken = false
  }

  #takeSlot(): TransactionName {
    for (const slot of this.#slots) {
      if (slot.taken) continue
      slot.taken = true
      return slot.name
    }
    const k = this.#slots.length
    if (k >= this.#options.poolBound) throw this.#exhausted()
    const name = this.#name(k)
    this.#slots.push({ name, taken: true })
    return name
  }

  #takeCheckpoint(checkpoint: number): TransactionName {
    assert(checkpoint > this.#lastCheckpoint, `an id for checkpoint ${checkpoint} was taken already`)
    this.#lastCheckpoint = checkpoint
    return this.#name(checkpoint)
  }

  #name(k: number): TransactionName {
    const { prefix, attempt, subtask } = this.#options
    return { transactionalId: formatTransactionalId(prefix, attempt, subtask, k), k, next: undefined }
  }

  #exhausted(): MillraceError {
    const { prefix, attempt, subtask, poolBound } = this.#options
    return new MillraceError(
      'CHECKPOINT_FAILED',
      `all ${poolBound} transactional ids of "${prefix}-${attempt}-${subtask}-..." are held by transactions that no checkpoint has committed yet`,
      {
        retriable: true,
        next: 'The task fails and is restored from the last completed checkpoint; nothing is lost. Look why checkpoints do not complete.',
      },
    )
  }
}
