/**
 * One task: a head that elements come from (a source's reader, or channels from other tasks) and the chain of operators behind
 * it, on one thread. It works in slices: letters first, then elements, then a turn of the event loop. Between two elements of a
 * slice nothing else happens, so a barrier always falls between two whole elements. The states and what each event does to them
 * are in SPEC.md.
 */
import { assert, describeError, joint, type Timer, toError, transition } from '../../base/index.ts'
import {
  type AccumulatorRegistry,
  type CheckpointId,
  checkpointId,
  ElementTime,
  type JobGraph,
  MetricRegistry,
  type RuntimePorts,
} from '../../core/index.ts'
import type { InputChannel, OutputEdge } from '../channel/exchange.ts'
import { Mailbox } from '../channel/mailbox.ts'
import type { CoordinatorMessage, TaskFigures, TaskMessage, TaskSpec } from '../channel/messages.ts'
import { type PlannedEdge, planGraph, sendersOf } from '../plan/physical-plan.ts'
import { Chain } from './chain.ts'
import { ChannelHead } from './channel-head.ts'
import { SourceHead } from './source-head.ts'
import type { TaskHead } from './task-head.ts'

/** Most records between two looks at the mailbox; a slow chain gets fewer, so that a slice stays one. */
const POLL_RECORDS_MAX = 512
/** Time between two turns of the event loop: long enough to cost nothing, short enough for I/O and timers. */
const SLICE_MS = 4
/** What a capture of keyed state gets between two polls. */
const CAPTURE_MS = 2
/** Timers further away are looked at again after this. */
const TIMER_MS_MAX = 3_600_000
/** The longest that an element waits for others to travel with while the input never runs dry (Flink: 100 ms). */
const FLUSH_MS = 50

/** Makes the ends of the edges of one task, for the thread that it is on. */
export interface TaskEnds {
  createInput(edge: PlannedEdge, sender: number, time: ElementTime): InputChannel
  createOutput(edge: PlannedEdge, time: ElementTime): OutputEdge
}

export interface TaskOptions {
  readonly graph: JobGraph
  readonly spec: TaskSpec
  readonly ports: RuntimePorts
  /** Absent: the task has no edges to others. */
  readonly ends?: TaskEnds
  readonly report: (message: TaskMessage) => void
}

const NO_ENDS: TaskEnds = {
  createInput: () => assert(false, 'a task with edges has ends to them') as never,
  createOutput: () => assert(false, 'a task with edges has ends to them') as never,
}

type Letter = CoordinatorMessage | { readonly kind: 'watermark-timer' | 'processing-timer' | 'wake' }

/** `drained`: the end of input went through; `held`: a final barrier passed, nothing may be emitted; see SPEC.md. */
type TaskState = 'opening' | 'running' | 'drained' | 'held' | 'failed' | 'closing'

export class Task {
  readonly #options: TaskOptions
  readonly #mailbox = new Mailbox<Letter>()
  readonly #metrics = new MetricRegistry()
  readonly #chain: Chain
  readonly #head: TaskHead
  readonly #headUid: string
  readonly #periodic: boolean
  readonly #watched = new Set<'chain' | 'head'>()
  readonly #pending = new Set<Promise<void>>()
  #pollRecords = POLL_RECORDS_MAX
  #state: TaskState = 'opening'
  #failure: Error | undefined
  #abandon = false
  #watermarkTimer: Timer | undefined
  /** For the next processing-time timer of keyed state. */
  #stateTimer: Timer | undefined
  #stateTimerDue: number | undefined
  #timersDue = false

  constructor(options: TaskOptions) {
    this.#options = options
    const { graph, spec, ports } = options
    const chain = planGraph(graph).chains.find((candidate) => candidate.head.id === spec.task.chain)
    assert(chain !== undefined, `node ${spec.task.chain} is not the head of a chain`)
    const time = new ElementTime()
    const fail = (error: Error): void => this.#fail(error)
    const { ends = NO_ENDS } = options
    const createOutput = (edge: PlannedEdge): OutputEdge => ends.createOutput(edge, time)
    this.#chain = new Chain({ graph, chain, spec, ports, time, createOutput, fail })
    const { head } = chain
    this.#headUid = head.uid
    this.#periodic = head.kind === 'source' && head.watermarks.createGenerator !== undefined
    const metrics = this.#metrics
    if (head.kind === 'source') {
      this.#head = new SourceHead({ graph, spec, ports, node: head, chain: this.#chain, time, metrics })
      return
    }
    const inputs = chain.inputs.flatMap((edge) =>
      sendersOf(edge, spec.task.subtask).map((sender) => ends.createInput(edge, sender, time)),
    )
    this.#head = new ChannelHead({
      channels: inputs,
      chain: this.#chain,
      mode: spec.mode,
      records: metrics.counter('numRecordsIn'),
      onBarrier: (checkpoint, final) => this.#snapshot(checkpointId(checkpoint), final),
    })
  }

  post(message: CoordinatorMessage): void {
    this.#mailbox.put(message)
  }

  figures(): TaskFigures {
    let recordsOut = 0
    for (const { node, metrics } of this.#chain.operators) {
      if (node.kind === 'sink') recordsOut += metrics.read().get('numRecordsIn') ?? 0
    }
    // What a source hands to its chain is what the job reads.
    const recordsIn = this.#metrics.read().get('numRecordsOut') ?? 0
    return { recordsIn, recordsOut, pendingRecords: this.#head.pendingRecords }
  }

  metrics(into: Map<string, number>): void {
    const subtask = this.#options.spec.task.subtask
    const read = (uid: string, registry: MetricRegistry): void => {
      for (const [name, value] of registry.read()) into.set(`${uid}.${subtask}.${name}`, value)
    }
    read(this.#headUid, this.#metrics)
    for (const { node, metrics } of this.#chain.operators) read(node.uid, metrics)
  }

  /** What the functions of this task counted. */
  get accumulators(): readonly AccumulatorRegistry[] {
    return this.#chain.operators.flatMap(({ accumulators }) => (accumulators === undefined ? [] : [accumulators]))
  }

  /** Runs to the end. Never rejects: what goes wrong is reported, and `closed` is always the last word. */
  async run(): Promise<void> {
    const { report } = this.#options
    try {
      await this.#open()
      this.#become('running', 'opened')
      report({ kind: 'opened' })
      await this.#work()
    } catch (error) {
      this.#become('failed', 'failure')
      report({ kind: 'failed', error: toError(error) })
      await this.#closeLetter()
    }
    this.#become('closing', 'close')
    await this.#close()
    report({ kind: 'closed' })
  }

  /** After a failure: only the coordinator knows whether the job has another owner, so nothing is aborted before it says. */
  async #closeLetter(): Promise<void> {
    for (;;) {
      for (let letter = this.#mailbox.take(); letter !== undefined; letter = this.#mailbox.take()) {
        if (letter.kind !== 'close') continue
        this.#abandon = letter.abandon
        return
      }
      await this.#mailbox.arrival()
    }
  }

  async #open(): Promise<void> {
    for (const { operator, state } of [...this.#chain.operators].reverse()) {
      await operator.open?.()
      state?.opened()
    }
    await this.#head.open()
    this.#chain.onNextTimer(() => this.#armTimer())
    this.#armTimer()
    const { clock } = this.#options.ports
    const { watermarkIntervalMs } = this.#options.spec
    if (!this.#periodic || watermarkIntervalMs <= 0) return
    const tick = (): void => {
      this.#mailbox.put({ kind: 'watermark-timer' })
      this.#watermarkTimer = clock.setTimer(watermarkIntervalMs, tick)
    }
    this.#watermarkTimer = clock.setTimer(watermarkIntervalMs, tick)
  }

  async #work(): Promise<void> {
    const { clock } = this.#options.ports
    const head = this.#head
    let sliceEndsMs = clock.monotonic() + SLICE_MS
    let flushDueMs = clock.monotonic() + FLUSH_MS
    for (;;) {
      for (let letter = this.#mailbox.take(); letter !== undefined; letter = this.#mailbox.take()) {
        if (letter.kind === 'close') {
          this.#abandon = letter.abandon
          return
        }
        this.#receive(letter)
      }
      if (this.#failure !== undefined) throw this.#failure
      // However the loop came here: I/O and timers have their turn, even when all that is waited for is there already.
      const nowMs = clock.monotonic()
      if (nowMs >= flushDueMs) {
        this.#chain.flush()
        flushDueMs = nowMs + FLUSH_MS
      }
      if (nowMs >= sliceEndsMs) {
        await clock.nextTurn()
        sliceEndsMs = clock.monotonic() + SLICE_MS
        continue
      }
      if (this.#chain.capturing) this.#chain.capture(CAPTURE_MS)
      if (this.#state !== 'running' && !head.barriersComeHere) {
        await this.#pause()
        continue
      }
      if (this.#chain.blocked) {
        this.#chain.flush()
        this.#watch('chain', () => this.#chain.writable())
        await this.#pause()
        continue
      }
      if (this.#timersDue) {
        this.#fireTimers()
        continue
      }
      const polledMs = clock.monotonic()
      const status = head.poll(this.#pollRecords)
      this.#pollRecords = pollRecordsAfter(this.#pollRecords, clock.monotonic() - polledMs)
      if (status === 'ended') await this.#drain()
      else if (status === 'waiting') {
        this.#chain.inputDry()
        this.#watch('head', () => head.available())
        await this.#pause()
      }
    }
  }

  /** Until something arrives; while keyed state is being captured only for a turn. */
  #pause(): Promise<void> {
    return this.#chain.capturing ? this.#options.ports.clock.nextTurn() : this.#mailbox.arrival()
  }

  /** Has the clock tell when the next processing-time timer is due. */
  #armTimer(): void {
    const { clock } = this.#options.ports
    const next = this.#state === 'opening' || this.#state === 'running' ? this.#chain.nextTimer : undefined
    if (next === undefined || (this.#stateTimerDue !== undefined && this.#stateTimerDue <= next)) return
    this.#stateTimer?.cancel()
    this.#stateTimerDue = next
    const delayMs = Math.min(Math.max(next - clock.now(), 0), TIMER_MS_MAX)
    this.#stateTimer = clock.setTimer(delayMs, () => this.#mailbox.put({ kind: 'processing-timer' }))
  }

  #fireTimers(): void {
    this.#timersDue = false
    this.#stateTimerDue = undefined
    if (this.#state === 'running') this.#chain.fireTimers(this.#options.ports.clock.now())
    this.#armTimer()
  }

  /** Has the mailbox told when something is ready. One watch of a kind at a time: waiting again adds nothing to it. */
  #watch(what: 'chain' | 'head', ready: () => Promise<void>): void {
    if (this.#watched.has(what)) return
    this.#watched.add(what)
    ready().then(
      () => {
        this.#watched.delete(what)
        this.#mailbox.put({ kind: 'wake' })
      },
      (error: unknown) => this.#fail(toError(error)),
    )
  }

  #receive(letter: Exclude<Letter, { kind: 'close' }>): void {
    switch (letter.kind) {
      case 'assign-splits':
      case 'no-more-splits':
        this.#head.receive(letter)
        break
      case 'checkpoint':
        this.#snapshot(checkpointId(letter.checkpoint), letter.final)
        break
      case 'checkpoint-completed':
        this.#track(this.#commit(checkpointId(letter.checkpoint)))
        break
      case 'checkpoint-committed':
        for (const { operator } of this.#chain.operators) {
          operator.checkpointCommitted?.(checkpointId(letter.checkpoint))
        }
        break
      case 'watermark-timer':
        if (this.#state === 'running') this.#head.onPeriodicEmit()
        break
      case 'processing-timer':
        this.#timersDue = true
        break
      case 'wake':
        break
    }
  }

  #become(state: TaskState, event: string): void {
    transition('task', this.#state, event, state)
    this.#state = state
  }

  /** The end of input: what operators still hold goes through the chain, in the order of the flow. */
  async #drain(): Promise<void> {
    this.#head.end()
    for (const { operator } of this.#chain.operators) await operator.finish?.()
    this.#chain.end()
    this.#become('drained', 'end of input')
    this.#options.report({ kind: 'input-ended' })
  }

  /** The barrier. All parts are captured here, before the next element; what takes time completes later. */
  #snapshot(checkpoint: CheckpointId, final: boolean): void {
    const { spec, report } = this.#options
    const subtask = spec.task.subtask
    this.#become(final ? 'held' : this.#state, final ? 'final barrier' : 'barrier')
    const parts = this.#head.snapshot(checkpoint)
    const pending = this.#chain.operators.map(async ({ node, operator, state }) => {
      const own = operator.snapshot?.(checkpoint, final)
      const hosted = state?.snapshot(checkpoint)
      // One of the two may fail while the other is still waited for.
      hosted?.catch(() => undefined)
      const stored = await own
      const role = node.kind === 'sink' ? 'committable' : 'operator'
      if (stored !== undefined) parts.push({ uid: node.uid, role, subtask, ...stored })
      parts.push(...((await hosted) ?? []))
    })
    this.#chain.emitBarrier(checkpoint, final)
    joint('barrier-sent', { checkpoint, subtask })
    this.#track(
      Promise.all(pending).then(
        () => report({ kind: 'snapshot', checkpoint, parts }),
        (error: unknown) => report({ kind: 'declined', checkpoint, error: toError(error) }),
      ),
    )
  }

  /** Work that goes on beside the record path, and that must be over when the task says `closed`. */
  #track(work: Promise<void>): void {
    this.#pending.add(work)
    void work.finally(() => this.#pending.delete(work))
  }

  async #commit(checkpoint: CheckpointId): Promise<void> {
    try {
      const work = this.#chain.operators.map(({ operator }) => operator.checkpointCompleted?.(checkpoint))
      await Promise.all([this.#head.checkpointCompleted(checkpoint), ...work])
      this.#options.report({ kind: 'commit-finished', checkpoint })
    } catch (error) {
      this.#fail(toError(error))
    }
  }

  /** A failure between two letters: the loop stops at its next look. */
  #fail(error: Error): void {
    this.#failure ??= error
    this.#mailbox.put({ kind: 'wake' })
  }

  /** Everything is closed in reverse order of opening, each whatever the others do. */
  async #close(): Promise<void> {
    this.#watermarkTimer?.cancel()
    this.#stateTimer?.cancel()
    this.#chain.closeState()
    const { logger } = this.#options.ports
    const quietly = async (what: string, close: () => Promise<void> | undefined): Promise<void> => {
      try {
        await close()
      } catch (error) {
        logger.warn({ what, error: describeError(error) }, 'closing failed')
      }
    }
    const abandon = this.#abandon
    for (const edge of this.#chain.edges) edge.close()
    await quietly(this.#headUid, () => this.#head.close())
    for (const { node, operator } of this.#chain.operators)
      await quietly(node.name, () => operator.close?.({ abandon }))
    await Promise.allSettled(this.#pending)
  }
}

/** A function that takes a millisecond for a record must not keep barriers, timers and the network waiting for 512 of them. */
function pollRecordsAfter(records: number, tookMs: number): number {
  if (tookMs > SLICE_MS) return Math.max(1, Math.floor((records * SLICE_MS) / tookMs))
  return tookMs < SLICE_MS / 4 ? Math.min(POLL_RECORDS_MAX, records * 2) : records
}
