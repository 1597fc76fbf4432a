/**
 * An error as a person reads it: what happened, its code, the causes, and what to do. A stack is shown only for what is no
 * operating error: a bug, or an error of the job file's own code.
 */
import { type ErrorCode, MillraceError } from '../base/index.ts'

const USAGE_CODES: ReadonlySet<ErrorCode> = new Set([
  'USAGE',
  'OPTION_INVALID',
  'GRAPH_INVALID',
  'JOB_FILE_INVALID',
  'NOT_SUPPORTED',
  'FOREIGN_TRANSACTIONS',
  'ALREADY_RUNNING',
])

const DEPTH_MAX = 6

export function exitCodeOf(error: unknown): 1 | 2 {
  return MillraceError.is(error) && USAGE_CODES.has(error.code) ? 2 : 1
}

export function textOfError(error: unknown): string {
  const lines: string[] = []
  let current: unknown = error
  for (let depth = 0; current !== undefined && current !== null && depth < DEPTH_MAX; depth++) {
    lines.push(`${depth === 0 ? 'millrace: ' : '  caused by: '}${headline(current)}`)
    if (MillraceError.is(current) && current.next !== '') lines.push(`  ${depth === 0 ? '' : '  '}${current.next}`)
    current = current instanceof Error ? current.cause : undefined
  }
  const stack = stackOf(error)
  if (stack !== undefined) lines.push(stack)
  return `${lines.join('\n')}\n`
}

function headline(error: unknown): string {
  if (MillraceError.is(error)) return `${error.message} [${error.code}]`
  if (!(error instanceof Error)) return String(error)
  return error.name === 'Error' ? error.message : `${error.name}: ${error.message}`
}

/** Of the innermost error that is not an operating error: where the user's code, or ours, went wrong. */
function stackOf(error: unknown): string | undefined {
  let current: unknown = error
  let found: Error | undefined
  for (let depth = 0; current instanceof Error && depth < DEPTH_MAX; depth++) {
    if (!MillraceError.is(current) && !isSystemError(current)) found = current
    current = current.cause
  }
  const place = placeOf(found)
  if (place !== undefined) return place
  const frames = found?.stack?.split('\n').filter((line) => /^\s+at /.test(line) && !line.includes('node:internal'))
  return frames === undefined || frames.length === 0 ? undefined : frames.slice(0, 8).join('\n')
}

/** Where a file does not parse or asks for a name that is not there, as Node shows it: file and line, the text, a mark below it. */
function placeOf(error: Error | undefined): string | undefined {
  const lines = error instanceof SyntaxError ? (error.stack?.split('\n') ?? []) : []
  const head = lines.slice(
    0,
    lines.findIndex((line) => line.startsWith('SyntaxError')),
  )
  if (!/^(file:|\/|[A-Za-z]:\\).*:\d+$/.test(head[0] ?? '')) return undefined
  return head
    .map((line) => `    ${line}`)
    .join('\n')
    .trimEnd()
}

function isSystemError(error: Error): boolean {
  return 'syscall' in error || 'errno' in error
}
