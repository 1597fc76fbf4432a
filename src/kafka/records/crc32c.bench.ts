/** Bytes a second of both forms of CRC-32C, and where the native one begins to pay. Run: node src/kafka/records/crc32c.bench.ts */
import { type Crc32c, crc32cInJavaScript, nativeCrc32c } from './crc32c.ts'

const native = nativeCrc32c()
let sink = 0

function measure(name: string, crc: Crc32c, bytes: Buffer): void {
  const calls = Math.ceil(50_000_000 / (bytes.length + 200))
  let best = 0
  for (let round = 0; round < 6; round++) {
    const before = process.hrtime.bigint()
    for (let call = 0; call < calls; call++) sink ^= crc(bytes, 0, bytes.length)
    best = Math.max(best, (calls * bytes.length) / Number(process.hrtime.bigint() - before))
  }
  process.stdout.write(`${name.padEnd(12)} ${String(bytes.length).padStart(8)} bytes  ${best.toFixed(2)} GB/s\n`)
}

for (const size of [64, 128, 256, 512, 1024, 16_384, 524_288]) {
  const bytes = Buffer.alloc(size, 'millrace')
  if (native !== null) measure('native', native, bytes)
  measure('JavaScript', crc32cInJavaScript, bytes)
}
if (sink === 1) throw new Error('unlikely')
