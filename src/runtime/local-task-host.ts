/** Runs every task on the caller's thread and event loop: no worker threads, the same task code. */
import type { AccumulatorValue, JobGraph, RuntimePorts } from '../core/index.ts'
import { EdgeEnds } from './channel/edge-ends.ts'
import type { CoordinatorMessage, TaskFigures, TaskHost, TaskId, TaskMessage, TaskSpec } from './channel/messages.ts'
import { TaskSet } from './task-set.ts'

export class LocalTaskHost implements TaskHost {
  readonly #tasks: TaskSet

  constructor(graph: JobGraph, ports: RuntimePorts) {
    const ends = new EdgeEnds({ thread: 0, threads: 1, peers: {}, random: ports.random })
    this.#tasks = new TaskSet({ graph, ports, ends })
  }

  deploy(spec: TaskSpec, receive: (message: TaskMessage) => void): void {
    this.#tasks.deploy(spec, receive)
  }

  send(task: TaskId, message: CoordinatorMessage): void {
    this.#tasks.send(task, message)
  }

  figures(): TaskFigures {
    return this.#tasks.figures()
  }

  metrics(): Map<string, number> {
    return this.#tasks.metrics()
  }

  accumulators(): ReadonlyMap<string, AccumulatorValue> {
    return this.#tasks.accumulators()
  }
}
