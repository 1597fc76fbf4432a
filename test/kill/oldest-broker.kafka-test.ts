/**
 * The oldest broker there is: it does not tell what became of a transaction, nor which are open. The same exactly-once job dies
 * where that matters and starts again by the same command; the output is the input, and nothing is left open.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JointName } from '../../src/base/index.ts'
import { KAFKA_VERSIONS, KafkaServer } from '../../src/testing/index.ts'
import { createInput, KillScene } from './kill-scene.ts'

const RECORDS = 40_000
/** Behind the flush, between completed and committed, in the middle of a commit, behind it, and while recovery clears up. */
const DEATHS: readonly (readonly [JointName, number])[] = [
  ['flushed', 3],
  ['completed-written', 2],
  ['transaction-ended', 1],
  ['all-ended', 1],
  ['sweep', 1],
  ['completed-written', 1],
  ['committed-written', 1],
]

let server: KafkaServer
before(async () => {
  server = await KafkaServer.start({ version: KAFKA_VERSIONS.oldest })
  await createInput(server, 'in', RECORDS)
})
after(() => server?.close())

test('a broker that tells nothing of transactions: whatever the deaths, the output is the input', {
  timeout: 900_000,
}, async () => {
  const scene = await KillScene.create({
    server,
    name: 'old',
    input: 'in',
    records: RECORDS,
    recordsPerCheckpoint: 50,
  })
  try {
    for (const [joint, nth] of DEATHS) await scene.dieAt(joint, nth)
    await scene.finish()
    await whenStable(scene.output)
    const { missing, doubled, disorder, strange } = await scene.compare()
    assert.deepEqual([missing.length, doubled.length, disorder.length, strange], [0, 0, 0, 0])
    await scene.assertGroupOffsets()
  } finally {
    scene.close()
  }
})

/** No transaction is left open: one that is decided ends by itself, when its markers are written. */
async function whenStable(topic: string): Promise<void> {
  const until = performance.now() + 60_000
  for (;;) {
    const stable = await server.java.offsets(topic, 'last-stable')
    const ends = await server.java.offsets(topic, 'latest')
    if (stable.join() === ends.join()) return
    assert(performance.now() < until, `a transaction is left open: last stable ${stable}, latest ${ends}`)
    await sleep(20)
  }
}
