/**
 * One line on a terminal that is written over each second: records a second, lag, last checkpoint. Not on a file or a pipe.
 */
import type { Clock, Timer } from '../base/index.ts'
import type { JobClient } from '../stream/index.ts'

const PERIOD_MS = 1_000

export class ProgressLine {
  readonly #client: JobClient
  readonly #clock: Clock
  readonly #stream: NodeJS.WriteStream
  #timer: Timer | undefined
  #lastRecords = 0
  #lastMs: number

  constructor(client: JobClient, clock: Clock, stream: NodeJS.WriteStream) {
    this.#client = client
    this.#clock = clock
    this.#stream = stream
    this.#lastMs = clock.monotonic()
    if (stream.isTTY) this.#schedule()
  }

  close(): void {
    this.#timer?.cancel()
    if (this.#stream.isTTY) this.#stream.write('\r\u001b[K')
  }

  text(): string {
    const { recordsIn, pendingRecords, checkpoints, restarts } = this.#client.figures()
    const nowMs = this.#clock.monotonic()
    const seconds = Math.max(0.001, (nowMs - this.#lastMs) / 1_000)
    const rate = Math.max(0, Math.round((recordsIn - this.#lastRecords) / seconds))
    this.#lastRecords = recordsIn
    this.#lastMs = nowMs
    const { last } = checkpoints
    const age = last === undefined ? '' : ` ${((this.#clock.now() - last.at) / 1_000).toFixed(0)} s ago`
    const parts = [
      `${this.#client.jobName} ${this.#client.status()}`,
      `${rate.toLocaleString('en-US')} records/s`,
      `lag ${pendingRecords === undefined ? '?' : pendingRecords.toLocaleString('en-US')}`,
      last === undefined
        ? 'no checkpoint yet'
        : `checkpoint ${last.checkpoint}${age}, ${Math.round(last.durationMs)} ms`,
    ]
    if (checkpoints.failed > 0) parts.push(`${checkpoints.failed} failed`)
    if (restarts > 0) parts.push(`${restarts} restarts`)
    return parts.join(' · ')
  }

  #schedule(): void {
    this.#timer = this.#clock.setTimer(
      PERIOD_MS,
      () => {
        const width = this.#stream.columns || 80
        this.#stream.write(`\r${this.text().slice(0, width - 1)}\u001b[K`)
        this.#schedule()
      },
      { background: true },
    )
  }
}
