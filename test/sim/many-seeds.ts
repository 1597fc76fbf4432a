/**
 * Runs many seeds, on this thread or shared out to workers, each of which takes every n-th seed and tells its totals as it goes.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { runSeed } from './run-seed.ts'
import { addReport, addTotals, noTotals, type Totals } from './totals.ts'

export interface SeedRange {
  readonly from: number
  readonly count: number
  readonly bug?: string
  /** Told every so many seeds. */
  readonly onProgress?: (totals: Totals) => void
}

interface Share {
  readonly from: number
  readonly to: number
  readonly step: number
}

const TOLD_EVERY = 50

export async function runSeeds({ from, count, onProgress }: SeedRange): Promise<Totals> {
  const totals = noTotals()
  for (let seed = from; seed < from + count; seed++) {
    addReport(totals, await runSeed(seed))
    if (totals.seeds % TOLD_EVERY === 0) onProgress?.(totals)
  }
  return totals
}

export async function runSeedsInWorkers(range: SeedRange, workers: number): Promise<Totals> {
  const totals = noTotals()
  const share = async (n: number): Promise<void> => {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { from: range.from + n, to: range.from + range.count, step: workers } satisfies Share,
    })
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (part: Totals) => {
        addTotals(totals, part)
        range.onProgress?.(totals)
      })
      worker.on('error', reject)
      worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`))))
    })
  }
  await Promise.all(Array.from({ length: workers }, (_, n) => share(n)))
  return totals
}

if (!isMainThread && parentPort !== null) {
  const { from, to, step } = workerData as Share
  let part = noTotals()
  for (let seed = from; seed < to; seed += step) {
    addReport(part, await runSeed(seed))
    if (part.seeds < TOLD_EVERY) continue
    parentPort.postMessage(part)
    part = noTotals()
  }
  parentPort.postMessage(part)
}
