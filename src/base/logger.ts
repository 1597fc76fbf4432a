/**
 * Logging as a port. Normal operation is silent above debug. Fields carry identities (topic, partition, checkpoint,
 * transactional id) and figures, never record contents and never secrets.
 */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/** One line a message on a stream of text, `LEVEL message {fields}`. */
export class TextLogger implements Logger {
  readonly #write: (line: string) => void
  readonly #lowest: number

  constructor(options: { readonly write: (line: string) => void; readonly level?: LogLevel }) {
    this.#write = options.write
    this.#lowest = LEVELS.indexOf(options.level ?? 'warn')
  }

  debug(fields: LogFields, message: string): void {
    this.#log(0, fields, message)
  }

  info(fields: LogFields, message: string): void {
    this.#log(1, fields, message)
  }

  warn(fields: LogFields, message: string): void {
    this.#log(2, fields, message)
  }

  error(fields: LogFields, message: string): void {
    this.#log(3, fields, message)
  }

  #log(level: number, fields: LogFields, message: string): void {
    if (level < this.#lowest) return
    const detail = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields, plain)}`
    this.#write(`${LEVELS[level]} ${message}${detail}\n`)
  }
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Error) return value.message
  return value
}

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}
