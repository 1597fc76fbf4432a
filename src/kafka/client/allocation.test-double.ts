/** What a record costs in memory on a path: V8's sampling profiler counts all that is allocated, collected or not. */
import { type HeapProfiler, Session } from 'node:inspector/promises'

/** Enough for V8 to compile the path with what it has learnt, then enough to tell 1 byte a record. */
const WARM_UP_RECORDS = 600_000
const RECORDS = 400_000
const SAMPLING_BYTES = 4096

/** V8 compiles on a thread of its own, which may be kept waiting: until then numbers are objects. What the path costs it always costs. */
const TRIES = 6

/** The least of several tries, the first that is less than `most` if one is. */
export async function bytesPerRecord(work: (records: number) => Promise<void>, most: number): Promise<number> {
  await work(WARM_UP_RECORDS)
  let least = Number.POSITIVE_INFINITY
  for (let tries = 0; tries < TRIES && least >= most; tries++) least = Math.min(least, await measured(work))
  return least
}

async function measured(work: (records: number) => Promise<void>): Promise<number> {
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: SAMPLING_BYTES,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  })
  await work(RECORDS)
  const { profile } = await session.post('HeapProfiler.stopSampling')
  session.disconnect()
  return bytesOf(profile.head) / RECORDS
}

function bytesOf(node: HeapProfiler.SamplingHeapProfileNode): number {
  return node.children.reduce((sum, child) => sum + bytesOf(child), node.selfSize)
}
