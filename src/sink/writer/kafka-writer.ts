/**
 * The sink's half that lives with a task: one producer, and with exactly-once the transactions it writes in. `write` is
 * synchronous and leaves nothing behind but bytes in a batch.
 *
 * One thing can make an element wait: a topic seen for the first time, whose partitions the brokers must tell. It and all
 * that follows, barriers included, then wait in order; the writer is `blocked` meanwhile.
 */
import { joint, MillraceError, toError } from '../../base/index.ts'
import type { CheckpointId, CloseOptions, SinkWriter, SinkWriterContext } from '../../core/index.ts'
import type { KafkaCommittable } from '../committer/kafka-committable.ts'
import type { DeliveryGuarantee } from '../delivery-guarantee.ts'
import type { KafkaRecordSerializationSchema } from '../serializer/kafka-record-serialization-schema.ts'
import { createRecordPath, type RecordPath } from './record-path.ts'
import type { RecordProducer } from './record-producer.ts'
import { registerWriterMetrics } from './writer-metrics.ts'
import type { WriterTransactions, WriterTransactionsOptions } from './writer-transactions.ts'

/** Elements that may wait for a topic. A task stops when the writer is blocked, so that only one poll's worth arrives. */
const WAITING_MAX = 262_144

type Waiting<T> =
  | { readonly kind: 'element'; readonly element: T; readonly timestamp: number }
  | { readonly kind: 'barrier'; readonly pass: () => void; readonly fail: (error: unknown) => void }

export interface KafkaWriterOptions<T> {
  readonly context: SinkWriterContext
  readonly schema: KafkaRecordSerializationSchema<T>
  readonly guarantee: DeliveryGuarantee
  readonly producer: RecordProducer
  /** Whether records leave without waiting for more when the input has none; the user set no `linger.ms`. */
  readonly prompt: boolean
  /** `register.producer.metrics`, and its old opposite `flink.disable-metrics`. */
  readonly registerProducerMetrics: boolean
  /** Present with exactly-once. */
  readonly transactions:
    | ((shared: Pick<WriterTransactionsOptions, 'producer' | 'metrics'>) => WriterTransactions)
    | undefined
  /** Closes the connections, last. */
  readonly disconnect: () => Promise<void>
}

export class KafkaWriter<T> implements SinkWriter<T, KafkaCommittable> {
  readonly #context: SinkWriterContext
  readonly #guarantee: DeliveryGuarantee
  readonly #producer: RecordProducer
  readonly #prompt: boolean
  readonly #transactions: WriterTransactions | undefined
  readonly #path: RecordPath<T>
  readonly #disconnect: () => Promise<void>
  readonly #waiting: Waiting<T>[] = []
  /** Resolves when nothing waits any more; rejects with what made that impossible. */
  #drained: Promise<void> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor(options: KafkaWriterOptions<T>) {
    const { context, producer } = options
    this.#context = context
    this.#guarantee = options.guarantee
    this.#producer = producer
    this.#disconnect = options.disconnect
    // In a transaction nobody sees a record earlier for it.
    this.#prompt = options.prompt && options.transactions === undefined
    const pending = (): number => this.#transactions?.pending ?? 0
    const metrics = registerWriterMetrics(context.metrics, producer, pending, options.registerProducerMetrics)
    this.#transactions = options.transactions?.({ producer, metrics })
    this.#path = createRecordPath(options.schema, {
      gate: this.#transactions ?? ALWAYS_OPEN,
      clock: context.clock,
      context,
      sent: metrics.recordsSent,
      skipped: metrics.recordsSkipped,
    })
  }

  async open(): Promise<void> {
    await this.#transactions?.prepare()
    for (const topic of this.#path.topics) this.#path.learn(await this.#producer.topic(topic))
    await this.#path.open()
  }

  write(element: T): void {
    const { timestamp } = this.#context.time
    if (this.#waiting.length > 0) {
      this.#wait(element, timestamp)
      return
    }
    if (!this.#append(element, timestamp)) {
      this.#wait(element, timestamp)
      this.#drained = this.#drain()
      this.#drained.catch((error: unknown) => this.#context.fail(toError(error)))
    }
  }

  #append(element: T, timestamp: number): boolean {
    try {
      return this.#path.append(element, timestamp)
    } catch (error) {
      if (MillraceError.is(error)) throw error
      throw new MillraceError(
        'SERIALIZATION_FAILED',
        `sink "${this.#context.operatorName}" cannot serialize an element`,
        {
          cause: error,
        },
      )
    }
  }

  get blocked(): boolean {
    return this.#waiting.length > 0 || this.#producer.blocked
  }

  async writable(): Promise<void> {
    await this.#drained
    await this.#producer.writable()
    if (this.#producer.failure !== undefined) throw this.#producer.failure
  }

  inputDry(): void {
    if (this.#prompt) this.#producer.nudge()
  }

  #wait(element: T, timestamp: number): void {
    if (this.#waiting.length >= WAITING_MAX) {
      throw new MillraceError(
        'KAFKA_TIMEOUT',
        `${WAITING_MAX} elements wait for the partitions of topic "${this.#path.missing}"; the brokers have not answered yet`,
        { retriable: true, next: 'The task fails and is restored from the last completed checkpoint.' },
      )
    }
    this.#waiting.push({ kind: 'element', element, timestamp })
  }

  /** Learns the missing topics one after the other and appends what waits, in order. */
  async #drain(): Promise<void> {
    let done = 0
    try {
      while (done < this.#waiting.length) {
        const topic = await this.#producer.topic(this.#path.missing)
        this.#refuseWhenClosed()
        this.#path.learn(topic)
        for (; done < this.#waiting.length; done++) {
          const next = this.#waiting[done]
          if (next?.kind === 'barrier') next.pass()
          else if (next !== undefined && !this.#append(next.element, next.timestamp)) break
        }
      }
      this.#waiting.length = 0
    } catch (error) {
      // The elements stay where they are, so that the writer stays blocked: the task is failing.
      for (const one of this.#waiting.slice(done)) if (one.kind === 'barrier') one.fail(error)
      throw error
    }
  }

  async prepareCommit(checkpoint: CheckpointId, final: boolean): Promise<readonly KafkaCommittable[]> {
    this.#refuseWhenClosed()
    if (this.#waiting.length === 0) return this.#seal(checkpoint, final)
    return new Promise((resolve, reject) => {
      const pass = (): void => resolve(this.#seal(checkpoint, final))
      this.#waiting.push({ kind: 'barrier', pass, fail: reject })
    })
  }

  async #seal(checkpoint: CheckpointId, final: boolean): Promise<readonly KafkaCommittable[]> {
    let listed: readonly KafkaCommittable[] = []
    if (this.#transactions !== undefined) listed = await this.#transactions.seal(checkpoint)
    else if (this.#guarantee !== 'NONE' || final) await this.#producer.seal()
    else return listed
    joint('flushed', { checkpoint, uid: this.#context.uid, subtask: this.#context.subtask })
    return listed
  }

  async commit(checkpoint: CheckpointId): Promise<void> {
    await this.#transactions?.commit(checkpoint)
  }

  committed(checkpoint: CheckpointId): void {
    this.#transactions?.committed(checkpoint)
  }

  close(options?: CloseOptions): Promise<void> {
    this.#closed ??= this.#close(options?.abandon ?? false)
    return this.#closed
  }

  async #close(abandon: boolean): Promise<void> {
    const stop = (): Promise<void> => this.#producer.close({ discard: true })
    try {
      if (this.#transactions === undefined) await stop()
      else await this.#transactions.close(stop, abandon)
      await this.#path.close()
    } finally {
      await this.#disconnect()
    }
  }

  #refuseWhenClosed(): void {
    if (this.#closed !== undefined) throw new MillraceError('CANCELLED', 'the sink writer is closed')
  }
}

const ALWAYS_OPEN = { isOpen: true, begin: (): void => undefined }
