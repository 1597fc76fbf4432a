/**
 * Configuration: Flink's keys, typed. An option knows its key, its default and how to read its text, so that an unknown key
 * or a bad value is refused with the key, where it was written and a suggestion, before anything runs.
 */
import { MillraceError } from '../base/index.ts'
import { type ConfigurationValues, OPTIONS } from './options.ts'

type OptionName = keyof ConfigurationValues

/** Values by key, as text; reading one parses it. Later settings win. */
export class Configuration {
  readonly #values = new Map<string, string>()

  constructor(values: Readonly<Record<string, string | number | boolean>> = {}) {
    for (const [key, value] of Object.entries(values)) this.set(key, value)
  }

  /**
   * Throws MillraceError OPTION_INVALID for a key that no option has, or a value that its option does not take. `where` it was
   * written (a file and its line) is named then.
   */
  set(key: string, value: string | number | boolean, where?: string): this {
    const place = where === undefined ? '' : `${where}: `
    const known = Object.values(OPTIONS).find((candidate) => candidate.key === key)
    if (known === undefined) {
      throw new MillraceError('OPTION_INVALID', `${place}unknown configuration key "${key}"${suggestion(key)}`)
    }
    try {
      known.parse(String(value))
    } catch (error) {
      throw new MillraceError(
        'OPTION_INVALID',
        `${place}${key}: ${error instanceof Error ? error.message : String(error)}`,
      )
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
