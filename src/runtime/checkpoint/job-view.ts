/**
 * A job's directory, and a checkpoint's folder, as somebody sees them who only looks: nothing is written, settled or judged, so it may
 * be done beside the running job.
 */
import type { Clock, Random, Storage } from '../../base/index.ts'
import type { VersionedBytes } from '../../core/index.ts'
import type { CheckpointContent, CheckpointPart } from './checkpoint-metadata.ts'
import { JobLog } from './job-log.ts'
import type { JobEnd, PastCheckpoint } from './job-log-record.ts'
import { unpackList } from './packed-list.ts'
import { readFolder } from './savepoint.ts'

export interface CheckpointView {
  readonly checkpoint: number
  readonly attempt: number
  readonly folder: string
  /** The end of input. */
  readonly final: boolean
  readonly committed: boolean
  /** Records per topic in transactions that it lists. */
  readonly records: Readonly<Record<string, number>>
  /** When it was taken and how large it is; undefined when its folder is gone. */
  readonly at: number | undefined
  readonly bytes: number | undefined
}

export interface JobView {
  /** How the last attempt ended; `running`: it runs, or its process was killed. */
  readonly end: JobEnd
  readonly lastAttempt: number
  /** That the log still knows, oldest first. */
  readonly checkpoints: readonly CheckpointView[]
}

/** Undefined when there is no job in this directory. Throws LOG_DAMAGED. */
export async function viewJob(
  storage: Storage,
  ports: { readonly clock: Clock; readonly random: Random },
): Promise<JobView | undefined> {
  const history = await new JobLog({ storage, ...ports }).read()
  if (history.empty) return undefined
  const checkpoints: CheckpointView[] = []
  for (const past of history.completed) checkpoints.push(await viewOf(storage, past))
  return { end: history.end, lastAttempt: history.lastAttempt, checkpoints }
}

async function viewOf(storage: Storage, { record, attempt, committed }: PastCheckpoint): Promise<CheckpointView> {
  const { checkpoint, folder, final, records } = record
  const metadata = await storage.read(`${folder}/_metadata`)
  return { checkpoint, attempt, folder, final, committed, records, ...sizeOf(metadata) }
}

function sizeOf(metadata: Buffer | undefined): Pick<CheckpointView, 'at' | 'bytes'> {
  try {
    const stored: { readonly at?: number; readonly stateBytes?: number } = JSON.parse(
      metadata?.toString('utf8') ?? '{}',
    )
    return { at: stored.at, bytes: stored.stateBytes }
  } catch {
    // Whether it is damaged is for a restore to say.
    return { at: undefined, bytes: undefined }
  }
}

export interface PartView extends CheckpointPart {
  /** Of committables: each. */
  readonly items: readonly VersionedBytes[]
}

export interface ContentView extends Omit<CheckpointContent, 'parts'> {
  readonly parts: readonly PartView[]
  /** The folder says itself that its transactions are ended. */
  readonly settled: boolean
}

/** Throws CHECKPOINT_DAMAGED when there is none, or it is not what was written. */
export async function viewCheckpoint(folder: Storage, clock: Clock): Promise<ContentView> {
  const content = await readFolder(folder, folder.location, clock)
  const parts = content.parts.map((part) => ({
    ...part,
    items:
      part.role === 'committable' ? unpackList(part.bytes).map((bytes) => ({ version: part.version, bytes })) : [part],
  }))
  return { ...content, parts, settled: (await folder.read('settled')) !== undefined }
}
