/**
 * The log of one directory of the job as the simulator sees it: from the records that were created on the disk, at the moment they were, whoever is
 * told of it. It reads the stored forms with the shipped decoders and draws its conclusions alone.
 */
import type { CheckpointContent } from '../../src/runtime/checkpoint/checkpoint-metadata.ts'
import { decodeCheckpoint } from '../../src/runtime/checkpoint/checkpoint-metadata.ts'
import {
  type AttemptRecord,
  type CompletedRecord,
  decodeLogEntry,
  type Lineage,
} from '../../src/runtime/checkpoint/job-log-record.ts'
import { unpackList } from '../../src/runtime/checkpoint/packed-list.ts'
import { type KafkaCommittable, KafkaCommittableSerializer } from '../../src/sink/committer/kafka-committable.ts'
import {
  type KafkaPartitionSplit,
  kafkaPartitionSplitSerializer,
} from '../../src/source/split/kafka-partition-split.ts'
import type { SimulatedProcess } from '../../src/testing/simulation/simulated-process.ts'
import type { Simulation } from '../../src/testing/simulation/simulation.ts'

export interface SeenAttempt {
  readonly number: number
  readonly process: SimulatedProcess
  readonly record: AttemptRecord
  readonly atMs: number
}

export interface SeenCheckpoint {
  readonly record: CompletedRecord
  readonly attempt: number
  readonly committables: readonly KafkaCommittable[]
  readonly splits: readonly KafkaPartitionSplit[]
  committed: boolean
  void: boolean
}

const serializer = new KafkaCommittableSerializer()

export function sameIdentity(
  left: { readonly transactionalId: string; readonly producerId: number; readonly epoch: number },
  right: { readonly transactionalId: string; readonly producerId: number; readonly epoch: number },
): boolean {
  return (
    left.transactionalId === right.transactionalId && left.producerId === right.producerId && left.epoch === right.epoch
  )
}

export class LogView {
  readonly attempts: SeenAttempt[] = []
  /** In the order of the log. */
  readonly completed: SeenCheckpoint[] = []
  /** The kind of the last record of all. */
  lastKind = ''
  /** `finished` stands in the log, and nothing was begun after it. */
  finished = false
  readonly directory: string
  readonly #simulation: Simulation
  #base = 0
  readonly #pathOf: (path: string) => string

  constructor(simulation: Simulation, directory: string, pathOf: (path: string) => string) {
    this.#simulation = simulation
    this.directory = directory
    this.#pathOf = pathOf
  }

  get owner(): SeenAttempt | undefined {
    return this.attempts.at(-1)
  }

  /** The newest attempt of a process. */
  attemptOf(process: SimulatedProcess): SeenAttempt | undefined {
    return this.attempts.findLast((attempt) => attempt.process === process)
  }

  /** The checkpoint that recovery is to go on from: the highest of the lineage that counts. */
  get restorable(): SeenCheckpoint | undefined {
    const lineage = this.owner?.record.lineage.id
    return this.completed.findLast((past) => past.record.lineage === lineage && !past.void)
  }

  /** Whether a checkpoint of the lineage completed, be it void now, or it began at one. */
  get decided(): boolean {
    const lineage = this.owner?.record.lineage
    return lineage?.begin.kind === 'savepoint' || this.completed.some((past) => past.record.lineage === lineage?.id)
  }

  /** Whether a lineage began at this folder. */
  beganAt(path: string): boolean {
    return this.attempts.some(({ record: { lineage } }) => savepointOf(lineage) === path)
  }

  /** Answers a `completed` record with what it holds; undefined for any other kind. */
  add(path: string, process: SimulatedProcess, atMs: number): SeenCheckpoint | undefined {
    const number = Number(path.slice(path.lastIndexOf('/') + 1))
    const bytes = this.#written(path)
    if (bytes === undefined) return undefined
    const { record, attempt } = decodeLogEntry(number, bytes, path)
    // A place that was pruned and is taken again says nothing.
    if (number < this.#base) return undefined
    if (record.kind === 'base') this.#base = number
    this.lastKind = record.kind
    switch (record.kind) {
      case 'attempt':
        this.finished = false
        this.attempts.push({ number, process, record, atMs })
        return undefined
      case 'completed': {
        if (record.committed !== undefined) this.#commit(record.committed)
        const content = this.#read(record.folder)
        const seen = {
          record,
          attempt,
          committables: content === undefined ? [] : committablesOf(content),
          splits: content === undefined ? [] : splitsOf(content),
          committed: false,
          void: false,
        }
        this.completed.push(seen)
        return seen
      }
      case 'committed':
        this.#commit(record.checkpoint)
        return undefined
      case 'void':
        for (const past of this.completed) if (past.record.checkpoint === record.checkpoint) past.void = true
        return undefined
      case 'finished':
        this.finished = true
        return undefined
      default:
        return undefined
    }
  }

  /** Checkpoints that list exactly this transaction. */
  listing(identity: {
    readonly transactionalId: string
    readonly producerId: number
    readonly epoch: number
  }): SeenCheckpoint[] {
    return this.completed.filter((past) => past.committables.some((one) => sameIdentity(one, identity)))
  }

  /** The same, of those whose commit of it is not in the log yet: a later one may list what an earlier one's commit covers. */
  pending(identity: Parameters<LogView['listing']>[0]): SeenCheckpoint[] {
    const committed = Math.max(0, ...this.completed.flatMap((past) => (past.committed ? [past.record.checkpoint] : [])))
    return this.completed.filter(
      (past) =>
        !past.committed &&
        !past.void &&
        past.committables.some((one) => one.barrier > committed && sameIdentity(one, identity)),
    )
  }

  #commit(checkpoint: number): void {
    for (const past of this.completed) if (past.record.checkpoint <= checkpoint && !past.void) past.committed = true
  }

  #read(folder: string): CheckpointContent | undefined {
    const state = this.#written(this.#pathOf(`${folder}/state`))
    const metadata = this.#written(this.#pathOf(`${folder}/_metadata`))
    if (state === undefined || metadata === undefined) return undefined
    return decodeCheckpoint({ state, metadata }, folder)
  }

  #written(path: string): Buffer | undefined {
    return this.#simulation.written(`${this.directory}/${path}`)
  }
}

/** The folder that a lineage began at. */
export function savepointOf({ begin }: Lineage): string | undefined {
  return begin.kind === 'savepoint' ? begin.path : undefined
}

export function committablesOf(content: CheckpointContent): KafkaCommittable[] {
  return content.parts
    .filter(({ role }) => role === 'committable')
    .flatMap(({ bytes, version }) => unpackList(bytes).map((one) => serializer.deserialize(version, one)))
}

function splitsOf(content: CheckpointContent): KafkaPartitionSplit[] {
  return content.parts
    .filter(({ role }) => role === 'split')
    .map(({ bytes, version }) => kafkaPartitionSplitSerializer.deserialize(version, bytes))
}
