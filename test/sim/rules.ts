/**
 * The rules of the exactly-once protocol, watched while a run goes on: at each request that leaves the job, at each object that
 * comes to lie on the disk, at each joint and at the end. A rule that is broken is told by its number, so that a run that
 * happens to end well all the same is found out.
 */
import type { EmbeddedTransaction } from '../../src/broker/index.ts'
import type {
  AddPartitionsToTxnRequest,
  EndTxnRequest,
  FetchRequest,
  InitProducerIdRequest,
  OffsetCommitRequest,
  ProduceRequest,
} from '../../src/kafka/index.ts'
import { BatchReader } from '../../src/kafka/index.ts'
import { parseTransactionalId, type TransactionalIdParts } from '../../src/sink/transaction/transactional-id.ts'
import { OUTSIDE } from '../../src/testing/simulation/event-loop.ts'
import type { DiskCall } from '../../src/testing/simulation/simulated-disk.ts'
import type { SimulatedProcess } from '../../src/testing/simulation/simulated-process.ts'
import type { LifeEnd, Simulation } from '../../src/testing/simulation/simulation.ts'
import { LogView, type SeenAttempt, type SeenCheckpoint, sameIdentity, savepointOf } from './log-view.ts'
import type { SeenRequest, WireListener } from './wire.ts'

export interface Breach {
  /** Of exactly-once; 0: the output. */
  readonly rule: number
  readonly what: string
  readonly atMs: number
}

export interface RulesOptions {
  readonly simulation: Simulation
  readonly prefix: string
  readonly input: string
  readonly outputs: { readonly topic: string; readonly partitions: number }
  readonly transactionTimeoutMs: number
  /** Where an object lies that the log names; see planted bugs. */
  readonly pathOf: (path: string) => string
  /** Where the job lives at first. */
  readonly directory: string
}

/** What was open when a subtask took its snapshot: the next completed checkpoint must list it. */
interface Sealed {
  readonly log: LogView
  readonly attempt: number
  readonly checkpoint: number
  readonly open: readonly EmbeddedTransaction[]
}

const BREACHES_MAX = 20
const OPEN: readonly string[] = ['Ongoing', 'PrepareCommit', 'PrepareAbort']

export class Rules implements WireListener {
  readonly breaches: Breach[] = []
  /** How often each rule had something to look at. */
  readonly looks: Map<number, number> = new Map()
  readonly #options: RulesOptions
  readonly #simulation: Simulation
  /** Processes that have read that another one owns the job. */
  readonly #superseded: Set<SimulatedProcess> = new Set()
  /** By directory. */
  readonly #logs: Map<string, LogView> = new Map()
  #sealed: Sealed[] = []
  /** By transactional id: the transaction that was seen last. */
  readonly #begun: Map<string, EmbeddedTransaction> = new Map()
  readonly #everBegun: Set<string> = new Set()
  /** Directory, attempt and partition whose first fetch was seen. */
  readonly #fetched: Set<string> = new Set()
  /** Ids that were open when the job began in an empty directory: a fresh start takes them away. */
  readonly #foreign: Set<string> = new Set()
  readonly #modes: Map<SimulatedProcess, string> = new Map()
  readonly #finished: Set<LogView> = new Set()
  #directory: string

  constructor(options: RulesOptions) {
    this.#options = options
    this.#simulation = options.simulation
    this.#directory = options.directory
  }

  /** Of the directory where the newest process lives. */
  get log(): LogView {
    return this.logOf(this.#directory)
  }

  logOf(directory: string): LogView {
    const known = this.#logs.get(directory)
    if (known !== undefined) return known
    const log = new LogView(this.#simulation, directory, this.#options.pathOf)
    this.#logs.set(directory, log)
    return log
  }

  onStart(process: SimulatedProcess, mode: string): void {
    this.#modes.set(process, mode)
    this.#directory = process.directory
  }

  sent(process: SimulatedProcess, request: SeenRequest): void {
    const { body } = request
    switch (request.api) {
      case 'EndTxn':
        this.#onEndTxn(process, body as EndTxnRequest)
        break
      case 'InitProducerId':
        this.#onInit(process, body as InitProducerIdRequest)
        break
      case 'OffsetCommit':
        this.#onOffsets(body as OffsetCommitRequest)
        break
      case 'Fetch':
        this.#onFetch(process, body as FetchRequest)
        break
      case 'Produce':
        this.#onWrite(process, (body as ProduceRequest).transactionalId)
        break
      case 'AddPartitionsToTxn':
        for (const id of enlistedIds(body as AddPartitionsToTxnRequest)) this.#onWrite(process, id)
    }
  }

  /** The broker takes it in a later event: only then is it seen what became of it. */
  delivered(process: SimulatedProcess, { api, body }: SeenRequest): void {
    if (api !== 'Produce' && api !== 'AddPartitionsToTxn') return
    const written = api === 'Produce' ? (body as ProduceRequest).transactionalId : null
    const ids = api === 'Produce' ? [written ?? ''] : enlistedIds(body as AddPartitionsToTxnRequest)
    const { loop } = this.#simulation
    loop.after(0, OUTSIDE, 'a look', () => {
      loop.after(0, OUTSIDE, 'a look', () => {
        for (const id of ids) if (id !== '') this.#onBegun(process, id)
      })
    })
  }

  onDiskCall(process: SimulatedProcess, { operation, directory, path }: DiskCall): void {
    if (directory !== process.directory) {
      this.#look(14)
      if (operation === 'read' || operation === 'list') return
      this.#broken(14, `${process.name} of ${process.directory} does ${operation} ${directory}/${path}`)
    }
    if (operation !== 'remove' || this.#isNobodys(process, path)) return
    this.#refuseSuperseded(process, `it removes ${path}`)
  }

  /** Records below a base say nothing, and a folder of one's own that never completed is not looked for by anybody. */
  #isNobodys(process: SimulatedProcess, path: string): boolean {
    if (path.startsWith('log/')) return true
    const attempt = Number(/^chk-\d+-(\d+)$/.exec(path)?.[1])
    const { attempts, completed } = this.logOf(process.directory)
    const own = attempts.some(({ number, process: its }) => number === attempt && its === process)
    return own && !completed.some(({ record }) => record.folder === path)
  }

  onDisk(process: SimulatedProcess, { operation, directory, path }: DiskCall, result: unknown): void {
    if (directory !== process.directory) return
    const log = this.logOf(directory)
    if (operation === 'put' && result === 'created' && path.startsWith('log/')) this.#onRecord(log, process, path)
    if (operation === 'remove') this.#onRemoved(log, path)
    if (operation === 'list' && path === 'log') this.#onListed(log, process, result as readonly string[])
  }

  onJoint(process: SimulatedProcess, name: string, detail: Readonly<Record<string, unknown>>): void {
    if (name !== 'barrier-sent') return
    const log = this.logOf(process.directory)
    const attempt = log.attemptOf(process)
    if (attempt === undefined) return
    const { subtask, checkpoint } = detail
    const open = this.#simulation.broker.transactions().filter((one) => {
      const parts = this.#parts(one.transactionalId)
      return one.state === 'Ongoing' && parts?.attempt === attempt.number && parts.subtask === subtask
    })
    this.#sealed.push({ log, attempt: attempt.number, checkpoint: Number(checkpoint), open })
  }

  onLifeEnd(process: SimulatedProcess, end: LifeEnd): void {
    if (end.kind !== 'finished' && end.kind !== 'already-finished') return
    this.#look(13)
    const log = this.logOf(process.directory)
    const last = log.restorable
    if (!log.finished || last?.record.final !== true || !last.committed) {
      this.#broken(13, `${process.name} is ${end.kind}, and the log has no final checkpoint that is committed`)
    }
    if (this.#finished.has(log)) return
    this.#finished.add(log)
    this.#look(12)
    const { broker } = this.#simulation
    for (const one of last?.committables ?? []) {
      const now = broker.transactionOf(one.transactionalId)
      if (now?.producerId === one.producerId && now.state === 'PrepareCommit') {
        this.#broken(12, `the job has told its result, and ${one.transactionalId} is not visible yet`)
      }
    }
    for (const now of broker.transactions()) {
      const parts = this.#parts(now.transactionalId)
      const { owner } = log
      if (now.state !== 'Ongoing' || parts === undefined || owner === undefined) continue
      this.#look(8)
      if (parts.attempt <= owner.number && now.startMs < this.#epochOf(owner.atMs) && owner.process === process) {
        this.#broken(
          8,
          `${now.transactionalId} was open before attempt ${owner.number} began, and is when it has finished`,
        )
      }
    }
  }

  /** After everything: nothing may be left. */
  onOver(): void {
    for (const { transactionalId, state } of this.#simulation.broker.transactions()) {
      if (this.#parts(transactionalId) !== undefined && (state === 'Ongoing' || state.startsWith('Prepare'))) {
        this.#broken(15, `${transactionalId} is ${state} longer than any transaction may be`)
      }
    }
  }

  #onEndTxn(process: SimulatedProcess, request: EndTxnRequest): void {
    const { transactionalId, producerId, producerEpoch: epoch, committed } = request
    const parts = this.#parts(transactionalId)
    if (parts === undefined) return
    this.#refuseSuperseded(process, `EndTxn of ${transactionalId}`)
    const log = this.logOf(process.directory)
    const attempt = log.attemptOf(process)
    const listing = log.listing({ transactionalId, producerId, epoch })
    if (!committed) {
      this.#look(9)
      if (attempt === undefined || parts.attempt >= attempt.number) {
        this.#broken(9, `${process.name} aborts ${transactionalId}, which is of no earlier attempt`)
      }
      return
    }
    this.#look(5)
    if (listing.length === 0) this.#onUnlisted(log, { transactionalId, producerId, epoch })
    else if (attempt === log.owner && listing.every((past) => past.void)) {
      this.#broken(8, `${transactionalId} is committed, and its checkpoint is void`)
    }
    // A restore from a committed checkpoint ends nothing; whoever commits while it runs may ask again.
    const settled = listing.every((past) => past.committed) && listing.length > 0
    if (settled && attempt === log.owner && attempt !== undefined && parts.attempt < attempt.number) {
      this.#broken(6, `${transactionalId} is ended by attempt ${attempt.number}, and its checkpoint was committed`)
    }
  }

  /** A restore from elsewhere ends nothing. */
  #onUnlisted(own: LogView, identity: Parameters<LogView['listing']>[0]): void {
    const { transactionalId } = identity
    const other = [...this.#logs.values()].find((log) => log !== own && log.listing(identity).length > 0)
    if (other === undefined) {
      this.#broken(5, `${transactionalId} is committed, and no completed checkpoint lists it`)
    } else this.#broken(14, `${transactionalId} is committed, and that is for ${other.directory} to do, which lists it`)
  }

  #onInit(process: SimulatedProcess, request: InitProducerIdRequest): void {
    const { transactionalId, transactionTimeoutMs } = request
    const parts = transactionalId === null ? undefined : this.#parts(transactionalId)
    if (parts === undefined || transactionalId === null) return
    const log = this.logOf(process.directory)
    const own = log.attemptOf(process)?.number ?? 0
    const now = this.#simulation.broker.transactionOf(transactionalId)
    this.#look(9)
    if (now?.state === 'Ongoing') this.#refuseSuperseded(process, `an abort of ${transactionalId}`)
    if (parts.attempt > own && !this.#foreign.has(transactionalId)) {
      this.#broken(9, `attempt ${own} initialises ${transactionalId}, which is not its own nor an earlier one's`)
    }
    if (parts.attempt === own && !this.#foreign.has(transactionalId)) {
      this.#look(15)
      const { transactionTimeoutMs: wanted } = this.#options
      if (transactionTimeoutMs !== wanted) {
        this.#broken(15, `${transactionalId} is initialised with ${transactionTimeoutMs} ms, not ${wanted}`)
      }
    }
    if (now === undefined) return
    this.#look(8)
    const pending = log.pending(now)
    if (now.state === 'Ongoing' && pending.length > 0 && own === log.owner?.number) {
      this.#broken(
        8,
        `${transactionalId} is initialised, and completed checkpoint ${pending[0]?.record.checkpoint} lists it`,
      )
    }
  }

  #onWrite(process: SimulatedProcess, transactionalId: string | null): void {
    const parts = transactionalId === null ? undefined : this.#parts(transactionalId)
    if (parts === undefined) return
    this.#look(7)
    const own = this.logOf(process.directory).attemptOf(process)?.number
    if (parts.attempt !== own) {
      this.#broken(7, `${process.name}, whose attempt is ${own}, writes under ${transactionalId}`)
    }
  }

  /** A transaction is open under an id. */
  #onBegun(process: SimulatedProcess, transactionalId: string): void {
    if (this.#parts(transactionalId) === undefined) return
    const now = this.#simulation.broker.transactionOf(transactionalId)
    if (now?.state !== 'Ongoing') return
    const before = this.#begun.get(transactionalId)
    if (before !== undefined && sameIdentity(before, now) && before.startMs === now.startMs) return
    this.#begun.set(transactionalId, now)
    this.#look(4)
    const identity = `${transactionalId} ${now.producerId}/${now.epoch}`
    if (this.#everBegun.has(identity)) {
      this.#broken(4, `a second transaction begins under ${identity}`)
    }
    this.#everBegun.add(identity)
    if (before === undefined) return
    this.#look(3)
    const uncommitted = this.logOf(process.directory).pending(before)
    if (uncommitted.length > 0) {
      const checkpoint = uncommitted[0]?.record.checkpoint
      this.#broken(
        3,
        `${transactionalId} is used again, and checkpoint ${checkpoint}, which lists it, is not committed in the log`,
      )
    }
  }

  #onOffsets({ topics }: OffsetCommitRequest): void {
    for (const { partitions } of topics) {
      for (const { partitionIndex, committedOffset } of partitions) {
        this.#look(16)
        const completed = [...this.#logs.values()].some((log) =>
          log.completed.some((past) =>
            past.splits.some(({ partition, startingOffset }) => {
              const at = startingOffset.kind === 'at' ? startingOffset.offset : 0
              return partition === partitionIndex && at >= committedOffset
            }),
          ),
        )
        if (!completed) {
          this.#broken(
            16,
            `offset ${committedOffset} of partition ${partitionIndex} is committed, and no completed checkpoint is as far`,
          )
        }
      }
    }
  }

  /** Where an attempt begins to read says what it restored. */
  #onFetch(process: SimulatedProcess, { topics }: FetchRequest): void {
    const log = this.logOf(process.directory)
    const attempt = log.attemptOf(process)
    if (attempt === undefined || attempt !== log.owner) return
    const restored = this.#restoredBy(log, attempt)
    for (const { partitions } of topics) {
      for (const { partition, fetchOffset } of partitions) {
        const key = `${log.directory} ${attempt.number} ${partition}`
        if (this.#fetched.has(key)) continue
        this.#fetched.add(key)
        this.#look(10)
        const split = restored?.splits.find((one) => one.partition === partition)
        const from = split?.startingOffset.kind === 'at' ? split.startingOffset.offset : 0
        if (fetchOffset !== from) {
          const of = restored === undefined ? 'the beginning' : restored.record.folder
          this.#broken(
            10,
            `attempt ${attempt.number} reads partition ${partition} from ${fetchOffset}; ${of} says ${from}`,
          )
        }
      }
    }
  }

  /** Its lineage's last checkpoint, or where that began. */
  #restoredBy(log: LogView, attempt: SeenAttempt): SeenCheckpoint | undefined {
    const { lineage } = attempt.record
    const last = log.completed.findLast(
      (past) => past.record.lineage === lineage.id && !past.void && past.attempt < attempt.number,
    )
    const began = savepointOf(lineage)
    return last ?? (began === undefined ? undefined : this.completedAt(began))
  }

  /** The checkpoint that completed in this folder, by its path on the disk. */
  completedAt(path: string): SeenCheckpoint | undefined {
    const at = path.lastIndexOf('/')
    const { completed } = this.logOf(path.slice(0, at))
    return completed.find(({ record }) => this.#options.pathOf(record.folder) === path.slice(at + 1))
  }

  #onRecord(log: LogView, process: SimulatedProcess, path: string): void {
    const committedBefore = new Set(log.completed.filter((past) => past.committed))
    const highest = Math.max(0, ...log.completed.map(({ record }) => record.checkpoint))
    const first = log.attempts.length === 0 && path.endsWith('0000000001')
    const before = log.owner
    const seen = log.add(path, process, this.#simulation.loop.elapsedMs)
    if (first) this.#onFirstAttempt(process)
    if (log.owner !== before) this.#onAttempt(log, before)
    if (seen !== undefined) this.#onCompleted(log, seen, highest)
    for (const past of log.completed) {
      if (past.committed && !committedBefore.has(past)) this.#onCommitted(past)
    }
  }

  /** A lineage begins only where all that was flushed has ended, and stays ended. */
  #onAttempt(log: LogView, before: SeenAttempt | undefined): void {
    const lineage = log.owner?.record.lineage
    const began = lineage === undefined || lineage.id === before?.record.lineage.id ? undefined : savepointOf(lineage)
    if (began === undefined) return
    this.#look(14)
    const past = this.completedAt(began)
    if (past === undefined) this.#broken(14, `${log.directory} begins at ${began}, which never completed`)
    else if (past.void) this.#broken(14, `${log.directory} begins at ${began}, which is void`)
    else if (!past.committed && past.committables.length > 0) {
      this.#broken(14, `${log.directory} begins at ${began}, which is not committed in its log`)
    }
    for (const one of past?.committables ?? []) {
      const now = this.#simulation.broker.transactionOf(one.transactionalId)
      if (now?.state === 'Ongoing' && sameIdentity(now, one)) {
        this.#broken(14, `${log.directory} begins at ${began}, and ${one.transactionalId} is open`)
      }
    }
  }

  /** Whoever begins in an empty directory has asked whether others have transactions under its prefix. */
  #onFirstAttempt(process: SimulatedProcess): void {
    this.#look(17)
    const open = this.#simulation.broker
      .transactions()
      .filter((one) => OPEN.includes(one.state) && this.#parts(one.transactionalId) !== undefined)
    for (const { transactionalId, state } of open) {
      this.#foreign.add(transactionalId)
      if (state !== 'Ongoing' || this.#modes.get(process) === 'fresh') continue
      this.#broken(17, `the job begins in an empty directory although ${transactionalId} is open`)
    }
  }

  #onCompleted(log: LogView, past: SeenCheckpoint, highest: number): void {
    const { record, attempt, committables } = past
    this.#look(5)
    if (record.checkpoint <= highest) {
      this.#broken(5, `checkpoint ${record.checkpoint} completed after checkpoint ${highest}`)
    }
    const { objects } = this.#simulation.disk
    const { pathOf } = this.#options
    const has = (name: string): boolean => objects.has(`${log.directory}/${pathOf(`${record.folder}/${name}`)}`)
    if (!has('_metadata') || !has('state')) {
      this.#broken(5, `checkpoint ${record.checkpoint} completed, and its folder is not whole`)
    }
    for (const one of committables) {
      this.#look(1)
      const listed = Object.values(one.records).reduce((sum, count) => sum + count, 0)
      const there = this.#recordsOf(one.producerId, one.epoch)
      const now = this.#simulation.broker.transactionOf(one.transactionalId)
      if (listed === 0) this.#broken(1, `${one.transactionalId} is listed without records`)
      // Of one that the broker has aborted meanwhile everything is there as well.
      if (there < listed) {
        this.#broken(
          1,
          `checkpoint ${record.checkpoint} lists ${listed} records of ${one.transactionalId}, ${there} are there; it is ${now?.state}`,
        )
      }
    }
    const due = this.#sealed
    this.#sealed = due.filter(
      (sealed) => sealed.log !== log || sealed.attempt > attempt || sealed.checkpoint > record.checkpoint,
    )
    for (const sealed of due) {
      if (sealed.log !== log || sealed.attempt !== attempt || sealed.checkpoint > record.checkpoint) continue
      for (const one of sealed.open) {
        this.#look(2)
        const now = this.#simulation.broker.transactionOf(one.transactionalId)
        const still = now?.state === 'Ongoing' && sameIdentity(now, one) && now.startMs === one.startMs
        if (still && !committables.some((listed) => sameIdentity(listed, one))) {
          this.#broken(
            2,
            `checkpoint ${record.checkpoint} does not list ${one.transactionalId}, which barrier ${sealed.checkpoint} sealed`,
          )
        }
      }
    }
  }

  #onCommitted(past: SeenCheckpoint): void {
    for (const one of past.committables) {
      this.#look(6)
      const now = this.#simulation.broker.transactionOf(one.transactionalId)
      if (now?.state === 'Ongoing' && sameIdentity(now, one)) {
        this.#broken(
          6,
          `checkpoint ${past.record.checkpoint} is committed in the log, and ${one.transactionalId} is open`,
        )
      }
    }
  }

  #onRemoved(log: LogView, path: string): void {
    const folder = /^(chk-\d+-\d+)$/.exec(path)?.[1]
    const past = log.completed.find(({ record }) => this.#options.pathOf(record.folder) === folder)
    if (past === undefined) return
    this.#look(5)
    const newerCommitted = log.completed.some(
      (other) => other.committed && other.record.checkpoint > past.record.checkpoint,
    )
    if (!newerCommitted)
      this.#broken(5, `checkpoint ${past.record.checkpoint} was removed, and no newer one is committed`)
  }

  #onListed(log: LogView, process: SimulatedProcess, names: readonly string[]): void {
    const own = log.attemptOf(process)
    if (own === undefined) return
    const highest = Number(names.at(-1) ?? 0)
    const other = log.attempts.find((attempt) => attempt.number > own.number && attempt.process !== process)
    if (other === undefined || other.number > highest) return
    // It learns of it a moment later.
    this.#simulation.loop.after(0.2, process, 'a look', () => this.#superseded.add(process))
  }

  #refuseSuperseded(process: SimulatedProcess, what: string): void {
    this.#look(9)
    if (this.#superseded.has(process)) this.#broken(9, `${process.name} knows that it is superseded; ${what}`)
  }

  #recordsOf(producerId: number, epoch: number): number {
    const { topic, partitions } = this.#options.outputs
    const reader = new BatchReader({ checkCrcs: false })
    let count = 0
    for (let partition = 0; partition < partitions; partition++) {
      for (const bytes of this.#simulation.broker.batchesOf(topic, partition)) {
        reader.reset(topic, partition, bytes, 0)
        while (reader.nextBatch()) {
          if (!reader.isControl && reader.producerId === producerId && reader.producerEpoch === epoch)
            count += reader.recordCount
        }
      }
    }
    return count
  }

  #parts(transactionalId: string): TransactionalIdParts | undefined {
    const parts = parseTransactionalId(transactionalId)
    return parts?.prefix === this.#options.prefix ? parts : undefined
  }

  #epochOf(elapsedMs: number): number {
    return this.#simulation.loop.epochMs - (this.#simulation.loop.elapsedMs - elapsedMs)
  }

  #look(rule: number): void {
    this.looks.set(rule, (this.looks.get(rule) ?? 0) + 1)
  }

  #broken(rule: number, what: string): void {
    if (this.breaches.length < BREACHES_MAX) this.breaches.push({ rule, what, atMs: this.#simulation.loop.elapsedMs })
  }
}

function enlistedIds(request: AddPartitionsToTxnRequest): string[] {
  const { v3AndBelowTransactionalId: old, transactions } = request
  return [...(old === '' ? [] : [old]), ...transactions.map(({ transactionalId }) => transactionalId)]
}
