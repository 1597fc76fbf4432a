/**
 * Reading a point to start from that lies anywhere: a savepoint, or a checkpoint kept by some job directory. Starting from it
 * ends no transactions, so it must be settled: its folder says so (`settled`), or the log beside it says that exactly this
 * checkpoint completed and was committed (exactly-once, rule 14). That a later one was committed says nothing of it: what
 * never completed, or was void, lies beside it with transactions that are aborted.
 */
import { type Clock, MillraceError, type Random, type Storage } from '../../base/index.ts'
import { type CheckpointContent, checkpointDamaged, decodeCheckpoint } from './checkpoint-metadata.ts'
import { digestOf } from './checkpoint-store.ts'
import { JobLog } from './job-log.ts'

export interface SavepointPorts {
  readonly clock: Clock
  readonly random: Random
  /** The storage of a folder, by its path. */
  openStorage(path: string): Storage
}

/**
 * Throws CHECKPOINT_DAMAGED when it cannot be read, STATE_NOT_RESTORED when it is not settled. `begunAt` says of its id whether this job
 * began there already: then it was settled, and stays so, whatever the log beside it has forgotten since.
 */
export async function readSavepoint(
  path: string,
  ports: SavepointPorts,
  begunAt: (id: string) => boolean = () => false,
): Promise<CheckpointContent> {
  const folder = ports.openStorage(path)
  const content = await readFolder(folder, path, ports.clock)
  const flushed = content.parts.some((part) => part.role === 'committable')
  if (!flushed || begunAt(content.id) || (await folder.read('settled')) !== undefined) return content
  await refuseUnsettled(path, ports)
  return content
}

/** What a folder holds, whether or not it is settled. Throws CHECKPOINT_DAMAGED. */
export async function readFolder(folder: Storage, where: string, clock: Clock): Promise<CheckpointContent> {
  const metadata = await folder.read('_metadata')
  const state = await folder.read('state')
  if (metadata === undefined || state === undefined) {
    throw checkpointDamaged(where, 'there is no savepoint or checkpoint (no _metadata and state) in this folder')
  }
  return decodeCheckpoint({ metadata, state }, where, await digestOf([state], clock))
}

async function refuseUnsettled(path: string, ports: SavepointPorts): Promise<void> {
  const names = path.replace(/\/+$/, '').split('/')
  const folder = names.pop() ?? ''
  const parent = names.join('/')
  const log = new JobLog({ storage: ports.openStorage(parent === '' ? '/' : parent), ...ports })
  const history = await log.read()
  if (history.isSettled(folder)) return
  const completed = history.unsettled.some(({ record }) => record.folder === folder)
  throw new MillraceError(
    'STATE_NOT_RESTORED',
    completed
      ? `${path} holds flushed transactions that are not known to have ended, so a start from it could lose or double their records`
      : `${path} holds flushed transactions, and the log beside it does not say that it completed: they may have been aborted, so a start from it could lose their records`,
    {
      next: completed
        ? 'Nothing was changed. Start its own job once in its own directory, which ends them; then this start is possible.'
        : 'Nothing was changed. Take a folder that `millrace checkpoints` shows as committed, where it was made: in its job directory.',
    },
  )
}
