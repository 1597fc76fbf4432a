/**
 * Values of Java-named properties as a person may write them: numbers or text, durations with a unit ("10 s"), sizes with a
 * unit ("64mb", powers of 1024 as in Flink). A value that makes no sense is OPTION_INVALID naming its key, never a guess.
 */
import { MillraceError } from '../../base/index.ts'

export type KafkaProperties = Readonly<Record<string, string | number | boolean>>

export interface NumberBounds {
  readonly min?: number
  readonly max?: number
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  ms: 1,
  milli: 1,
  millis: 1,
  s: 1_000,
  sec: 1_000,
  second: 1_000,
  seconds: 1_000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  days: 86_400_000,
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  bytes: 1,
  k: 1024,
  kb: 1024,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1024 ** 3,
  gib: 1024 ** 3,
}

const INT_MAX = 0x7fff_ffff

export class PropertyValues {
  readonly #properties: KafkaProperties

  constructor(properties: KafkaProperties) {
    this.#properties = properties
  }

  text(key: string, byDefault: string): string {
    const value = this.#properties[key]
    return value === undefined ? byDefault : String(value).trim()
  }

  has(key: string): boolean {
    return this.#properties[key] !== undefined
  }

  integer(key: string, byDefault: number, bounds: NumberBounds = {}): number {
    return this.#measure(key, byDefault, bounds, { '': 1 }, 'a whole number')
  }

  durationMs(key: string, byDefault: number, bounds: NumberBounds = {}): number {
    return this.#measure(key, byDefault, bounds, DURATION_UNITS, 'a duration such as 10000 (ms), "10 s" or "5 min"')
  }

  bytes(key: string, byDefault: number, bounds: NumberBounds = {}): number {
    return this.#measure(key, byDefault, bounds, SIZE_UNITS, 'a size such as 65536, "64kb" or "64mb"')
  }

  flag(key: string, byDefault: boolean): boolean {
    const text = this.text(key, String(byDefault)).toLowerCase()
    if (text !== 'true' && text !== 'false') throw this.invalid(key, 'true or false')
    return text === 'true'
  }

  oneOf<Choice extends string>(key: string, byDefault: Choice, choices: readonly Choice[]): Choice {
    const text = this.text(key, byDefault).toLowerCase()
    const choice = choices.find((one) => one === text)
    if (choice === undefined) throw this.invalid(key, `one of ${choices.join(', ')}`)
    return choice
  }

  invalid(key: string, wanted: string): MillraceError {
    const value = JSON.stringify(this.#properties[key] ?? '')
    return new MillraceError('OPTION_INVALID', `The Kafka property ${key} is ${value}, but must be ${wanted}.`, {
      next: 'Nothing was started.',
    })
  }

  #measure(
    key: string,
    byDefault: number,
    bounds: NumberBounds,
    units: Readonly<Record<string, number>>,
    wanted: string,
  ): number {
    const raw = this.#properties[key]
    if (raw === undefined) return byDefault
    const match = /^(-?\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(String(raw).trim())
    const unit = match === null ? undefined : units[(match[2] ?? '').toLowerCase()]
    const value = unit === undefined ? Number.NaN : Number(match?.[1]) * unit
    if (!Number.isSafeInteger(value)) throw this.invalid(key, wanted)
    const { min = 0, max = INT_MAX } = bounds
    if (value < min || value > max) throw this.invalid(key, `${wanted}, from ${min} to ${max}`)
    return value
  }
}
