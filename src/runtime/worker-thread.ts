/**
 * One worker thread as the main thread sees it: it is started, spoken to, watched, and in the end proven gone by its `exit`
 * event. However it dies, that is told once, with the reason: an exception that nobody caught, memory used up, `process.exit`
 * in the job's code, or a loop that never ends (its heartbeat stands still while the main thread's own clock goes on).
 */
import { type MessagePort, Worker } from 'node:worker_threads'
import { type Clock, MillraceError, type Timer, toError } from '../base/index.ts'
import type { MessageFromWorker, MessageToWorker, WorkerBirth } from './channel/thread-messages.ts'

/** How long a worker may take to import the job's file and to build the graph. The main thread has done the same before. */
const READY_MS_MAX = 60_000
/** Looks at the heartbeat within one watchdog timeout: a suspended process must not be taken for a loop. */
const WATCHDOG_LOOKS = 8

export interface ThreadSettings {
  /** The module that each worker runs. It calls `serveTasks`. */
  readonly entry: URL
  /** What the entry makes the graph of; cloneable. */
  readonly data: unknown
  /** How long a worker may keep its event loop from turning before it is taken for lost. */
  readonly watchdogMs: number
  /** The most that a worker's objects may take; V8's own default when undefined. */
  readonly heapBytes?: number | undefined
  /** Flags of node for the workers; the process's own when undefined. */
  readonly execArgv?: readonly string[] | undefined
}

export interface WorkerThreadOptions {
  readonly index: number
  readonly threads: number
  readonly settings: ThreadSettings
  readonly peers: Readonly<Record<number, MessagePort>>
  readonly clock: Clock
  onMessage(message: Exclude<MessageFromWorker, { kind: 'ready' }>): void
  /** The thread is lost: it died, or is being ended because nothing can be expected of it any more. Told once, before `onExit`. */
  onLost(error: MillraceError): void
  /** The thread is gone. */
  onExit(): void
}

export class WorkerThread {
  readonly #options: WorkerThreadOptions
  readonly #worker: Worker
  readonly #beats: Int32Array
  #lost = false
  #cause: Error | undefined
  #ending = false
  #watch: Timer | undefined
  #lastBeat = -1
  #missed = 0

  constructor(options: WorkerThreadOptions) {
    this.#options = options
    const { index, threads, settings, peers } = options
    const heartbeat = new SharedArrayBuffer(4)
    this.#beats = new Int32Array(heartbeat)
    const birth: WorkerBirth = {
      index,
      threads,
      data: settings.data,
      heartbeat,
      heartbeatMs: settings.watchdogMs / WATCHDOG_LOOKS / 2,
      peers,
    }
    this.#worker = new Worker(settings.entry, {
      name: `millrace-${index}`,
      workerData: birth,
      transferList: Object.values(peers),
      ...(settings.heapBytes === undefined ? {} : { resourceLimits: limitsOf(settings.heapBytes) }),
      ...(settings.execArgv === undefined ? {} : { execArgv: [...settings.execArgv] }),
    })
    this.#worker.on('message', (message: MessageFromWorker) => this.#receive(message))
    this.#worker.on('messageerror', (error) => this.#kill('a message of it could not be read', error))
    this.#worker.on('error', (error) => {
      this.#cause ??= toError(error)
    })
    this.#worker.on('exit', (code) => this.#onExit(code))
    const late = (): void => this.#kill(`it was not ready after ${READY_MS_MAX / 1_000} s`)
    this.#watch = options.clock.setTimer(READY_MS_MAX, late, { background: true })
  }

  post(message: MessageToWorker): void {
    if (message.kind === 'end') this.#ending = true
    this.#worker.postMessage(message)
  }

  #receive(message: MessageFromWorker): void {
    if (message.kind !== 'ready') {
      this.#options.onMessage(message)
      return
    }
    this.#watch?.cancel()
    this.#look()
  }

  /** Only beats that fail to come look after look count: a process that was stopped for a while looks once. */
  #look(): void {
    const { clock, settings } = this.#options
    const beat = Atomics.load(this.#beats, 0)
    this.#missed = beat === this.#lastBeat ? this.#missed + 1 : 0
    this.#lastBeat = beat
    if (this.#missed >= WATCHDOG_LOOKS) {
      this.#kill(`it has not answered for ${settings.watchdogMs} ms: a function of the job does not return`)
      return
    }
    this.#watch = clock.setTimer(settings.watchdogMs / WATCHDOG_LOOKS, () => this.#look(), { background: true })
  }

  /** The tasks on it are told now: code that is stuck outside of JavaScript may keep the thread from exiting for long. */
  #kill(reason: string, cause?: Error): void {
    this.#watch?.cancel()
    this.#lose(reason, cause)
    void this.#worker.terminate()
  }

  #lose(reason: string, cause: Error | undefined): void {
    if (this.#lost) return
    this.#lost = true
    const { index, onLost } = this.#options
    onLost(
      new MillraceError('WORKER_DIED', `worker thread ${index} died: ${reason}`, {
        cause,
        retriable: true,
        next: 'The job goes back to its last completed checkpoint on new threads; nothing is lost or doubled.',
      }),
    )
  }

  #onExit(code: number): void {
    this.#watch?.cancel()
    const inOrder = this.#ending && this.#cause === undefined
    if (!inOrder) this.#lose(reasonOf(this.#cause) ?? `it ended with exit code ${code}`, this.#cause)
    this.#options.onExit()
  }
}

function reasonOf(cause: Error | undefined): string | undefined {
  if (cause === undefined) return undefined
  if ('code' in cause && cause.code === 'ERR_WORKER_OUT_OF_MEMORY') return 'its memory is used up'
  return `nobody caught what it threw, "${cause.message}"`
}

function limitsOf(heapBytes: number): { maxOldGenerationSizeMb: number } {
  return { maxOldGenerationSizeMb: Math.max(8, Math.floor(heapBytes / 1_048_576)) }
}
