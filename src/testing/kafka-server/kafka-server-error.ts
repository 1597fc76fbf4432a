// The operating error of the real Kafka that tests start: whatever it says ends with the last lines of the log of the
// process concerned and with where to look, because the folder is gone when a person reads the message.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { type ErrorCode, MillraceError, type MillraceErrorOptions } from '../../base/index.ts'

const LOG_LINES = 20
const LOG_TAIL_BYTES = 64 * 1024
const LINE_CHARACTERS_MAX = 600

export interface KafkaServerErrorOptions extends MillraceErrorOptions {
  /** Files whose last lines belong to the message. */
  readonly logs?: readonly string[]
  /** The class of the exception of Kafka's Java client, when it is its answer: `TopicExistsException`. */
  readonly javaClass?: string
}

/** A real Kafka, or its Java tools, could not do what was asked. */
export class KafkaServerError extends MillraceError {
  override readonly name: string = 'KafkaServerError'
  readonly javaClass: string | undefined

  constructor(code: ErrorCode, message: string, options: KafkaServerErrorOptions = {}) {
    super(code, [message, ...(options.logs ?? []).map(describeLog)].join('\n'), options)
    this.javaClass = options.javaClass
  }
}

/** The last lines of a text, as an indented block. */
export function lastLines(text: string, count: number = LOG_LINES): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines
    .slice(-count)
    .map((line) => `    ${line.slice(0, LINE_CHARACTERS_MAX)}`)
    .join('\n')
}

/** The end of a log file; an empty text when it cannot be read. */
export function tailOfFile(path: string): string {
  try {
    const file = openSync(path, 'r')
    try {
      const { size } = fstatSync(file)
      const bytes = Buffer.alloc(Math.min(size, LOG_TAIL_BYTES))
      readSync(file, bytes, 0, bytes.length, size - bytes.length)
      return bytes.toString('utf8')
    } finally {
      closeSync(file)
    }
  } catch {
    return ''
  }
}

function describeLog(path: string): string {
  const lines = lastLines(tailOfFile(path))
  return lines === '' ? `  ${path} is empty` : `  the last lines of ${path}:\n${lines}`
}
