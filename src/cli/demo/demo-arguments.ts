/** The arguments of `millrace demo`, apart from the demo itself so that reading a command line loads no broker. */
import { parseArgs } from 'node:util'
import { MillraceError } from '../../base/index.ts'

export interface DemoCommand {
  readonly kind: 'demo'
  /** Undefined: until Ctrl-C. */
  readonly seconds: number | undefined
}

const SECONDS_MAX = 86_400

export function parseDemoCommand(args: readonly string[]): DemoCommand {
  const { values } = parse(args)
  if (values.seconds === undefined) return { kind: 'demo', seconds: undefined }
  const seconds = /^\d{1,6}$/.test(values.seconds) ? Number(values.seconds) : Number.NaN
  if (!(seconds >= 1 && seconds <= SECONDS_MAX)) {
    throw usage(`--seconds ${values.seconds}: a whole number from 1 to ${SECONDS_MAX}`)
  }
  return { kind: 'demo', seconds }
}

function parse(args: readonly string[]): { readonly values: { readonly seconds?: string | undefined } } {
  try {
    return parseArgs({ args: [...args], options: { seconds: { type: 'string' } }, strict: true })
  } catch (error) {
    throw usage(error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error))
  }
}

function usage(message: string): MillraceError {
  return new MillraceError('USAGE', message, { next: 'See millrace help.' })
}
