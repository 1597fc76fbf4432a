/** The sending end of one channel, as an edge uses it. Its transports are LocalChannel and RemoteSender. */

export interface ChannelSender {
  element(value: unknown, timestamp: number): void
  watermark(timestamp: number): void
  idle(idle: boolean): void
  barrier(checkpoint: number, final: boolean): void
  end(): void
  /** Sends what is gathered, as soon as there is a credit. */
  flush(): void
  /** Looks whether credits have come. */
  look(): void
  close(): void
}

/** How many channels of an edge are blocked, and who waits for there to be none. Shared by the edge and its channels. */
export class Congestion {
  #blocked = 0
  #waiting: Promise<void> | undefined
  #resolve: (() => void) | undefined

  get blocked(): boolean {
    return this.#blocked > 0
  }

  /** A channel is blocked; it says `ease` once for it. */
  add(): void {
    this.#blocked++
  }

  ease(): void {
    this.#blocked--
    if (this.#blocked > 0) return
    this.#resolve?.()
    this.#resolve = undefined
    this.#waiting = undefined
  }

  /** The same promise for all that wait at the same time. */
  over(): Promise<void> {
    if (this.#blocked === 0) return Promise.resolve()
    this.#waiting ??= new Promise((resolve) => {
      this.#resolve = resolve
    })
    return this.#waiting
  }
}
