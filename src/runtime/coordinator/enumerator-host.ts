/**
 * Hosts the split enumerators of a job on the coordinator's side: hands assigned splits to the readers' tasks, and their
 * state to checkpoints.
 */
import type { RuntimePorts, SourceNode, SplitEnumerator } from '../../core/index.ts'
import { checkpointId, deserializeVersioned, serializeVersioned } from '../../core/index.ts'
import type { CoordinatorMessage, TaskId } from '../channel/messages.ts'
import type { CheckpointContent, CheckpointPart } from '../checkpoint/checkpoint-metadata.ts'

export interface EnumeratorHostOptions {
  readonly node: SourceNode
  readonly ports: RuntimePorts
  readonly restored: CheckpointContent | undefined
  /** See `Recovered`. */
  readonly voided: CheckpointContent | undefined
  send(task: TaskId, message: CoordinatorMessage): void
  fail(error: Error): void
}

export class EnumeratorHost {
  readonly #node: SourceNode
  readonly #enumerator: SplitEnumerator<unknown>

  constructor(options: EnumeratorHostOptions) {
    const { node, ports, restored, voided, send } = options
    this.#node = node
    const { splitSerializer } = node.source
    this.#enumerator = node.source.createEnumerator(
      {
        ...ports,
        parallelism: node.parallelism,
        uid: node.uid,
        assignSplits: (subtask, splits) =>
          send(
            { chain: node.id, subtask },
            { kind: 'assign-splits', splits: splits.map((split) => serializeVersioned(splitSerializer, split)) },
          ),
        signalNoMoreSplits: () => {
          for (let subtask = 0; subtask < node.parallelism; subtask++) {
            send({ chain: node.id, subtask }, { kind: 'no-more-splits' })
          }
        },
        fail: options.fail,
      },
      restoredState(node, restored) ?? beginningState(node, voided),
    )
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#enumerator.start(signal)
  }

  snapshot(checkpoint: number): CheckpointPart {
    const state = this.#enumerator.snapshotState(checkpointId(checkpoint))
    const { enumeratorStateSerializer } = this.#node.source
    return {
      uid: this.#node.uid,
      role: 'enumerator',
      subtask: 0,
      ...serializeVersioned(enumeratorStateSerializer, state),
    }
  }

  async close(): Promise<void> {
    await this.#enumerator.close()
  }
}

interface RestoredState {
  readonly state: unknown
  readonly splits: readonly unknown[]
}

/** Undefined when the checkpoint knows nothing of this source: it is new in the job, or has a new uid. */
function restoredState(node: SourceNode, content: CheckpointContent | undefined): RestoredState | undefined {
  const { source, uid } = node
  const state = content?.parts.find((part) => part.uid === uid && part.role === 'enumerator')
  if (content === undefined || state === undefined) return undefined
  return {
    state: deserializeVersioned(source.enumeratorStateSerializer, state),
    splits: content.parts
      .filter((part) => part.uid === uid && part.role === 'split')
      .map((part) => deserializeVersioned(source.splitSerializer, part)),
  }
}

/** Of a void checkpoint only where the source first began counts. */
function beginningState(node: SourceNode, content: CheckpointContent | undefined): RestoredState | undefined {
  const held = restoredState(node, content)
  if (held === undefined || node.source.beginningOf === undefined) return undefined
  return { state: node.source.beginningOf(held.state), splits: [] }
}
