/**
 * What the demo shows: events as lines that stay, and one status line, rewritten in place on a terminal and repeated each
 * second elsewhere. On a terminal it also listens for keys, and gives the terminal back as it was.
 */
import type { Clock } from '../../base/index.ts'
import type { Balance } from './account.ts'

const PLAIN_PERIOD_MS = 1_000
const CTRL_C = '\u0003'

export interface Keys {
  readonly kill: () => void
  readonly stop: () => void
}

export class Screen {
  readonly #clock: Clock
  readonly #out: NodeJS.WriteStream
  readonly #in: NodeJS.ReadStream
  #statusMs = Number.NEGATIVE_INFINITY
  #raw = false

  constructor(clock: Clock, out: NodeJS.WriteStream = process.stdout, input: NodeJS.ReadStream = process.stdin) {
    this.#clock = clock
    this.#out = out
    this.#in = input
    // Somebody who reads only the first lines closes the pipe; the account goes on without them.
    out.on('error', () => undefined)
  }

  /** True when keys are read. */
  listen(keys: Keys): boolean {
    if (!this.#in.isTTY || !this.#out.isTTY) return false
    this.#raw = true
    this.#in.setRawMode(true)
    this.#in.setEncoding('utf8')
    this.#in.on('data', (text) => {
      for (const key of String(text)) {
        if (key === 'k' || key === 'K') keys.kill()
        if (key === 'q' || key === CTRL_C) keys.stop()
      }
    })
    return true
  }

  say(line: string): void {
    this.#out.write(this.#out.isTTY ? `\r\u001b[K${line}\n` : `${line}\n`)
  }

  status(text: string): void {
    if (this.#out.isTTY) {
      this.#out.write(`\r${text.slice(0, (this.#out.columns || 80) - 1)}\u001b[K`)
      return
    }
    const nowMs = this.#clock.monotonic()
    if (nowMs - this.#statusMs < PLAIN_PERIOD_MS) return
    this.#statusMs = nowMs
    this.#out.write(`${text}\n`)
  }

  close(): void {
    if (!this.#raw) return
    this.#in.setRawMode(false)
    this.#in.pause()
  }
}

export function balanceText(balance: Balance, kills: number): string {
  const count = (value: number): string => value.toLocaleString('en-US')
  // What matters most comes first: a narrow terminal cuts the rest off.
  return [
    `produced ${count(balance.produced)}`,
    `committed ${count(balance.committed)}`,
    `missing ${count(balance.missing)}`,
    `doubled ${count(balance.doubled)}`,
    ...(balance.wrong > 0 ? [`wrong ${count(balance.wrong)}`] : []),
    `kills ${count(kills)}`,
    `on the way ${count(balance.onTheWay)}`,
    `due ${count(balance.expected)}`,
  ].join(' · ')
}
