/**
 * Figures that a function keeps and that the job's result shows, merged over all subtasks (Flink: accumulators). They are counted
 * since the last start of the subtasks and are not part of checkpoints: after a restart they begin anew, so what must be exact
 * belongs into state.
 */
import { MillraceError } from '../base/index.ts'

/** An accumulator as plain data, as it travels between threads. */
export type AccumulatorValue =
  | { readonly kind: 'sum'; readonly sum: number }
  | { readonly kind: 'minimum' | 'maximum'; readonly extreme: number }
  | { readonly kind: 'average'; readonly sum: number; readonly count: number }
  | { readonly kind: 'list'; readonly elements: readonly unknown[] }
  | { readonly kind: 'histogram'; readonly counts: readonly (readonly [value: number, count: number])[] }

/** One of IntCounter, LongCounter, DoubleCounter, Minimum, Maximum, AverageAccumulator, ListAccumulator, Histogram. */
export interface Accumulator<T> {
  add(value: T): void
  /** What this subtask added so far. */
  readonly value: AccumulatorValue
}

/** Flink's IntCounter, LongCounter and DoubleCounter: JavaScript has one kind of number. */
export class Counting implements Accumulator<number> {
  #sum = 0

  add(value: number): void {
    this.#sum += value
  }

  get value(): AccumulatorValue {
    return { kind: 'sum', sum: this.#sum }
  }
}

export class IntCounter extends Counting {}
export class LongCounter extends Counting {}
export class DoubleCounter extends Counting {}

export class Minimum implements Accumulator<number> {
  #extreme = Number.POSITIVE_INFINITY

  add(value: number): void {
    if (value < this.#extreme) this.#extreme = value
  }

  get value(): AccumulatorValue {
    return { kind: 'minimum', extreme: this.#extreme }
  }
}

export class Maximum implements Accumulator<number> {
  #extreme = Number.NEGATIVE_INFINITY

  add(value: number): void {
    if (value > this.#extreme) this.#extreme = value
  }

  get value(): AccumulatorValue {
    return { kind: 'maximum', extreme: this.#extreme }
  }
}

export class AverageAccumulator implements Accumulator<number> {
  #sum = 0
  #count = 0

  add(value: number): void {
    this.#sum += value
    this.#count++
  }

  get value(): AccumulatorValue {
    return { kind: 'average', sum: this.#sum, count: this.#count }
  }
}

/** Keeps all that was added; for few. */
export class ListAccumulator<T> implements Accumulator<T> {
  readonly #elements: T[] = []

  add(value: T): void {
    this.#elements.push(value)
  }

  get value(): AccumulatorValue {
    return { kind: 'list', elements: [...this.#elements] }
  }
}

/** How often each number was added. */
export class Histogram implements Accumulator<number> {
  readonly #counts = new Map<number, number>()

  add(value: number): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1)
  }

  get value(): AccumulatorValue {
    return { kind: 'histogram', counts: [...this.#counts] }
  }
}

/** Adds to what is there under that name. One of another kind goes under a name that says so, because a job has ended by then. */
export function mergeAccumulator(into: Map<string, AccumulatorValue>, name: string, value: AccumulatorValue): void {
  const before = into.get(name)
  const merged = before === undefined ? value : mergedValue(before, value)
  if (merged !== undefined) into.set(name, merged)
  else mergeAccumulator(into, `${name} (${value.kind})`, value)
}

function mergedValue(left: AccumulatorValue, right: AccumulatorValue): AccumulatorValue | undefined {
  if (left.kind === 'sum' && right.kind === 'sum') return { kind: 'sum', sum: left.sum + right.sum }
  if (left.kind === 'minimum' && right.kind === 'minimum') {
    return { kind: 'minimum', extreme: Math.min(left.extreme, right.extreme) }
  }
  if (left.kind === 'maximum' && right.kind === 'maximum') {
    return { kind: 'maximum', extreme: Math.max(left.extreme, right.extreme) }
  }
  if (left.kind === 'average' && right.kind === 'average') {
    return { kind: 'average', sum: left.sum + right.sum, count: left.count + right.count }
  }
  if (left.kind === 'list' && right.kind === 'list') {
    return { kind: 'list', elements: [...left.elements, ...right.elements] }
  }
  if (left.kind === 'histogram' && right.kind === 'histogram') {
    const counts = new Map(left.counts)
    for (const [value, count] of right.counts) counts.set(value, (counts.get(value) ?? 0) + count)
    return { kind: 'histogram', counts: [...counts] }
  }
  return undefined
}

/** What a job's result shows: a number, a list, or the counts of a histogram by value in ascending order. */
export function accumulatorResult(value: AccumulatorValue): unknown {
  switch (value.kind) {
    case 'sum':
      return value.sum
    case 'minimum':
    case 'maximum':
      return value.extreme
    case 'average':
      return value.count === 0 ? 0 : value.sum / value.count
    case 'list':
      return value.elements
    case 'histogram':
      return new Map([...value.counts].sort(([left], [right]) => left - right))
  }
}

/** The accumulators of one operator subtask. */
export class AccumulatorRegistry {
  readonly #accumulators = new Map<string, Accumulator<never>>()

  /** Throws OPTION_INVALID when there is one of that name already. */
  add(name: string, accumulator: Accumulator<never>): void {
    if (this.#accumulators.has(name)) {
      throw new MillraceError('OPTION_INVALID', `addAccumulator: there is an accumulator "${name}" already`)
    }
    this.#accumulators.set(name, accumulator)
  }

  get(name: string): Accumulator<never> | undefined {
    return this.#accumulators.get(name)
  }

  entries(): IterableIterator<[string, Accumulator<never>]> {
    return this.#accumulators.entries()
  }
}

/**
 * All accumulators of some subtasks by name. One object that several of them added (a field of a function that serves them all)
 * counts once.
 */
export function mergedAccumulators(registries: Iterable<AccumulatorRegistry>): Map<string, AccumulatorValue> {
  const merged = new Map<string, AccumulatorValue>()
  const seen = new Set<Accumulator<never>>()
  for (const registry of registries) {
    for (const [name, accumulator] of registry.entries()) {
      if (seen.has(accumulator)) continue
      seen.add(accumulator)
      mergeAccumulator(merged, name, accumulator.value)
    }
  }
  return merged
}
