/** Tasks with edges to others: what they pass on behind what, when they send it, and when they stop reading. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Network, SeededRandom, SystemClock, silentLogger } from '../../base/index.ts'
import type { ElementTime, JobGraph, Output, SplitOutput } from '../../core/index.ts'
import type { ChannelItem, InputChannel, OutputEdge } from '../channel/exchange.ts'
import type { TaskMessage } from '../channel/messages.ts'
import { Task } from './task.ts'

const network: Network = { connect: () => Promise.reject(new Error('no network')) }
const clock = new SystemClock()
const JSON_BYTES = {
  version: 1,
  serialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  deserialize: (_version: number, bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()),
}

/** A source, and behind a rebalance an operator that emits each element twice, and behind another one a sink. */
class Rig {
  readonly journal: string[] = []
  /** What the input channel brings; a number is an element. */
  readonly input: (number | 'end' | { barrier: number; final: boolean })[] = []
  arrived: () => void = () => undefined
  blocked = false
  unblock: () => void = () => undefined
  /** The source emits without end, one element a poll. */
  endless = false
  polls = 0

  graph(): JobGraph {
    const base = { parallelism: 1, maxParallelism: 1, chaining: 'always' }
    const edge = (from: number) => [{ from, partitioning: 'rebalance' }]
    const source = {
      boundedness: 'bounded',
      splitSerializer: JSON_BYTES,
      enumeratorStateSerializer: JSON_BYTES,
      createReader: (context: { output: { forSplit(split: string): SplitOutput<unknown> } }) => ({
        addSplits: () => undefined,
        noMoreSplits: () => undefined,
        poll: () => {
          if (!this.endless) return 'waiting'
          if (!context.output.forSplit('s').blocked) context.output.forSplit('s').emit(this.polls++)
          return 'more'
        },
        available: () => new Promise(() => undefined),
        snapshotState: () => [],
        close: async () => undefined,
      }),
    }
    const factory = {
      create: (_context: unknown, output: Output<unknown>) => ({
        emit: (value: unknown) => {
          output.emit(value)
          output.emit(value)
        },
        emitWatermark: (timestamp: number) => output.emitWatermark(timestamp),
        emitIdle: (idle: boolean) => output.emitIdle(idle),
        snapshot: (checkpoint: number) => {
          this.journal.push(`snapshot ${checkpoint}`)
          return Promise.resolve(undefined)
        },
        finish: () => output.emit('last'),
      }),
    }
    const watermarks = {}
    return {
      jobName: 'job',
      nodes: [
        { ...base, id: 0, kind: 'source', uid: 'in', name: 'in', inputs: [], source, watermarks },
        { ...base, id: 1, kind: 'operator', uid: 'op', name: 'op', inputs: edge(0), factory },
        { ...base, id: 2, kind: 'sink', uid: 'out', name: 'out', inputs: edge(1), sink: {} },
      ],
    } as unknown as JobGraph
  }

  channel(time: ElementTime): InputChannel {
    const rig = this
    const channel = {
      time,
      value: undefined as unknown,
      idle: false,
      checkpoint: 0,
      final: false,
      next(): ChannelItem {
        const item = rig.input.shift()
        if (item === undefined) return 'empty'
        if (item === 'end') return 'end'
        if (typeof item === 'object') {
          this.checkpoint = item.barrier
          this.final = item.final
          return 'barrier'
        }
        this.value = item
        return 'element'
      },
      get ready() {
        return rig.input.length > 0
      },
      onArrival: (listener: () => void) => {
        rig.arrived = listener
      },
      close: () => void rig.journal.push('input closed'),
    }
    return channel
  }

  edge(): OutputEdge {
    const rig = this
    return {
      emit: (value) => void this.journal.push(`emit ${value}`),
      emitWatermark: (timestamp) => void this.journal.push(`watermark ${timestamp}`),
      emitIdle: () => undefined,
      emitBarrier: (checkpoint, final) => void this.journal.push(`barrier ${checkpoint}${final ? ' final' : ''}`),
      end: () => void this.journal.push('end'),
      flush: () => void this.journal.push('flush'),
      get blocked() {
        return rig.blocked
      },
      writable: () => new Promise((resolve) => (this.unblock = resolve)),
      close: () => void this.journal.push('output closed'),
    }
  }

  start(chain: number): { task: Task; ended: Promise<void> } {
    const task = new Task({
      graph: this.graph(),
      spec: {
        task: { chain, subtask: 0 },
        attempt: 1,
        nextCheckpoint: 1,
        checkpointing: true,
        mode: 'exactly-once',
        watermarkIntervalMs: 0,
        maxParallelism: 1,
        sinkSettings: {},
        restored: {},
        keyed: {},
        lists: {},
        allowNonRestoredState: false,
      },
      ports: { clock, random: new SeededRandom(1), network, logger: silentLogger },
      ends: { createInput: (_edge, _sender, time) => this.channel(time), createOutput: () => this.edge() },
      report: (message: TaskMessage) => void this.journal.push(`report ${message.kind}`),
    })
    return { task, ended: task.run() }
  }

  arrive(...items: Rig['input']): void {
    this.input.push(...items)
    this.arrived()
  }

  async until(entry: string): Promise<void> {
    for (let turns = 0; !this.journal.includes(entry); turns++) {
      assert.ok(turns < 5_000, `"${entry}" never came: ${this.journal.join(', ')}`)
      await clock.nextTurn()
    }
  }

  /** Without what is sent when. */
  get order(): string[] {
    return this.journal.filter((entry) => entry !== 'flush')
  }
}

async function end({ task, ended }: { task: Task; ended: Promise<void> }): Promise<void> {
  task.post({ kind: 'close', abandon: false })
  await ended
}

test('the barrier goes on behind the last element before it, and nothing is held back with it', async () => {
  const rig = new Rig()
  const running = rig.start(1)
  await rig.until('report opened')
  rig.arrive(1, { barrier: 1, final: false }, 2)
  await rig.until('emit 2')
  await rig.until('report snapshot')
  assert.deepEqual(rig.order.slice(0, 6), ['report opened', 'emit 1', 'emit 1', 'snapshot 1', 'barrier 1', 'emit 2'])
  assert.equal(rig.journal[rig.journal.indexOf('barrier 1') + 1], 'flush')
  await end(running)
  assert.ok(rig.journal.indexOf('output closed') < rig.journal.indexOf('input closed'))
})

test('a source task sends the barrier that it is told of', async () => {
  const rig = new Rig()
  const running = rig.start(0)
  running.task.post({ kind: 'checkpoint', checkpoint: 3, final: true })
  await rig.until('report snapshot')
  assert.deepEqual(rig.order, ['report opened', 'barrier 3 final', 'report snapshot'])
  await end(running)
})

test('a task whose input has ended passes on the end, and later barriers', async () => {
  const rig = new Rig()
  const running = rig.start(1)
  await rig.until('report opened')
  rig.arrive(1, 'end')
  await rig.until('report input-ended')
  rig.arrive({ barrier: 1, final: false }, { barrier: 2, final: true })
  await rig.until('barrier 2 final')
  assert.deepEqual(
    rig.order.filter((entry) => !entry.startsWith('report')),
    ['emit 1', 'emit 1', 'emit last', 'end', 'snapshot 1', 'barrier 1', 'snapshot 2', 'barrier 2 final'],
  )
  await end(running)
})

test('a task whose edge is blocked reads nothing more until it is writable', async () => {
  const rig = new Rig()
  const running = rig.start(1)
  await rig.until('report opened')
  rig.blocked = true
  rig.arrive(1, 2, 3)
  for (let turn = 0; turn < 20; turn++) await clock.nextTurn()
  assert.deepEqual(rig.order, ['report opened'])
  rig.blocked = false
  rig.unblock()
  await rig.until('emit 3')
  await end(running)
})

test('what was gathered for other tasks leaves although the input never runs dry', async () => {
  const rig = new Rig()
  rig.endless = true
  const running = rig.start(0)
  await rig.until('flush')
  assert.ok(rig.polls > 1)
  await end(running)
})
