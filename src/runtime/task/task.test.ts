/** One task with a source and operators made for it: barriers, blocked chains, the end of input, failures and closing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Network, SeededRandom, SystemClock, silentLogger } from '../../base/index.ts'
import {
  type CloseOptions,
  type JobGraph,
  MAX_WATERMARK,
  type Operator,
  type Output,
  type PollStatus,
  type SinkWriter,
  type SourceReader,
  type SplitOutput,
  type WatermarkPlan,
} from '../../core/index.ts'
import type { TaskMessage } from '../channel/messages.ts'
import { unpackList } from '../checkpoint/packed-list.ts'
import { Task } from './task.ts'

const network: Network = { connect: () => Promise.reject(new Error('no network')) }
const clock = new SystemClock()
const JSON_BYTES = {
  version: 1,
  serialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  deserialize: (_version: number, bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()),
}
const NO_WATERMARKS: WatermarkPlan<unknown> = {
  createGenerator: undefined,
  timestampAssigner: undefined,
  idleTimeoutMs: undefined,
  alignment: undefined,
}

/** Settled from outside. */
function gate(): { promise: Promise<void>; open: () => void; fail: (error: Error) => void } {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  promise.catch(() => undefined)
  return { promise, open: resolve, fail: reject }
}

/** What happened, in order, in all parts of the chain. */
class Rig {
  readonly journal: string[] = []
  readonly reports: TaskMessage[] = []
  /** Elements that the reader emits, each by one `poll`; `end` ends the input. */
  readonly input: (number | 'end')[] = []
  readonly written: number[] = []
  /** Positions in the barrier's snapshot, by checkpoint. */
  available = gate()
  writable = gate()
  blocked = false
  openReader: () => Promise<void> = async () => undefined
  openOperator: () => Promise<void> = async () => undefined
  onElement: (value: number) => void = () => undefined
  finishOperator: () => Promise<void> = async () => undefined
  flush: () => Promise<void> = async () => undefined
  commit: () => Promise<void> = async () => undefined
  failWriter: (error: Error) => void = () => undefined
  watermarks: WatermarkPlan<unknown> = NO_WATERMARKS
  #position = 0

  feed(...values: readonly (number | 'end')[]): void {
    this.input.push(...values)
    const { open } = this.available
    this.available = gate()
    open()
  }

  reader(output: { forSplit(split: string): SplitOutput<unknown> }): SourceReader<unknown> {
    return {
      open: () => {
        this.journal.push('open reader')
        return this.openReader()
      },
      addSplits: (splits) => void this.journal.push(`splits ${JSON.stringify(splits)}`),
      noMoreSplits: () => void this.journal.push('no more splits'),
      poll: (): PollStatus => {
        const next = this.input.shift()
        if (next === undefined) return 'waiting'
        if (next === 'end') return 'ended'
        output.forSplit('s').emit(next)
        this.#position++
        return 'more'
      },
      available: () => (this.input.length > 0 ? Promise.resolve() : this.available.promise),
      snapshotState: (checkpoint) => {
        this.journal.push(`reader snapshot ${checkpoint}`)
        return [{ position: this.#position }]
      },
      checkpointCompleted: async (checkpoint) => void this.journal.push(`reader completed ${checkpoint}`),
      close: async () => void this.journal.push('close reader'),
    }
  }

  operator(output: Output<unknown>): Operator<unknown> {
    return {
      open: () => {
        this.journal.push('open operator')
        return this.openOperator()
      },
      emit: (value) => {
        this.journal.push(`begin ${value}`)
        this.onElement(Number(value))
        output.emit(Number(value) * 10)
        output.emit(Number(value) * 10 + 1)
        this.journal.push(`end ${value}`)
      },
      emitWatermark: (timestamp) => output.emitWatermark(timestamp),
      emitIdle: () => undefined,
      finish: async () => {
        this.journal.push('finish operator')
        await this.finishOperator()
        output.emit(-1)
      },
      snapshot: (checkpoint) => {
        this.journal.push(`operator snapshot ${checkpoint}`)
        return Promise.resolve({ version: 7, bytes: Buffer.from('state') })
      },
      close: async ({ abandon }: CloseOptions) =>
        void this.journal.push(`close operator${abandon ? ' abandoned' : ''}`),
    }
  }

  writer(): SinkWriter<unknown, unknown> {
    const rig = this
    return {
      open: async () => void this.journal.push('open writer'),
      write: (value) => void this.written.push(Number(value)),
      get blocked() {
        return rig.blocked
      },
      writable: () => this.writable.promise,
      inputDry: () => void this.journal.push(`dry after ${this.written.length}`),
      prepareCommit: async (checkpoint, final) => {
        const sealed = this.written.length
        this.journal.push(`flush ${checkpoint}${final ? ' final' : ''}`)
        await this.flush()
        return [`${sealed} records of ${checkpoint}`]
      },
      commit: async (checkpoint) => {
        this.journal.push(`commit ${checkpoint}`)
        await this.commit()
        this.journal.push(`ended ${checkpoint}`)
      },
      committed: (checkpoint) => void this.journal.push(`committed ${checkpoint}`),
      close: async (options) => void this.journal.push(`close writer${options?.abandon ? ' abandoned' : ''}`),
    }
  }

  graph(): JobGraph {
    const source = {
      boundedness: 'bounded',
      splitSerializer: JSON_BYTES,
      enumeratorStateSerializer: JSON_BYTES,
      createReader: (context: { output: { forSplit(split: string): SplitOutput<unknown> } }) =>
        this.reader(context.output),
    }
    const sink = {
      createWriter: (context: { fail: (error: Error) => void }) => {
        this.failWriter = context.fail
        return this.writer()
      },
      transactional: { committableSerializer: JSON_BYTES },
    }
    const factory = { create: (_context: unknown, output: Output<unknown>) => this.operator(output) }
    const edge = (from: number) => [{ from, partitioning: 'forward' }]
    const base = { parallelism: 1, maxParallelism: 1, chaining: 'always' }
    return {
      jobName: 'job',
      nodes: [
        { ...base, id: 0, kind: 'source', uid: 'in', name: 'in', inputs: [], source, watermarks: this.watermarks },
        { ...base, id: 1, kind: 'operator', uid: 'op', name: 'op', inputs: edge(0), factory },
        { ...base, id: 2, kind: 'sink', uid: 'out', name: 'out', inputs: edge(1), sink },
      ],
    } as unknown as JobGraph
  }

  start(): { task: Task; ended: Promise<void> } {
    const task = new Task({
      graph: this.graph(),
      spec: {
        task: { chain: 0, subtask: 0 },
        attempt: 1,
        nextCheckpoint: 1,
        checkpointing: true,
        mode: 'exactly-once',
        watermarkIntervalMs: 5,
        maxParallelism: 1,
        sinkSettings: {},
        restored: {},
        keyed: {},
        lists: {},
        allowNonRestoredState: false,
      },
      ports: { clock, random: new SeededRandom(1), network, logger: silentLogger },
      report: (message) => {
        this.reports.push(message)
        this.journal.push(`report ${message.kind}${'checkpoint' in message ? ` ${message.checkpoint}` : ''}`)
      },
    })
    return { task, ended: task.run() }
  }

  async until(entry: string): Promise<void> {
    for (let turns = 0; !this.journal.includes(entry); turns++) {
      assert.ok(turns < 5_000, `"${entry}" never came: ${this.journal.join(', ')}`)
      await clock.nextTurn()
    }
  }

  has(entry: string): boolean {
    return this.journal.includes(entry)
  }

  /** Whether the first stands before the second. */
  assertOrder(...entries: readonly string[]): void {
    const places = entries.map((entry) => this.journal.indexOf(entry))
    assert.ok(
      places.every((place, index) => place >= 0 && (index === 0 || place > (places[index - 1] ?? -1))),
      `${entries.join(' < ')} in ${this.journal.join(', ')}`,
    )
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await clock.nextTurn()
}

test('the chain opens from its end, the reader last, and closes the other way round', async () => {
  const rig = new Rig()
  const { task, ended } = rig.start()
  await rig.until('report opened')
  task.post({ kind: 'close', abandon: false })
  await ended
  rig.assertOrder('open writer', 'open operator', 'open reader', 'report opened')
  rig.assertOrder('report opened', 'close reader', 'close operator', 'close writer', 'report closed')
})

test('letters that came before the task was open are taken in order afterwards', async () => {
  const rig = new Rig()
  const opening = gate()
  rig.openReader = () => opening.promise
  const { task, ended } = rig.start()
  task.post({ kind: 'assign-splits', splits: [{ version: 1, bytes: Buffer.from('[1]') }] })
  task.post({ kind: 'no-more-splits' })
  await turns(5)
  assert.equal(rig.has('no more splits'), false)
  opening.open()
  await rig.until('no more splits')
  rig.assertOrder('report opened', 'splits [[1]]', 'no more splits')
  task.post({ kind: 'close', abandon: false })
  await ended
})

test('a barrier falls between two whole elements, and all parts are captured before the next', async () => {
  const rig = new Rig()
  const flushing = gate()
  rig.flush = () => flushing.promise
  const { task, ended } = rig.start()
  // The barrier is posted while an element is half way through the chain.
  rig.onElement = (value) => {
    if (value === 2) task.post({ kind: 'checkpoint', checkpoint: 1, final: false })
  }
  rig.feed(1, 2, 3, 4)
  await rig.until('end 4')
  rig.assertOrder('begin 2', 'end 2', 'reader snapshot 1', 'operator snapshot 1', 'flush 1', 'begin 3')
  assert.equal(rig.has('report snapshot 1'), false, 'not before the flush is acknowledged')
  flushing.open()
  await rig.until('report snapshot 1')
  const snapshot = rig.reports.find((report) => report.kind === 'snapshot')
  assert.ok(snapshot?.kind === 'snapshot')
  const parts = snapshot.parts.map(({ uid, role, version, bytes }) => ({
    uid,
    role,
    version,
    text: role === 'committable' ? unpackList(bytes).join() : Buffer.from(bytes).toString(),
  }))
  assert.deepEqual(
    parts.toSorted((left, right) => left.uid.localeCompare(right.uid)),
    [
      { uid: 'in', role: 'split', version: 1, text: '{"position":2}' },
      { uid: 'op', role: 'operator', version: 7, text: 'state' },
      { uid: 'out', role: 'committable', version: 1, text: '"4 records of 1"' },
    ],
    'the position and the records are those of the barrier, though more came before it was acknowledged',
  )
  task.post({ kind: 'close', abandon: false })
  await ended
})

test('a flush that fails declines its checkpoint, and the task goes on', async () => {
  const rig = new Rig()
  rig.flush = () => Promise.reject(new Error('a batch was refused'))
  const { task, ended } = rig.start()
  task.post({ kind: 'checkpoint', checkpoint: 4, final: false })
  await rig.until('report declined 4')
  rig.feed(1)
  await rig.until('end 1')
  task.post({ kind: 'close', abandon: false })
  await ended
  assert.equal(rig.has('report failed'), false)
})

test('a blocked chain takes no element, but letters; it goes on when it is writable', async () => {
  const rig = new Rig()
  rig.blocked = true
  const { task, ended } = rig.start()
  rig.feed(1)
  await rig.until('report opened')
  task.post({ kind: 'checkpoint', checkpoint: 1, final: false })
  await rig.until('report snapshot 1')
  assert.equal(rig.has('begin 1'), false)
  rig.blocked = false
  rig.writable.open()
  await rig.until('end 1')
  task.post({ kind: 'close', abandon: false })
  await ended
})

test('a chain that stays blocked though it calls itself writable leaves the event loop alive', async () => {
  const rig = new Rig()
  rig.blocked = true
  rig.writable.open()
  const { task, ended } = rig.start()
  rig.feed(1)
  await new Promise((resolve) => setTimeout(resolve, 20))
  task.post({ kind: 'close', abandon: false })
  await ended
  assert.ok(rig.has('report closed'))
})

test('a sink is told when the input has nothing more for now, and not between elements that are there', async () => {
  const rig = new Rig()
  const { task, ended } = rig.start()
  await rig.until('dry after 0')
  rig.feed(1, 2, 3)
  await rig.until('dry after 6')
  assert.equal(rig.has('dry after 2') || rig.has('dry after 4'), false)
  task.post({ kind: 'close', abandon: false })
  await ended
})

test('a sink that can write no more fails the task', async () => {
  const rig = new Rig()
  rig.blocked = true
  const { task, ended } = rig.start()
  await rig.until('report opened')
  rig.writable.fail(new Error('the producer is fenced'))
  await rig.until('report failed')
  task.post({ kind: 'close', abandon: false })
  await ended
})

test('the end of input goes through the whole chain before it is told, and checkpoints go on after it', async () => {
  const rig = new Rig()
  const finishing = gate()
  rig.finishOperator = () => finishing.promise
  const { task, ended } = rig.start()
  rig.feed(1, 'end')
  await rig.until('finish operator')
  await turns(3)
  assert.equal(rig.has('report input-ended'), false)
  finishing.open()
  await rig.until('report input-ended')
  assert.deepEqual(rig.written, [10, 11, -1], 'what the operator still held')
  task.post({ kind: 'checkpoint', checkpoint: 1, final: false })
  await rig.until('report snapshot 1')
  task.post({ kind: 'close', abandon: false })
  await ended
})

test('the end of input ends event time', async () => {
  const rig = new Rig()
  const seen: number[] = []
  const operator = rig.operator.bind(rig)
  rig.operator = (output) => ({ ...operator(output), emitWatermark: (timestamp) => void seen.push(timestamp) })
  const { task, ended } = rig.start()
  rig.feed('end')
  await rig.until('report input-ended')
  assert.deepEqual(seen, [MAX_WATERMARK])
  task.post({ kind: 'close', abandon: false })
  await ended
})

test('after a final barrier nothing is emitted any more, and it may be repeated', async () => {
  const rig = new Rig()
  const { task, ended } = rig.start()
  rig.feed(1)
  await rig.until('end 1')
  task.post({ kind: 'checkpoint', checkpoint: 1, final: true })
  rig.feed(2)
  await rig.until('report snapshot 1')
  await turns(5)
  assert.equal(rig.has('begin 2'), false)
  task.post({ kind: 'checkpoint', checkpoint: 2, final: true })
  await rig.until('report snapshot 2')
  assert.ok(rig.has('flush 2 final'))
  task.post({ kind: 'checkpoint-completed', checkpoint: 2 })
  await rig.until('report commit-finished 2')
  task.post({ kind: 'close', abandon: false })
  await ended
})

test('a completed checkpoint is told when reader and writer have done their part; records go on meanwhile', async () => {
  const rig = new Rig()
  const committing = gate()
  rig.commit = () => committing.promise
  const { task, ended } = rig.start()
  task.post({ kind: 'checkpoint-completed', checkpoint: 1 })
  await rig.until('commit 1')
  rig.feed(1)
  await rig.until('end 1')
  assert.equal(rig.has('report commit-finished 1'), false)
  committing.open()
  await rig.until('report commit-finished 1')
  rig.assertOrder('reader completed 1', 'report commit-finished 1')
  task.post({ kind: 'checkpoint-committed', checkpoint: 1 })
  await rig.until('committed 1')
  task.post({ kind: 'close', abandon: false })
  await ended
})

test('an end of a transaction that fails, fails the task', async () => {
  const rig = new Rig()
  rig.commit = () => Promise.reject(new Error('lost'))
  const { task, ended } = rig.start()
  task.post({ kind: 'checkpoint-completed', checkpoint: 1 })
  await rig.until('report failed')
  assert.equal(rig.has('report commit-finished 1'), false)
  task.post({ kind: 'close', abandon: false })
  await ended
})

test('a failure between two letters stops the task, though it waits for nothing but its reader', async () => {
  const rig = new Rig()
  const { task, ended } = rig.start()
  await rig.until('report opened')
  await turns(3)
  rig.failWriter(new Error('a batch could not be delivered'))
  await rig.until('report failed')
  rig.failWriter(new Error('and another one'))
  task.post({ kind: 'close', abandon: false })
  await ended
  const failures = rig.reports.filter((report) => report.kind === 'failed')
  assert.deepEqual(
    failures.map(({ error }) => error.message),
    ['a batch could not be delivered'],
  )
})

test('a failed task emits and aborts nothing until it is told whether the job has another owner', async () => {
  const rig = new Rig()
  const { task, ended } = rig.start()
  rig.onElement = () => {
    throw new Error('the function throws')
  }
  rig.feed(1, 2)
  await rig.until('report failed')
  task.post({ kind: 'checkpoint', checkpoint: 1, final: false })
  await turns(10)
  assert.equal(rig.has('flush 1'), false)
  assert.equal(rig.has('begin 2'), false)
  assert.equal(rig.has('close writer'), false)
  task.post({ kind: 'close', abandon: true })
  await ended
  assert.ok(rig.has('close writer abandoned') && rig.has('close operator abandoned'))
  assert.equal(rig.journal.at(-1), 'report closed')
})

test('a failure to open is told, and everything is closed all the same', async () => {
  const rig = new Rig()
  rig.openOperator = () => Promise.reject(new Error('no such topic'))
  const { task, ended } = rig.start()
  await rig.until('report failed')
  task.post({ kind: 'close', abandon: false })
  await ended
  assert.equal(rig.has('report opened'), false)
  assert.equal(rig.has('open reader'), false)
  rig.assertOrder('report failed', 'close reader', 'close operator', 'close writer', 'report closed')
})

test('closed is the last word: what is under way beside the records is over by then', async () => {
  const rig = new Rig()
  const committing = gate()
  rig.commit = () => committing.promise
  const { task, ended } = rig.start()
  task.post({ kind: 'checkpoint-completed', checkpoint: 1 })
  await rig.until('commit 1')
  task.post({ kind: 'close', abandon: false })
  await rig.until('close writer')
  await turns(5)
  assert.equal(rig.has('report closed'), false, 'an end of a transaction is still on its way')
  committing.fail(new Error('closed'))
  await ended
  assert.equal(rig.journal.at(-1), 'report closed')
  task.post({ kind: 'checkpoint', checkpoint: 9, final: false })
  await turns(3)
  assert.equal(rig.journal.at(-1), 'report closed', 'a letter after the end is nothing')
})

test('a part that cannot be closed keeps no other from being closed', async () => {
  const rig = new Rig()
  const writer = rig.writer.bind(rig)
  const reader = rig.reader.bind(rig)
  rig.reader = (output) => ({ ...reader(output), close: () => Promise.reject(new Error('reader')) })
  rig.writer = () => Object.assign(writer(), { close: () => Promise.reject(new Error('writer')) })
  const { task, ended } = rig.start()
  await rig.until('report opened')
  task.post({ kind: 'close', abandon: false })
  await ended
  assert.ok(rig.has('close operator'))
  assert.equal(rig.journal.at(-1), 'report closed')
})

test('periodic watermarks come by letters, and their timer ends with the task', async () => {
  const rig = new Rig()
  let asked = 0
  const createGenerator = () => ({ onEvent: () => undefined, onPeriodicEmit: () => void asked++ })
  rig.watermarks = { ...NO_WATERMARKS, createGenerator }
  const { task, ended } = rig.start()
  rig.feed(1)
  await rig.until('end 1')
  await clock.sleep(30)
  assert.ok(asked >= 1)
  task.post({ kind: 'close', abandon: false })
  await ended
  const then = asked
  await clock.sleep(20)
  assert.equal(asked, then)
})
