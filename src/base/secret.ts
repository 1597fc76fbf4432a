/** A value that must never be printed: it shows as *** in text, JSON and inspection, and is read only by `reveal`. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
    Object.defineProperty(this, Symbol.for('nodejs.util.inspect.custom'), { value: () => '***' })
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
}
