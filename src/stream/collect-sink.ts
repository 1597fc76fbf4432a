/**
 * The sink of executeAndCollect. Without periodic checkpoints elements are handed over at once, and a restart after that is
 * refused, because they would come twice. With them, elements written before a barrier wait for their checkpoint, in memory, as a transaction
 * waits on a broker: the same contract, the same recovery, and so each element exactly once across restarts of the job in
 * this process. What was handed over is gone with the process; a restored committable of another process counts as ended.
 */

import { MillraceError } from '../base/index.ts'
import type {
  CheckpointId,
  CommittableDescription,
  Sink,
  SinkAttempt,
  SinkWriter,
  SinkWriterContext,
  TransactionalSide,
  TransactionLedger,
  VersionedSerializer,
} from '../core/index.ts'
import type { CollectBuffer } from './collect-buffer.ts'

/** Names the elements that one subtask of one attempt wrote before one barrier. */
export interface CollectCommittable {
  readonly id: string
  readonly attempt: number
  readonly barrier: number
  readonly beganAtMs: number
  readonly count: number
}

export class CollectSink<T> implements Sink<T, CollectCommittable> {
  readonly transactional?: TransactionalSide<CollectCommittable>
  readonly #buffer: CollectBuffer<T>
  #attempt: number | undefined
  readonly #flushed = new Map<string, { readonly attempt: number; readonly elements: readonly T[] }>()

  /** `whenComplete`: elements wait for their checkpoint. */
  constructor(buffer: CollectBuffer<T>, whenComplete: boolean) {
    this.#buffer = buffer
    if (whenComplete) this.transactional = this.#transactionalSide()
  }

  createWriter(context: SinkWriterContext): SinkWriter<T, CollectCommittable> {
    if (this.transactional === undefined) {
      return new CollectAtOnce(this.#buffer, () => this.#refuseRepeats(context))
    }
    return new CollectWhenComplete<T>({
      context,
      buffer: this.#buffer,
      flush: (committable, elements) => this.#flushed.set(committable.id, { attempt: committable.attempt, elements }),
      release: (committable) => this.#release(committable),
    })
  }

  describe(): Readonly<Record<string, unknown>> {
    return { kind: 'collect' }
  }

  #refuseRepeats(context: SinkWriterContext): void {
    this.#attempt ??= context.attempt
    if (context.attempt === this.#attempt || !this.#buffer.used) return
    throw new MillraceError(
      'NOT_SUPPORTED',
      `executeAndCollect (uid ${context.uid}) cannot go on after a restart: its results were handed over already and would ` +
        'come twice; call env.enableCheckpointing, with which they come exactly once',
    )
  }

  /** Idempotent: a batch that was handed over is no longer there. */
  #release(committable: CollectCommittable): void {
    const batch = this.#flushed.get(committable.id)
    if (batch === undefined) return
    this.#flushed.delete(committable.id)
    this.#buffer.addAll(batch.elements)
  }

  #transactionalSide(): TransactionalSide<CollectCommittable> {
    return {
      committableSerializer,
      ownershipKey: 'collect',
      describeCommittable,
      createLedger: () => this.#ledger(),
    }
  }

  #ledger(): TransactionLedger<CollectCommittable> {
    return {
      plan: async (plan) => {
        const attempt: SinkAttempt = {
          clusterId: 'memory',
          prefix: 'collect',
          naming: 'INCREMENTING',
          parallelism: plan.parallelism,
          poolBound: plan.poolBound,
        }
        const transactionTimeoutMs = Math.max(3_600_000, plan.longestOpenMs)
        return { attempt, settings: { poolBound: plan.poolBound, transactionTimeoutMs } }
      },
      inspect: async (committables) => committables.map(({ id }) => (this.#flushed.has(id) ? 'open' : 'committed')),
      commit: async (committable) => {
        this.#release(committable)
        return 'committed'
      },
      abort: async (committable) => {
        this.#flushed.delete(committable.id)
      },
      settled: async () => undefined,
      fence: async (attempts) => {
        const fenced = new Set<number>(attempts.map(({ attempt }) => attempt))
        const left = [...this.#flushed].filter(([, batch]) => fenced.has(batch.attempt))
        for (const [id] of left) this.#flushed.delete(id)
        return left.length
      },
      openTransactions: async () => undefined,
      abortById: async (transactionalId) => {
        this.#flushed.delete(transactionalId)
      },
      close: async () => undefined,
    }
  }
}

class CollectAtOnce<T> implements SinkWriter<T, never> {
  readonly #buffer: CollectBuffer<T>
  readonly #check: () => void

  constructor(buffer: CollectBuffer<T>, check: () => void) {
    this.#buffer = buffer
    this.#check = check
  }

  async open(): Promise<void> {
    this.#check()
  }

  get blocked(): boolean {
    return this.#buffer.full
  }

  write(element: T): void {
    this.#buffer.add(element)
  }

  writable(): Promise<void> {
    return this.#buffer.room()
  }

  async prepareCommit(): Promise<readonly never[]> {
    return []
  }

  async close(): Promise<void> {}
}

interface CollectWriterOptions<T> {
  readonly context: SinkWriterContext
  readonly buffer: CollectBuffer<T>
  flush(committable: CollectCommittable, elements: readonly T[]): void
  release(committable: CollectCommittable): void
}

class CollectWhenComplete<T> implements SinkWriter<T, CollectCommittable> {
  readonly #options: CollectWriterOptions<T>
  #written: T[] = []
  #beganAtMs = 0
  /** Flushed and not yet released, oldest first (rule 2). */
  #waiting: CollectCommittable[] = []

  constructor(options: CollectWriterOptions<T>) {
    this.#options = options
  }

  /** Only what can be read already counts: elements that wait for a checkpoint must not hold that checkpoint up. */
  get blocked(): boolean {
    return this.#options.buffer.full
  }

  write(element: T): void {
    if (this.#written.length === 0) this.#beganAtMs = this.#options.context.clock.now()
    this.#written.push(element)
  }

  writable(): Promise<void> {
    return this.#options.buffer.room()
  }

  async prepareCommit(checkpoint: CheckpointId): Promise<readonly CollectCommittable[]> {
    if (this.#written.length > 0) {
      const { attempt, subtask } = this.#options.context
      const committable: CollectCommittable = {
        id: `collect-${attempt}-${subtask}-${checkpoint}`,
        attempt,
        barrier: checkpoint,
        beganAtMs: this.#beganAtMs,
        count: this.#written.length,
      }
      this.#options.flush(committable, this.#written)
      this.#written = []
      this.#waiting.push(committable)
    }
    return [...this.#waiting]
  }

  async commit(checkpoint: CheckpointId): Promise<void> {
    const due = this.#waiting.filter(({ barrier }) => barrier <= checkpoint)
    this.#waiting = this.#waiting.filter(({ barrier }) => barrier > checkpoint)
    for (const committable of due) this.#options.release(committable)
  }

  async close(): Promise<void> {
    this.#written = []
  }
}

/** VERSION_1: the committable as JSON. It is never read by another process to any effect. */
const committableSerializer: VersionedSerializer<CollectCommittable> = {
  version: 1,
  serialize: (committable) => Buffer.from(JSON.stringify(committable)),
  deserialize: (version, bytes) => {
    if (version !== 1) {
      throw new MillraceError('STATE_INCOMPATIBLE', `version ${version} of collected results is not known here`)
    }
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as CollectCommittable
  },
}

function describeCommittable(committable: CollectCommittable): CommittableDescription {
  return {
    transactionalId: committable.id,
    producer: 'memory',
    barrier: committable.barrier,
    beganAtMs: committable.beganAtMs,
    records: { collected: committable.count },
  }
}
