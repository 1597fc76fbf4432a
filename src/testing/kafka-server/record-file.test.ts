import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { type RecordToProduce, readRecordFile, writeRecordFile } from './record-file.ts'

it('records of all sizes come back from the file as they were, across the borders of the write buffer', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-record-file-'))
  try {
    const records: RecordToProduce[] = Array.from({ length: 600 }, (_, i) => ({
      partition: i % 5,
      timestamp: 1_700_000_000_000 + i,
      key: i % 3 === 0 ? null : `schlüssel ${i}`,
      // The 300th alone is larger than the buffer.
      value: i === 300 ? Buffer.alloc(3_000_000, 7) : 'é'.repeat((i * 37) % 9_001),
      headers: i % 4 === 0 ? [{ key: 'h', value: `${i}` }] : [],
    }))
    const file = join(directory, 'records')
    assert.equal(writeRecordFile(file, records), records.length)
    const read = readRecordFile(file)
    assert.equal(read.length, records.length)
    for (const [i, record] of read.entries()) {
      const written = records[i]
      assert.ok(written)
      assert.deepEqual([record.partition, record.timestamp], [written.partition, written.timestamp])
      assert.equal(record.key?.toString() ?? null, written.key)
      assert.ok(record.value?.equals(Buffer.from(written.value ?? '')), `value ${i}`)
      assert.deepEqual(
        record.headers.map((header) => [header.key, String(header.value)]),
        written.headers?.map((header) => [header.key, header.value]),
      )
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
