/** Bugs around the job's storage: what its log and its checkpoint folders say. */
import type { Storage } from '../../src/base/index.ts'
import {
  type CompletedRecord,
  decodeLogEntry,
  encodeLogEntry,
  type LogEntry,
} from '../../src/runtime/checkpoint/job-log-record.ts'
import type { PlantedBug } from './planted-bugs.ts'

const LOG = 'log'

function entryOf(path: string, bytes: Buffer): LogEntry | undefined {
  try {
    return decodeLogEntry(Number(path.slice(path.lastIndexOf('/') + 1)), bytes, path)
  } catch {
    return undefined
  }
}

/** Records of others that came after the own one are not seen; `pruned`: whether only where the own place had been pruned. */
function blind(storage: Storage, pruned: boolean): Storage {
  let own = 0
  return {
    ...storage,
    putIfAbsent: async (path, bytes) => {
      const outcome = await storage.putIfAbsent(path, bytes)
      if (outcome === 'created' && path.startsWith(`${LOG}/`)) own = Number(path.slice(LOG.length + 1))
      return outcome
    },
    list: async (folder) => {
      const names = await storage.list(folder)
      if (folder !== LOG || own === 0) return names
      const gap = names.some((name) => Number(name) > own) && !names.includes(String(own + 1).padStart(10, '0'))
      return pruned === gap ? names.filter((name) => Number(name) <= own) : names
    },
  }
}

/** The log's completed checkpoints all count as of the newest lineage. */
function oneLineage(storage: Storage): Storage {
  let newest: string | undefined
  return {
    ...storage,
    read: async (path) => {
      const bytes = await storage.read(path)
      const entry = bytes === undefined || !path.startsWith(`${LOG}/`) ? undefined : entryOf(path, bytes)
      if (entry?.record.kind === 'attempt') newest ??= entry.record.lineage.id
      if (entry?.record.kind !== 'completed' || newest === undefined) return bytes
      return encodeLogEntry({ ...entry, record: { ...entry.record, lineage: newest } })
    },
  }
}

/** A torn record is not there: neither listed, nor in the way of the next one. */
function overTorn(storage: Storage): Storage {
  const torn = async (path: string): Promise<boolean> => {
    const bytes = await storage.read(path)
    return bytes !== undefined && entryOf(path, bytes) === undefined
  }
  return {
    ...storage,
    list: async (folder) => {
      const names = await storage.list(folder)
      const last = names.at(-1)
      if (folder !== LOG || last === undefined) return names
      return (await torn(`${LOG}/${last}`)) ? names.slice(0, -1) : names
    },
    putIfAbsent: async (path, bytes) => {
      if (path.startsWith(`${LOG}/`) && (await torn(path))) await storage.remove(path)
      return storage.putIfAbsent(path, bytes)
    },
  }
}

/** A checkpoint that failed completes all the same, after its successor. */
function lateCompleted(storage: Storage): Storage {
  const failed: string[] = []
  return {
    ...storage,
    remove: async (path) => {
      if (/^chk-/.test(path)) failed.push(path)
      else await storage.remove(path)
    },
    putIfAbsent: async (path, bytes) => {
      const outcome = await storage.putIfAbsent(path, bytes)
      const entry = entryOf(path, Buffer.from(bytes))
      if (outcome !== 'created' || entry?.record.kind !== 'completed') return outcome
      const after: CompletedRecord = entry.record
      const folder = failed.pop()
      const checkpoint = Number(folder?.split('-')[1])
      if (folder === undefined || checkpoint >= after.checkpoint) return outcome
      const record: CompletedRecord = { ...after, checkpoint, folder }
      const next = `${LOG}/${String(entry.number + 1).padStart(10, '0')}`
      await storage.putIfAbsent(next, encodeLogEntry({ ...entry, nonce: `late-${entry.number}`, record }))
      return outcome
    },
  }
}

/** The folders of older checkpoints go as soon as a newer one completes. */
function removesEarly(storage: Storage): Storage {
  return {
    ...storage,
    putIfAbsent: async (path, bytes) => {
      const outcome = await storage.putIfAbsent(path, bytes)
      const entry = entryOf(path, Buffer.from(bytes))
      if (outcome !== 'created' || entry?.record.kind !== 'completed') return outcome
      for (const name of await storage.list('')) {
        const number = Number(/^chk-(\d+)-/.exec(name)?.[1] ?? Number.NaN)
        if (number < entry.record.checkpoint) await storage.remove(name)
      }
      return outcome
    },
  }
}

const sharedFolder = (path: string): string => path.replace(/^chk-(\d+)-\d+/, 'chk-$1-0')

/** The attempt is left out of the folder's name. */
function sharedFolders(storage: Storage): Storage {
  return {
    ...storage,
    read: (path) => storage.read(sharedFolder(path)),
    create: (path) => storage.create(sharedFolder(path)),
    remove: (path) => storage.remove(sharedFolder(path)),
  }
}

const storageBug = (name: string, rule: number, storage: NonNullable<PlantedBug['storage']>): PlantedBug => ({
  name,
  rule,
  how: 'around the storage',
  storage,
})

export const LOG_BUGS: readonly PlantedBug[] = [
  storageBug('goes-on-after-a-takeover', 9, (storage) => blind(storage, false)),
  storageBug('takes-a-pruned-place', 9, (storage) => blind(storage, true)),
  storageBug('restores-another-lineage', 10, oneLineage),
  storageBug('takes-a-torn-record-for-none', 10, overTorn),
  storageBug('completes-late', 5, lateCompleted),
  storageBug('removes-checkpoints-early', 5, removesEarly),
  { ...storageBug('shares-checkpoint-folders', 5, sharedFolders), pathOf: sharedFolder },
  {
    name: 'falls-back-past-a-completed-checkpoint',
    rule: 10,
    how: 'by the configuration that allows it',
    configuration: { 'millrace.recovery.on-damaged-checkpoint': 'fall-back' },
  },
]
