/** Bugs around what the sink writes through: its producer, and the gateway to the transaction coordinators. */
import { decodeLogEntry } from '../../src/runtime/checkpoint/job-log-record.ts'
import type { SinkConnection, SinkConnector } from '../../src/sink/sink-connector.ts'
import type {
  ProducerIdentity,
  TransactionGateway,
  TransactionHandle,
} from '../../src/sink/transaction/transaction-gateway.ts'
import { formatTransactionalId, parseTransactionalId } from '../../src/sink/transaction/transactional-id.ts'
import type { RecordProducer } from '../../src/sink/writer/record-producer.ts'
import { FIRST_DIRECTORY, type Simulation } from '../../src/testing/simulation/simulation.ts'
import type { PlantedBug } from './planted-bugs.ts'
import { withChanges } from './planted-in-sink.ts'

interface ConnectionChanges {
  /** `writes`: whether it is that of a writer, and not of recovery. */
  readonly gateway?: (gateway: TransactionGateway, writes: () => boolean) => Partial<TransactionGateway>
  readonly producer?: (producer: RecordProducer) => Partial<RecordProducer>
}

function changed(connector: SinkConnector, change: () => ConnectionChanges): SinkConnector {
  return {
    parse: (properties) => connector.parse(properties),
    connect: (properties, ports): SinkConnection => {
      const connection = connector.connect(properties, ports)
      const { gateway, producer } = change()
      let writes = false
      return {
        gateway: withChanges(connection.gateway, gateway?.(connection.gateway, () => writes) ?? {}),
        createProducer: (fail) => {
          writes = true
          const made = connection.createProducer(fail)
          return withChanges(made, producer?.(made) ?? {})
        },
        close: () => connection.close(),
      }
    },
  }
}

/** Answers a seal before anything is acknowledged. */
function unflushed(producer: RecordProducer): Partial<RecordProducer> {
  let begin: Promise<TransactionHandle> | undefined
  let records = new Map<string, number>()
  return {
    topic: async (name) => {
      const topic = await producer.topic(name)
      return withChanges(topic, {
        append: (...args) => {
          topic.append(...args)
          records.set(name, (records.get(name) ?? 0) + 1)
        },
      })
    },
    beginTransaction: (id, beginning) => {
      begin = beginning
      records = new Map()
      producer.beginTransaction(id, beginning)
    },
    seal: async () => {
      const sealed = records
      producer.seal().catch(() => undefined)
      return { handle: await begin, records: sealed, beganAtMs: 0 }
    },
  }
}

/** An id that was initialised keeps its identity for ever. */
function withoutInitialising(gateway: TransactionGateway): Partial<TransactionGateway> {
  const known: Map<string, ProducerIdentity> = new Map()
  return {
    initProducerId: async (id, timeoutMs, signal) => {
      const before = known.get(id)
      if (before !== undefined && (await gateway.transactionVersion()) === 1) return before
      const identity = await gateway.initProducerId(id, timeoutMs, signal)
      known.set(id, identity)
      return identity
    },
  }
}

/** The newest attempt in the log where the job lives at first, whoever's it is. */
function newestAttempt({ disk }: Simulation): number {
  let newest = 0
  for (const name of disk.list(`${FIRST_DIRECTORY}/log`)) {
    const bytes = disk.objects.get(`${FIRST_DIRECTORY}/log/${name}`)
    if (bytes === undefined) continue
    try {
      if (decodeLogEntry(Number(name), bytes, name).record.kind === 'attempt') newest = Number(name)
    } catch {
      // Damaged as planned; somebody else tells.
    }
  }
  return newest
}

export const PRODUCER_BUGS: readonly PlantedBug[] = [
  {
    name: 'does-not-flush-before-the-barrier',
    rule: 1,
    how: 'around the producer',
    connector: (connector) => changed(connector, () => ({ producer: unflushed })),
  },
  {
    name: 'begins-version-1-without-initialising',
    rule: 4,
    how: 'around the gateway',
    connector: (connector) => changed(connector, () => ({ gateway: withoutInitialising })),
  },
  {
    name: 'initialises-ids-of-the-new-owner',
    rule: 9,
    how: 'around the gateway',
    connector: (connector, simulation) =>
      changed(connector, () => ({
        gateway: (gateway, writes) => ({
          initProducerId: (id, timeoutMs, signal) => {
            const parts = parseTransactionalId(id)
            const newest = newestAttempt(simulation)
            if (!writes() || parts === undefined || parts.attempt >= newest)
              return gateway.initProducerId(id, timeoutMs, signal)
            const other = formatTransactionalId(parts.prefix, newest, parts.subtask, parts.k)
            return gateway.initProducerId(other, timeoutMs, signal)
          },
        }),
      })),
  },
  {
    name: 'begins-with-a-short-timeout',
    rule: 15,
    how: 'around the gateway',
    connector: (connector) =>
      changed(connector, () => ({
        gateway: (gateway) => ({
          initProducerId: (id, timeoutMs, signal) => gateway.initProducerId(id, Math.ceil(timeoutMs / 100), signal),
        }),
      })),
  },
]
