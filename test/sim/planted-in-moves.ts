/** Bugs of a start from a checkpoint of another directory: what is taken for settled, and what is ended that has ended. */
import type { Storage } from '../../src/base/index.ts'
import { decodeCheckpoint } from '../../src/runtime/checkpoint/checkpoint-metadata.ts'
import { decodeLogEntry, type LogRecord } from '../../src/runtime/checkpoint/job-log-record.ts'
import type { KafkaCommittable } from '../../src/sink/committer/kafka-committable.ts'
import type { Simulation } from '../../src/testing/simulation/simulation.ts'
import { committablesOf } from './log-view.ts'
import type { PlantedBug } from './planted-bugs.ts'
import { changed } from './planted-in-sink.ts'

/** Folders for which `says` answers true say themselves that they are settled. */
function settled(storage: Storage, says: () => boolean): Storage {
  return {
    ...storage,
    read: async (path) => (path === 'settled' && says() ? Buffer.alloc(0) : storage.read(path)),
  }
}

/** The highest number that the log of a directory says is committed. */
function highestCommitted({ disk }: Simulation, directory: string): number {
  let highest = 0
  for (const name of disk.list(`${directory}/log`)) {
    const path = `${directory}/log/${name}`
    try {
      const { record } = decodeLogEntry(Number(name), disk.objects.get(path) ?? Buffer.alloc(0), path)
      highest = Math.max(highest, committedBy(record))
    } catch {
      // Damaged as planned; somebody else tells.
    }
  }
  return highest
}

function committedBy(record: LogRecord): number {
  if (record.kind === 'committed') return record.checkpoint
  return record.kind === 'completed' ? (record.committed ?? 0) : 0
}

/** What the checkpoint lists where the present command begins. */
function listedWhereItBegan({ disk, savepoint }: Simulation): KafkaCommittable[] {
  const metadata = disk.objects.get(`${savepoint}/_metadata`)
  const state = disk.objects.get(`${savepoint}/state`)
  if (metadata === undefined || state === undefined) return []
  try {
    return committablesOf(decodeCheckpoint({ metadata, state }, String(savepoint)))
  } catch {
    return []
  }
}

export const MOVE_BUGS: readonly PlantedBug[] = [
  {
    name: 'begins-at-an-unsettled-checkpoint',
    rule: 14,
    how: 'around the storage of a folder outside',
    elsewhere: (storage) => settled(storage, () => true),
  },
  {
    name: 'takes-a-later-commit-for-that-of-the-folder',
    rule: 14,
    how: 'around the storage of a folder outside',
    elsewhere: (storage, path, simulation) =>
      settled(storage, () => {
        const [, directory = '', checkpoint] = /^(.*)\/chk-(\d+)-\d+$/.exec(path) ?? []
        return highestCommitted(simulation, directory) >= Number(checkpoint)
      }),
  },
  {
    name: 'ends-again-what-had-ended-where-it-began',
    rule: 14,
    how: 'around the ledger',
    sink: (sink, simulation) =>
      changed(sink, {
        ledger: (ledger) => ({
          fence: async (attempts) => {
            for (const committable of listedWhereItBegan(simulation)) await ledger.commit(committable)
            return ledger.fence(attempts)
          },
        }),
      }),
  },
]
