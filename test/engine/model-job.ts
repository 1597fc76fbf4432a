/** The job of the model world: a source of its splits, and a sink that writes in its transactions. */
import { joint, MillraceError } from '../../src/base/index.ts'
import type {
  AttemptIds,
  ElementTime,
  GraphEdge,
  JobGraph,
  Sink,
  SinkWriter,
  SinkWriterContext,
  Source,
  SourceReader,
  SplitOutput,
  TransactionalSide,
  TransactionLedger,
  VersionedSerializer,
} from '../../src/core/index.ts'
import { type SubtaskIndex, subtaskIndex } from '../../src/core/index.ts'
import type { Incarnation } from './model-world.ts'

const PREFIX = 'model'
/** A flush that stalls does so for this long, unless the writer is closed. */
const STALL_MS = 40

export interface ModelSplit {
  readonly partition: number
  readonly position: number
}

const splitSerializer: VersionedSerializer<ModelSplit> = jsonSerializer()

function jsonSerializer<T>(): VersionedSerializer<T> {
  return {
    version: 1,
    serialize: (value) => Buffer.from(JSON.stringify(value)),
    deserialize: (_version, bytes) => JSON.parse(Buffer.from(bytes).toString()),
  }
}

/** Record n of partition p is the number p * 1,000,000 + n. `paceRecords` bounds what one poll emits. */
export function modelSource(life: Incarnation, paceRecords: number): Source<unknown, unknown, unknown> {
  const { world } = life
  const source: Source<number, ModelSplit, null> = {
    boundedness: 'bounded',
    splitSerializer,
    enumeratorStateSerializer: jsonSerializer<null>(),
    splitId: (split) => String(split.partition),
    createEnumerator: (context, restored) => ({
      start: async () => {
        const splits =
          restored?.splits ?? Array.from({ length: world.splits }, (_, partition) => ({ partition, position: 0 }))
        for (const split of splits) {
          context.assignSplits(subtaskIndex(split.partition % context.parallelism), [split])
        }
        context.signalNoMoreSplits()
      },
      snapshotState: () => null,
      close: async () => undefined,
    }),
    createReader: (context) => new ModelReader(life, context.output, context.time, paceRecords),
    publishPositions: async (splits) => {
      for (const split of splits) world.published.set(split.partition, split.position)
    },
    describe: () => ({ kind: 'model' }),
  }
  return source as unknown as Source<unknown, unknown, unknown>
}

class ModelReader implements SourceReader<ModelSplit> {
  readonly #life: Incarnation
  readonly #time: ElementTime
  readonly #pace: number
  readonly #outputOf: (split: string) => SplitOutput<number>
  readonly #splits: { partition: number; position: number }[] = []
  readonly #snapshots = new Map<number, ModelSplit[]>()
  #more = true

  constructor(
    life: Incarnation,
    output: { forSplit(split: string): SplitOutput<number> },
    time: ElementTime,
    pace: number,
  ) {
    this.#life = life
    this.#time = time
    this.#pace = pace
    this.#outputOf = (split) => output.forSplit(split)
  }

  addSplits(splits: readonly ModelSplit[]): void {
    for (const split of splits) this.#splits.push({ ...split })
  }

  noMoreSplits(): void {
    this.#more = false
  }

  poll(): 'more' | 'waiting' | 'ended' {
    const { recordsPerSplit } = this.#life.world
    let emitted = 0
    for (const split of this.#splits) {
      const output = this.#outputOf(String(split.partition))
      while (split.position < recordsPerSplit && emitted < this.#pace && !this.#life.dead) {
        this.#time.timestamp = split.position
        const value = split.partition * 1_000_000 + split.position
        this.#life.onElement(value)
        split.position++
        emitted++
        output.emit(value)
      }
    }
    if (emitted > 0) return 'waiting'
    return this.#more || this.#splits.some((split) => split.position < recordsPerSplit) ? 'waiting' : 'ended'
  }

  available(): Promise<void> {
    return this.#life.call(() => undefined)
  }

  snapshotState(checkpoint: number): readonly ModelSplit[] {
    const splits = this.#splits.map((split) => ({ ...split }))
    this.#snapshots.set(checkpoint, splits)
    return splits
  }

  checkpointCompleted(checkpoint: number): Promise<void> {
    return this.#life.call(() => {
      for (const split of this.#snapshots.get(checkpoint) ?? []) {
        this.#life.world.published.set(split.partition, split.position)
      }
    })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

export interface ModelCommittable {
  readonly id: string
  readonly epoch: number
  readonly barrier: number
  readonly count: number
}

export function modelSink(life: Incarnation): Sink<unknown, unknown> {
  const transactional: TransactionalSide<ModelCommittable> = {
    committableSerializer: jsonSerializer<ModelCommittable>(),
    ownershipKey: PREFIX,
    describeCommittable: (one) => ({
      transactionalId: one.id,
      producer: `${one.id}/${one.epoch}`,
      barrier: one.barrier,
      beganAtMs: 0,
      records: { out: one.count },
    }),
    createLedger: () => modelLedger(life),
  }
  const sink: Sink<number, ModelCommittable> = {
    createWriter: (context) => new ModelWriter(life, context),
    transactional,
    describe: () => ({ kind: 'model' }),
  }
  return sink as unknown as Sink<unknown, unknown>
}

/** Slots are taken and freed exactly as rule 3 says, and flushes are acknowledged in order (rule 1). */
class ModelWriter implements SinkWriter<number, ModelCommittable> {
  readonly blocked = false
  readonly #life: Incarnation
  readonly #context: SinkWriterContext
  readonly #slots = new Map<number, number | 'flushed'>()
  readonly #closed = new AbortController()
  #pending: number[] = []
  /** Of the transaction that is being written: it is taken with its first record. */
  #slot: number | undefined
  #flushed: (ModelCommittable & { slot: number; ended: boolean })[] = []
  #flushes: Promise<void> = Promise.resolve()
  readonly #listed = new Map<number, readonly (ModelCommittable & { slot: number; ended: boolean })[]>()

  constructor(life: Incarnation, context: SinkWriterContext) {
    this.#life = life
    this.#context = context
  }

  write(value: number): void {
    this.#slot ??= this.#takeSlot()
    this.#pending.push(value)
  }

  writable(): Promise<void> {
    return Promise.resolve()
  }

  async prepareCommit(checkpoint: number): Promise<readonly ModelCommittable[]> {
    const [records, slot] = [this.#pending, this.#slot]
    this.#pending = []
    this.#slot = undefined
    this.#flushes = this.#flushes.then(() => this.#flush(checkpoint, records, slot))
    await this.#flushes
    const listed = this.#flushed.filter((one) => !one.ended && one.barrier <= checkpoint)
    this.#listed.set(checkpoint, listed)
    return listed.map(({ id, epoch, barrier, count }) => ({ id, epoch, barrier, count }))
  }

  async #flush(checkpoint: number, records: readonly number[], slot: number | undefined): Promise<void> {
    if (this.#life.flushStalls(checkpoint)) await this.#life.ports.clock.sleep(STALL_MS, this.#closed.signal)
    if (slot === undefined) return
    const id = `${PREFIX}-${this.#context.attempt}-${this.#context.subtask}-${slot}`
    const epoch = await this.#life.call(() => this.#life.world.initialise(id))
    await this.#life.call(() => this.#life.world.write(id, epoch, records))
    this.#flushed.push({ id, epoch, barrier: checkpoint, count: records.length, slot, ended: false })
  }

  async commit(checkpoint: number): Promise<void> {
    for (const one of this.#listed.get(checkpoint) ?? []) {
      if (one.ended) continue
      const outcome = await this.#life.call(() => this.#life.world.end(one.id, one.epoch, true))
      if (outcome === 'gone') throw new MillraceError('TRANSACTIONS_LOST', `${one.id} was aborted`)
      one.ended = true
      this.#slots.set(one.slot, checkpoint)
      joint('transaction-ended', { checkpoint, transactionalId: one.id })
    }
  }

  committed(checkpoint: number): void {
    for (const [slot, used] of this.#slots) if (typeof used === 'number' && used <= checkpoint) this.#slots.delete(slot)
    this.#flushed = this.#flushed.filter((one) => !one.ended || one.barrier > checkpoint)
  }

  async close(): Promise<void> {
    this.#closed.abort(new Error('the writer was closed'))
  }

  #takeSlot(): number {
    for (let slot = 0; slot < (this.#context.settings?.poolBound ?? 0); slot++) {
      if (this.#slots.has(slot)) continue
      this.#slots.set(slot, 'flushed')
      return slot
    }
    throw new Error('the pool of ids is used up')
  }
}

function modelLedger(life: Incarnation): TransactionLedger<ModelCommittable> {
  const { world } = life
  return {
    plan: (plan) =>
      life.call(() => ({
        attempt: {
          clusterId: 'model',
          prefix: PREFIX,
          naming: 'POOLING' as const,
          parallelism: plan.parallelism,
          poolBound: plan.poolBound,
        },
        settings: { poolBound: plan.poolBound, transactionTimeoutMs: 50 },
      })),
    inspect: (committables) => life.call(() => committables.map((one) => world.stateOf(one.id, one.epoch))),
    commit: (one) => life.call(() => world.end(one.id, one.epoch, true)),
    abort: (one) =>
      life.call(() => {
        world.end(one.id, one.epoch, false)
      }),
    settled: () => life.call(() => undefined),
    fence: (attempts) => fence(life, attempts),
    openTransactions: (below) =>
      life.call(() =>
        world
          .openIds()
          .filter((id) => Number(id.split('-').at(-3)) < below)
          .map((transactionalId) => ({ transactionalId, state: 'Ongoing' })),
      ),
    abortById: (id) =>
      life.call(() => {
        world.initialise(id)
      }),
    close: async () => undefined,
  }
}

async function fence(life: Incarnation, attempts: readonly AttemptIds[]): Promise<number> {
  const before = life.world.openIds().length
  for (const { attempt, parallelism, poolBound } of attempts) {
    for (let subtask: SubtaskIndex = subtaskIndex(0); subtask < parallelism; subtask = subtaskIndex(subtask + 1)) {
      for (let slot = 0; slot < poolBound; slot++) {
        await life.call(() => life.world.initialise(`${PREFIX}-${attempt}-${subtask}-${slot}`))
      }
    }
  }
  return before - life.world.openIds().length
}

/** `sinks`: so many subtasks write, behind an edge that sends each split to one of them; absent: one task reads and writes. */
export function modelGraph(life: Incarnation, parallelism: number, paceRecords: number, sinks?: number): JobGraph {
  const common = { parallelism, maxParallelism: 128, chaining: 'always' as const }
  const edge: GraphEdge =
    sinks === undefined
      ? { from: 0, partitioning: 'forward' }
      : { from: 0, partitioning: 'keyed', keyOf: (value) => Math.floor(Number(value) / 1_000_000) }
  return {
    jobName: 'model',
    nodes: [
      {
        ...common,
        id: 0,
        kind: 'source',
        name: 'numbers',
        uid: 'numbers',
        inputs: [],
        source: modelSource(life, paceRecords),
        watermarks: {
          createGenerator: undefined,
          timestampAssigner: undefined,
          idleTimeoutMs: undefined,
          alignment: undefined,
        },
      },
      {
        ...common,
        parallelism: sinks ?? parallelism,
        id: 1,
        kind: 'sink',
        name: 'out',
        uid: 'out',
        inputs: [edge],
        sink: modelSink(life),
      },
    ],
  }
}
