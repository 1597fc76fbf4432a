/**
 * Equal parts of a state are one object: a part is looked up by its text and gets a number, so that two states are equal
 * exactly when their parts' numbers are. Nothing is told apart or taken as equal by a hash that could collide.
 */
export interface Cell<T> {
  readonly id: number
  readonly value: T
}

export class Cells<T> {
  readonly #known = new Map<string, Cell<T>>()

  of(value: T): Cell<T> {
    const text = JSON.stringify(value)
    const known = this.#known.get(text)
    if (known !== undefined) return known
    const cell = { id: this.#known.size, value }
    this.#known.set(text, cell)
    return cell
  }
}

export type Two<T> = readonly [T, T]

/** Which of two: a subtask, or a process. */
export type Which = 0 | 1
export const BOTH: Two<Which> = [0, 1]

export function put<T>(two: Two<T>, at: Which, value: T): Two<T> {
  return at === 0 ? [value, two[1]] : [two[0], value]
}

/** What must never be, and was reached. */
export class Violation extends Error {}
