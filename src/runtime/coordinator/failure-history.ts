/** The last failures of a job in this process, whether it restarted after them or not: what a person looks for first. */
import { describeError, MillraceError } from '../../base/index.ts'
import type { JobGraph } from '../../core/index.ts'
import type { TaskId } from '../channel/messages.ts'

/** As many as Flink's web.exception-history-size keeps. */
const FAILURES_MAX = 16

export interface JobFailure {
  /** Milliseconds since 1970. */
  readonly at: number
  /** The attempt that failed; 0: there was none yet. */
  readonly attempt: number
  /** The task that failed, by the uid of its first operator; undefined when the failure was no task's. */
  readonly task: { readonly uid: string; readonly subtask: number } | undefined
  /** Of an operating error. */
  readonly code: string | undefined
  /** With its chain of causes. */
  readonly message: string
}

export class FailureHistory {
  readonly #graph: JobGraph
  readonly #failures: JobFailure[] = []

  constructor(graph: JobGraph) {
    this.#graph = graph
  }

  /** Oldest first. */
  get failures(): readonly JobFailure[] {
    return [...this.#failures]
  }

  add(at: number, attempt: number, error: Error, task: TaskId | undefined): void {
    const node = task === undefined ? undefined : this.#graph.nodes.find(({ id }) => id === task.chain)
    this.#failures.push({
      at,
      attempt,
      task: task === undefined ? undefined : { uid: node?.uid ?? String(task.chain), subtask: task.subtask },
      code: MillraceError.is(error) ? error.code : undefined,
      message: describeError(error),
    })
    if (this.#failures.length > FAILURES_MAX) this.#failures.shift()
  }
}
