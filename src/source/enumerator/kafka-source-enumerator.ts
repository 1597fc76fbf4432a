/**
 * Finds the partitions to read, decides where each begins and ends, and gives them to the readers. Lives on the main thread.
 *
 * What always holds:
 * - a partition is made into a split once; a restored one keeps its position and its stop offset, nothing is looked up again;
 * - only the first discovery uses the user's starting offsets, even if it found nothing: a partition found later begins at its
 *   earliest offset, or records written before it was noticed would be missed (unlike Flink, whose flag waits for a match);
 * - the first discovery's failure is the start's failure; later ones are logged and tried again, the job goes on;
 * - in bounded mode the end of splits is signalled exactly once, after the first discovery, whatever it found (FLINK-31006).
 *   The same where stop offsets are set and no discovery can follow;
 * - a restored partition that is not subscribed any more is not read; its position is kept until it is subscribed again.
 */
import { AssertionFailed, describeError, type Timer, toError } from '../../base/index.ts'
import type { SplitEnumerator, SplitEnumeratorContext, SubtaskIndex } from '../../core/index.ts'
import { connectAs, type KafkaSourceSettings } from '../kafka-source-settings.ts'
import { AdminOffsetsRetriever } from '../partition-offsets-retriever.ts'
import type { ConnectSource, SourceClient } from '../source-client.ts'
import { isFinished, type KafkaPartitionSplit, type StartingOffset, splitId } from '../split/kafka-partition-split.ts'
import {
  comparePartitions,
  listPartitions,
  partitionName,
  type TopicPartition,
  TopicPartitionMap,
} from '../topic-partition.ts'
import type { KafkaSourceEnumeratorState } from './kafka-source-enumerator-state.ts'
import { resolveStartingOffsets, resolveStoppingOffsets } from './offset-resolution.ts'
import { ownerByLoad, ownerByTopic, type SplitOwner } from './split-owner.ts'

/** After a failed discovery the next one does not wait for the whole interval. */
const RETRY_AFTER_MS_MAX = 30_000

export interface KafkaSourceEnumeratorOptions {
  readonly context: SplitEnumeratorContext<KafkaPartitionSplit>
  readonly settings: KafkaSourceSettings<unknown>
  readonly connect: ConnectSource
  readonly restored:
    | { readonly state: KafkaSourceEnumeratorState; readonly splits: readonly KafkaPartitionSplit[] }
    | undefined
}

export class KafkaSourceEnumerator implements SplitEnumerator<KafkaSourceEnumeratorState> {
  readonly #context: SplitEnumeratorContext<KafkaPartitionSplit>
  readonly #settings: KafkaSourceSettings<unknown>
  readonly #client: SourceClient
  readonly #owner: SplitOwner
  /** Every partition that was ever made into a split, as it was assigned or is to be. */
  readonly #known = new Map<string, KafkaPartitionSplit>()
  readonly #initialOffsets: Map<string, StartingOffset>
  /** Restored ones not assigned (yet): after the first discovery, those that are not subscribed. */
  readonly #unassigned = new Map<string, KafkaPartitionSplit>()
  #gone: ReadonlySet<string> = new Set()
  #initialDiscoveryFinished: boolean
  #noMoreSplits = false
  #timer: Timer | undefined
  #discovery: Promise<void> | undefined
  #closed = false

  constructor(options: KafkaSourceEnumeratorOptions) {
    const { context, settings, restored } = options
    this.#context = context
    this.#settings = settings
    this.#client = connectAs(options.connect, settings, {
      uid: context.uid,
      suffix: 'enumerator-admin-client',
      ports: context,
    })
    this.#initialDiscoveryFinished = restored?.state.initialDiscoveryFinished ?? false
    this.#initialOffsets = new Map(restored?.state.initialOffsets)
    this.#owner = restored === undefined ? ownerByTopic(context.parallelism) : ownerByLoad(context.parallelism)
    for (const split of [...(restored?.state.splits ?? []), ...(restored?.splits ?? [])]) {
      this.#known.set(splitId(split), split)
      this.#unassigned.set(splitId(split), split)
    }
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const close = (): void => void this.close()
    signal.addEventListener('abort', close, { once: true })
    try {
      this.#discovery = this.#discover()
      await this.#discovery
      signal.throwIfAborted()
    } finally {
      signal.removeEventListener('abort', close)
    }
    const { boundedness, stoppingOffsets, discoveryIntervalMs } = this.#settings
    if (boundedness === 'bounded' || (stoppingOffsets !== undefined && discoveryIntervalMs === undefined)) {
      this.#signalNoMoreSplits()
    }
    if (discoveryIntervalMs !== undefined) this.#schedule(discoveryIntervalMs)
  }

  snapshotState(): KafkaSourceEnumeratorState {
    return {
      initialDiscoveryFinished: this.#initialDiscoveryFinished,
      splits: [...this.#known.values()],
      initialOffsets: new Map(this.#initialOffsets),
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.#client.close()
    await this.#discovery?.catch(() => undefined)
  }

  async #discover(): Promise<void> {
    const listed = await this.#settings.subscriber.getSubscribedTopicPartitions(this.#client.admin)
    const subscribed = new TopicPartitionMap([...listed].map((partition) => [partition, true] as const))
    const found = [...subscribed.keys()].sort(comparePartitions)
    const made = await this.#makeSplits(found.filter((partition) => !this.#known.has(partitionName(partition))))
    if (this.#closed) return
    for (const split of made) {
      this.#known.set(splitId(split), split)
      this.#initialOffsets.set(splitId(split), split.startingOffset)
      this.#unassigned.set(splitId(split), split)
    }
    this.#tellGone(subscribed)
    this.#initialDiscoveryFinished = true
    this.#assign(found)
  }

  async #makeSplits(partitions: readonly TopicPartition[]): Promise<KafkaPartitionSplit[]> {
    if (partitions.length === 0) return []
    const { startingOffsets, stoppingOffsets, groupId, resetStrategy } = this.#settings
    const retriever = new AdminOffsetsRetriever({ admin: this.#client.admin, groupId })
    const question = { retriever, partitions, groupId }
    const starts = this.#initialDiscoveryFinished
      ? undefined
      : await resolveStartingOffsets({ ...question, initializer: startingOffsets, resetStrategy })
    const stops =
      stoppingOffsets === undefined
        ? undefined
        : await resolveStoppingOffsets({ ...question, initializer: stoppingOffsets })
    return partitions.map(({ topic, partition }) => ({
      topic,
      partition,
      startingOffset: starts?.get({ topic, partition }) ?? { kind: 'earliest' },
      stoppingOffset: stops?.get({ topic, partition }),
    }))
  }

  /** Hands out what is subscribed and unassigned: first what is still to be read, so that the load is even. */
  #assign(subscribed: readonly TopicPartition[]): void {
    const splits = subscribed.flatMap((partition) => this.#unassigned.get(partitionName(partition)) ?? [])
    const bySubtask = new Map<SubtaskIndex, KafkaPartitionSplit[]>()
    for (const split of [...splits.filter((each) => !isFinished(each)), ...splits.filter(isFinished)]) {
      const owner = this.#owner(split)
      bySubtask.set(owner, [...(bySubtask.get(owner) ?? []), split])
      this.#unassigned.delete(splitId(split))
    }
    for (const [subtask, owned] of bySubtask) this.#context.assignSplits(subtask, owned)
  }

  /** Each partition that disappeared is told once. */
  #tellGone(subscribed: TopicPartitionMap<true>): void {
    const gone = [...this.#known.values()].filter((split) => !subscribed.has(split))
    const told = this.#gone
    this.#gone = new Set(gone.map(splitId))
    const newlyGone = gone.filter((split) => !told.has(splitId(split)))
    const resting = newlyGone.filter((split) => this.#unassigned.has(splitId(split)))
    const reading = newlyGone.filter((split) => !this.#unassigned.has(splitId(split)))
    if (resting.length > 0) {
      this.#context.logger.warn(
        { uid: this.#context.uid, partitions: resting.map(describePosition) },
        `${listPartitions(resting)} of the restored state are not subscribed any more and are not read; their positions are kept in case they are subscribed again`,
      )
    }
    if (reading.length > 0) {
      this.#context.logger.warn(
        { uid: this.#context.uid },
        `${listPartitions(reading)} are not found any more; their readers go on as long as the brokers answer`,
      )
    }
  }

  #schedule(delayMs: number): void {
    if (this.#closed) return
    this.#timer = this.#context.clock.setTimer(
      delayMs,
      () => {
        this.#discovery = this.#discoverAgain()
      },
      { background: true },
    )
  }

  async #discoverAgain(): Promise<void> {
    const intervalMs = this.#settings.discoveryIntervalMs ?? RETRY_AFTER_MS_MAX
    try {
      await this.#discover()
      this.#schedule(intervalMs)
    } catch (error) {
      if (this.#closed) return
      if (error instanceof AssertionFailed) {
        this.#context.fail(toError(error))
        return
      }
      const nextMs = Math.min(intervalMs, RETRY_AFTER_MS_MAX)
      this.#context.logger.warn(
        { uid: this.#context.uid, error: describeError(error), nextMs },
        'looking for new partitions failed; those already found are read on, and it is tried again',
      )
      this.#schedule(nextMs)
    }
  }

  #signalNoMoreSplits(): void {
    if (this.#noMoreSplits || this.#closed) return
    this.#noMoreSplits = true
    this.#context.signalNoMoreSplits()
  }
}

function describePosition(split: KafkaPartitionSplit): string {
  const { startingOffset } = split
  return `${splitId(split)} at ${startingOffset.kind === 'at' ? startingOffset.offset : startingOffset.kind}`
}
