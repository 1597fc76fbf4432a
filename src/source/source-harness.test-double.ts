/**
 * Stands in for the engine in this room's tests: contexts for an enumerator and a reader, a clock that tests move, an output
 * that keeps what is emitted, and a loop that drives a reader as a task does.
 */
import { type Clock, type Logger, type Network, SeededRandom, sleepOn, type Timer } from '../base/index.ts'
import {
  attemptId,
  ElementTime,
  MetricRegistry,
  type RuntimePorts,
  type SourceReader,
  type SourceReaderContext,
  type SplitEnumeratorContext,
  type SplitOutput,
  type SubtaskIndex,
  subtaskIndex,
} from '../core/index.ts'
import { type KafkaPartitionSplit, splitId } from './split/kafka-partition-split.ts'

/** Stands still until `advance`. */
export class ManualClock implements Clock {
  #now = 1_000_000
  #timers: { readonly at: number; readonly callback: () => void }[] = []

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#now
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { at: this.#now + delayMs, callback }
    this.#timers.push(timer)
    return { cancel: () => (this.#timers = this.#timers.filter((each) => each !== timer)) }
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal)
  }

  async nextTurn(): Promise<void> {
    await settle()
  }

  get timers(): number {
    return this.#timers.length
  }

  /** Fires what is due, then lets everything that follows from it happen. */
  async advance(ms: number): Promise<void> {
    this.#now += ms
    const due = this.#timers.filter(({ at }) => at <= this.#now)
    this.#timers = this.#timers.filter(({ at }) => at > this.#now)
    for (const { callback } of due) callback()
    await settle()
  }
}

/** Lets promises that can be settled settle. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Keeps warnings and errors as text. */
export class KeepingLogger implements Logger {
  readonly lines: string[] = []

  debug(): void {}

  info(): void {}

  warn(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.lines.push(`warn ${message} ${JSON.stringify(fields)}`)
  }

  error(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.lines.push(`error ${message} ${JSON.stringify(fields)}`)
  }
}

const noNetwork: Network = { connect: () => Promise.reject(new Error('there is no network here')) }

export interface TestPorts extends RuntimePorts {
  readonly clock: ManualClock
  readonly logger: KeepingLogger
}

export function testPorts(): TestPorts {
  return { clock: new ManualClock(), random: new SeededRandom(1), network: noNetwork, logger: new KeepingLogger() }
}

/** What an enumerator did. */
export class EnumeratorHarness implements SplitEnumeratorContext<KafkaPartitionSplit> {
  readonly uid = 'source'
  readonly clock: ManualClock = new ManualClock()
  readonly logger: KeepingLogger = new KeepingLogger()
  readonly random: SeededRandom = new SeededRandom(1)
  readonly network: Network = noNetwork
  readonly parallelism: number
  readonly assigned: { readonly subtask: SubtaskIndex; readonly split: KafkaPartitionSplit }[] = []
  noMoreSplits = 0
  readonly failures: Error[] = []

  constructor(parallelism = 1) {
    this.parallelism = parallelism
  }

  assignSplits(subtask: SubtaskIndex, splits: readonly KafkaPartitionSplit[]): void {
    for (const split of splits) this.assigned.push({ subtask, split })
  }

  signalNoMoreSplits(): void {
    this.noMoreSplits++
  }

  fail(error: Error): void {
    this.failures.push(error)
  }

  /** `orders-0 earliest..end @0`: every assignment as text. */
  get story(): string[] {
    return this.assigned.map(({ subtask, split }) => `${describeSplit(split)} @${subtask}`)
  }
}

export function describeSplit(split: KafkaPartitionSplit): string {
  const start = split.startingOffset.kind === 'at' ? split.startingOffset.offset : split.startingOffset.kind
  return `${splitId(split)} ${start}..${split.stoppingOffset ?? ''}`
}

export interface Emitted<T> {
  readonly split: string
  readonly value: T
  readonly timestamp: number
}

/** A reader's surroundings. */
export class ReaderHarness<T> {
  readonly ports: RuntimePorts
  readonly time: ElementTime = new ElementTime()
  readonly registry: MetricRegistry = new MetricRegistry()
  readonly emitted: Emitted<T>[] = []
  readonly released: string[] = []
  readonly outputsMade: string[] = []
  /** The output is blocked once this many values were emitted. */
  blockAfter: number = Number.POSITIVE_INFINITY
  /** Called with every value; may throw as a chain does. */
  onEmit: (value: T) => void = () => undefined
  readonly context: SourceReaderContext<T>

  constructor(
    options: { readonly ports?: RuntimePorts; readonly checkpointing?: boolean; readonly subtask?: number } = {},
  ) {
    this.ports = options.ports ?? testPorts()
    const { clock, logger, network, random } = this.ports
    this.context = {
      jobName: 'job',
      operatorName: 'source',
      uid: 'source',
      subtask: subtaskIndex(options.subtask ?? 0),
      parallelism: 1,
      maxParallelism: 128,
      metrics: this.registry,
      clock,
      logger,
      network,
      random,
      attempt: attemptId(1),
      time: this.time,
      checkpointing: options.checkpointing ?? true,
      output: {
        forSplit: (id) => this.#output(id),
        releaseSplit: (id) => void this.released.push(id),
      },
    }
  }

  get values(): T[] {
    return this.emitted.map(({ value }) => value)
  }

  metric(name: string): number | undefined {
    return this.registry.read().get(name)
  }

  #output(split: string): SplitOutput<T> {
    this.outputsMade.push(split)
    const harness = this
    return {
      get blocked(): boolean {
        return harness.emitted.length >= harness.blockAfter
      },
      emit: (value) => {
        this.onEmit(value)
        this.emitted.push({ split, value, timestamp: this.time.timestamp })
      },
      emitWatermark: () => undefined,
      emitIdle: () => undefined,
    }
  }
}

/** Polls until the reader has ended, or `until` says so; rejects when that takes longer than `timeoutMs`. */
export async function drive(
  reader: SourceReader<KafkaPartitionSplit>,
  options: { readonly until?: () => boolean; readonly timeoutMs?: number; readonly budget?: number } = {},
): Promise<void> {
  const { until = () => false, timeoutMs = 120_000, budget = 100 } = options
  const deadline = performance.now() + timeoutMs
  while (!until()) {
    const status = reader.poll(budget)
    if (status === 'ended') return
    if (performance.now() > deadline) throw new Error(`the reader did not get there in ${timeoutMs} ms`)
    if (status === 'waiting') {
      const stop = new AbortController()
      const wait = new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 50)
        stop.signal.addEventListener('abort', () => clearTimeout(timer))
      })
      await Promise.race([reader.available(), wait])
      stop.abort()
    }
    await settle()
  }
}
