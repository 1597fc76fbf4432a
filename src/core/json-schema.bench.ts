/**
 * JSON of a topic read by JsonSchema from the text of a batch, beside JSON.parse of the same: a flat object of six fields, as in the
 * copies of bench/.
 *
 *     node --conditions=millrace-source src/core/json-schema.bench.ts
 */
import { JsonSchema } from './schema.ts'

const RECORDS = 500
const ROUNDS = 400

const texts = Array.from({ length: RECORDS }, (_, index) =>
  JSON.stringify({
    id: index,
    user: `u${(index * 7919) % 10_000}`,
    type: ['view', 'click', 'buy', 'noise'][index % 4],
    ts: 1_700_000_000_000 + index,
    amount: ((index * 31) % 10_000) / 100,
    pad: 'nrsrucebenquwdwjniqvibrcorzwjymw'.slice(index % 5),
  }),
)
const bytes = Buffer.from(texts.join('\n'), 'latin1')
const ends: number[] = []
for (const text of texts) ends.push((ends.at(-1) ?? -1) + text.length + 1)

function nanoseconds(read: (text: string, from: number, to: number) => unknown): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now()
    const text = bytes.toString('latin1')
    let from = 0
    for (const to of ends) {
      if (read(text, from, to) === undefined) throw new Error('nothing was read')
      from = to + 1
    }
    best = Math.min(best, ((performance.now() - began) * 1e6) / RECORDS)
  }
  return Math.round(best)
}

const schema = new JsonSchema()
const byParse = nanoseconds((text, from, to) => JSON.parse(text.substring(from, to)))
const bySchema = nanoseconds((text, from, to) => schema.deserializeAscii({ bytes, text, offset: 0 }, from, to))
process.stdout.write(`ns a record: JSON.parse ${byParse}, JsonSchema ${bySchema}\n`)
