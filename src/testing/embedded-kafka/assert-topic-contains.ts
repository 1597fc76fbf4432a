/**
 * Compares what a topic holds with what it should hold, waiting a while for it: a job commits when its checkpoint is due. What
 * is there and should not be fails as well as what lacks, so a record that came twice is found. After the expected number
 * was there it looks once more, for one that comes too late to be wanted.
 */
import { AssertionError } from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect, isDeepStrictEqual } from 'node:util'
import type { KafkaRecord } from '../kafka-server/record-file.ts'

/** `EmbeddedKafka`; anything that can read a topic to its end will do. */
export interface TopicReading {
  readAll(
    topic: string,
    options?: { readonly isolation?: 'read_committed' | 'read_uncommitted' },
  ): Promise<readonly KafkaRecord[]>
}

export interface TopicContainsOptions {
  /** `exactly`: in this order, which means something within a partition; partitions follow each other. Default `any`. */
  readonly order?: 'exactly' | 'any'
  /** Default `read_committed`. */
  readonly isolation?: 'read_committed' | 'read_uncommitted'
  /** How long to wait for the records; default 10 s. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 10_000
const PAUSE_MS = 20
const SHOWN_MAX = 10

/** A text is compared with the record's value as text, null with a tombstone, anything else with the value read as JSON. */
export async function assertTopicContains(
  kafka: TopicReading,
  topic: string,
  expected: readonly unknown[],
  options: TopicContainsOptions = {},
): Promise<void> {
  const { order = 'any', isolation = 'read_committed', timeoutMs = TIMEOUT_MS } = options
  const beganMs = performance.now()
  let values: (string | null)[]
  do {
    values = (await kafka.readAll(topic, { isolation })).map(({ value }) => value?.toString() ?? null)
    if (values.length >= expected.length) break
    await sleep(PAUSE_MS)
  } while (performance.now() - beganMs < timeoutMs)
  if (values.length === expected.length) {
    await sleep(PAUSE_MS)
    values = (await kafka.readAll(topic, { isolation })).map(({ value }) => value?.toString() ?? null)
  }
  const difference = order === 'exactly' ? differenceInOrder(values, expected) : differenceOfBags(values, expected)
  if (difference === undefined) return
  throw new AssertionError({
    message: `topic ${topic} (${isolation}) holds ${values.length} records, expected ${expected.length}:\n${difference}`,
    actual: values,
    expected,
    operator: 'assertTopicContains',
    stackStartFn: assertTopicContains,
  })
}

function equals(value: string | null, wanted: unknown): boolean {
  if (value === null || wanted === null || typeof wanted === 'string') return value === wanted
  try {
    return isDeepStrictEqual(JSON.parse(value), wanted)
  } catch {
    return false
  }
}

function differenceInOrder(values: readonly (string | null)[], expected: readonly unknown[]): string | undefined {
  for (let index = 0; index < Math.max(values.length, expected.length); index++) {
    const value = values[index]
    if (index < expected.length && value !== undefined && equals(value, expected[index])) continue
    const there = value === undefined ? 'nothing' : inspect(value)
    const wanted = index < expected.length ? inspect(expected[index]) : 'nothing'
    return `record ${index} is ${there}, not ${wanted}`
  }
  return undefined
}

/** By text where that is enough, so that large topics are compared in one pass. */
function differenceOfBags(values: readonly (string | null)[], expected: readonly unknown[]): string | undefined {
  const left = new Map<string | null, number>()
  for (const value of values) left.set(value, (left.get(value) ?? 0) + 1)
  const take = (value: string | null): void => {
    const count = left.get(value) ?? 0
    if (count > 1) left.set(value, count - 1)
    else left.delete(value)
  }
  const missing: unknown[] = []
  for (const wanted of expected) {
    const text = wanted === null || typeof wanted === 'string' ? wanted : JSON.stringify(wanted)
    if (left.has(text)) take(text)
    else {
      const same = [...left.keys()].find((value) => equals(value, wanted))
      if (same === undefined) missing.push(wanted)
      else take(same)
    }
  }
  const extra = [...left].flatMap(([value, count]) => Array.from({ length: count }, () => value))
  if (missing.length === 0 && extra.length === 0) return undefined
  return [...shown('missing', missing), ...shown('not expected', extra)].join('\n')
}

function shown(what: string, values: readonly unknown[]): string[] {
  const lines = values.slice(0, SHOWN_MAX).map((value) => `  ${what}: ${inspect(value)}`)
  return values.length > SHOWN_MAX ? [...lines, `  ${what}: ${values.length - SHOWN_MAX} more`] : lines
}
