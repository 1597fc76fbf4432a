/**
 * Which leader epoch began at which offset of a log. From it a client learns whether what it read is still there after the
 * leader changed (OffsetForLeaderEpoch, KIP-320). Entries stand in the order of their epochs and of their offsets.
 */
interface EpochStart {
  readonly epoch: number
  startOffset: number
}

export interface EpochEnd {
  /** -1 when nothing is known. */
  readonly epoch: number
  readonly endOffset: number
}

const UNKNOWN: EpochEnd = { epoch: -1, endOffset: -1 }

export class LeaderEpochs {
  readonly #starts: EpochStart[] = []

  /** From this offset on batches carry this epoch. */
  begin(epoch: number, startOffset: number): void {
    const last = this.#starts.at(-1)
    if (last !== undefined && last.epoch >= epoch) return
    // An epoch in which nothing was written leaves no trace.
    if (last !== undefined && last.startOffset === startOffset) this.#starts.pop()
    this.#starts.push({ epoch, startOffset })
  }

  /** The largest epoch up to the one asked for, and where the next one begins. */
  endOf(epoch: number, logEndOffset: number): EpochEnd {
    const last = this.#starts.at(-1)
    if (last === undefined || epoch < 0) return UNKNOWN
    if (epoch === last.epoch) return { epoch, endOffset: logEndOffset }
    const higher = this.#starts.findIndex((start) => start.epoch > epoch)
    if (higher < 0) return UNKNOWN
    const endOffset = this.#starts[higher]?.startOffset ?? -1
    return { epoch: higher === 0 ? epoch : (this.#starts[higher - 1]?.epoch ?? -1), endOffset }
  }

  /** The epoch in which the record at this offset was written; -1 when that is not known. */
  at(offset: number): number {
    return this.#starts.findLast((start) => start.startOffset <= offset)?.epoch ?? -1
  }

  /** Epochs that lie wholly before the log's beginning are forgotten. */
  trim(logStartOffset: number): void {
    while (this.#starts.length > 1 && (this.#starts[1]?.startOffset ?? 0) <= logStartOffset) this.#starts.shift()
    const [first] = this.#starts
    if (first !== undefined && first.startOffset < logStartOffset) first.startOffset = logStartOffset
  }
}
