/** Bugs around the sink's two sides: the writer that lives with a task, and the ledger that recovery asks. */
import { MillraceError } from '../../src/base/index.ts'
import type { RuntimePorts, Sink, SinkWriter, SinkWriterContext, TransactionLedger } from '../../src/core/index.ts'
import type { KafkaCommittable } from '../../src/sink/committer/kafka-committable.ts'
import type { KafkaSink } from '../../src/sink/index.ts'
import type { Element } from './copy-job.ts'
import type { PlantedBug } from './planted-bugs.ts'

type Writer = SinkWriter<Element, KafkaCommittable>
type Ledger = TransactionLedger<KafkaCommittable>

interface SinkChanges {
  readonly writer?: (writer: Writer, context: SinkWriterContext) => Partial<Writer>
  readonly ledger?: (ledger: Ledger, ports: RuntimePorts) => Partial<Ledger>
}

export function changed(sink: KafkaSink<Element>, changes: SinkChanges): Sink<Element, KafkaCommittable> {
  const side = sink.transactional
  if (side === undefined) throw new Error('the sink writes in no transactions')
  return {
    describe: () => sink.describe(),
    createWriter: (context) => {
      const writer = sink.createWriter(context)
      return withChanges(writer, changes.writer?.(writer, context) ?? {})
    },
    transactional: {
      ...side,
      createLedger: (ports) => {
        const ledger = side.createLedger(ports)
        return withChanges(ledger, changes.ledger?.(ledger, ports) ?? {})
      },
    },
  }
}

/** The object with some of its methods replaced; the others are its own. */
export function withChanges<T extends object>(object: T, changes: Partial<T>): T {
  return new Proxy(object, {
    get: (target, name) => {
      const change = changes[name as keyof T]
      if (change !== undefined) return change
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function writerBug(name: string, rule: number, change: NonNullable<SinkChanges['writer']>): PlantedBug {
  return { name, rule, how: 'around the writer', sink: (sink) => changed(sink, { writer: change }) }
}

function ledgerBug(name: string, rule: number, change: NonNullable<SinkChanges['ledger']>): PlantedBug {
  return { name, rule, how: 'around the ledger', sink: (sink) => changed(sink, { ledger: change }) }
}

/** How long what is closed goes on all the same. */
const LINGER_MS = 80

export const SINK_BUGS: readonly PlantedBug[] = [
  writerBug('commits-before-completed', 5, (writer) => ({
    prepareCommit: async (checkpoint, final) => {
      const listed = await writer.prepareCommit(checkpoint, final)
      await writer.commit?.(checkpoint)
      return listed
    },
  })),
  writerBug('reuses-ids-early', 3, (writer) => ({
    commit: async (checkpoint) => {
      await writer.commit?.(checkpoint)
      writer.committed?.(checkpoint)
    },
  })),
  writerBug('forgets-failed-barriers', 2, (writer) => ({
    prepareCommit: async (checkpoint, final) => {
      const listed = await writer.prepareCommit(checkpoint, final)
      return listed.filter(({ barrier }) => barrier === checkpoint)
    },
  })),
  writerBug('tells-committed-before-it-is', 6, (writer) => ({
    commit: async (checkpoint) => {
      writer.commit?.(checkpoint)?.catch(() => undefined)
    },
  })),
  writerBug('restarts-beside-the-old-tasks', 7, (writer, { clock }) => ({
    close: async (options) => {
      void clock.sleep(LINGER_MS).then(() => writer.close(options))
    },
  })),
  {
    name: 'loses-silently',
    rule: 11,
    how: 'around the writer and the ledger',
    sink: (sink) =>
      changed(sink, {
        writer: (writer) => ({
          commit: async (checkpoint) => {
            try {
              await writer.commit?.(checkpoint)
            } catch (error) {
              if (!MillraceError.is(error) || error.code !== 'TRANSACTIONS_LOST') throw error
            }
          },
        }),
        ledger: (ledger) => ({
          inspect: async (committables) =>
            (await ledger.inspect(committables)).map((state) => (state === 'gone' ? 'committed' : state)),
        }),
      }),
  },
  ledgerBug('takes-no-verdict-for-a-loss', 11, (ledger) => ({
    inspect: async (committables) => {
      try {
        return await ledger.inspect(committables)
      } catch {
        return committables.map(() => 'gone')
      }
    },
    commit: async (committable) => {
      try {
        return await ledger.commit(committable)
      } catch {
        return 'gone'
      }
    },
  })),
  ledgerBug('forgets-flushed-transactions-at-restore', 2, () => ({ commit: async () => 'committed' })),
  ledgerBug('initialises-flushed-ids', 8, (ledger) => ({
    inspect: async (committables) => {
      for (const { transactionalId } of committables) await ledger.abortById(transactionalId)
      return ledger.inspect(committables)
    },
  })),
  ledgerBug('takes-the-answer-for-visibility', 12, () => ({ settled: async () => undefined })),
  ledgerBug('leaves-old-transactions-open', 8, () => ({ fence: async () => 0 })),
  ledgerBug('takes-foreign-prefixes', 17, () => ({ openTransactions: async () => [] })),
  ledgerBug('voids-what-was-seen', 8, (ledger) => ({
    inspect: async (committables) =>
      (await ledger.inspect(committables)).map((state) => (state === 'committed' ? 'gone' : state)),
  })),
]
