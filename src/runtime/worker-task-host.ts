/**
 * Runs tasks on worker threads: subtask i of every chain on worker i mod T. Each execution has threads of its own, and what
 * a task said last, `closed`, is passed on only when its thread has exited: so the next attempt never meets anything of this
 * one, a stray timer of the job's code included (exactly-once, rule 7). A thread that dies is a failure of the tasks on it.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { describeError, MillraceError, type Timer, toError } from '../base/index.ts'
import { type AccumulatorValue, mergeAccumulator, type RuntimePorts } from '../core/index.ts'
import { errorOf } from './channel/error-text.ts'
import {
  type CoordinatorMessage,
  type TaskFigures,
  type TaskHost,
  type TaskId,
  type TaskMessage,
  type TaskSpec,
  taskKey,
} from './channel/messages.ts'
import { type MessageFromWorker, plainSpec, taskMessage, type WorkerFigures } from './channel/thread-messages.ts'
import { sumOf } from './task-set.ts'
import { type ThreadSettings, WorkerThread } from './worker-thread.ts'

const FIGURES_INTERVAL_MS = 500
const NO_FIGURES: TaskFigures = { recordsIn: 0, recordsOut: 0, pendingRecords: undefined }

export interface WorkerTaskHostOptions {
  readonly threads: number
  readonly settings: ThreadSettings
  readonly ports: RuntimePorts
}

/** A worker with the tasks that were put on it. */
interface Seat {
  readonly thread: WorkerThread
  readonly tasks: Map<string, { readonly task: TaskId; readonly receive: (message: TaskMessage) => void }>
  readonly unclosed: Set<string>
  /** Its end was told, to the worker or by it. */
  ending: boolean
  gone: boolean
  last: WorkerFigures
}

export class WorkerTaskHost implements TaskHost {
  readonly #options: WorkerTaskHostOptions
  #seats: readonly Seat[] | undefined
  #asking: Timer | undefined

  constructor(options: WorkerTaskHostOptions) {
    this.#options = options
  }

  deploy(spec: TaskSpec, receive: (message: TaskMessage) => void): void {
    try {
      this.#seats ??= this.#start()
    } catch (error) {
      // Nothing was started: there is nothing to close.
      receive({ kind: 'failed', error: toError(error) })
      receive({ kind: 'closed' })
      return
    }
    const seat = this.#seatOf(spec.task)
    const key = taskKey(spec.task)
    seat.tasks.set(key, { task: spec.task, receive })
    seat.unclosed.add(key)
    seat.thread.post({ kind: 'deploy', spec: plainSpec(spec) })
  }

  send(task: TaskId, message: CoordinatorMessage): void {
    const seat = this.#seatOf(task)
    if (!seat.gone) seat.thread.post({ kind: 'to-task', task, message })
  }

  figures(): TaskFigures {
    return sumOf((this.#seats ?? []).map((seat) => seat.last.figures))
  }

  metrics(): Map<string, number> {
    return new Map((this.#seats ?? []).flatMap((seat) => [...seat.last.metrics]))
  }

  accumulators(): ReadonlyMap<string, AccumulatorValue> {
    const merged = new Map<string, AccumulatorValue>()
    for (const { last } of this.#seats ?? []) {
      for (const [name, value] of last.accumulators ?? []) {
        mergeAccumulator(merged, name, value)
      }
    }
    return merged
  }

  #seatOf(task: TaskId): Seat {
    const seats = this.#seats ?? []
    const seat = seats[task.subtask % seats.length]
    if (seat === undefined) throw new Error(`task ${taskKey(task)} was never deployed`)
    return seat
  }

  #start(): readonly Seat[] {
    const { threads, settings, ports } = this.#options
    const seats: Seat[] = []
    const make = (own: Record<number, MessagePort>, index: number): Seat => {
      const thread = new WorkerThread({
        index,
        threads,
        settings,
        peers: own,
        clock: ports.clock,
        onMessage: (message) => this.#receive(seat, message),
        onLost: (error) => this.#onLost(seat, error),
        onExit: () => this.#onExit(seat),
      })
      const last = { figures: NO_FIGURES, metrics: new Map<string, number>() }
      const seat: Seat = { thread, tasks: new Map(), unclosed: new Set(), ending: false, gone: false, last }
      return seat
    }
    try {
      for (const [index, own] of meshOf(threads).entries()) seats.push(make(own, index))
    } catch (error) {
      for (const { thread } of seats) thread.post({ kind: 'end' })
      throw error
    }
    this.#ask(seats)
    return seats
  }

  #ask(seats: readonly Seat[]): void {
    for (const seat of seats) if (!seat.gone && !seat.ending) seat.thread.post({ kind: 'tell-figures' })
    if (seats.every((seat) => seat.gone)) return
    this.#asking = this.#options.ports.clock.setTimer(FIGURES_INTERVAL_MS, () => this.#ask(seats), { background: true })
  }

  #receive(seat: Seat, message: Exclude<MessageFromWorker, { kind: 'ready' }>): void {
    switch (message.kind) {
      case 'from-task': {
        const { task } = message
        if (message.message.kind !== 'closed') {
          seat.tasks.get(taskKey(task))?.receive(taskMessage(message.message))
          return
        }
        seat.unclosed.delete(taskKey(task))
        if (seat.unclosed.size === 0) this.#end(seat)
        return
      }
      case 'unfit': {
        const error = errorOf(message.error)
        for (const { receive } of seat.tasks.values()) receive({ kind: 'failed', error })
        this.#end(seat)
        return
      }
      case 'figures':
        seat.last = { ...message, accumulators: message.accumulators ?? seat.last.accumulators ?? new Map() }
        return
      case 'log':
        this.#options.ports.logger[message.level]({ ...message.fields }, message.message)
    }
  }

  #end(seat: Seat): void {
    if (seat.ending) return
    seat.ending = true
    seat.thread.post({ kind: 'end' })
  }

  #onLost(seat: Seat, error: MillraceError): void {
    if (seat.unclosed.size === 0) {
      const { logger } = this.#options.ports
      logger.warn({ error: describeError(error) }, 'a worker thread did not end in order; all of its tasks were closed')
      return
    }
    const failure = new MillraceError(
      'WORKER_DIED',
      `${error.message} (subtasks on it: ${[...seat.unclosed].join(', ')})`,
      {
        cause: error.cause,
        retriable: error.retriable,
        next: error.next,
      },
    )
    for (const { receive } of seat.tasks.values()) receive({ kind: 'failed', error: failure })
  }

  #onExit(seat: Seat): void {
    seat.gone = true
    if (this.#seats?.every((other) => other.gone) === true) this.#asking?.cancel()
    for (const { receive } of seat.tasks.values()) receive({ kind: 'closed' })
  }
}

/** A port between each two workers, as each of them gets it. */
function meshOf(threads: number): Record<number, MessagePort>[] {
  const ends: Record<number, MessagePort>[] = Array.from({ length: threads }, () => ({}))
  for (const [left, own] of ends.entries()) {
    for (const [right, other] of ends.entries()) {
      if (right <= left) continue
      const { port1, port2 } = new MessageChannel()
      own[right] = port1
      other[left] = port2
    }
  }
  return ends
}
