/**
 * Values that a graph depends on and that two threads might compute differently: the time, fetched rules. Each name is
 * computed once, on the main thread, and every other place gets the same value; it must be plain data, because it travels
 * to other threads and is cloned here too, so that a job that works by hand also works with workers.
 */
import { MillraceError } from '../base/index.ts'

export class OnceValues {
  readonly #values = new Map<string, Promise<unknown>>()
  readonly #mayCompute: boolean

  /** Worker threads are given what the main thread computed and compute nothing themselves. */
  constructor(values: Readonly<Record<string, unknown>> = {}, mayCompute = true) {
    for (const [name, value] of Object.entries(values)) this.#values.set(name, Promise.resolve(value))
    this.#mayCompute = mayCompute
  }

  get(name: string, compute: () => unknown): Promise<unknown> {
    const known = this.#values.get(name)
    if (known !== undefined) return known
    const value = this.#compute(name, compute)
    this.#values.set(name, value)
    return value
  }

  /** Everything computed so far, for another thread. */
  async toRecord(): Promise<Readonly<Record<string, unknown>>> {
    const entries = await Promise.all([...this.#values].map(async ([name, value]) => [name, await value] as const))
    return Object.fromEntries(entries)
  }

  async #compute(name: string, compute: () => unknown): Promise<unknown> {
    if (!this.#mayCompute) {
      throw new MillraceError(
        'JOB_FILE_INVALID',
        `env.once("${name}", ...) is called on a worker but was not on the main thread; build must do the same everywhere`,
      )
    }
    const value = await compute()
    try {
      return structuredClone(value)
    } catch (cause) {
      throw new MillraceError('JOB_FILE_INVALID', `env.once("${name}", ...): the value cannot be cloned`, { cause })
    }
  }
}
