/**
 * Configuration: Flink's keys, typed. An option knows its key, its default and how to read its text, so that an unknown key
 * or a bad value is refused with the path of the option and a suggestion, before anything runs.
 */
import { MillraceError } from '../base/index.ts'

export interface ConfigOption<T> {
  readonly key: string
  readonly defaultValue: T
  readonly description: string
  parse(text: string): T
}

function option<T>(key: string, defaultValue: T, parse: (text: string) => T, description: string): ConfigOption<T> {
  return { key, defaultValue, parse, description }
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
const SIZE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1024,
  k: 1024,
  mb: 1024 ** 2,
  m: 1024 ** 2,
  gb: 1024 ** 3,
  g: 1024 ** 3,
}

/** Milliseconds of "10 s", "1 min", "500ms" or a bare number of milliseconds. Throws RangeError. */
export function parseDuration(text: string): number {
  return parseWithUnit(text, DURATION_UNITS, 'ms', 'a duration such as "500 ms", "10 s", "5 min"')
}

/** Bytes of "64mb", "16 kb" or a bare number of bytes. Throws RangeError. */
export function parseSize(text: string): number {
  return parseWithUnit(text, SIZE_UNITS, 'b', 'a size such as "16 kb", "64mb"')
}

function parseWithUnit(text: string, units: Readonly<Record<string, number>>, bare: string, wanted: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text)
  const factor = match === null ? undefined : units[(match[2] || bare).toLowerCase()]
  if (match === null || factor === undefined) throw new RangeError(`"${text}" is not ${wanted}`)
  return Math.round(Number(match[1]) * factor)
}

export function parseInteger(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value)) throw new RangeError(`"${text}" is not a whole number`)
  return value
}

function parseCount(lowest: number): (text: string) => number {
  return (text) => {
    const value = parseInteger(text)
    if (value < lowest) throw new RangeError(`${value} is less than ${lowest}`)
    return value
  }
}

function parseOneOf<const Choice extends string>(...choices: readonly Choice[]): (text: string) => Choice {
  return (text) => {
    const found = choices.find((choice) => choice === text.trim().toLowerCase())
    if (found === undefined) throw new RangeError(`"${text}" is none of ${choices.join(', ')}`)
    return found
  }
}

const optionalDuration = (text: string): number | undefined => parseDuration(text)
const optionalText = (text: string): string | undefined => text

/** What each option's value is. */
export interface ConfigurationValues {
  readonly parallelism: number
  readonly maxParallelism: number
  readonly watermarkIntervalMs: number
  readonly checkpointIntervalMs: number | undefined
  readonly checkpointingMode: 'exactly-once' | 'at-least-once'
  readonly checkpointTimeoutMs: number
  readonly checkpointMinPauseMs: number
  readonly tolerableFailedCheckpoints: number
  readonly retainedCheckpoints: number
  readonly checkpointDirectory: string | undefined
  readonly restartStrategy: 'none' | 'fixed-delay' | undefined
  readonly restartAttempts: number
  readonly restartDelayMs: number
  readonly onDamagedCheckpoint: 'fail' | 'fall-back'
  readonly onLostTransactions: 'fail' | 'continue'
}

export const OPTIONS: { readonly [Name in keyof ConfigurationValues]: ConfigOption<ConfigurationValues[Name]> } = {
  parallelism: option('parallelism.default', 1, parseCount(1), 'Subtasks of an operator that sets none itself.'),
  maxParallelism: option(
    'pipeline.max-parallelism',
    128,
    parseCount(1),
    'Key groups; the highest parallelism a job can ever have.',
  ),
  watermarkIntervalMs: option(
    'pipeline.auto-watermark-interval',
    200,
    parseDuration,
    'How often periodic watermarks are emitted.',
  ),
  checkpointIntervalMs: option(
    'execution.checkpointing.interval',
    undefined,
    optionalDuration,
    'Time between checkpoints; absent: only the final one.',
  ),
  checkpointingMode: option(
    'execution.checkpointing.mode',
    'exactly-once',
    parseOneOf('exactly-once', 'at-least-once'),
    'at-least-once: no task waits for the barriers of its other inputs, and records may be seen twice after a failure.',
  ),
  checkpointTimeoutMs: option(
    'execution.checkpointing.timeout',
    600_000,
    parseDuration,
    'A checkpoint that takes longer has failed.',
  ),
  checkpointMinPauseMs: option(
    'execution.checkpointing.min-pause',
    0,
    parseDuration,
    'The least time between the end of one checkpoint and the start of the next.',
  ),
  tolerableFailedCheckpoints: option(
    'execution.checkpointing.tolerable-failed-checkpoints',
    0,
    parseCount(0),
    'Consecutive failed checkpoints that do not fail the job.',
  ),
  retainedCheckpoints: option('execution.checkpointing.num-retained', 1, parseCount(1), 'Completed checkpoints kept.'),
  checkpointDirectory: option(
    'execution.checkpointing.dir',
    undefined,
    optionalText,
    'Where the job directory lies; by default .millrace in the current directory.',
  ),
  restartStrategy: option(
    'restart-strategy.type',
    undefined,
    parseOneOf('none', 'fixed-delay'),
    'What follows a failure: fixed-delay (the default with checkpoints) or none.',
  ),
  restartAttempts: option(
    'restart-strategy.fixed-delay.attempts',
    1,
    parseCount(0),
    'Restarts before the job fails for good.',
  ),
  restartDelayMs: option('restart-strategy.fixed-delay.delay', 1_000, parseDuration, 'The pause before a restart.'),
  onDamagedCheckpoint: option(
    'millrace.recovery.on-damaged-checkpoint',
    'fail',
    parseOneOf('fail', 'fall-back'),
    'When the last completed checkpoint cannot be read: stop, or go back to an older one although records will be doubled.',
  ),
  onLostTransactions: option(
    'millrace.recovery.on-lost-transactions',
    'fail',
    parseOneOf('fail', 'continue'),
    'When a transaction was lost after others of its checkpoint were committed: stop, or go on without its records.',
  ),
}

type OptionName = keyof ConfigurationValues

/** Values by key, as text; reading one parses it. Later settings win. */
export class Configuration {
  readonly #values = new Map<string, string>()

  constructor(values: Readonly<Record<string, string | number | boolean>> = {}) {
    for (const [key, value] of Object.entries(values)) this.set(key, value)
  }

  /** Throws MillraceError OPTION_INVALID for a key that no option has, or a value that its option does not take. */
  set(key: string, value: string | number | boolean): this {
    const known = Object.values(OPTIONS).find((candidate) => candidate.key === key)
    if (known === undefined) {
      throw new MillraceError('OPTION_INVALID', `unknown configuration key "${key}"${suggestion(key)}`)
    }
    try {
      known.parse(String(value))
    } catch (error) {
      throw new MillraceError('OPTION_INVALID', `${key}: ${error instanceof Error ? error.message : String(error)}`)
    }
    this.#values.set(key, String(value))
    return this
  }

  get<Name extends OptionName>(name: Name): ConfigurationValues[Name] {
    const found = OPTIONS[name]
    const text = this.#values.get(found.key)
    return text === undefined ? found.defaultValue : found.parse(text)
  }

  has(name: OptionName): boolean {
    return this.#values.has(OPTIONS[name].key)
  }

  entries(): IterableIterator<[string, string]> {
    return this.#values.entries()
  }

  /** A copy in which the other's settings win. */
  with(other: Configuration): Configuration {
    const merged = new Configuration()
    for (const [key, value] of this.#values) merged.#values.set(key, value)
    for (const [key, value] of other.#values) merged.#values.set(key, value)
    return merged
  }
}

function suggestion(key: string): string {
  let best: string | undefined
  let bestDistance = Math.max(3, key.length / 3)
  for (const { key: candidate } of Object.values(OPTIONS)) {
    const distance = editDistance(key, candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best === undefined ? '' : `; did you mean "${best}"?`
}

function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let i = 1; i <= left.length; i++) {
    const row = [i]
    for (let j = 1; j <= right.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1)
      row.push(Math.min(substitution, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    previous = row
  }
  return previous[right.length] ?? 0
}
