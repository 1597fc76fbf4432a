/**
 * Records a second of the writer, checksum included. Run: node src/kafka/records/batch-writer.bench.ts
 * Batches of 512 KB, keys of 5 and JSON values of 115 bytes; best and median of fifteen rounds of half a million records.
 */
import { BatchWriter } from './batch-writer.ts'
import type { CompressionCodec } from './compression.ts'

const RECORDS = 4000
const T = 1_700_000_000_000

type Cell = string | Uint8Array

function makeValues(pad: string): string[] {
  return Array.from({ length: RECORDS }, (_, index) => {
    const id = 1_000_000 + index
    return JSON.stringify({ id, user: `user-${100 + (id % 900)}`, amount: 12.5, pad: pad.repeat(60) })
  })
}

const keys = Array.from({ length: RECORDS }, (_, id) => `k${String(id).padStart(4, '0')}`)
const ascii = makeValues('x')
const other = makeValues('é')
const bytesOf = (texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text))

function write(
  writer: BatchWriter,
  keyCells: readonly Cell[],
  valueCells: readonly Cell[],
  codec: CompressionCodec,
  records: number,
): number {
  const stamp = { producerId: 1, producerEpoch: 1, baseSequence: 0, transactional: true, compression: codec }
  let bytes = 0
  for (let index = 0; index < records; index++) {
    const key = keyCells[index % RECORDS] ?? null
    const value = valueCells[index % RECORDS] ?? null
    if (writer.append(T + index, key, value)) continue
    bytes += writer.close(stamp).length
    writer.reset()
    writer.append(T + index, key, value)
  }
  return bytes + writer.close(stamp).length
}

function measure(
  name: string,
  keyCells: readonly Cell[],
  valueCells: readonly Cell[],
  codec: CompressionCodec,
  records = 500_000,
): void {
  const writer = new BatchWriter(512 * 1024)
  const rounds: number[] = []
  for (let round = -2; round < 15; round++) {
    const before = process.hrtime.bigint()
    if (write(writer, keyCells, valueCells, codec, records) === 0) throw new Error('nothing was written')
    writer.reset()
    if (round >= 0) rounds.push((records * 1000) / Number(process.hrtime.bigint() - before))
  }
  rounds.sort((a, b) => a - b)
  process.stdout.write(`${name.padEnd(52)} ${rounds.at(-1)?.toFixed(1)} M/s, median ${rounds[7]?.toFixed(1)}\n`)
}

measure('strings, ASCII', keys, ascii, 'none')
measure('strings, not ASCII', keys, other, 'none')
measure('bytes', bytesOf(keys), bytesOf(ascii), 'none')
measure('key bytes, value string', bytesOf(keys), ascii, 'none')
for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) measure(`strings, ${codec}`, keys, ascii, codec, 50_000)
