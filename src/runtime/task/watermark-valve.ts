/**
 * The watermark of a task that reads several channels: the lowest of all that are not idle, never going back (Flink:
 * StatusWatermarkValve). A channel whose event time has ended (MAX_WATERMARK) holds nobody up, and does not speak for those
 * that are idle: event time ends when it has ended on all.
 */
import { MAX_WATERMARK, type Output } from '../../core/index.ts'

export class WatermarkValve {
  readonly #output: Output<unknown>
  readonly #watermarks: number[]
  readonly #idle: boolean[]
  #watermark = Number.NEGATIVE_INFINITY
  #allIdle = false

  constructor(channels: number, output: Output<unknown>) {
    this.#output = output
    this.#watermarks = new Array<number>(channels).fill(Number.NEGATIVE_INFINITY)
    this.#idle = new Array<boolean>(channels).fill(false)
  }

  onWatermark(channel: number, watermark: number): void {
    if (watermark <= (this.#watermarks[channel] ?? 0)) return
    this.#watermarks[channel] = watermark
    this.#combine()
  }

  onIdle(channel: number, idle: boolean): void {
    if (this.#idle[channel] === idle) return
    this.#idle[channel] = idle
    this.#combine()
  }

  #combine(): void {
    let lowest = MAX_WATERMARK
    let active = false
    let ended = true
    for (const [channel, watermark] of this.#watermarks.entries()) {
      if (watermark === MAX_WATERMARK) continue
      ended = false
      if (this.#idle[channel] === true) continue
      active = true
      lowest = Math.min(lowest, watermark)
    }
    const idle = !active && !ended
    if (idle !== this.#allIdle) {
      this.#allIdle = idle
      this.#output.emitIdle(idle)
    }
    if (idle || lowest <= this.#watermark) return
    this.#watermark = lowest
    this.#output.emitWatermark(lowest)
  }
}
