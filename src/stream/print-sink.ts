/**
 * print: elements as lines on standard output, for looking at a stream. It promises nothing beyond that: after a restore,
 * lines are written again.
 */
import { inspect } from 'node:util'
import type { Sink, SinkWriter, SinkWriterContext } from '../core/index.ts'

export interface PrintOptions {
  readonly prefix?: string | undefined
  /** Where the lines go; standard output by default. */
  readonly write?: (line: string) => void
}

export class PrintSink implements Sink<unknown> {
  readonly #options: PrintOptions

  constructor(options: PrintOptions = {}) {
    this.#options = options
  }

  createWriter(context: SinkWriterContext): SinkWriter<unknown, never> {
    const { prefix, write } = this.#options
    return new PrintWriter(linePrefix(prefix, context), write ?? ((line) => process.stdout.write(line)))
  }

  describe(): Readonly<Record<string, unknown>> {
    return { kind: 'print', prefix: this.#options.prefix }
  }
}

class PrintWriter implements SinkWriter<unknown, never> {
  readonly blocked = false
  readonly #prefix: string
  readonly #write: (line: string) => void

  constructor(prefix: string, write: (line: string) => void) {
    this.#prefix = prefix
    this.#write = write
  }

  write(element: unknown): void {
    const text = typeof element === 'string' ? element : inspect(element, { depth: 6, breakLength: Infinity })
    this.#write(`${this.#prefix}${text}\n`)
  }

  async writable(): Promise<void> {}

  async prepareCommit(): Promise<readonly never[]> {
    return []
  }

  async close(): Promise<void> {}
}

/** Flink's: the subtask's number from 1 where there is more than one. */
function linePrefix(prefix: string | undefined, context: SinkWriterContext): string {
  const parts: string[] = []
  if (prefix !== undefined) parts.push(prefix)
  if (context.parallelism > 1) parts.push(String(context.subtask + 1))
  return parts.length === 0 ? '' : `${parts.join(':')}> `
}
