/**
 * How long a checkpoint of 100 MB keeps its thread from anything else, written and read back from a directory:
 * `node --conditions=millrace-source src/runtime/checkpoint/checkpoint-store.bench.ts [FOLDER]`. A loop beside it takes turns of the
 * event loop, as a task does, and tells its longest wait; the same loop alone is the measure.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DirectoryStorage, SystemClock } from '../../base/index.ts'
import { CheckpointStore } from './checkpoint-store.ts'

const PARTS = 4
const PART_BYTES = 25 * 1024 * 1024
const ROUNDS = 5

const clock = new SystemClock()
const folder = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'millrace-bench-'))

/** The longest time between two turns while the work goes on. */
async function longestWait(work: Promise<unknown>): Promise<{ readonly waitMs: number; readonly tookMs: number }> {
  let over = false
  const began = clock.monotonic()
  const done = work.finally(() => {
    over = true
  })
  let [waitMs, lastMs] = [0, began]
  while (!over) {
    await clock.nextTurn()
    const nowMs = clock.monotonic()
    waitMs = Math.max(waitMs, nowMs - lastMs)
    lastMs = nowMs
  }
  await done
  return { waitMs, tookMs: clock.monotonic() - began }
}

const text = ({ waitMs, tookMs }: { readonly waitMs: number; readonly tookMs: number }): string =>
  `longest wait ${waitMs.toFixed(1)} ms, took ${tookMs.toFixed(0)} ms`

try {
  const parts = Array.from({ length: PARTS }, (_, subtask) => {
    const bytes = Buffer.alloc(PART_BYTES, `state of ${subtask}, `)
    return { uid: 'count', role: 'operator' as const, subtask, version: 1, bytes }
  })
  const store = new CheckpointStore(new DirectoryStorage(folder), clock)
  for (let round = 1; round <= ROUNDS; round++) {
    const content = { job: 'j', checkpoint: round, attempt: 1, lineage: 'l', id: 'i', at: 0, final: false, parts }
    const alone = await longestWait(clock.sleep(200))
    const writing = store.write(content)
    const written = await longestWait(writing)
    const { digest, folder: name } = await writing
    const read = await longestWait(store.read(name, digest))
    process.stdout.write(`alone: ${text(alone)}; write: ${text(written)}; read: ${text(read)}\n`)
    await store.removeBelow(round + 1)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
