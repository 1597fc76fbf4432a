/**
 * The control socket of a job that runs in this process, in its job directory. It listens once the job has its place in the log, so
 * whoever holds the socket's path before is gone; it ends with the job, after the last answer has left.
 */
import { rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Logger, MillraceError, socketPath, toError } from '../../base/index.ts'
import type { JobClient } from '../../stream/index.ts'
import { type Answer, type Ask, decodeAsk, encodeAnswer, type JobReport } from './control-messages.ts'

const SOCKET = 'control.sock'
/** A line longer than this asks nothing that is known. */
const ASK_CHARACTERS_MAX = 4_096

/** Where the control socket of a job directory is. */
export function controlSocket(directory: string): string {
  return socketPath(join(directory, SOCKET))
}

export interface ControlOptions {
  readonly directory: string
  readonly client: JobClient
  readonly logger: Logger
  report(): JobReport
  /** Somebody asked for the end of the job. */
  onWish(ask: 'stop' | 'cancel'): void
}

export class ControlServer {
  readonly #options: ControlOptions
  readonly #path: string
  readonly #server: Server
  readonly #answering = new Set<Promise<void>>()

  constructor(options: ControlOptions) {
    this.#options = options
    this.#path = controlSocket(options.directory)
    this.#server = createServer((socket) => this.#serve(socket))
  }

  /** A job runs as well without it: that it cannot listen is told, and no failure. */
  async open(): Promise<void> {
    try {
      rmSync(this.#path, { force: true })
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject)
        this.#server.listen(this.#path, resolve)
      })
      // It keeps no process alive.
      this.#server.unref()
    } catch (error) {
      this.#options.logger.warn({ path: this.#path, error: toError(error).message }, 'the job has no control socket')
    }
  }

  /** Resolves when every wish that was heard is answered. The socket's file is gone then. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#answering)
    if (this.#server.listening) this.#server.close()
    rmSync(this.#path, { force: true })
  }

  #serve(socket: Socket): void {
    let text = ''
    // Who asked may be gone before it is answered.
    socket.on('error', () => undefined)
    socket.setEncoding('utf8').on('data', (part: string) => {
      const before = text.includes('\n')
      text += part
      if (before) return
      const end = text.indexOf('\n')
      if (end < 0 && text.length < ASK_CHARACTERS_MAX) return
      const answering = this.#answer(decodeAsk(text.slice(0, end))).then((answer) => send(socket, answer))
      this.#answering.add(answering)
      void answering.finally(() => this.#answering.delete(answering))
    })
  }

  async #answer(ask: Ask | undefined): Promise<Answer> {
    const { client, report, onWish } = this.#options
    if (ask === undefined) {
      return {
        kind: 'refused',
        code: 'NOT_SUPPORTED',
        message: `job "${client.jobName}" runs with a version of millrace that does not know this command`,
        next: 'Nothing was changed. Use the version that the job runs with.',
      }
    }
    if (ask === 'status') return { kind: 'status', report: report() }
    onWish(ask)
    try {
      await (ask === 'stop' ? client.stop() : client.cancel())
      return { kind: 'done' }
    } catch (thrown) {
      const error = toError(thrown)
      const known = MillraceError.is(error)
      return { kind: 'refused', code: known ? error.code : '', message: error.message, next: known ? error.next : '' }
    }
  }
}

/** Resolves when the answer has left, or when nobody is there to take it. */
function send(socket: Socket, answer: Answer): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve())
    if (socket.destroyed) resolve()
    else socket.end(encodeAnswer(answer), () => socket.destroy())
  })
}
