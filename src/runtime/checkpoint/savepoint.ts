/**
 * Reading a point to start from that lies anywhere: a savepoint, or a checkpoint kept by some job directory. Starting from it
 * ends no transactions, so it must be settled: its folder says so (`settled`), or the log beside it shows that this or a
 * later checkpoint was committed (exactly-once, rule 14).
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

/** Throws CHECKPOINT_DAMAGED when it cannot be read, STATE_NOT_RESTORED when it is not settled. */
export async function readSavepoint(path: string, ports: SavepointPorts): Promise<CheckpointContent> {
  const folder = ports.openStorage(path)
  const content = await readFolder(folder, path, ports.clock)
  const needsSettling = content.parts.some((part) => part.role === 'committable')
  if (needsSettling && (await folder.read('settled')) === undefined && !(await isCommitted(path, content, ports))) {
    throw new MillraceError(
      'STATE_NOT_RESTORED',
      `${path} holds flushed transactions that are not known to have ended, so a start from it could lose or double their records`,
      {
        next: 'Nothing was changed. Start its own job once in its own directory, which ends them; then this start is possible.',
      },
    )
  }
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

async function isCommitted(path: string, content: CheckpointContent, ports: SavepointPorts): Promise<boolean> {
  const parent = path.replace(/\/+$/, '').split('/').slice(0, -1).join('/')
  const log = new JobLog({ storage: ports.openStorage(parent === '' ? '/' : parent), ...ports })
  const history = await log.read()
  return history.completed.some((past) => past.committed && past.record.checkpoint >= content.checkpoint)
}
