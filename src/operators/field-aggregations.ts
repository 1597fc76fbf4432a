/**
 * sum, min and max of a field as functions for reduce (Flink: SumAggregator, ComparableAggregator). The other fields stay those of
 * the key's first element. Elements are not changed: each result is a new one.
 */

export type Aggregation = 'sum' | 'min' | 'max'

export function aggregateField<T>(aggregation: Aggregation, field: keyof T): (left: T, right: T) => T {
  switch (aggregation) {
    case 'sum':
      return (left, right) => withField(left, field, plus(left[field], right[field], field))
    case 'min':
      return (left, right) => (right[field] < left[field] ? withField(left, field, right[field]) : left)
    case 'max':
      return (left, right) => (right[field] > left[field] ? withField(left, field, right[field]) : left)
  }
}

function plus<V>(left: V, right: V, field: PropertyKey): V {
  if (typeof left === 'number' && typeof right === 'number') return (left + right) as V
  if (typeof left === 'bigint' && typeof right === 'bigint') return (left + right) as V
  throw new TypeError(
    `field ${String(field)} is ${typeof left} in one element and ${typeof right} in another; sum needs numbers`,
  )
}

function withField<T>(element: T, field: keyof T, value: T[keyof T]): T {
  const copy = (Array.isArray(element) ? [...element] : { ...element }) as T
  copy[field] = value
  return copy
}
