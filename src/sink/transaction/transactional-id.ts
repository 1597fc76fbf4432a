/**
 * The names of transactions: `prefix-ATTEMPT-SUBTASK-K`. K is a slot of the pool (POOLING) or the checkpoint that flushes the
 * transaction (INCREMENTING). Names are parsed from the right, three numbers exactly, so a prefix may contain dashes and
 * digits: `a` owns `a-1-0-0`, and never `ab-1-0-0` nor `a-1-2-0-0`, which belongs to the prefix `a-1`.
 */
export interface TransactionalIdParts {
  readonly prefix: string
  readonly attempt: number
  readonly subtask: number
  readonly k: number
}

/** Kafka writes a string's length into two bytes; this leaves room for the three numbers (Flink's limit too). */
export const PREFIX_BYTES_MAX = 64_000

const FORM = /^(.+)-(0|[1-9]\d{0,15})-(0|[1-9]\d{0,15})-(0|[1-9]\d{0,15})$/s

export function formatTransactionalId(prefix: string, attempt: number, subtask: number, k: number): string {
  return `${prefix}-${attempt}-${subtask}-${k}`
}

/** Undefined for a name that this sink never makes. */
export function parseTransactionalId(transactionalId: string): TransactionalIdParts | undefined {
  const match = FORM.exec(transactionalId)
  if (match === null) return undefined
  return { prefix: match[1] ?? '', attempt: Number(match[2]), subtask: Number(match[3]), k: Number(match[4]) }
}

/** The parts of an id when it is one of exactly this prefix. */
export function partsWithPrefix(transactionalId: string, prefix: string): TransactionalIdParts | undefined {
  if (!transactionalId.startsWith(prefix)) return undefined
  const parts = parseTransactionalId(transactionalId)
  return parts?.prefix === prefix ? parts : undefined
}
