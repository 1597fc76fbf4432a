/**
 * The state of one operator in a chain: made before the operator, asked for by it while it opens, then part of every snapshot.
 * KeyedInput stands before a keyed operator: it sets the key of each element, and fires timers before the watermark goes on.
 */
import type { CheckpointId, KeyedContext, KeySelector, OperatorNode, Output, RuntimePorts } from '../../core/index.ts'
import type { TaskSpec } from '../channel/messages.ts'
import type { CheckpointPart } from '../checkpoint/checkpoint-metadata.ts'
import { type HostedKeyedState, type HostedLists, keyGroupsOfSubtask } from '../state/hosted-state.ts'
import { KeyedStateBackend } from '../state/keyed-state-backend.ts'
import { OperatorLists } from '../state/operator-lists.ts'

/** What it needs of a task's specification. */
export type RestoredOperators = Pick<TaskSpec, 'task' | 'lists' | 'keyed' | 'allowNonRestoredState'>

export class OperatorState {
  readonly keyed: HostedKeyedState | undefined
  readonly lists: HostedLists
  readonly #node: OperatorNode
  readonly #subtask: number

  constructor(node: OperatorNode, spec: RestoredOperators, ports: Pick<RuntimePorts, 'clock'>) {
    const { subtask } = spec.task
    const { uid, name, parallelism, maxParallelism } = node
    const { allowNonRestoredState } = spec
    this.#node = node
    this.#subtask = subtask
    const owner = { operatorName: name, uid, allowNonRestoredState }
    this.lists = new OperatorLists({ ...owner, subtask, parallelism, restored: spec.lists[uid] ?? [] })
    if (node.keyOf === undefined) return
    const groups = keyGroupsOfSubtask(maxParallelism, parallelism, subtask)
    const restored = spec.keyed[uid] ?? []
    this.keyed = new KeyedStateBackend({ ...owner, maxParallelism, groups, clock: ports.clock, restored })
  }

  opened(): void {
    this.lists.opened()
    this.keyed?.opened()
  }

  /** Captured by the call itself; the keyed part is there when it was serialised in slices. */
  snapshot(checkpoint: CheckpointId): Promise<readonly CheckpointPart[]> {
    const about = { uid: this.#node.uid, subtask: this.#subtask }
    const lists = this.lists.snapshot()
    const parts: CheckpointPart[] = lists === undefined ? [] : [{ ...about, role: 'list', ...lists }]
    if (this.keyed === undefined) return Promise.resolve(parts)
    return this.keyed
      .snapshot(checkpoint)
      .then((keyed) => [...parts, ...keyed.map((part): CheckpointPart => ({ ...about, role: 'keyed', ...part }))])
  }
}

export class KeyedInput implements Output<unknown> {
  readonly #keyOf: KeySelector
  readonly #keyed: HostedKeyedState & KeyedContext
  readonly #operator: Output<unknown>

  constructor(keyOf: KeySelector, keyed: HostedKeyedState, operator: Output<unknown>) {
    this.#keyOf = keyOf
    this.#keyed = keyed
    this.#operator = operator
  }

  emit(value: unknown): void {
    const keyOf = this.#keyOf
    this.#keyed.setCurrentKey(keyOf(value))
    this.#operator.emit(value)
  }

  emitWatermark(timestamp: number): void {
    this.#keyed.advanceWatermark(timestamp)
    this.#operator.emitWatermark(timestamp)
  }

  emitIdle(idle: boolean): void {
    this.#operator.emitIdle(idle)
  }
}
