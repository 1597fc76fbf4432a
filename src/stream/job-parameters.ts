/**
 * What a job is told from outside: the `--name value` pairs after `--` on the command line, or the `args` of runJob. They
 * are the same in every thread, so a graph may depend on them. A parameter is text; a default of another type decides how
 * it is read, and text that cannot be read that way is refused instead of becoming NaN.
 */
import { MillraceError } from '../base/index.ts'

export type JobArguments = readonly string[] | Readonly<Record<string, string | number | boolean>>

export class JobParameters {
  readonly #values: ReadonlyMap<string, string>

  private constructor(values: ReadonlyMap<string, string>) {
    this.#values = values
  }

  /** From `['--brokers', 'a:9092', '--dry-run', '--limit=5']` or `{ brokers: 'a:9092', 'dry-run': true, limit: 5 }`. */
  static of(args: JobArguments = []): JobParameters {
    if (isArgumentList(args)) return new JobParameters(parseArguments(args))
    return new JobParameters(new Map(Object.entries(args).map(([name, value]) => [name, String(value)])))
  }

  get(name: string): string | undefined
  get(name: string, fallback: string): string
  get(name: string, fallback: number): number
  get(name: string, fallback: boolean): boolean
  get(name: string, fallback?: string | number | boolean): string | number | boolean | undefined {
    const text = this.#values.get(name)
    if (text === undefined) return fallback
    if (typeof fallback === 'number') return readNumber(name, text)
    if (typeof fallback === 'boolean') return readBoolean(name, text)
    return text
  }

  /** The parameter's text; OPTION_INVALID when it was not given. */
  required(name: string): string {
    const text = this.#values.get(name)
    if (text !== undefined) return text
    throw new MillraceError('OPTION_INVALID', `the job needs the parameter --${name}; give it after "--"`)
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** All of them as plain data, for another thread: `JobParameters.of(params.toRecord())` is the same again. */
  toRecord(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#values)
  }
}

function isArgumentList(args: JobArguments): args is readonly string[] {
  return Array.isArray(args)
}

/** A name followed by another name, or by nothing, is a flag: its value is `true`. */
function parseArguments(args: readonly string[]): Map<string, string> {
  const values = new Map<string, string>()
  for (let i = 0; i < args.length; i++) {
    const match = /^--([^=]+)(?:=(.*))?$/s.exec(args[i] ?? '')
    const name = match?.[1]
    if (name === undefined) throw new MillraceError('USAGE', `"${args[i]}" is not a parameter: write --name value`)
    const next = args[i + 1]
    if (match?.[2] !== undefined) values.set(name, match[2])
    else if (next === undefined || next.startsWith('--')) values.set(name, 'true')
    else {
      values.set(name, next)
      i++
    }
  }
  return values
}

function readNumber(name: string, text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value)) return value
  throw new MillraceError('OPTION_INVALID', `--${name}: "${text}" is not a number`)
}

function readBoolean(name: string, text: string): boolean {
  if (text === 'true') return true
  if (text === 'false') return false
  throw new MillraceError('OPTION_INVALID', `--${name}: "${text}" is neither true nor false`)
}
