/** A KeyTable beside a Map: the same answers whatever comes and goes, with keys that meet in one hash and those that do not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type Keyed, KeyTable } from './key-table.ts'
import type { PrimitiveKey } from './primitive-key.ts'

class Item implements Keyed {
  readonly primitive: PrimitiveKey
  next: this | undefined = undefined

  constructor(primitive: PrimitiveKey) {
    this.primitive = primitive
  }
}

const HASHES: Readonly<Record<string, ((primitive: PrimitiveKey) => number) | undefined>> = {
  'its own': undefined,
  'one for all': () => 7,
  'by length': (primitive) => String(primitive).length,
}
const keys = fc.oneof(
  fc.string({ maxLength: 3 }),
  fc.integer({ min: -3, max: 30 }),
  fc.constantFrom<PrimitiveKey>(Number.NaN, 1.5, 7n, -7n, true, false, '', '7', '\0s'),
)
const steps = fc.array(fc.tuple(fc.constantFrom('toggle', 'look', 'walk'), keys), { maxLength: 200 })

for (const [name, hash] of Object.entries(HASHES)) {
  test(`a key table with the hash "${name}" answers as a Map`, () => {
    fc.assert(
      fc.property(steps, (chosen) => {
        const table = new KeyTable<Item>(hash)
        const map = new Map<PrimitiveKey, Item>()
        for (const [step, key] of chosen) {
          const known = map.get(key)
          assert.equal(table.get(key), known)
          if (step === 'walk') assert.deepEqual(new Set(table), new Set(map.values()))
          if (step !== 'toggle') continue
          if (known === undefined) {
            const item = new Item(key)
            table.add(item)
            map.set(key, item)
          } else {
            table.delete(known)
            map.delete(key)
          }
          assert.equal(table.size, map.size)
        }
      }),
    )
  })

  test(`a walk with the hash "${name}" meets once what stays, while others come and go`, () => {
    const key = fc.string({ minLength: 1, maxLength: 2 })
    const change = fc.record({ after: fc.nat(40), key, adds: fc.boolean() })
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 40 }), fc.array(change), (before, changes) => {
        const table = new KeyTable<Item>(hash)
        for (const each of before) table.add(new Item(each))
        const stay = new Set(table)
        const met: Item[] = []
        for (const item of table) {
          met.push(item)
          for (const { key: changed, adds } of changes.filter(({ after }) => after === met.length)) {
            const known = table.get(changed)
            if (adds && known === undefined) table.add(new Item(changed))
            if (adds || known === undefined) continue
            table.delete(known)
            stay.delete(known)
          }
          if (met.length > 200) break
        }
        assert.equal(new Set(met).size, met.length, 'none is met twice')
        for (const item of stay) assert.ok(met.includes(item), `${String(item.primitive)} was there all the time`)
      }),
    )
  })
}
