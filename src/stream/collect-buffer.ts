/**
 * Between a running job and the loop that reads its results: elements in order, and both sides waiting for each other. The
 * buffer is bounded by back-pressure: writers are blocked while it holds `capacity` elements or more.
 */
export class CollectBuffer<T> {
  /** Whether any element was ever added. */
  used = false
  readonly #capacity: number
  #elements: T[] = []
  #read = 0
  #end: { readonly failure: unknown } | undefined
  #readers: (() => void)[] = []
  #writers: (() => void)[] = []

  constructor(capacity = 1_024) {
    this.#capacity = capacity
  }

  get full(): boolean {
    return this.#elements.length - this.#read >= this.#capacity && this.#end === undefined
  }

  add(element: T): void {
    this.used = true
    this.#elements.push(element)
    this.#wake('readers')
  }

  addAll(elements: readonly T[]): void {
    for (const element of elements) this.#elements.push(element)
    this.#wake('readers')
  }

  /** No elements will follow; with a failure, `take` throws it after the last one. */
  end(failure?: unknown): void {
    this.#end ??= { failure }
    this.#wake('readers')
    this.#wake('writers')
  }

  /** The next element, or undefined at the end. */
  async take(): Promise<{ readonly element: T } | undefined> {
    while (this.#read === this.#elements.length) {
      if (this.#end !== undefined) {
        if (this.#end.failure !== undefined) throw this.#end.failure
        return undefined
      }
      await new Promise<void>((resolve) => this.#readers.push(resolve))
    }
    const element = this.#elements[this.#read++] as T
    if (this.#read === this.#elements.length) {
      this.#elements = []
      this.#read = 0
    }
    if (!this.full) this.#wake('writers')
    return { element }
  }

  /** Resolves when there is room, or when nobody will read any more. */
  async room(): Promise<void> {
    while (this.full) await new Promise<void>((resolve) => this.#writers.push(resolve))
  }

  #wake(side: 'readers' | 'writers'): void {
    const waiting = side === 'readers' ? this.#readers : this.#writers
    if (waiting.length === 0) return
    if (side === 'readers') this.#readers = []
    else this.#writers = []
    for (const resolve of waiting) resolve()
  }
}
