/**
 * Where records without a key and a partition go, as Java's BuiltInPartitioner has it (KIP-794): all to one partition until
 * batch.size bytes went there and no batch of it waits for more, at the latest until twice as much did; then to another one by
 * chance, the more likely the fewer of its batches wait to be sent, so that a slow broker gets less.
 *
 * What always holds: a partition without a leader is chosen only when none has one; with all queues alike the choice is even.
 */
import type { Random } from '../../base/index.ts'

/** What is known of the partitions when one is to be chosen. */
export interface PartitionLoad {
  readonly count: number
  hasLeader(partition: number): boolean
  /** Batches that wait to be sent, the open one included. */
  queued(partition: number): number
}

export class StickyPartition {
  readonly #batchBytes: number
  readonly #adaptive: boolean
  readonly #random: Random
  #partition = -1
  #bytes = 0

  constructor(options: { readonly batchBytes: number; readonly adaptive: boolean; readonly random: Random }) {
    this.#batchBytes = options.batchBytes
    this.#adaptive = options.adaptive
    this.#random = options.random
  }

  /** -1 before the first record. */
  get current(): number {
    return this.#partition
  }

  /** Whether the next record goes elsewhere; `waits`: a batch of the current partition is open. */
  isOver(waits: boolean): boolean {
    if (this.#partition < 0) return true
    return this.#bytes >= 2 * this.#batchBytes || (this.#bytes >= this.#batchBytes && !waits)
  }

  /** So many bytes were appended to the current partition. */
  took(bytes: number): void {
    this.#bytes += bytes
  }

  choose(load: PartitionLoad): number {
    const all = Array.from({ length: load.count }, (_, partition) => partition)
    const led = all.filter((partition) => load.hasLeader(partition))
    const among = led.length > 0 ? led : all
    const queues = this.#adaptive && led.length > 0 ? among.map((partition) => load.queued(partition)) : undefined
    const sums = queues === undefined ? undefined : likelihoods(queues)
    const index =
      sums === undefined
        ? Math.floor(this.#random.next() * among.length)
        : placeIn(sums, Math.floor(this.#random.next() * (sums.at(-1) ?? 1)))
    this.#partition = among[index] ?? 0
    this.#bytes = 0
    return this.#partition
  }
}

/** Running sums of how likely each partition is: the longest queue 1, each batch less one more. Queues 0 3 1 make 4 5 8. */
export function likelihoods(queues: readonly number[]): number[] {
  const longest = Math.max(...queues)
  let sum = 0
  return queues.map((queued) => (sum += longest + 1 - queued))
}

/** The index of the first sum above a number. */
export function placeIn(sums: readonly number[], number: number): number {
  return sums.findIndex((sum) => sum > number)
}
