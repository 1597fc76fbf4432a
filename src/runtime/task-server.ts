/**
 * The worker's side: builds the graph, then makes tasks and passes letters as the main thread says, until it is told to end.
 * Whatever goes wrong outside of a task ends the thread, and the main thread tells the tasks' failure.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { assert, type Clock, describeError, type LogFields, type Logger, type LogLevel } from '../base/index.ts'
import type { JobGraph, RuntimePorts } from '../core/index.ts'
import { EdgeEnds } from './channel/edge-ends.ts'
import { textOf } from './channel/error-text.ts'
import {
  coordinatorMessage,
  type MessageFromWorker,
  type MessageToWorker,
  plainMessage,
  specOf,
  transferOf,
  type WorkerBirth,
  type WorkerFigures,
} from './channel/thread-messages.ts'
import { TaskSet } from './task-set.ts'

type Post = (message: MessageFromWorker, transfer?: readonly ArrayBuffer[]) => void

/** What the worker's entry gives: the ports of this thread, and the graph that its data stands for. */
export interface TaskServerOptions {
  readonly ports: Omit<RuntimePorts, 'logger'>
  build(data: unknown, worker: number, logger: Logger): Promise<JobGraph>
  /** Ends the thread, once everything that was written has left it. */
  exit(): void
}

export async function serveTasks(options: TaskServerOptions): Promise<void> {
  const port = parentPort
  assert(port !== null, 'tasks are served on a worker thread')
  const birth = workerData as WorkerBirth
  const post: Post = (message, transfer = []) => port.postMessage(message, transfer)
  const logger = forwardingLogger(post)
  const early: MessageToWorker[] = []
  let receive = (message: MessageToWorker): void => {
    if (message.kind === 'end') options.exit()
    else early.push(message)
  }
  port.on('message', (message: MessageToWorker) => receive(message))
  beat(birth, options.ports.clock)
  let graph: JobGraph
  try {
    graph = await options.build(birth.data, birth.index, logger)
  } catch (error) {
    post({ kind: 'unfit', error: textOf(error) })
    return
  }
  const server = new TaskServer({ ...options, graph, logger, birth, post })
  receive = (message) => server.receive(message)
  post({ kind: 'ready' })
  for (const message of early) server.receive(message)
}

interface ServerOptions extends TaskServerOptions {
  readonly graph: JobGraph
  readonly logger: Logger
  readonly birth: WorkerBirth
  readonly post: Post
}

class TaskServer {
  readonly #options: ServerOptions
  readonly #tasks: TaskSet

  constructor(options: ServerOptions) {
    this.#options = options
    const { graph, ports, logger, birth } = options
    const { index, threads, peers } = birth
    const ends = new EdgeEnds({ thread: index, threads, peers, random: ports.random })
    this.#tasks = new TaskSet({ graph, ports: { ...ports, logger }, ends })
  }

  receive(message: MessageToWorker): void {
    const { post, exit } = this.#options
    switch (message.kind) {
      case 'deploy': {
        const { task } = message.spec
        this.#tasks.deploy(specOf(message.spec), (said) => {
          // What a closed task counted is the last that is heard of it.
          if (said.kind === 'closed') this.#tellAccumulators()
          const plain = plainMessage(said)
          post({ kind: 'from-task', task, message: plain }, transferOf(plain))
        })
        return
      }
      case 'to-task':
        this.#tasks.send(message.task, coordinatorMessage(message.message))
        return
      case 'tell-figures':
        this.#tellFigures()
        return
      case 'end':
        exit()
    }
  }

  #tellAccumulators(): void {
    try {
      this.#tellFigures({ accumulators: this.#tasks.accumulators() })
    } catch (error) {
      // Something in a list cannot be cloned. The job has done its work all the same.
      const { logger } = this.#options
      logger.warn({ error: describeError(error) }, 'what the accumulators hold cannot leave its thread')
      this.#tellFigures()
    }
  }

  #tellFigures(also: Pick<WorkerFigures, 'accumulators'> = {}): void {
    this.#options.post({ kind: 'figures', figures: this.#tasks.figures(), metrics: this.#tasks.metrics(), ...also })
  }
}

/** Counts up as long as the event loop turns. */
function beat({ heartbeat, heartbeatMs }: WorkerBirth, clock: Clock): void {
  const beats = new Int32Array(heartbeat)
  const tick = (): void => {
    Atomics.add(beats, 0, 1)
    clock.setTimer(heartbeatMs, tick, { background: true })
  }
  tick()
}

/** Lines come out where the main thread's do. */
function forwardingLogger(post: Post): Logger {
  const log =
    (level: LogLevel) =>
    (fields: LogFields, message: string): void => {
      try {
        post({ kind: 'log', level, fields, message })
      } catch {
        // Something in it cannot be cloned: its text says what there is to say.
        const texts = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]))
        post({ kind: 'log', level, fields: texts, message })
      }
    }
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
}
