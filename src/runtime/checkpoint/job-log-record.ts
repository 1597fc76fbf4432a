/**
 * The records of a job's log and their durable form. The log says which checkpoint completed, which was committed and who
 * owns the job; recovery is decided by it alone (exactly-once, "The pieces").
 *
 * VERSION_1: one line of JSON `{"v":1,"nonce":…,"attempt":…,"at":…,"record":{…}}`, a line feed, and the SHA-256 of that line
 * in hexadecimal. It is text, so that a person can read it; the checksum tells a torn or damaged record.
 */
import { createHash } from 'node:crypto'
import { MillraceError } from '../../base/index.ts'
import type { SinkAttempt } from '../../core/index.ts'

const VERSION_1 = 1

/** Where a lineage begins: with nothing, or at a savepoint. */
export type LineageBegin =
  | { readonly kind: 'fresh' }
  | { readonly kind: 'savepoint'; readonly id: string; readonly path: string }

export interface Lineage {
  readonly id: string
  readonly begin: LineageBegin
}

export interface AttemptSink extends SinkAttempt {
  readonly uid: string
}

export interface AttemptRecord {
  readonly kind: 'attempt'
  readonly lineage: Lineage
  readonly sinks: readonly AttemptSink[]
  /** The first checkpoint number that this attempt may trigger. */
  readonly firstCheckpoint: number
}

export interface CompletedRecord {
  readonly kind: 'completed'
  readonly checkpoint: number
  readonly lineage: string
  readonly folder: string
  /** SHA-256 of `_metadata`. */
  readonly digest: string
  readonly final: boolean
  /** Records per topic in transactions that this checkpoint lists: what an older one would double. */
  readonly records: Readonly<Record<string, number>>
  /** An earlier checkpoint whose commit is thereby recorded (rule 6). */
  readonly committed?: number
  /** Attempts below this one were fenced for longer than their transactions can live: they need no sweep any more. */
  readonly fencedBelow?: number
}

export type LogRecord =
  | AttemptRecord
  | CompletedRecord
  | { readonly kind: 'committed'; readonly checkpoint: number }
  | { readonly kind: 'void'; readonly checkpoint: number }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'finished' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'base'; readonly state: HistoryState }

export type JobEnd = 'running' | 'stopped' | 'cancelled' | 'finished' | 'failed'

export interface PastAttempt {
  readonly attempt: number
  readonly sinks: readonly AttemptSink[]
  readonly firstCheckpoint: number
  /** The highest checkpoint that it completed; `firstCheckpoint - 1` while none. */
  readonly highestCompleted: number
}

export interface PastCheckpoint {
  readonly record: CompletedRecord
  readonly attempt: number
  readonly committed: boolean
}

/** Everything that the records before a `base` said and that still matters. */
export interface HistoryState {
  readonly lineage: Lineage | undefined
  readonly end: JobEnd
  readonly attempts: readonly PastAttempt[]
  /** Completed and not void, ascending, of all lineages. */
  readonly completed: readonly PastCheckpoint[]
  readonly highestCheckpoint: number
  readonly fencedBelow: number
  /** Ids of the savepoints at which lineages of this job began; absent: none. */
  readonly savepoints?: readonly string[]
  /** The highest checkpoint that is void, as long as no higher one is committed: it knows where sources first began. Absent: none. */
  readonly voided?: CompletedRecord
  /** Folders whose transactions have all ended, the youngest last; of the many those that may still be kept. Absent: none. */
  readonly settled?: readonly string[]
}

/** A record with its place in the log and the attempt that wrote it. */
export interface NumberedRecord {
  readonly number: number
  readonly attempt: number
  readonly at: number
  readonly record: LogRecord
}

export interface LogEntry extends NumberedRecord {
  readonly nonce: string
}

export function encodeLogEntry(entry: Omit<LogEntry, 'number'>): Buffer {
  const line = JSON.stringify({
    v: VERSION_1,
    nonce: entry.nonce,
    attempt: entry.attempt,
    at: entry.at,
    record: entry.record,
  })
  return Buffer.from(`${line}\n${sha256(line)}\n`)
}

/** Throws LOG_DAMAGED: a record that cannot be read stops the job and is never skipped. */
export function decodeLogEntry(number: number, bytes: Buffer, where: string): LogEntry {
  const text = bytes.toString('utf8')
  const end = text.indexOf('\n')
  const line = end < 0 ? text : text.slice(0, end)
  if (end < 0 || text.slice(end + 1) !== `${sha256(line)}\n`) {
    throw damaged(where, 'its checksum does not match its content: it is torn or was changed')
  }
  const parsed: { v: number; nonce: string; attempt: number; at: number; record: LogRecord } = JSON.parse(line)
  if (parsed.v !== VERSION_1) throw damaged(where, `its version ${parsed.v} is newer than this millrace knows`)
  return { number, nonce: parsed.nonce, attempt: parsed.attempt, at: parsed.at, record: parsed.record }
}

export function damaged(where: string, why: string): MillraceError {
  return new MillraceError('LOG_DAMAGED', `the job's log cannot be read at ${where}: ${why}`, {
    next:
      'The job does not start, because guessing could lose or double records. Restore this file from a copy, or begin ' +
      'anew with --fresh from another checkpoint directory after deciding what the output topics already hold.',
  })
}

export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}
