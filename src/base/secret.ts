/** A value that must never be printed: it shows as *** in text, JSON and inspection, and is read only by `reveal`. */
const inspect: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never

export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '***'
  }

  toJSON(): string {
    return '***'
  }

  [inspect](): string {
    return '***'
  }
}
