/**
 * How the text of a configuration value is read: durations, sizes, numbers, choices. A kind of option says what it takes in words
 * (for messages and for the reference page) and reads it; a text that it does not take is a RangeError.
 */

export interface ConfigOption<T> {
  readonly key: string
  readonly defaultValue: T
  /** What it takes, for a person: `duration`, `integer`, `one of a, b`. */
  readonly type: string
  /** The default as one writes it, or what holds when nothing is said. */
  readonly defaultText: string
  readonly description: string
  parse(text: string): T
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

/** 90,000 as `90 s`: the largest unit that leaves a whole number. */
export function durationText(ms: number): string {
  for (const [unit, factor] of [
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1_000],
  ] as const) {
    if (ms > 0 && ms % factor === 0) return `${ms / factor} ${unit}`
  }
  return `${ms} ms`
}

interface Common {
  readonly key: string
  readonly description: string
}

export function durationOption(
  option: Common & { readonly default: number; readonly leastMs?: number },
): ConfigOption<number> {
  const { key, description, leastMs = 0 } = option
  const parse = (text: string): number => {
    const ms = parseDuration(text)
    if (ms < leastMs) throw new RangeError(`"${text}" is less than ${durationText(leastMs)}`)
    return ms
  }
  return {
    key,
    description,
    parse,
    type: 'duration',
    defaultValue: option.default,
    defaultText: durationText(option.default),
  }
}

/** Without a default of its own; `unset` says what then holds. */
export function optionalDurationOption(option: Common & { readonly unset: string }): ConfigOption<number | undefined> {
  const { key, description, unset } = option
  return { key, description, parse: parseDuration, type: 'duration', defaultValue: undefined, defaultText: unset }
}

/** Without a default of its own; `unset` says what then holds. */
export function optionalSizeOption(option: Common & { readonly unset: string }): ConfigOption<number | undefined> {
  const { key, description, unset } = option
  return { key, description, parse: parseSize, type: 'size', defaultValue: undefined, defaultText: unset }
}

export function textOption(option: Common & { readonly unset: string }): ConfigOption<string | undefined> {
  const { key, description, unset } = option
  return { key, description, parse: (text) => text, type: 'text', defaultValue: undefined, defaultText: unset }
}

/** `default` may be infinite: then the text `infinite` is taken too. */
export function integerOption(
  option: Common & { readonly default: number; readonly least: number },
): ConfigOption<number> {
  const { key, description, least } = option
  const mayBeInfinite = option.default === Number.POSITIVE_INFINITY
  const parse = (text: string): number => {
    if (mayBeInfinite && text.trim().toLowerCase() === 'infinite') return Number.POSITIVE_INFINITY
    const value = parseInteger(text)
    if (value < least) throw new RangeError(`${value} is less than ${least}`)
    return value
  }
  return {
    key,
    description,
    parse,
    type: mayBeInfinite ? 'integer, or infinite' : 'integer',
    defaultValue: option.default,
    defaultText: mayBeInfinite ? 'infinite' : String(option.default),
  }
}

export function numberOption(
  option: Common & { readonly default: number; readonly least: number; readonly most?: number },
): ConfigOption<number> {
  const { key, description, least, most = Number.POSITIVE_INFINITY } = option
  const parse = (text: string): number => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isFinite(value)) throw new RangeError(`"${text}" is not a number`)
    if (value < least || value > most) {
      throw new RangeError(
        `${value} is not ${most === Number.POSITIVE_INFINITY ? `at least ${least}` : `between ${least} and ${most}`}`,
      )
    }
    return value
  }
  return { key, description, parse, type: 'number', defaultValue: option.default, defaultText: String(option.default) }
}

/** The reader of one of these words, in any case, with '_' as good as '-', by another name too. Throws RangeError. */
function parseChoice<Choice extends string>(
  choices: readonly Choice[],
  names: Readonly<Record<string, Choice>>,
): (text: string) => Choice {
  return (text) => {
    const word = text.trim().toLowerCase().replaceAll('_', '-')
    const found = choices.find((choice) => choice === word) ?? names[word]
    if (found === undefined) throw new RangeError(`"${text}" is none of ${choices.join(', ')}`)
    return found
  }
}

interface Choices<Choice extends string> extends Common {
  readonly choices: readonly Choice[]
  /** Other names that Flink knows for a choice. */
  readonly names?: Readonly<Record<string, Choice>>
}

export function choiceOption<const Choice extends string>(
  option: Choices<Choice> & { readonly default: NoInfer<Choice> },
): ConfigOption<Choice> {
  const { key, description, choices, names = {} } = option
  return {
    key,
    description,
    parse: parseChoice(choices, names),
    type: `one of ${choices.join(', ')}`,
    defaultValue: option.default,
    defaultText: option.default,
  }
}

export function optionalChoiceOption<const Choice extends string>(
  option: Choices<Choice> & { readonly unset: string },
): ConfigOption<Choice | undefined> {
  const { key, description, choices, names = {}, unset } = option
  return {
    key,
    description,
    parse: parseChoice(choices, names),
    type: `one of ${choices.join(', ')}`,
    defaultValue: undefined,
    defaultText: unset,
  }
}
