/**
 * The mailbox of a task: barriers, completions, timers and commands are letters, taken one at a time between two slices of
 * records. Never a letter per record.
 */
export class Mailbox<Letter> {
  #letters: Letter[] = []
  #wake: (() => void) | undefined
  #waiting: Promise<void> | undefined

  put(letter: Letter): void {
    this.#letters.push(letter)
    this.#wake?.()
    this.#wake = undefined
    this.#waiting = undefined
  }

  take(): Letter | undefined {
    return this.#letters.shift()
  }

  get empty(): boolean {
    return this.#letters.length === 0
  }

  /** Resolves when there is a letter. The same promise for all that wait at the same time. */
  arrival(): Promise<void> {
    if (this.#letters.length > 0) return Promise.resolve()
    this.#waiting ??= new Promise((resolve) => {
      this.#wake = resolve
    })
    return this.#waiting
  }
}
