/** The tasks of one thread: makes them, passes letters on, and adds up what they tell about themselves. */
import { toError } from '../base/index.ts'
import { type AccumulatorValue, type JobGraph, mergedAccumulators, type RuntimePorts } from '../core/index.ts'
import type { EdgeEnds } from './channel/edge-ends.ts'
import {
  type CoordinatorMessage,
  type TaskFigures,
  type TaskId,
  type TaskMessage,
  type TaskSpec,
  taskKey,
} from './channel/messages.ts'
import { Task } from './task/task.ts'

export interface TaskSetOptions {
  readonly graph: JobGraph
  readonly ports: RuntimePorts
  readonly ends: EdgeEnds
}

export class TaskSet {
  readonly #options: TaskSetOptions
  readonly #tasks = new Map<string, Task>()

  constructor(options: TaskSetOptions) {
    this.#options = options
  }

  deploy(spec: TaskSpec, report: (message: TaskMessage) => void): void {
    const { graph, ports, ends } = this.#options
    let task: Task
    try {
      task = new Task({ graph, spec, ports, ends: ends.endsOf(spec.task.subtask, spec.attempt), report })
    } catch (error) {
      // Nothing was opened: there is nothing to close.
      report({ kind: 'failed', error: toError(error) })
      report({ kind: 'closed' })
      return
    }
    this.#tasks.set(taskKey(spec.task), task)
    void task.run()
  }

  send(task: TaskId, message: CoordinatorMessage): void {
    this.#tasks.get(taskKey(task))?.post(message)
  }

  figures(): TaskFigures {
    return sumOf([...this.#tasks.values()].map((task) => task.figures()))
  }

  metrics(): Map<string, number> {
    const metrics = new Map<string, number>()
    for (const task of this.#tasks.values()) task.metrics(metrics)
    return metrics
  }

  accumulators(): ReadonlyMap<string, AccumulatorValue> {
    return mergedAccumulators([...this.#tasks.values()].flatMap((task) => task.accumulators))
  }
}

export function sumOf(all: readonly TaskFigures[]): TaskFigures {
  let recordsIn = 0
  let recordsOut = 0
  let pendingRecords: number | undefined
  for (const figures of all) {
    recordsIn += figures.recordsIn
    recordsOut += figures.recordsOut
    if (figures.pendingRecords !== undefined) pendingRecords = (pendingRecords ?? 0) + figures.pendingRecords
  }
  return { recordsIn, recordsOut, pendingRecords }
}
