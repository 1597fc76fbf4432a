/**
 * A transactional sink without Kafka: a transaction is a file of lines, open until a rename ends it. It works from every
 * thread and process, so what a job wrote can be read whatever became of its threads.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { joint, MillraceError } from '../../src/base/index.ts'
import type { Sink, SinkWriter, SinkWriterContext, TransactionLedger } from '../../src/core/index.ts'

export interface FileCommittable {
  readonly id: string
  readonly barrier: number
  readonly count: number
}

/** Everything that was committed, transaction by transaction, each in the order in which it was written. */
export function committedLines(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.done'))
    .sort((left, right) => numbersOf(left).findLast((_, at) => at >= 0) ?? (left < right ? -1 : 1))
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n').filter(Boolean))
}

export function fileSink(directory: string, prefix = 'file'): Sink<string, FileCommittable> {
  mkdirSync(directory, { recursive: true })
  return {
    createWriter: (context) => new FileWriter(directory, prefix, context),
    transactional: {
      committableSerializer: {
        version: 1,
        serialize: (value) => Buffer.from(JSON.stringify(value)),
        deserialize: (_version, bytes) => JSON.parse(Buffer.from(bytes).toString()),
      },
      ownershipKey: prefix,
      describeCommittable: (one) => ({
        transactionalId: one.id,
        producer: one.id,
        barrier: one.barrier,
        beganAtMs: 0,
        records: { out: one.count },
      }),
      createLedger: () => ledgerOf(directory, prefix),
    },
    describe: () => ({ kind: 'file', directory }),
  }
}

function numbersOf(name: string): number[] {
  return name.match(/\d+/g)?.map(Number) ?? []
}

class FileWriter implements SinkWriter<string, FileCommittable> {
  readonly blocked = false
  readonly #directory: string
  readonly #prefix: string
  readonly #context: SinkWriterContext
  #lines: string[] = []
  #flushed: FileCommittable[] = []
  readonly #listed = new Map<number, readonly FileCommittable[]>()

  constructor(directory: string, prefix: string, context: SinkWriterContext) {
    this.#directory = directory
    this.#prefix = prefix
    this.#context = context
  }

  write(line: string): void {
    this.#lines.push(line)
  }

  async writable(): Promise<void> {}

  async prepareCommit(checkpoint: number): Promise<readonly FileCommittable[]> {
    const lines = this.#lines
    this.#lines = []
    if (lines.length > 0) {
      const { attempt, subtask } = this.#context
      const id = `${this.#prefix}-${attempt}-${subtask}-${checkpoint}`
      writeFileSync(join(this.#directory, `${id}.open`), `${lines.join('\n')}\n`)
      this.#flushed.push({ id, barrier: checkpoint, count: lines.length })
    }
    joint('flushed', { checkpoint })
    const listed = this.#flushed.filter((one) => one.barrier <= checkpoint)
    this.#listed.set(checkpoint, listed)
    return listed
  }

  async commit(checkpoint: number): Promise<void> {
    for (const one of this.#listed.get(checkpoint) ?? []) {
      if (end(this.#directory, one.id) === 'gone') throw new MillraceError('TRANSACTIONS_LOST', `${one.id} is gone`)
      joint('transaction-ended', { checkpoint, transactionalId: one.id })
    }
  }

  committed(checkpoint: number): void {
    this.#flushed = this.#flushed.filter((one) => one.barrier > checkpoint)
  }

  async close(): Promise<void> {}
}

function end(directory: string, id: string): 'committed' | 'gone' {
  const [open, done] = [join(directory, `${id}.open`), join(directory, `${id}.done`)]
  if (existsSync(done)) return 'committed'
  if (!existsSync(open)) return 'gone'
  renameSync(open, done)
  return 'committed'
}

function ledgerOf(directory: string, prefix: string): TransactionLedger<FileCommittable> {
  const openIds = (): string[] =>
    readdirSync(directory)
      .filter((name) => name.endsWith('.open'))
      .map((name) => name.slice(0, -'.open'.length))
  const abort = async (id: string): Promise<void> => rmSync(join(directory, `${id}.open`), { force: true })
  return {
    plan: async ({ parallelism, poolBound }) => ({
      attempt: { clusterId: 'files', prefix, naming: 'INCREMENTING', parallelism, poolBound },
      settings: { poolBound, transactionTimeoutMs: 60_000 },
    }),
    inspect: async (committables) =>
      committables.map(({ id }) => {
        if (existsSync(join(directory, `${id}.done`))) return 'committed'
        return existsSync(join(directory, `${id}.open`)) ? 'open' : 'gone'
      }),
    commit: async ({ id }) => end(directory, id),
    abort: ({ id }) => abort(id),
    settled: async () => undefined,
    fence: async (attempts) => {
      const earlier = new Set(attempts.map(({ attempt }) => Number(attempt)))
      const left = openIds().filter((id) => earlier.has(numbersOf(id)[0] ?? -1))
      for (const id of left) await abort(id)
      return left.length
    },
    openTransactions: async (below) =>
      openIds()
        .filter((id) => (numbersOf(id)[0] ?? 0) < below)
        .map((transactionalId) => ({ transactionalId, state: 'Ongoing' })),
    abortById: abort,
    close: async () => undefined,
  }
}
