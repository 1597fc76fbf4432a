/** The demo's screen: keys of a terminal, which is given back as it was, and lines for everybody else. */
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { SystemClock } from '../../base/index.ts'
import { SimulatedClock } from '../../testing/index.ts'
import { Screen } from './screen.ts'

class FakeTerminal extends PassThrough {
  readonly isTTY: boolean
  readonly columns = 20
  readonly rawModes: boolean[] = []

  constructor(isTTY: boolean) {
    super()
    this.isTTY = isTTY
  }

  /** All that was written. */
  text(): string {
    const parts: string[] = []
    for (let part: unknown = this.read(); part !== null; part = this.read()) parts.push(String(part))
    return parts.join('')
  }

  setRawMode(raw: boolean): this {
    this.rawModes.push(raw)
    return this
  }
}

function screenOn(
  out: FakeTerminal,
  input: FakeTerminal,
  clock = new SystemClock() as SystemClock | SimulatedClock,
): Screen {
  return new Screen(clock, out as unknown as NodeJS.WriteStream, input as unknown as NodeJS.ReadStream)
}

test('on a terminal k kills, q and Ctrl-C stop, other keys do nothing, and the terminal is given back as it was', async () => {
  const [out, input] = [new FakeTerminal(true), new FakeTerminal(true)]
  const screen = screenOn(out, input)
  const pressed: string[] = []
  assert.ok(screen.listen({ kill: () => pressed.push('kill'), stop: () => pressed.push('stop') }))
  for (const keys of ['k', 'xK', 'q', '\u0003']) {
    input.write(keys)
    await turn()
  }
  assert.deepEqual(pressed, ['kill', 'kill', 'stop', 'stop'])
  screen.close()
  assert.deepEqual(input.rawModes, [true, false])
  assert.ok(input.isPaused())
})

test('on a terminal the account is rewritten in place and cut to its width', () => {
  const out = new FakeTerminal(true)
  const screen = screenOn(out, new FakeTerminal(true))
  screen.status('produced 1,000 · committed 900')
  screen.say('killed')
  assert.equal(out.text(), '\rproduced 1,000 · co\u001b[K\r\u001b[Kkilled\n')
})

test('elsewhere no key is read, and the account is a line each second', () => {
  const [out, input, clock] = [new FakeTerminal(false), new FakeTerminal(false), new SimulatedClock()]
  const screen = screenOn(out, input, clock)
  assert.equal(screen.listen({ kill: assert.fail, stop: assert.fail }), false)
  for (const count of [1, 2, 3]) {
    screen.status(`produced ${count}`)
    clock.advance(600)
  }
  screen.close()
  assert.equal(out.text(), 'produced 1\nproduced 3\n')
  assert.deepEqual(input.rawModes, [])
})
