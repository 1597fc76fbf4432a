/**
 * The only words between the main thread and a worker thread: those of coordinator and task, addressed to one of the worker's
 * tasks, and a few about the thread itself. Plain data; buffers that belong to nobody else any more are transferred.
 */
import type { MessagePort } from 'node:worker_threads'
import type { LogLevel } from '../../base/index.ts'
import type { AccumulatorValue, VersionedBytes } from '../../core/index.ts'
import { type ErrorText, errorOf, textOf } from './error-text.ts'
import type { CoordinatorMessage, TaskFigures, TaskId, TaskMessage, TaskSpec } from './messages.ts'

/** What a worker is born with. `data` is for the entry, which makes the graph of it. */
export interface WorkerBirth {
  readonly index: number
  readonly threads: number
  readonly data: unknown
  /** One number, which a worker that lives counts up. */
  readonly heartbeat: SharedArrayBuffer
  readonly heartbeatMs: number
  /** To each other worker, by its index. */
  readonly peers: Readonly<Record<number, MessagePort>>
}

export type MessageToWorker =
  | { readonly kind: 'deploy'; readonly spec: TaskSpec }
  | { readonly kind: 'to-task'; readonly task: TaskId; readonly message: CoordinatorMessage }
  | { readonly kind: 'tell-figures' }
  /** All tasks of this worker are closed: it ends. */
  | { readonly kind: 'end' }

/** A task's message as plain data. */
export type PlainTaskMessage =
  | Exclude<TaskMessage, { readonly error: Error }>
  | { readonly kind: 'declined'; readonly checkpoint: number; readonly error: ErrorText }
  | { readonly kind: 'failed'; readonly error: ErrorText }

export interface WorkerFigures {
  readonly figures: TaskFigures
  readonly metrics: ReadonlyMap<string, number>
  /** Told when a task has closed. */
  readonly accumulators?: ReadonlyMap<string, AccumulatorValue>
}

export type MessageFromWorker =
  /** The graph was built and is the same as the main thread's. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'unfit'; readonly error: ErrorText }
  | { readonly kind: 'from-task'; readonly task: TaskId; readonly message: PlainTaskMessage }
  | ({ readonly kind: 'figures' } & WorkerFigures)
  | { readonly kind: 'log'; readonly level: LogLevel; readonly fields: object; readonly message: string }

export function plainMessage(message: TaskMessage): PlainTaskMessage {
  if (message.kind === 'failed' || message.kind === 'declined') return { ...message, error: textOf(message.error) }
  if (message.kind !== 'snapshot') return message
  return { ...message, parts: message.parts.map((part) => ({ ...part, bytes: ownBytes(part.bytes) })) }
}

export function taskMessage(plain: PlainTaskMessage): TaskMessage {
  if (plain.kind === 'failed' || plain.kind === 'declined') return { ...plain, error: errorOf(plain.error) }
  if (plain.kind !== 'snapshot') return plain
  return { ...plain, parts: plain.parts.map(withBuffer) }
}

/** As the coordinator sent it: on its way the bytes have lost their class. */
export function coordinatorMessage(message: CoordinatorMessage): CoordinatorMessage {
  return message.kind === 'assign-splits' ? { ...message, splits: message.splits.map(withBuffer) } : message
}

/** A spec on its way to a worker: with the bytes of this task alone, and not with all that they are views of. */
export function plainSpec(spec: TaskSpec): TaskSpec {
  return withParts(spec, (part) => ({ ...part, bytes: ownBytes(part.bytes) }))
}

export function specOf(spec: TaskSpec): TaskSpec {
  return withParts(spec, withBuffer)
}

/** What can go with a message without being copied: keyed state, which nobody else holds. */
export function transferOf(message: PlainTaskMessage): ArrayBuffer[] {
  if (message.kind !== 'snapshot') return []
  return message.parts.flatMap(({ role, bytes: { buffer } }) =>
    role === 'keyed' && buffer instanceof ArrayBuffer ? [buffer] : [],
  )
}

function withParts(spec: TaskSpec, change: <Part extends VersionedBytes>(part: Part) => Part): TaskSpec {
  const each = <Part extends VersionedBytes>(
    parts: Readonly<Record<string, readonly Part[]>>,
  ): Record<string, Part[]> => Object.fromEntries(Object.entries(parts).map(([uid, some]) => [uid, some.map(change)]))
  return { ...spec, restored: each(spec.restored), keyed: each(spec.keyed), lists: each(spec.lists) }
}

/** A view of a large pool would bring the whole pool along. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)
}

function withBuffer<Part extends VersionedBytes>(part: Part): Part {
  const { buffer, byteOffset, byteLength } = part.bytes
  return { ...part, bytes: Buffer.from(buffer, byteOffset, byteLength) }
}
