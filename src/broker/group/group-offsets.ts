/**
 * The committed offsets of one group, and those that wait in open transactions: they become visible when the transaction
 * commits, and are dropped when it aborts.
 */
export interface CommittedOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
}

const key = (topic: string, partition: number): string => `${topic}/${partition}`

export class GroupOffsets {
  readonly #committed: Map<string, CommittedOffset> = new Map()
  readonly #pending: Map<number, Map<string, CommittedOffset>> = new Map()

  get isEmpty(): boolean {
    return this.#committed.size === 0 && this.#pending.size === 0
  }

  get all(): CommittedOffset[] {
    return [...this.#committed.values()]
  }

  get(topic: string, partition: number): CommittedOffset | undefined {
    return this.#committed.get(key(topic, partition))
  }

  commit(offset: CommittedOffset): void {
    this.#committed.set(key(offset.topic, offset.partition), offset)
  }

  /** As part of the transaction of this producer. */
  hold(producerId: number, offset: CommittedOffset): void {
    let held = this.#pending.get(producerId)
    if (held === undefined) {
      held = new Map()
      this.#pending.set(producerId, held)
    }
    held.set(key(offset.topic, offset.partition), offset)
  }

  endTransaction(producerId: number, commit: boolean): void {
    const held = this.#pending.get(producerId)
    this.#pending.delete(producerId)
    if (commit && held !== undefined) for (const offset of held.values()) this.commit(offset)
  }

  /** Whether an open transaction may still change it. */
  isUnstable(topic: string, partition: number): boolean {
    for (const held of this.#pending.values()) if (held.has(key(topic, partition))) return true
    return false
  }

  forgetTopic(topic: string): void {
    for (const offsets of [this.#committed, ...this.#pending.values()]) {
      for (const [at, offset] of offsets) if (offset.topic === topic) offsets.delete(at)
    }
  }
}
