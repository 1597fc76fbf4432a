/**
 * One seed of the simulator: its plan, its run, and what the rules and the output say of it. The same seed, plan and planted bug
 * give the same answer, to the last event.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describeError, MillraceError, type TransitionMessage } from '../../src/base/index.ts'
import { readCommitted } from '../../src/testing/simulation/committed-log.ts'
import { FAULT_KINDS, makePlan, type RunPlan } from '../../src/testing/simulation/run-plan.ts'
import {
  FIRST_DIRECTORY,
  type LifeChanges,
  type Onlooker,
  Simulation,
} from '../../src/testing/simulation/simulation.ts'
import { type CopySettings, type CopyWorld, copyJob, copySettings, prepare, writeLate } from './copy-job.ts'
import { HouseMover } from './house-mover.ts'
import { PLANTED_BUGS } from './planted-bugs.ts'
import { type Breach, Rules } from './rules.ts'
import { Wire } from './wire.ts'

export interface SeedReport {
  readonly seed: number
  readonly plan: RunPlan
  readonly settings: CopySettings
  /** Empty when all was well. */
  readonly breaches: readonly Breach[]
  readonly hash: string
  readonly events: number
  readonly checkpoints: number
  readonly crashes: number
  readonly lives: readonly string[]
  /** By kind, of the faults that struck. */
  readonly struck: Readonly<Record<string, number>>
  /** `Api ERROR`, of the errors that a broker was told to answer with. */
  readonly errors: Readonly<Record<string, number>>
  /** `machine: from, event -> to`, of the steps that were taken. */
  readonly cells: Readonly<Record<string, number>>
  /** By rule: how often there was something to look at. */
  readonly looks: Readonly<Record<string, number>>
  /** Of a job that was moved to another directory: what came of it. */
  readonly moves: Readonly<Record<string, number>>
}

export interface SeedOptions {
  readonly plan?: RunPlan
  /** Instead of what the seed says. */
  readonly settings?: CopySettings
  /** A bug by its name; see planted-bugs.ts. */
  readonly bug?: string
  /** Told before anything begins. */
  readonly onPlan?: (plan: RunPlan) => void
  /** Prints as it goes. */
  readonly trace?: (line: string) => void
  readonly events?: boolean
}

const PREFIX = 'copy'
/** As long as the brokers allow. */
const TRANSACTION_TIMEOUT_MS = 900_000
/** Longer than any checkpoint takes here. */
const PATIENT_MS = 4_000

export function planOf(seed: number): RunPlan {
  return makePlan(seed, { kinds: FAULT_KINDS, parallelismMax: 3 })
}

export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedReport> {
  const plan = options.plan ?? planOf(seed)
  options.onPlan?.(plan)
  return new SeedRun(plan, options).run()
}

class SeedRun {
  readonly #plan: RunPlan
  readonly #options: SeedOptions
  readonly #world: CopyWorld
  readonly #settings: CopySettings
  readonly #simulation: Simulation
  readonly #rules: Rules
  readonly #cells: Map<string, number> = new Map()
  readonly #struck: Map<string, number> = new Map()
  readonly #errors: Map<string, number> = new Map()
  readonly #moves: Map<string, number> = new Map()
  readonly #mover: HouseMover
  /** Producer and epoch of transactions that the job said were lost, and went on without as it was told. */
  readonly #lost: Set<string> = new Set()
  #checkpoints = 0
  #late = false
  /** Lives that were told to begin anew. */
  #fresh = 0

  constructor(plan: RunPlan, options: SeedOptions) {
    this.#plan = plan
    this.#options = options
    const settings = options.settings ?? copySettings(plan.seed)
    const world: CopyWorld = { ...settings, expected: new Map(), decided: () => this.#rules.log.decided }
    this.#settings = settings
    this.#world = world
    const bug = options.bug === undefined ? undefined : PLANTED_BUGS.find(({ name }) => name === options.bug)
    if (options.bug !== undefined && bug === undefined) throw new Error(`there is no planted bug ${options.bug}`)
    this.#mover = new HouseMover({
      plan,
      simulation: () => this.#simulation,
      logOf: (directory) => this.#rules.logOf(directory),
      onTry: ({ kind }) => count(this.#struck, kind),
      count: (event) => {
        count(this.#moves, event)
        this.#trace(() => `a move: ${event}`)
      },
    })
    this.#simulation = new Simulation({
      plan,
      commander: this.#mover,
      topics: { in: { partitions: world.inputPartitions }, out: { partitions: world.outputPartitions } },
      job: (simulation) => copyJob(simulation, world, bug),
      configuration: {
        'execution.checkpointing.interval': 5,
        'execution.checkpointing.timeout': world.checkpointTimeoutMs,
        'execution.checkpointing.max-concurrent-checkpoints': world.concurrentCheckpoints,
        'execution.checkpointing.num-retained': world.retainedCheckpoints ?? 1,
        'restart-strategy.type': 'fixed-delay',
        'restart-strategy.fixed-delay.delay': 2,
        'restart-strategy.fixed-delay.attempts': 3,
        ...bug?.configuration,
      },
      markerDelayMs: world.markerDelayMs,
      wrap: (process) => bug?.storage?.(process.storage, this.#simulation) ?? process.storage,
      wrapElsewhere: (storage, path) => bug?.elsewhere?.(storage, path, this.#simulation) ?? storage,
      fill: (simulation) => prepare(simulation, world),
      afterFailure: (error) => this.#afterFailure(error),
      onlooker: this.#onlooker(),
    })
    const { disk, network } = this.#simulation
    this.#rules = new Rules({
      simulation: this.#simulation,
      prefix: PREFIX,
      input: 'in',
      outputs: { topic: 'out', partitions: world.outputPartitions },
      transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
      pathOf: bug?.pathOf ?? ((path) => path),
      directory: FIRST_DIRECTORY,
    })
    network.tap = new Wire(this.#rules, bug?.answers)
    disk.onBegin = (process, call) => this.#rules.onDiskCall(process, call)
    disk.onEffect = (process, call, result) => this.#rules.onDisk(process, call, result)
    if (options.events === true) this.#simulation.loop.onEvent = options.trace
  }

  async run(): Promise<SeedReport> {
    const onTransition = (message: unknown): void => {
      const { machine, from, event, to } = message as TransitionMessage
      count(this.#cells, `${machine}: ${from}, ${event} -> ${to}`)
    }
    subscribe('millrace:transition', onTransition)
    const breaches: Breach[] = []
    const simulation = this.#simulation
    try {
      await simulation.run()
      this.#rules.onOver()
      breaches.push(...this.#output())
    } catch (error) {
      const code = MillraceError.is(error) ? `${error.code} ` : ''
      const stack = error instanceof Error ? (error.stack ?? '') : ''
      breaches.push({
        rule: 0,
        what: `the run ends with ${code}${describeError(error)}\n${stack}`,
        atMs: simulation.loop.elapsedMs,
      })
    } finally {
      unsubscribe('millrace:transition', onTransition)
    }
    const { hash } = simulation
    const { events } = simulation.loop
    await simulation.close()
    return {
      seed: this.#plan.seed,
      plan: this.#plan,
      settings: this.#settings,
      breaches: [...this.#rules.breaches, ...breaches],
      hash,
      events,
      checkpoints: this.#checkpoints,
      crashes: simulation.lives.filter(({ end }) => end.kind === 'died').length,
      lives: simulation.lives.map(({ end }) => end.kind),
      struck: Object.fromEntries(this.#struck),
      errors: Object.fromEntries(this.#errors),
      cells: Object.fromEntries(this.#cells),
      looks: Object.fromEntries(this.#rules.looks),
      moves: Object.fromEntries(this.#moves),
    }
  }

  #onlooker(): Onlooker {
    return {
      joint: (process, { name, detail }) => {
        if (name === 'completed-written') {
          this.#checkpoints++
          this.#writeLate()
        }
        this.#trace(() => `${process.name} ${name} ${JSON.stringify(detail)}`)
        this.#rules.onJoint(process, name, detail)
      },
      started: (process, mode) => {
        if (mode === 'fresh' && ++this.#fresh === 1) count(this.#struck, 'fresh-start')
        this.#rules.onStart(process, mode)
      },
      struck: (fault, process) => {
        count(this.#struck, fault.kind)
        if (fault.kind === 'error-answer') count(this.#errors, `${fault.detail.api} ${fault.detail.error}`)
        this.#trace(() => `${process.name} call ${process.calls}: STRUCK ${fault.kind} ${JSON.stringify(fault.detail)}`)
      },
      ended: (process, end) => {
        const why = end.kind === 'failed' ? `: ${describeError(end.error)}` : ''
        this.#trace(() => `${process.name} in ${process.directory} ${end.kind} after ${process.calls} calls${why}`)
        this.#rules.onLifeEnd(process, end)
        this.#mover.ended(process, end)
        this.#onLost(process.logged)
      },
    }
  }

  /** What a person would do who reads the error; undefined where there is nothing to do. */
  #afterFailure(error: Error): LifeChanges | undefined {
    if (!MillraceError.is(error)) return undefined
    if (this.#mover.isRefusal(error)) return {}
    switch (error.code) {
      case 'FOREIGN_TRANSACTIONS':
        return this.#world.foreign || this.#mover.beginsAnew ? { mode: 'fresh' } : undefined
      case 'LOG_DAMAGED':
      case 'CHECKPOINT_DAMAGED':
        return this.#simulation.repair() ? {} : undefined
      case 'TRANSACTIONS_LOST':
      case 'TRANSACTIONS_UNDECIDED':
        if (!this.#struck.has('transaction-expires')) return undefined
        return { configuration: { 'millrace.recovery.on-lost-transactions': 'continue' } }
      case 'CHECKPOINT_FAILED':
        return this.#world.checkpointTimeoutMs < PATIENT_MS
          ? { configuration: { 'execution.checkpointing.timeout': PATIENT_MS } }
          : undefined
      default:
        return undefined
    }
  }

  /** Once a checkpoint completed the job has decided where its input ends; a fresh start decides again. */
  #writeLate(): void {
    if (this.#late || this.#fresh > 0 || this.#plan.faults.some(({ kind }) => kind === 'fresh-start')) return
    if (!this.#rules.log.decided) return
    this.#late = true
    void writeLate(this.#simulation, this.#world)
  }

  #onLost(logged: readonly { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[]): void {
    for (const { message, fields } of logged) {
      if (!message.startsWith('going on without transactions')) continue
      for (const { producer } of fields.transactions as readonly { readonly producer: string }[])
        this.#lost.add(producer)
    }
  }

  /** By key, in order: what the committed output is, against what it must be. */
  #output(): Breach[] {
    const { outputPartitions, expected } = this.#world
    const breaches: Breach[] = []
    const broken = (what: string, rule = 0): void =>
      void breaches.push({ rule, what, atMs: this.#simulation.loop.elapsedMs })
    const found: Map<string, string[]> = new Map()
    const lost: Set<string> = new Set()
    for (let partition = 0; partition < outputPartitions; partition++) {
      const { committed, aborted, open } = readCommitted(this.#simulation.broker, 'out', partition)
      if (open.length > 0) broken(`${open.length} records of partition ${partition} are in open transactions`)
      for (const { value, producerId, producerEpoch } of aborted) {
        if (this.#lost.has(`${producerId}/${producerEpoch}`)) lost.add(String(value))
      }
      for (const { key, value } of committed) {
        const values = found.get(String(key))
        if (values === undefined) found.set(String(key), [String(value)])
        else values.push(String(value))
      }
    }
    const fresh = this.#fresh
    for (const [key, values] of expected) {
      const wrong = difference(found.get(key) ?? [], values, { lost, fresh })
      if (wrong !== undefined) broken(`key ${key}: ${wrong.what}`, wrong.rule)
    }
    for (const key of found.keys()) if (!expected.has(key)) broken(`key ${key} was never written`)
    return breaches
  }

  #trace(line: () => string): void {
    this.#options.trace?.(`${this.#simulation.loop.elapsedMs.toFixed(2)} ${line()}`)
  }
}

/**
 * A fresh start reads all again: what was committed before it stands before, from the beginning to some point. What was lost,
 * and told by name, may be missing.
 */
function difference(
  got: readonly string[],
  wanted: readonly string[],
  excused: { readonly lost: ReadonlySet<string>; readonly fresh: number },
): { readonly what: string; readonly rule: number } | undefined {
  const skipLost = (from: number): number => {
    let at = from
    while (at < wanted.length && excused.lost.has(wanted[at] as string)) at++
    return at
  }
  let at = 0
  let begun = 0
  let index = 0
  for (; index < got.length; index++) {
    if (got[index] !== wanted[at]) at = skipLost(at)
    if (got[index] !== wanted[at]) {
      const first = wanted.indexOf(got[index] as string)
      if (++begun > excused.fresh || first < 0 || first > skipLost(0)) break
      at = first
    }
    at++
  }
  if (index === got.length && skipLost(at) === wanted.length) return undefined
  const missing = wanted.filter((value) => !got.includes(value))
  const doubled = got.filter((value, n) => got.indexOf(value) !== n)
  const what = `${got.length} records of ${wanted.length}, after ${index} comes ${got[index]} and not ${wanted[at]}; missing: ${missing.join(' ')}; twice: ${doubled.join(' ')}`
  // What is missing without a word is a silent loss.
  return { what, rule: missing.length > 0 ? 11 : 0 }
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1)
}
