/**
 * What a checkpoint holds, in two objects of its folder: `state` has the operators' bytes one after the other, `_metadata`
 * says whose they are. `_metadata` is written last and its digest stands in the log: a folder without it, or with another
 * one, is not a checkpoint.
 *
 * `_metadata` VERSION_1: JSON `{"v":1,"job":…,"checkpoint":…,"attempt":…,"lineage":…,"id":…,"at":…,"final":…,
 * "stateBytes":…,"stateDigest":…,"parts":[{"uid","role","subtask","version","at","length"}]}`. Roles: `enumerator`, `split`
 * (one part a split), `committable` (one part a transaction), `operator` (a subtask's own state).
 *
 * `_metadata` VERSION_2: the same with two roles more: `list` (a subtask's lists), and `keyed` (state of some key groups), whose
 * parts also say which: `"groups":[first,last]`.
 */
import { MillraceError } from '../../base/index.ts'
import type { VersionedBytes } from '../../core/index.ts'
import type { KeyGroups } from '../state/hosted-state.ts'
import { sha256 } from './job-log-record.ts'

const VERSION_1 = 1
const VERSION_2 = 2

export type PartRole = 'enumerator' | 'split' | 'committable' | 'operator' | 'list' | 'keyed'

export interface CheckpointPart extends VersionedBytes {
  readonly uid: string
  readonly role: PartRole
  readonly subtask: number
  /** Of a keyed part: the first and the last key group of which it holds something. */
  readonly groups?: KeyGroups
}

export interface CheckpointContent {
  readonly job: string
  readonly checkpoint: number
  readonly attempt: number
  readonly lineage: string
  /** Identity of this checkpoint across directories. */
  readonly id: string
  readonly at: number
  readonly final: boolean
  readonly parts: readonly CheckpointPart[]
}

interface StoredPart {
  readonly uid: string
  readonly role: PartRole
  readonly subtask: number
  readonly version: number
  readonly at: number
  readonly length: number
  readonly groups?: KeyGroups
}

type StoredMetadata = Omit<CheckpointContent, 'parts'> & {
  readonly v: number
  readonly stateBytes: number
  readonly stateDigest: string
  readonly parts: readonly StoredPart[]
}

export interface EncodedCheckpoint {
  readonly state: Buffer
  readonly metadata: Buffer
}

/** Where each part stands in `state`, whose digest the caller has made: it may be large, and is never put together here. */
export function encodeMetadata(content: CheckpointContent, stateDigest: string): Buffer {
  const parts: StoredPart[] = []
  let at = 0
  for (const { uid, role, subtask, version, bytes, groups } of content.parts) {
    const length = bytes.byteLength
    parts.push({ uid, role, subtask, version, at, length, ...(groups === undefined ? {} : { groups }) })
    at += bytes.byteLength
  }
  const stored: StoredMetadata = {
    v: content.parts.some(({ role }) => role === 'list' || role === 'keyed') ? VERSION_2 : VERSION_1,
    job: content.job,
    checkpoint: content.checkpoint,
    attempt: content.attempt,
    lineage: content.lineage,
    id: content.id,
    at: content.at,
    final: content.final,
    stateBytes: at,
    stateDigest,
    parts,
  }
  return Buffer.from(JSON.stringify(stored))
}

/** Throws CHECKPOINT_DAMAGED naming `where`. `stateDigest`: of the state, when it is known already. */
export function decodeCheckpoint(
  encoded: EncodedCheckpoint,
  where: string,
  stateDigest: string = sha256(encoded.state),
): CheckpointContent {
  const stored = parseMetadata(encoded.metadata, where)
  if (encoded.state.byteLength !== stored.stateBytes || stateDigest !== stored.stateDigest) {
    throw checkpointDamaged(where, 'its state file is not the one that was written')
  }
  const parts = stored.parts.map(({ at, length, ...part }) => ({
    ...part,
    bytes: encoded.state.subarray(at, at + length),
  }))
  const { job, checkpoint, attempt, lineage, id, at, final } = stored
  return { job, checkpoint, attempt, lineage, id, at, final, parts }
}

function parseMetadata(metadata: Buffer, where: string): StoredMetadata {
  let stored: StoredMetadata
  try {
    stored = JSON.parse(metadata.toString('utf8'))
  } catch (error) {
    throw checkpointDamaged(where, 'its _metadata is not readable', error)
  }
  if (stored?.v !== VERSION_1 && stored?.v !== VERSION_2)
    throw checkpointDamaged(where, `its version ${stored?.v} is not known to this millrace`)
  return stored
}

export function checkpointDamaged(where: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError('CHECKPOINT_DAMAGED', `the checkpoint in ${where} cannot be restored: ${why}`, { cause })
}
