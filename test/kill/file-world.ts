/**
 * A source and a sink of the tests' own, in files, for jobs without Kafka that die in earnest. A transaction is a file: it is
 * open in one folder, and ended by being renamed into another, which is one step that a death cannot halve. An id that is
 * initialised again loses what it has open, as with Kafka. The input is the numbers below a bound, dealt out to four splits by
 * their key, so that each key has an order.
 */
import { randomBytes } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { joint, MillraceError } from '../../src/base/index.ts'
import {
  type AttemptIds,
  type Sink,
  type SinkWriter,
  type SinkWriterContext,
  type Source,
  type SourceReader,
  type SourceReaderContext,
  type SplitOutput,
  subtaskIndex,
  type TransactionLedger,
  type TransactionState,
  type VersionedSerializer,
} from '../../src/core/index.ts'
import type { Copied } from './kill-functions.ts'

export const SPLITS = 4
export const FILE_KEYS = 100
const PREFIX = 'file'
/** Records in one poll: few, because the job's function may be slow. */
const POLL_MAX = 32
/** Lines that a writer holds back. */
const HELD_MAX = 20

interface FileSplit {
  readonly split: number
  readonly position: number
}

function jsonSerializer<T>(): VersionedSerializer<T> {
  return {
    version: 1,
    serialize: (value) => Buffer.from(JSON.stringify(value)),
    deserialize: (_version, bytes) => JSON.parse(Buffer.from(bytes).toString()),
  }
}

export class FileWorld {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
    for (const folder of ['open', 'committed', 'aborted', 'positions']) {
      mkdirSync(join(root, folder), { recursive: true })
    }
  }

  /** A new transaction of this id; what it had open is gone. */
  begin(id: string): string {
    joint('before-init-producer-id', { transactionalId: id })
    this.fence(id)
    const name = `${id}.${randomBytes(6).toString('hex')}`
    writeFileSync(this.#at('open', name), '', { flag: 'wx' })
    return name
  }

  /** Aborts what the id has open; answers how much that was. */
  fence(id: string): number {
    const open = this.open().filter((name) => name.startsWith(`${id}.`))
    for (const name of open) this.end(name, 'aborted')
    return open.length
  }

  write(name: string, lines: readonly string[]): void {
    if (!existsSync(this.#at('open', name))) throw new MillraceError('KAFKA_FENCED', `transaction ${name} is not open`)
    appendFileSync(this.#at('open', name), lines.map((line) => `${line}\n`).join(''))
  }

  end(name: string, as: 'committed' | 'aborted'): 'committed' | 'gone' {
    if (existsSync(this.#at('open', name))) renameSync(this.#at('open', name), this.#at(as, name))
    return existsSync(this.#at('committed', name)) ? 'committed' : 'gone'
  }

  stateOf(name: string): TransactionState {
    if (existsSync(this.#at('open', name))) return 'open'
    return existsSync(this.#at('committed', name)) ? 'committed' : 'gone'
  }

  open(): string[] {
    return readdirSync(join(this.#root, 'open'))
  }

  publish({ split, position }: FileSplit): void {
    writeFileSync(this.#at('positions', String(split)), String(position))
  }

  /** What everybody may read. */
  committed(): string[] {
    return readdirSync(join(this.#root, 'committed')).flatMap((name) =>
      readFileSync(this.#at('committed', name), 'utf8').split('\n').slice(0, -1),
    )
  }

  positions(): number[] {
    return Array.from({ length: SPLITS }, (_, split) =>
      Number(readFileSync(this.#at('positions', String(split)), 'utf8')),
    )
  }

  #at(folder: string, name: string): string {
    return join(this.#root, folder, name)
  }
}

export function fileSource(world: FileWorld, records: number): Source<Copied, FileSplit, null> {
  return {
    boundedness: 'bounded',
    splitSerializer: jsonSerializer<FileSplit>(),
    enumeratorStateSerializer: jsonSerializer<null>(),
    splitId: ({ split }) => String(split),
    createEnumerator: (context, restored) => ({
      start: async () => {
        const fresh = Array.from({ length: SPLITS }, (_, split) => ({ split, position: 0 }))
        for (const one of restored?.splits ?? fresh) {
          context.assignSplits(subtaskIndex(one.split % context.parallelism), [one])
        }
        context.signalNoMoreSplits()
      },
      snapshotState: () => null,
      close: async () => undefined,
    }),
    createReader: (context) => new FileReader(world, records, context),
    publishPositions: async (splits) => {
      for (const split of splits) world.publish(split)
    },
    describe: () => ({ kind: 'files', records }),
  }
}

class FileReader implements SourceReader<FileSplit> {
  readonly #world: FileWorld
  readonly #records: number
  readonly #context: SourceReaderContext<Copied>
  readonly #splits: { readonly output: SplitOutput<Copied>; readonly split: number; position: number }[] = []
  readonly #snapshots = new Map<number, readonly FileSplit[]>()
  #more = true

  constructor(world: FileWorld, records: number, context: SourceReaderContext<Copied>) {
    this.#world = world
    this.#records = records
    this.#context = context
  }

  addSplits(splits: readonly FileSplit[]): void {
    for (const { split, position } of splits) {
      this.#splits.push({ output: this.#context.output.forSplit(String(split)), split, position })
    }
  }

  noMoreSplits(): void {
    this.#more = false
  }

  poll(budget: number): 'more' | 'waiting' | 'ended' {
    let emitted = 0
    let left = false
    for (const one of this.#splits) {
      for (; emitted < Math.min(budget, POLL_MAX) && !one.output.blocked; emitted++) {
        const id = one.position * SPLITS + one.split
        if (id >= this.#records) break
        one.position++
        this.#context.time.timestamp = id
        one.output.emit({ key: Buffer.from(`k${id % FILE_KEYS}`), value: Buffer.from(`{"id":${id}}`) })
      }
      left ||= one.position * SPLITS + one.split < this.#records
    }
    if (left) return emitted > 0 ? 'more' : 'waiting'
    return this.#more ? 'waiting' : 'ended'
  }

  async available(): Promise<void> {
    await sleep(1)
  }

  snapshotState(checkpoint: number): readonly FileSplit[] {
    const splits = this.#splits.map(({ split, position }) => ({ split, position }))
    this.#snapshots.set(checkpoint, splits)
    return splits
  }

  async checkpointCompleted(checkpoint: number): Promise<void> {
    for (const split of this.#snapshots.get(checkpoint) ?? []) this.#world.publish(split)
    for (const older of this.#snapshots.keys()) if (older <= checkpoint) this.#snapshots.delete(older)
  }

  async close(): Promise<void> {}
}

interface FileCommittable {
  readonly name: string
  readonly barrier: number
  readonly count: number
}

export function fileSink(world: FileWorld): Sink<Copied, FileCommittable> {
  return {
    createWriter: (context) => new FileWriter(world, context),
    transactional: {
      committableSerializer: jsonSerializer<FileCommittable>(),
      ownershipKey: PREFIX,
      describeCommittable: ({ name, barrier, count }) => ({
        transactionalId: name.split('.')[0] ?? name,
        producer: name,
        barrier,
        beganAtMs: 0,
        records: { files: count },
      }),
      createLedger: () => fileLedger(world),
    },
    describe: () => ({ kind: 'files' }),
  }
}

/** A slot is free when a durable `committed` covers its last transaction; what is flushed is listed until it is ended. */
class FileWriter implements SinkWriter<Copied, FileCommittable> {
  readonly blocked = false
  readonly #world: FileWorld
  readonly #context: SinkWriterContext
  readonly #taken = new Map<number, FileCommittable | undefined>()
  #open: { readonly slot: number; readonly name: string; count: number } | undefined
  #held: string[] = []
  #flushed: FileCommittable[] = []

  constructor(world: FileWorld, context: SinkWriterContext) {
    this.#world = world
    this.#context = context
  }

  write({ value }: Copied): void {
    this.#open ??= this.#begin()
    this.#open.count++
    this.#held.push(String(value))
    if (this.#held.length >= HELD_MAX) this.#send(this.#open.name)
  }

  writable(): Promise<void> {
    return Promise.resolve()
  }

  async prepareCommit(checkpoint: number): Promise<readonly FileCommittable[]> {
    const open = this.#open
    if (open !== undefined) {
      this.#send(open.name)
      const flushed = { name: open.name, barrier: checkpoint, count: open.count }
      this.#flushed.push(flushed)
      this.#taken.set(open.slot, flushed)
      this.#open = undefined
    }
    const listed = [...this.#flushed]
    joint('flushed', { checkpoint, uid: this.#context.uid, subtask: this.#context.subtask })
    return listed
  }

  async commit(checkpoint: number): Promise<void> {
    for (const one of [...this.#flushed]) {
      if (one.barrier > checkpoint) break
      if (this.#world.end(one.name, 'committed') === 'gone') {
        throw new MillraceError('TRANSACTIONS_LOST', `${one.name} was aborted`)
      }
      this.#flushed.shift()
      joint('transaction-ended', { checkpoint, transactionalId: one.name })
    }
  }

  committed(checkpoint: number): void {
    for (const [slot, last] of this.#taken) {
      if (last !== undefined && last.barrier <= checkpoint) this.#taken.delete(slot)
    }
  }

  async close(options: { readonly abandon?: boolean } = {}): Promise<void> {
    if (this.#open !== undefined && options.abandon !== true) this.#world.end(this.#open.name, 'aborted')
    this.#open = undefined
  }

  #begin(): { readonly slot: number; readonly name: string; count: number } {
    const { attempt, subtask, settings } = this.#context
    let slot = 0
    while (this.#taken.has(slot)) slot++
    if (slot >= (settings?.poolBound ?? 0)) throw new Error('the pool of ids is used up')
    this.#taken.set(slot, undefined)
    return { slot, name: this.#world.begin(`${PREFIX}-${attempt}-${subtask}-${slot}`), count: 0 }
  }

  #send(name: string): void {
    this.#world.write(name, this.#held)
    this.#held = []
  }
}

function fileLedger(world: FileWorld): TransactionLedger<FileCommittable> {
  const idOf = (name: string): string => name.split('.')[0] ?? name
  return {
    plan: async ({ parallelism, poolBound }) => ({
      attempt: { clusterId: PREFIX, prefix: PREFIX, naming: 'POOLING', parallelism, poolBound },
      settings: { poolBound, transactionTimeoutMs: 3_600_000 },
    }),
    inspect: async (committables) => committables.map(({ name }) => world.stateOf(name)),
    commit: async ({ name }) => world.end(name, 'committed'),
    abort: async ({ name }) => void world.end(name, 'aborted'),
    settled: async () => undefined,
    fence: async (attempts) => fence(world, attempts),
    openTransactions: async (below) =>
      world
        .open()
        .map(idOf)
        .filter((id) => Number(id.split('-').at(-3)) < below)
        .map((transactionalId) => ({ transactionalId, state: 'Ongoing' })),
    abortById: async (id) => void world.fence(id),
    close: async () => undefined,
  }
}

function fence(world: FileWorld, attempts: readonly AttemptIds[]): number {
  let open = 0
  for (const { attempt, parallelism, poolBound } of attempts) {
    for (let subtask = 0; subtask < parallelism; subtask++) {
      for (let slot = 0; slot < poolBound; slot++) {
        joint('sweep', { transactionalId: `${PREFIX}-${attempt}-${subtask}-${slot}` })
        open += world.fence(`${PREFIX}-${attempt}-${subtask}-${slot}`)
      }
    }
  }
  return open
}
