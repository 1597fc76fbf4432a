/**
 * What is said through the control socket of a running job: one line of JSON each way, then the connection ends. VERSION_1. The
 * two ends may be different versions of millrace, so each takes what it does not know for a refusal, never for something else.
 */
import type { JobFailure, JobFigures, JobStatus } from '../../runtime/index.ts'

export const VERSION_1 = 1
export const ASKS = ['status', 'stop', 'cancel'] as const
export type Ask = (typeof ASKS)[number]

/** A running job about itself. */
export interface JobReport {
  readonly job: string
  readonly directory: string
  readonly jobFile: string
  readonly pid: number
  readonly beganAt: number
  readonly status: JobStatus
  readonly figures: JobFigures
  readonly failures: readonly JobFailure[]
}

export type Answer =
  | { readonly kind: 'status'; readonly report: JobReport }
  /** The wish was carried out. */
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string; readonly next: string }

export function encodeAsk(ask: Ask): string {
  return `${JSON.stringify({ v: VERSION_1, ask })}\n`
}

/** Undefined for what this version does not know. */
export function decodeAsk(line: string): Ask | undefined {
  const parsed = parse(line)
  if (parsed?.v !== VERSION_1) return undefined
  return ASKS.find((ask) => ask === parsed.ask)
}

export function encodeAnswer(answer: Answer): string {
  return `${JSON.stringify({ v: VERSION_1, ...answer })}\n`
}

export function decodeAnswer(line: string): Answer {
  const parsed = parse(line)
  if (parsed?.v === VERSION_1) return parsed as unknown as Answer
  return {
    kind: 'refused',
    code: 'NOT_SUPPORTED',
    message: 'the running job is of another version of millrace and answers what this one does not understand',
    next: 'Use the version that the job runs with.',
  }
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(line)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
