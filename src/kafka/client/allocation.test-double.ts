/** What a record costs in memory on a path: V8's sampling profiler counts all that is allocated, collected or not. */
import { type HeapProfiler, Session } from 'node:inspector/promises'

/** Enough for V8 to compile the path with what it has learnt, then enough to tell 1 byte a record. */
const WARM_UP_RECORDS = 600_000
const RECORDS = 400_000
const SAMPLING_BYTES = 4096

export async function bytesPerRecord(work: (records: number) => Promise<void>): Promise<number> {
  await work(WARM_UP_RECORDS)
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
