/**
 * The cluster's features and their finalized levels, which clients read to know how transactions are ended. Only
 * transaction.version has an effect here and can be changed.
 */
export type TransactionVersionLevel = 0 | 1 | 2

export interface Feature {
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
  /** 0 is not finalized. */
  level: number
}

export const TRANSACTION_VERSION = 'transaction.version'

export class Features {
  readonly all: readonly Feature[]
  /** Grows with each change. */
  epoch = 1

  constructor(transactionVersion: TransactionVersionLevel) {
    this.all = [
      { name: 'metadata.version', minVersion: 7, maxVersion: 30, level: 30 },
      { name: TRANSACTION_VERSION, minVersion: 0, maxVersion: 2, level: transactionVersion },
    ]
  }

  find(name: string): Feature | undefined {
    return this.all.find((feature) => feature.name === name)
  }

  get transactionVersion(): number {
    return this.find(TRANSACTION_VERSION)?.level ?? 0
  }

  set(name: string, level: number): void {
    const feature = this.find(name)
    if (feature === undefined || feature.level === level) return
    feature.level = level
    this.epoch++
  }
}
