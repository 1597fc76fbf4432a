/**
 * Fetches that wait for data. What changes a partition marks it; when the request that did so is over, whoever watches it is
 * called once, so that a fetch never sees half of what one request wrote.
 */
import type { Partition } from '../cluster/topic.ts'

export class FetchWaits {
  #touched: Set<Partition> = new Set()
  #flushing = false

  touch(partition: Partition): void {
    if (partition.watchers.size > 0) this.#touched.add(partition)
  }

  watch(partitions: readonly Partition[], wake: () => void): () => void {
    for (const partition of partitions) partition.watchers.add(wake)
    return () => {
      for (const partition of partitions) partition.watchers.delete(wake)
    }
  }

  flush(): void {
    if (this.#flushing) return
    this.#flushing = true
    while (this.#touched.size > 0) {
      const wakes = new Set<() => void>()
      for (const { watchers } of this.#touched) for (const wake of watchers) wakes.add(wake)
      this.#touched = new Set()
      for (const wake of wakes) wake()
    }
    this.#flushing = false
  }
}
