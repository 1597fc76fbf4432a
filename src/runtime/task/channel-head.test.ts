/** Tasks that read several channels: barriers are aligned, watermarks and ends put together, whatever arrives when. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Random, SeededRandom } from '../../base/index.ts'
import { Counter, ElementTime, MAX_WATERMARK, type Output } from '../../core/index.ts'
import type { ChannelItem, InputChannel } from '../channel/exchange.ts'
import { BarrierAligner, type CheckpointMode } from './barrier-aligner.ts'
import type { Chain } from './chain.ts'
import { ChannelHead } from './channel-head.ts'

type Item =
  | { readonly kind: 'element'; readonly value: string }
  | { readonly kind: 'watermark'; readonly timestamp: number }
  | { readonly kind: 'idle'; readonly idle: boolean }
  | { readonly kind: 'barrier'; readonly checkpoint: number; readonly final?: boolean }
  | { readonly kind: 'end' }

/** A channel whose items arrive when the test says so. */
class ScriptedChannel implements InputChannel {
  readonly time: ElementTime
  value: unknown
  idle = false
  checkpoint = 0
  final = false
  closed = false
  /** A look at a channel takes in what came for others. */
  onLook: () => void = () => undefined
  readonly #items: Item[] = []
  #listener: () => void = () => undefined

  constructor(time: ElementTime) {
    this.time = time
  }

  arrive(...items: readonly Item[]): void {
    const wasEmpty = this.#items.length === 0
    this.#items.push(...items)
    if (wasEmpty && items.length > 0) this.#listener()
  }

  next(): ChannelItem {
    const item = this.#items.shift()
    if (item === undefined) return 'empty'
    switch (item.kind) {
      case 'element':
        this.value = item.value
        break
      case 'watermark':
        this.time.timestamp = item.timestamp
        break
      case 'idle':
        this.idle = item.idle
        break
      case 'barrier':
        this.checkpoint = item.checkpoint
        this.final = item.final ?? false
        break
      case 'end':
        break
    }
    return item.kind
  }

  get ready(): boolean {
    this.onLook()
    return this.#items.length > 0
  }

  onArrival(listener: () => void): void {
    this.#listener = listener
  }

  close(): void {
    this.closed = true
  }
}

class Rig {
  readonly seen: string[] = []
  readonly channels: readonly ScriptedChannel[]
  readonly head: ChannelHead
  blockedAfter = Number.POSITIVE_INFINITY
  readonly records = new Counter()

  constructor(count: number, mode: CheckpointMode = 'exactly-once') {
    const time = new ElementTime()
    const rig = this
    const first: Output<unknown> = {
      emit: (value) => void this.seen.push(String(value)),
      emitWatermark: (timestamp) => void this.seen.push(`watermark ${timestamp}`),
      emitIdle: (idle) => void this.seen.push(idle ? 'idle' : 'active'),
    }
    const chain = {
      first,
      get blocked() {
        return rig.seen.length >= rig.blockedAfter
      },
    }
    this.channels = Array.from({ length: count }, () => new ScriptedChannel(time))
    this.head = new ChannelHead({
      channels: this.channels,
      chain: chain as unknown as Chain,
      mode,
      records: this.records,
      onBarrier: (checkpoint, final) => void this.seen.push(`snapshot ${checkpoint}${final ? ' final' : ''}`),
    })
  }

  arrive(channel: number, ...items: readonly Item[]): this {
    this.channels[channel]?.arrive(...items)
    return this
  }

  /** Everything that was seen since the last call. */
  poll(budget = 1_000): string {
    this.head.poll(budget)
    return this.seen.splice(0).join(', ')
  }
}

const element = (value: string): Item => ({ kind: 'element', value })
const barrier = (checkpoint: number, final = false): Item => ({ kind: 'barrier', checkpoint, final })
const watermark = (timestamp: number): Item => ({ kind: 'watermark', timestamp })
const idle = (is: boolean): Item => ({ kind: 'idle', idle: is })
const END: Item = { kind: 'end' }

test('a channel whose barrier came is not read until all have brought it', () => {
  const rig = new Rig(2)
  rig.arrive(0, element('a1'), barrier(1), element('a2')).arrive(1, element('b1'))
  assert.equal(rig.poll(), 'a1, b1')
  rig.arrive(1, element('b2'), barrier(1), element('b3'))
  assert.equal(rig.poll(), 'b2, snapshot 1, b3, a2')
})

test('with at-least-once no channel waits, and the snapshot is taken when the last barrier came', () => {
  const rig = new Rig(2, 'at-least-once')
  rig.arrive(0, barrier(1), element('a2'), barrier(2), element('a3'))
  assert.equal(rig.poll(), 'a2, a3')
  rig.arrive(1, element('b1'), barrier(1), element('b2'))
  assert.equal(rig.poll(), 'b1, snapshot 1, b2')
  rig.arrive(1, barrier(2, true))
  assert.equal(rig.poll(), 'snapshot 2 final')
})

/** Elements with barriers 1 to `checkpoints` among them, at places of their own on each channel. */
function scriptsOf(random: Random, channels: number, checkpoints: number): Item[][] {
  return Array.from({ length: channels }, (_, channel) => {
    const items: Item[] = []
    for (let checkpoint = 1; checkpoint <= checkpoints; checkpoint++) {
      const elements = Math.floor(random.next() * 6)
      for (let n = 0; n < elements; n++) items.push(element(`${channel}.${checkpoint}.${n}`))
      items.push(barrier(checkpoint))
    }
    return items
  })
}

/** Any channels, any elements, any moment of arrival: what a snapshot holds is decided by the barriers alone. */
function tryInterleavings(mode: CheckpointMode): void {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new SeededRandom(seed)
    const [count, checkpoints] = [1 + Math.floor(random.next() * 5), 1 + Math.floor(random.next() * 5)]
    const rig = new Rig(count, mode)
    const scripts = scriptsOf(random, count, checkpoints)
    const all = scripts.flat()
    while (scripts.some((script) => script.length > 0)) {
      const channel = Math.floor(random.next() * count)
      rig.arrive(channel, ...(scripts[channel]?.splice(0, Math.floor(random.next() * 4)) ?? []))
      if (random.next() < 0.5) rig.head.poll(1 + Math.floor(random.next() * 5))
    }
    for (let turns = 0; turns < 500; turns++) rig.head.poll(3)
    const elements = all.flatMap((item) => (item.kind === 'element' ? [item.value] : []))
    assert.deepEqual(rig.seen.filter((what) => !what.startsWith('snapshot')).sort(), elements.sort(), `seed ${seed}`)
    for (let checkpoint = 1; checkpoint <= checkpoints; checkpoint++) {
      const at = rig.seen.indexOf(`snapshot ${checkpoint}`)
      assert.ok(at >= 0, `seed ${seed}: checkpoint ${checkpoint} is taken`)
      const held = new Set(rig.seen.slice(0, at).filter((what) => !what.startsWith('snapshot')))
      const before = elements.filter((value) => Number(value.split('.')[1]) <= checkpoint)
      assert.ok(
        before.every((value) => held.has(value)),
        `seed ${seed}: checkpoint ${checkpoint} misses nothing`,
      )
      if (mode === 'exactly-once') assert.equal(held.size, before.length, `seed ${seed}: checkpoint ${checkpoint}`)
    }
    for (let channel = 0; channel < count; channel++) {
      const own = rig.seen.filter((what) => what.startsWith(`${channel}.`))
      assert.deepEqual(
        own,
        elements.filter((value) => value.startsWith(`${channel}.`)),
        'the order of a channel is kept',
      )
    }
  }
}

test('exactly-once: whatever arrives when, a snapshot holds exactly what came before its barriers', () => {
  tryInterleavings('exactly-once')
})

test('at-least-once: whatever arrives when, a snapshot holds at least what came before its barriers', () => {
  tryInterleavings('at-least-once')
})

test('barriers of a channel that do not rise, and channels that are read while they wait, are bugs', () => {
  const aligner = new BarrierAligner(2, 'exactly-once')
  assert.equal(aligner.arrived(0, 2), false)
  assert.throws(() => aligner.arrived(0, 3), /was read while it waits/)
  assert.equal(aligner.arrived(1, 2), true)
  assert.throws(() => aligner.arrived(0, 2), /barrier 2 came behind barrier 2/)
})

test('the watermark is the lowest of the channels that are not idle, and never goes back', () => {
  const rig = new Rig(3)
  rig.arrive(0, watermark(5)).arrive(1, watermark(7))
  assert.equal(rig.poll(), '')
  rig.arrive(2, watermark(3))
  assert.equal(rig.poll(), 'watermark 3')
  rig.arrive(2, idle(true))
  assert.equal(rig.poll(), 'watermark 5')
  rig.arrive(2, idle(false), watermark(4))
  assert.equal(rig.poll(), '')
  rig.arrive(2, watermark(9)).arrive(0, watermark(8))
  assert.equal(rig.poll(), 'watermark 7')
  rig.arrive(0, idle(true)).arrive(1, idle(true)).arrive(2, idle(true))
  assert.match(rig.poll(), /watermark 9, idle$/)
  rig.arrive(1, idle(false))
  assert.equal(rig.poll(), 'active')
})

test('a channel whose event time has ended does not speak for those that are idle', () => {
  const rig = new Rig(2)
  rig.arrive(0, watermark(5)).arrive(1, idle(true))
  assert.equal(rig.poll(), 'watermark 5')
  rig.arrive(0, watermark(MAX_WATERMARK), END)
  assert.equal(rig.poll(), 'idle')
  rig.arrive(1, idle(false), watermark(6))
  assert.equal(rig.poll(), 'active, watermark 6')
  rig.arrive(1, watermark(MAX_WATERMARK), END)
  assert.equal(rig.poll(), 'watermark Infinity')
})

test('the input has ended when all channels have, and barriers are answered after that', () => {
  const rig = new Rig(2)
  rig.arrive(0, element('a'), END)
  assert.equal(rig.head.poll(10), 'waiting')
  rig.arrive(1, END)
  assert.equal(rig.head.poll(10), 'ended')
  assert.equal(rig.head.poll(10), 'waiting')
  rig.arrive(0, barrier(1, true)).arrive(1, barrier(1, true))
  assert.equal(rig.poll(), 'a, snapshot 1 final')
})

test('a busy channel keeps no other waiting, and a blocked chain is fed no further', () => {
  const rig = new Rig(2)
  for (let n = 0; n < 1_000; n++) rig.arrive(0, element('a'))
  rig.arrive(1, element('b'))
  assert.equal(rig.head.poll(300), 'more')
  assert.ok(rig.seen.includes('b'))
  assert.ok(rig.seen.length <= 301)
  rig.blockedAfter = rig.seen.length + 1
  const before = rig.seen.length
  assert.equal(rig.head.poll(300), 'more')
  assert.equal(rig.seen.length, before + 1)
  assert.equal(rig.records.value, rig.seen.length)
})

test('whoever waits is woken by what arrives, and not by what a waiting channel holds', async () => {
  const rig = new Rig(2)
  let woken = 0
  const wait = (): void => void rig.head.available().then(() => woken++)
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  wait()
  await turn()
  assert.equal(woken, 0)
  rig.arrive(0, barrier(1), element('a'))
  await turn()
  assert.equal(woken, 1)
  rig.poll()
  wait()
  await turn()
  assert.equal(woken, 1, 'channel 0 has something, but must not be read')
  rig.arrive(1, barrier(1))
  await turn()
  assert.equal(woken, 2)
  assert.equal(rig.poll(), 'snapshot 1, a')
  await rig.head.close()
  assert.ok(rig.channels.every((channel) => channel.closed))
})

test('what arrives at one channel while another is looked at wakes whoever waits', async () => {
  const rig = new Rig(2)
  const [first, second] = rig.channels
  assert.ok(first !== undefined && second !== undefined)
  second.onLook = () => {
    second.onLook = () => undefined
    first.arrive({ kind: 'element', value: 'a' })
  }
  let woken = false
  void rig.head.available().then(() => (woken = true))
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(woken, 'the element was told of once, before anybody waited')
  assert.equal(rig.poll(), 'a')
})
