/**
 * The source behind fromData and fromGenerator: element i is a function of i. The numbers are dealt out to as many splits as
 * there are subtasks at the first start: split k of n holds k, k+n, k+2n ... A split knows how many of its numbers were
 * emitted, so a restored job goes on with exactly the next one, whatever its parallelism is then.
 */
import { MillraceError, type Timer } from '../base/index.ts'
import {
  NO_TIMESTAMP,
  type PollStatus,
  type Source,
  type SourceReader,
  type SourceReaderContext,
  type SplitEnumerator,
  type SplitEnumeratorContext,
  type SplitOutput,
  subtaskIndex,
  type VersionedSerializer,
} from '../core/index.ts'
import { isThenable, userFunctionAsync, userFunctionFailed } from '../operators/index.ts'

export interface SequenceSplit {
  readonly index: number
  /** How many splits share the numbers. */
  readonly splits: number
  /** How many of this split's numbers were emitted. */
  readonly emitted: number
}

/** Nothing to remember: splits that are not finished come back with the readers' snapshots. */
export type SequenceEnumeratorState = 'assigned'

export interface SequenceOptions<T> {
  readonly kind: string
  /** How many elements there are; undefined: without end. */
  readonly count: number | undefined
  /** Over all subtasks; undefined: as fast as they are taken. */
  readonly elementsPerSecond: number | undefined
  generate(index: number): T
}

export class SequenceSource<T> implements Source<T, SequenceSplit, SequenceEnumeratorState> {
  readonly boundedness: 'bounded' | 'continuous'
  readonly splitSerializer: VersionedSerializer<SequenceSplit> = splitSerializer
  readonly enumeratorStateSerializer: VersionedSerializer<SequenceEnumeratorState> = enumeratorStateSerializer
  readonly #options: SequenceOptions<T>

  constructor(options: SequenceOptions<T>) {
    this.#options = options
    this.boundedness = options.count === undefined ? 'continuous' : 'bounded'
  }

  splitId(split: SequenceSplit): string {
    return `sequence-${split.index}-of-${split.splits}`
  }

  createEnumerator(
    context: SplitEnumeratorContext<SequenceSplit>,
    restored?: { readonly state: SequenceEnumeratorState; readonly splits: readonly SequenceSplit[] },
  ): SplitEnumerator<SequenceEnumeratorState> {
    return {
      start: async () => {
        const { parallelism } = context
        const splits = restored?.splits ?? firstSplits(parallelism)
        for (let subtask = 0; subtask < parallelism; subtask++) {
          const own = splits.filter((_, position) => position % parallelism === subtask)
          if (own.length > 0) context.assignSplits(subtaskIndex(subtask), own)
        }
        context.signalNoMoreSplits()
      },
      snapshotState: () => 'assigned',
      close: async () => undefined,
    }
  }

  createReader(context: SourceReaderContext<T>): SourceReader<SequenceSplit> {
    return new SequenceReader(this.#options, context, (split) => this.splitId(split))
  }

  describe(): Readonly<Record<string, unknown>> {
    const { kind, count, elementsPerSecond } = this.#options
    return { kind, count, elementsPerSecond }
  }
}

function firstSplits(parallelism: number): SequenceSplit[] {
  return Array.from({ length: parallelism }, (_, index) => ({ index, splits: parallelism, emitted: 0 }))
}

interface OpenSplit<T> {
  readonly split: SequenceSplit
  readonly output: SplitOutput<T>
  emitted: number
}

class SequenceReader<T> implements SourceReader<SequenceSplit> {
  readonly #options: SequenceOptions<T>
  readonly #context: SourceReaderContext<T>
  readonly #splitId: (split: SequenceSplit) => string
  readonly #count: number
  readonly #pace: Pace | undefined
  #open: OpenSplit<T>[] = []
  #next = 0
  #noMoreSplits = false
  #wake: (() => void) | undefined
  #timer: Timer | undefined

  constructor(options: SequenceOptions<T>, context: SourceReaderContext<T>, splitId: (split: SequenceSplit) => string) {
    this.#options = options
    this.#context = context
    this.#splitId = splitId
    this.#count = options.count ?? Number.MAX_SAFE_INTEGER
    const { elementsPerSecond } = options
    if (elementsPerSecond !== undefined) {
      this.#pace = new Pace(elementsPerSecond / context.parallelism, () => context.clock.monotonic())
    }
  }

  addSplits(splits: readonly SequenceSplit[]): void {
    for (const split of splits) {
      this.#open.push({ split, output: this.#context.output.forSplit(this.#splitId(split)), emitted: split.emitted })
    }
    this.#wake?.()
  }

  noMoreSplits(): void {
    this.#noMoreSplits = true
    this.#wake?.()
  }

  poll(budget: number): PollStatus {
    let left = Math.min(budget, this.#pace?.allowed() ?? budget)
    while (this.#open.length > 0) {
      if (this.#next >= this.#open.length) this.#next = 0
      const at = this.#open[this.#next] as OpenSplit<T>
      const index = at.split.index + at.emitted * at.split.splits
      if (index >= this.#count) {
        this.#open.splice(this.#next, 1)
        this.#context.output.releaseSplit(this.#splitId(at.split))
        continue
      }
      if (left <= 0) return this.#pace === undefined || this.#pace.allowed() > 0 ? 'more' : 'waiting'
      if (at.output.blocked) return 'more'
      this.#emit(at, index)
      left--
      this.#next++
    }
    return this.#noMoreSplits ? 'ended' : 'waiting'
  }

  /** The position advances before the element goes out: whoever fails in between fails the task, and nothing is snapshot. */
  #emit(at: OpenSplit<T>, index: number): void {
    at.emitted++
    this.#pace?.took()
    this.#context.time.timestamp = NO_TIMESTAMP
    at.output.emit(this.#generate(index))
  }

  #generate(index: number): T {
    let value: T
    try {
      value = this.#options.generate(index)
    } catch (error) {
      throw userFunctionFailed(this.#context, 'the generator', error)
    }
    if (isThenable(value)) throw userFunctionAsync(this.#context, 'the generator', value)
    return value
  }

  available(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wake = undefined
        this.#timer?.cancel()
        resolve()
      }
      this.#wake = wake
      if (this.#open.length > 0) {
        this.#timer = this.#context.clock.setTimer(this.#pace?.delayMs() ?? 0, wake)
      } else if (this.#noMoreSplits) wake()
    })
  }

  snapshotState(): readonly SequenceSplit[] {
    return this.#open.map(({ split, emitted }) => ({ ...split, emitted }))
  }

  async close(): Promise<void> {
    this.#wake?.()
  }
}

/** An even pace by the clock; what was missed while nobody took elements is made up for, at most one second of it. */
class Pace {
  readonly #perMs: number
  readonly #nowMs: () => number
  #fromMs: number
  #taken = 0

  constructor(perSecond: number, nowMs: () => number) {
    this.#perMs = perSecond / 1_000
    this.#nowMs = nowMs
    this.#fromMs = nowMs()
  }

  allowed(): number {
    const nowMs = this.#nowMs()
    const due = Math.floor((nowMs - this.#fromMs) * this.#perMs) + 1
    const burst = Math.max(1, Math.ceil(this.#perMs * 1_000))
    if (due - this.#taken > burst) {
      this.#fromMs = nowMs - (burst - 1) / this.#perMs
      this.#taken = 0
      return burst
    }
    return due - this.#taken
  }

  took(): void {
    this.#taken++
  }

  /** Until the next element is due. */
  delayMs(): number {
    return Math.max(0, Math.ceil(this.#fromMs + this.#taken / this.#perMs - this.#nowMs()))
  }
}

/** VERSION_1: three 64-bit floats: index, splits, emitted. */
const splitSerializer: VersionedSerializer<SequenceSplit> = {
  version: 1,
  serialize: ({ index, splits, emitted }) => {
    const bytes = Buffer.alloc(24)
    bytes.writeDoubleBE(index, 0)
    bytes.writeDoubleBE(splits, 8)
    bytes.writeDoubleBE(emitted, 16)
    return bytes
  },
  deserialize: (version, bytes) => {
    if (version !== 1 || bytes.length !== 24) throw incompatible('a sequence split', version)
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return { index: buffer.readDoubleBE(0), splits: buffer.readDoubleBE(8), emitted: buffer.readDoubleBE(16) }
  },
}

/** VERSION_1: no bytes. */
const enumeratorStateSerializer: VersionedSerializer<SequenceEnumeratorState> = {
  version: 1,
  serialize: () => new Uint8Array(0),
  deserialize: (version) => {
    if (version !== 1) throw incompatible('the state of a sequence', version)
    return 'assigned'
  },
}

function incompatible(what: string, version: number): MillraceError {
  return new MillraceError('STATE_INCOMPATIBLE', `${what} was stored in a form (version ${version}) not known here`)
}
