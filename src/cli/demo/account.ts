/**
 * The demo's account: which orders went in, which came out, and what follows. It knows what must come out by the order's id
 * alone and is told what did come out by a reader of the output topic; it asks the job nothing.
 *
 * What always holds: `doubled` counts every record beyond the first of its order; an order is `missing` only while it is not
 * there and the job's read position, as committed with a checkpoint, is proof that it should be; all else is on the way.
 */
import { PARTITIONS } from './demo-topics.ts'
import { expectedText, isExpected, parseOrder } from './order.ts'

export interface Balance {
  /** Orders written to the input topic. */
  readonly produced: number
  /** Those of them that the job must write to the output topic. */
  readonly expected: number
  /** Orders that a reader at read_committed has seen. */
  readonly committed: number
  readonly onTheWay: number
  readonly missing: number
  readonly doubled: number
  /** Records that should not be there at all, or say something else than they should. */
  readonly wrong: number
}

/** Positions of later checkpoints that must have been seen before an older one is proof; see `position`. */
const PROVEN_BY = 2
const FIRST_CAPACITY = 1 << 16

export class Account {
  #seen: Uint8Array = new Uint8Array(FIRST_CAPACITY)
  #produced = 0
  #expected = 0
  #committed = 0
  #doubled = 0
  #wrong = 0
  /** Orders below their partition's proven position that are not there. */
  readonly #missing: Set<number> = new Set()
  readonly #positions: number[][] = Array.from({ length: PARTITIONS }, () => [])
  readonly #proven: number[] = Array.from({ length: PARTITIONS }, () => 0)

  /** The ids below `count` are in the input topic. */
  produced(count: number): void {
    for (let id = this.#produced; id < count; id++) if (isExpected(id)) this.#expected++
    this.#produced = count
    if (count <= this.#seen.length) return
    const larger = new Uint8Array(Math.max(count, this.#seen.length * 2))
    larger.set(this.#seen)
    this.#seen = larger
  }

  /** One committed record of the output topic. */
  seen(text: string | null): void {
    const id = text === null ? undefined : parseOrder(text)?.id
    if (id === undefined || !Number.isInteger(id) || text !== expectedText(id) || id < 0 || id >= this.#produced) {
      this.#wrong++
      return
    }
    if (this.#seen[id] === 1) {
      this.#doubled++
      return
    }
    this.#seen[id] = 1
    this.#committed++
    this.#missing.delete(id)
  }

  /**
   * The group's offset for an input partition, looked up before the output topic was read to its end. Checkpoints come one after the other: when
   * the position of the second after this one is there, every transaction of this one and of the next has ended, and nothing
   * open stands before the orders below it. The caller has then read them, or they are missing.
   */
  position(partition: number, offset: number): void {
    const positions = this.#positions[partition]
    if (positions === undefined || offset <= (positions.at(-1) ?? 0)) return
    positions.push(offset)
    const proven = positions.length > PROVEN_BY ? positions.shift() : undefined
    if (proven === undefined) return
    for (let at = this.#proven[partition] ?? 0; at < proven; at++) {
      const id = at * PARTITIONS + partition
      if (id < this.#produced && isExpected(id) && this.#seen[id] !== 1) this.#missing.add(id)
    }
    this.#proven[partition] = proven
  }

  /** `final`: the job has ended and the output was read to its end, so nothing is on the way any more. */
  balance(final = false): Balance {
    const absent = this.#expected - this.#committed
    const missing = final ? absent : this.#missing.size
    return {
      produced: this.#produced,
      expected: this.#expected,
      committed: this.#committed,
      onTheWay: absent - missing,
      missing,
      doubled: this.#doubled,
      wrong: this.#wrong,
    }
  }

  /** Everything that must come out is there. */
  get complete(): boolean {
    return this.#committed >= this.#expected
  }
}

export function balances({ missing, doubled, wrong, onTheWay }: Balance): boolean {
  return missing === 0 && doubled === 0 && wrong === 0 && onTheWay === 0
}
