/** The lines that the job of these tests writes, and what must hold of them whatever happened on the way. */
import assert from 'node:assert/strict'
import { KEYS } from './thread-job.fixture.ts'

interface Line {
  readonly value: number
  readonly key: number
  readonly count: number
  readonly mapped: string
  readonly counted: string
  readonly start: string
}

export function parsed(line: string): Line {
  const [value, key, count, mapped = '', counted = '', ...start] = line.split(' ')
  return { value: Number(value), key: Number(key), count: Number(count), mapped, counted, start: start.join(' ') }
}

/** Every number once, and the counts of each key 1, 2, 3 ... without a gap: nothing was lost or counted twice in the state. */
export function assertExact(lines: readonly string[], count: number): void {
  const all = lines.map(parsed)
  assert.equal(all.length, count)
  assert.equal(new Set(all.map(({ value }) => value)).size, count)
  for (let key = 0; key < KEYS; key++) {
    const counts = all.filter((line) => line.key === key).map((line) => line.count)
    assert.deepEqual(
      counts.sort((left, right) => left - right),
      Array.from({ length: count / KEYS }, (_, n) => n + 1),
    )
  }
}
