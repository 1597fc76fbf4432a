/** Runs every task on the caller's thread and event loop: no worker threads, the same task code. */
import { toError } from '../base/index.ts'
import type { JobGraph, RuntimePorts } from '../core/index.ts'
import {
  type CoordinatorMessage,
  type TaskFigures,
  type TaskHost,
  type TaskId,
  type TaskMessage,
  type TaskSpec,
  taskKey,
} from './channel/messages.ts'
import { Task } from './task/task.ts'

export class LocalTaskHost implements TaskHost {
  readonly #graph: JobGraph
  readonly #ports: RuntimePorts
  readonly #tasks = new Map<string, Task>()

  constructor(graph: JobGraph, ports: RuntimePorts) {
    this.#graph = graph
    this.#ports = ports
  }

  deploy(spec: TaskSpec, receive: (message: TaskMessage) => void): void {
    let task: Task
    try {
      task = new Task({ graph: this.#graph, spec, ports: this.#ports, report: receive })
    } catch (error) {
      // Nothing was opened: there is nothing to close.
      receive({ kind: 'failed', error: toError(error) })
      receive({ kind: 'closed' })
      return
    }
    this.#tasks.set(taskKey(spec.task), task)
    void task.run()
  }

  send(task: TaskId, message: CoordinatorMessage): void {
    this.#tasks.get(taskKey(task))?.post(message)
  }

  figures(): TaskFigures {
    let recordsIn = 0
    let recordsOut = 0
    let pendingRecords: number | undefined
    for (const task of this.#tasks.values()) {
      const figures = task.figures()
      recordsIn += figures.recordsIn
      recordsOut += figures.recordsOut
      if (figures.pendingRecords !== undefined) pendingRecords = (pendingRecords ?? 0) + figures.pendingRecords
    }
    return { recordsIn, recordsOut, pendingRecords }
  }

  metrics(): Map<string, number> {
    const metrics = new Map<string, number>()
    for (const task of this.#tasks.values()) task.metrics(metrics)
    return metrics
  }
}
