/**
 * Records a second of the reader: positions, views, strings. Run: node src/kafka/records/batch-reader.bench.ts
 * Eight batches of 512 KB, keys of 5 and JSON values of 115 bytes, checksums on; best and median of fifteen
 * rounds of half a million records (others may be using the machine: the best is what the code can do).
 */
import { BatchReader } from './batch-reader.ts'
import { BatchWriter } from './batch-writer.ts'
import type { CompressionCodec } from './compression.ts'

const BATCHES = 8

function makeResponse(pad: string, compression: CompressionCodec): { bytes: Buffer; records: number } {
  const batches: Buffer[] = []
  let id = 0
  for (let batch = 0; batch < BATCHES; batch++) {
    const writer = new BatchWriter(512 * 1024)
    const key = (): string => `k${String(id % 10_000).padStart(4, '0')}`
    const value = (): string => `{"id":${1_000_000 + id},"user":"user-${100 + (id % 900)}","amount":12.5,"pad":"`
    const end = (head: string): string => `${head}${pad.repeat(113 - head.length)}"}`
    const baseOffset = id
    while (writer.append(1_700_000_000_000 + id, key(), end(value()))) id++
    const stamp = { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false, compression }
    const bytes = Buffer.from(writer.close(stamp))
    bytes.writeInt32BE(baseOffset, 4)
    batches.push(bytes)
  }
  return { bytes: Buffer.concat(batches), records: id }
}

const uses: Record<string, (reader: BatchReader) => number> = {
  'positions of key and value': (reader) => {
    return reader.keyStart + reader.keyLength + reader.valueStart + reader.valueLength
  },
  'positions, offset and timestamp': (reader) => {
    return (
      reader.offset + reader.timestamp + reader.keyStart + reader.keyLength + reader.valueStart + reader.valueLength
    )
  },
  'view of value': (reader) => {
    return reader.value()?.length ?? 0
  },
  'views of key and value': (reader) => {
    return (reader.key()?.length ?? 0) + (reader.value()?.length ?? 0)
  },
  'valueString (independent)': (reader) => {
    return reader.valueString()?.length ?? 0
  },
  transientValueString: (reader) => {
    return reader.transientValueString()?.length ?? 0
  },
  'keyString + transientValueString': (reader) => {
    return (reader.keyString()?.length ?? 0) + (reader.transientValueString()?.length ?? 0)
  },
  'utf8Slice, no proof': (reader) => {
    const start = reader.valueStart - reader.viewedStart
    return (reader.viewed as Buffer & { utf8Slice(a: number, b: number): string }).utf8Slice(
      start,
      start + reader.valueLength,
    ).length
  },
  'toString, no proof': (reader) => {
    const start = reader.valueStart - reader.viewedStart
    return reader.viewed.toString('utf8', start, start + reader.valueLength).length
  },
}

function walk(reader: BatchReader, bytes: Buffer, use: (reader: BatchReader) => number): number {
  let records = 0
  let sum = 0
  reader.reset('bench', 0, bytes, 0)
  while (reader.nextBatch()) {
    while (reader.next()) {
      sum += use(reader)
      records++
    }
  }
  return sum > 0 ? records : -1
}

function measure(name: string, pad: string, compression: CompressionCodec, use: (reader: BatchReader) => number): void {
  const { bytes, records } = makeResponse(pad, compression)
  const reader = new BatchReader()
  // A function of its own for each case, as in a job, where one caller knows what it does with a record.
  const own = new Function(`return ${walk.toString()}`)() as typeof walk
  const rounds: number[] = []
  const walks = Math.ceil(500_000 / records)
  for (let round = -2; round < 15; round++) {
    const before = process.hrtime.bigint()
    let walked = 0
    for (let count = 0; count < walks; count++) walked += own(reader, bytes, use)
    if (walked !== records * walks) throw new Error(`walked ${walked} of ${records * walks}`)
    if (round >= 0) rounds.push((walked * 1000) / Number(process.hrtime.bigint() - before))
  }
  rounds.sort((a, b) => a - b)
  process.stdout.write(`${name.padEnd(52)} ${rounds.at(-1)?.toFixed(1)} M/s, median ${rounds[7]?.toFixed(1)}\n`)
}

for (const [name, use] of Object.entries(uses)) measure(`ASCII: ${name}`, 'x', 'none', use)
for (const name of ['valueString (independent)', 'transientValueString', 'utf8Slice, no proof']) {
  const use = uses[name]
  if (use !== undefined) measure(`not ASCII: ${name}`, 'é', 'none', use)
}
for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
  const use = uses.transientValueString
  if (use !== undefined) measure(`${codec}: transientValueString`, 'x', codec, use)
}
