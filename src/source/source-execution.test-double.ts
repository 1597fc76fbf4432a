/**
 * A source with its enumerator and one reader over a given network, on the system's clock: tests run it until it ends or until
 * something holds, take its snapshot, and begin another one from that.
 */
import { type Network, SeededRandom, SystemClock } from '../base/index.ts'
import { checkpointId, type RuntimePorts, type SourceReader } from '../core/index.ts'
import type { KafkaSourceEnumeratorState } from './enumerator/kafka-source-enumerator-state.ts'
import type { KafkaSource } from './kafka-source.ts'
import { drive, EnumeratorHarness, KeepingLogger, ReaderHarness } from './source-harness.test-double.ts'
import type { KafkaPartitionSplit } from './split/kafka-partition-split.ts'

export class SourceExecution<T = string> {
  readonly harness: ReaderHarness<T>
  readonly enumeratorHarness: EnumeratorHarness
  readonly reader: SourceReader<KafkaPartitionSplit>
  readonly logger: KeepingLogger = new KeepingLogger()
  readonly #enumerator: ReturnType<KafkaSource<T>['createEnumerator']>
  #given = 0

  constructor(
    source: KafkaSource<T>,
    network: Network,
    restored?: { state: KafkaSourceEnumeratorState; splits: readonly KafkaPartitionSplit[] },
  ) {
    const ports: RuntimePorts = {
      clock: new SystemClock(),
      network,
      random: new SeededRandom(1),
      logger: this.logger,
    }
    this.harness = new ReaderHarness<T>({ ports })
    this.enumeratorHarness = new EnumeratorHarness()
    this.reader = source.createReader(this.harness.context)
    const { enumeratorHarness } = this
    const context = {
      ...ports,
      uid: 'source',
      parallelism: 1,
      assignSplits: enumeratorHarness.assignSplits.bind(enumeratorHarness),
      signalNoMoreSplits: enumeratorHarness.signalNoMoreSplits.bind(enumeratorHarness),
      fail: enumeratorHarness.fail.bind(enumeratorHarness),
    }
    this.#enumerator = source.createEnumerator(context, restored)
  }

  async start(): Promise<this> {
    await this.#enumerator.start(new AbortController().signal)
    await this.reader.open?.()
    this.#hand()
    return this
  }

  #hand(): void {
    const { assigned, noMoreSplits } = this.enumeratorHarness
    this.reader.addSplits(assigned.slice(this.#given).map(({ split }) => split))
    this.#given = assigned.length
    if (noMoreSplits > 0) this.reader.noMoreSplits()
  }

  /** Until the source ends or `until` holds; new splits reach the reader. */
  async run(until?: () => boolean, budget = 100): Promise<T[]> {
    await drive(this.reader, {
      budget,
      until: () => {
        if (this.enumeratorHarness.assigned.length > this.#given) this.#hand()
        return until?.() ?? false
      },
    })
    return this.harness.values
  }

  snapshot(checkpoint = 1): { state: KafkaSourceEnumeratorState; splits: readonly KafkaPartitionSplit[] } {
    const id = checkpointId(checkpoint)
    return { state: this.#enumerator.snapshotState(id), splits: this.reader.snapshotState(id) }
  }

  async close(): Promise<void> {
    await this.reader.close()
    await this.#enumerator.close()
  }
}
