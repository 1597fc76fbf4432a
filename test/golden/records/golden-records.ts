/**
 * The records of the golden files in test/golden/records, which Kafka's Java code wrote (test/java/records/GoldenBatches.java
 * holds the same lists). For tests only.
 */
import { readFileSync } from 'node:fs'
import type { RecordHeaderInput } from '../../../src/kafka/records/record-headers.ts'

export interface GoldenRecord {
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers?: readonly RecordHeaderInput[]
}

const T = 1_700_000_000_000

export const mixedRecords: readonly GoldenRecord[] = [
  { timestamp: T, key: 'key', value: 'value' },
  { timestamp: T + 5, key: null, value: 'no key' },
  { timestamp: T - 70_000, key: 'older', value: null },
  { timestamp: T + 3_000_000_000, key: '', value: '' },
  { timestamp: T + 1, key: null, value: null },
  { timestamp: T + 2, key: 'ключ', value: 'värde 値 🚀' },
  {
    timestamp: T + 2,
    key: 'h',
    value: 'with headers',
    headers: [
      { key: 'a', value: Buffer.from('1') },
      { key: 'a', value: null },
      { key: '名', value: Buffer.from([0, 255, 127]) },
    ],
  },
  { timestamp: T - 1_600_000_000_000, key: 'long', value: 'x'.repeat(200) },
  { timestamp: T + 64, key: 'longer', value: 'y'.repeat(9000) },
]

export const manyRecords: readonly GoldenRecord[] = Array.from({ length: 3000 }, (_, i) => ({
  timestamp: T + ((i * 37) % 1000),
  key: `k${i % 100}`,
  value: `{"id":${i},"user":"user-${i % 977}"}`,
}))

export function goldenFile(name: string): Buffer {
  return readFileSync(new URL(`./${name}.bin`, import.meta.url))
}
