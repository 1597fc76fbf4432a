/**
 * For tests of the fetcher on brokers in memory: what a fetcher gives within some time of a clock moved by hand.
 */
import type { FetchDoubleCluster } from './fetcher.test-double.ts'
import type { FetchedPartition, Fetcher, PartitionTrouble } from './fetcher.ts'
import type { FetcherOptions } from './options.ts'

export const OPTIONS: FetcherOptions = {
  isolationLevel: 'read_uncommitted',
  fetchMinBytes: 1,
  fetchMaxBytes: 50 << 20,
  maxPartitionFetchBytes: 1 << 20,
  fetchMaxWaitMs: 500,
  checkCrcs: true,
}
export const COMMITTED: FetcherOptions = { ...OPTIONS, isolationLevel: 'read_committed' }

export const series: (name: string, count: number) => string[] = (name, count) =>
  Array.from({ length: count }, (_, i) => `${name}${i}`)

/** Reads for so long; values by partition, with every trouble. */
export class Readings {
  readonly values: Map<string, string[]> = new Map()
  readonly offsets: Map<string, number[]> = new Map()
  readonly troubles: PartitionTrouble[] = []

  of(name: string): string[] {
    return this.values.get(name) ?? []
  }

  take(data: FetchedPartition): void {
    const name = `${data.topic}/${data.partition}`
    const { reader } = data
    while (reader.nextBatch()) {
      while (reader.next()) {
        this.values.set(name, [...this.of(name), reader.valueString() ?? ''])
        this.offsets.set(name, [...(this.offsets.get(name) ?? []), reader.offset])
      }
    }
  }
}

export async function read(
  cluster: FetchDoubleCluster,
  fetcher: Fetcher,
  ms: number,
  into: Readings = new Readings(),
): Promise<Readings> {
  const end = cluster.clock.monotonic() + ms
  while (cluster.clock.monotonic() < end) {
    for (let got = fetcher.next(); got !== undefined; got = fetcher.next()) {
      if (got.kind === 'data') into.take(got)
      else into.troubles.push(got)
    }
    await cluster.clock.advance(5)
  }
  return into
}
