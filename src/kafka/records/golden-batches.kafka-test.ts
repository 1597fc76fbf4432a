/** With Kafka's Java code at hand: it still writes the golden files, and it reads what the writer makes with every codec. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  type GoldenRecord,
  goldenFile,
  manyRecords,
  mixedRecords,
} from '../../../test/golden/records/golden-records.ts'
import { installKafka, KAFKA_VERSIONS, type KafkaInstallation } from '../../testing/index.ts'
import { BatchWriter } from './batch-writer.ts'
import { COMPRESSION_CODECS } from './compression.ts'

const program = fileURLToPath(new URL('../../../test/java/records/GoldenBatches.java', import.meta.url))
let installation: KafkaInstallation
let folder = ''

before(async () => {
  installation = await installKafka(KAFKA_VERSIONS.newest)
  folder = mkdtempSync(join(tmpdir(), 'millrace-batches-'))
})

after(() => rmSync(folder, { recursive: true, force: true }))

function java(...args: string[]): string[] {
  const command = ['-cp', installation.classpath, program, ...args]
  return execFileSync(installation.java, command, { encoding: 'utf8', timeout: 120_000, maxBuffer: 1 << 28 }).split(
    '\n',
  )
}

test('Java writes the golden files that the other tests rely on', () => {
  java('write', folder)
  const names = readdirSync(folder)
  assert.equal(names.length, 11)
  for (const name of names) {
    // The compressed ones depend on the versions of Java and of the codecs.
    if (COMPRESSION_CODECS.some((codec) => name === `${codec}.bin`)) continue
    assert.deepEqual(readFileSync(join(folder, name)), goldenFile(name.replace('.bin', '')), name)
  }
})

const wide: readonly GoldenRecord[] = Array.from({ length: 40_000 }, (_, index) => ({
  timestamp: 1000 + index,
  key: null,
  value: `v${Math.imul(index, 2654435761)}${'x'.repeat(index % 60)}`,
}))

const hex = (text: string | null): string => (text === null ? 'null' : Buffer.from(text).toString('hex'))

/** As `GoldenBatches read` prints it. */
function printed(records: readonly GoldenRecord[], codec: string): string[] {
  const maxTimestamp = Math.max(...records.map((record) => record.timestamp))
  const lines = records.map((record, offset) => {
    const headers = (record.headers ?? []).map(
      (header) => ` ${header.key}=${header.value === null ? 'null' : Buffer.from(header.value).toString('hex')}`,
    )
    return `record ${offset} ${record.timestamp} ${hex(record.key)} ${hex(record.value)}${headers.join('')}`
  })
  return [`batch 0 ${records.length - 1} 4242 7 5 true ${codec} ${maxTimestamp}`, ...lines]
}

test('Java reads what is written with every codec', () => {
  const batches: Buffer[] = []
  const expected: string[] = []
  for (const compression of COMPRESSION_CODECS) {
    for (const records of [mixedRecords, manyRecords, wide]) {
      const writer = new BatchWriter(1 << 23)
      for (const record of records) assert.ok(writer.append(record.timestamp, record.key, record.value, record.headers))
      const stamp = { producerId: 4242, producerEpoch: 7, baseSequence: 5, transactional: true, compression }
      batches.push(writer.close(stamp))
      expected.push(...printed(records, compression))
    }
  }
  // One file and one Java process: batches follow each other as in a log.
  const file = join(folder, 'own')
  writeFileSync(file, Buffer.concat(batches))
  assert.deepEqual(java('read', file).slice(0, -1), expected)
})
