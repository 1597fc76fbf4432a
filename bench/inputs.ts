/**
 * The inputs `in1m` and `in5m`: 4 partitions, no retention, uncompressed, keys u0..u9999, values of 111 to 118 bytes, the
 * record's time 1700000000000 + id. They are the same bytes on every machine, and the same that other systems' benches
 * beside this one expect, because all of them are made by the same seeded generator.
 *
 *     node bench/inputs.ts BOOTSTRAP [1m|5m]...
 */
import { pathToFileURL } from 'node:url'
import { BenchTools } from './bench-tools.ts'

export const INPUTS: Readonly<Record<string, number>> = { in1m: 1_000_000, in5m: 5_000_000 }

/** Fills the topics that are missing; refuses one that is there with another number of records. */
export async function fillInputs(tools: BenchTools, topics: Iterable<string>): Promise<void> {
  for (const topic of topics) {
    const records = INPUTS[topic]
    if (records === undefined) throw new Error(`${topic} is none of ${Object.keys(INPUTS).join(', ')}`)
    const { made } = await tools.ask('fill', { topic, records })
    process.stderr.write(`${topic}: ${records} records ${made === true ? 'written' : 'were there'}\n`)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [bootstrap, ...sizes] = process.argv.slice(2)
  if (bootstrap === undefined) throw new Error('usage: node bench/inputs.ts BOOTSTRAP [1m|5m]...')
  const tools = await BenchTools.start(bootstrap)
  try {
    await fillInputs(tools, sizes.length === 0 ? Object.keys(INPUTS) : sizes.map((size) => `in${size}`))
  } finally {
    await tools.close()
  }
}
