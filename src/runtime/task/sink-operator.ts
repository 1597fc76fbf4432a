/**
 * A sink's writer as the last operator of a chain. It turns barriers into committables and keeps, per checkpoint, nothing:
 * the writer itself knows which transactions are flushed and not ended.
 */
import type {
  CheckpointId,
  CloseOptions,
  Counter,
  Operator,
  OperatorSnapshot,
  SinkWriter,
  VersionedBytes,
  VersionedSerializer,
} from '../../core/index.ts'
import { packList } from '../checkpoint/packed-list.ts'

export interface SinkOperatorOptions {
  readonly writer: SinkWriter<unknown, unknown>
  readonly serializer: VersionedSerializer<unknown> | undefined
  readonly records: Counter
}

export class SinkOperator implements Operator<unknown> {
  readonly #writer: SinkWriter<unknown, unknown>
  readonly #serializer: VersionedSerializer<unknown> | undefined
  readonly #records: Counter

  constructor(options: SinkOperatorOptions) {
    this.#writer = options.writer
    this.#serializer = options.serializer
    this.#records = options.records
  }

  async open(): Promise<void> {
    await this.#writer.open?.()
  }

  emit(value: unknown): void {
    this.#records.value++
    this.#writer.write(value)
  }

  emitWatermark(): void {}

  emitIdle(): void {}

  get blocked(): boolean {
    return this.#writer.blocked
  }

  writable(): Promise<void> {
    return this.#writer.writable()
  }

  inputDry(): void {
    this.#writer.inputDry?.()
  }

  snapshot(checkpoint: CheckpointId, final: boolean): OperatorSnapshot {
    return this.#snapshot(this.#writer.prepareCommit(checkpoint, final))
  }

  async checkpointCompleted(checkpoint: CheckpointId): Promise<void> {
    await this.#writer.commit?.(checkpoint)
  }

  checkpointCommitted(checkpoint: CheckpointId): void {
    this.#writer.committed?.(checkpoint)
  }

  close(options: CloseOptions): Promise<void> {
    return this.#writer.close(options)
  }

  async #snapshot(flushed: Promise<readonly unknown[]>): Promise<VersionedBytes | undefined> {
    const committables = await flushed
    const serializer = this.#serializer
    if (serializer === undefined || committables.length === 0) return undefined
    return { version: serializer.version, bytes: packList(committables.map((item) => serializer.serialize(item))) }
  }
}
