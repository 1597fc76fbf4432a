/**
 * One run: a world from one seed, in which a job lives, is killed and started again with the same command until it has
 * finished. All of the job is what ships, on one thread; time, chance, network, disk and brokers are this world's.
 *
 * What always holds: the same plan and seed give the same events, told by `hash`; the last life is left in peace, so that
 * a run that does not end says something about the job and not about its faults.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type JointMessage, MillraceError, type Network, SeededRandom, silentLogger } from '../../base/index.ts'
import { EmbeddedBroker, type EmbeddedTopicOptions } from '../../broker/index.ts'
import type { RuntimePorts } from '../../core/index.ts'
import type { StartOptions } from '../../runtime/index.ts'
import { type JobClient, type JobDefinition, startJob } from '../../stream/index.ts'
import { Dice } from './dice.ts'
import { EventLoop, OUTSIDE } from './event-loop.ts'
import { FaultStriker } from './fault-striker.ts'
import type { PlannedFault, RunPlan } from './run-plan.ts'
import { SimulatedDisk } from './simulated-disk.ts'
import { SimulatedNetwork } from './simulated-network.ts'
import { outsideClock, SimulatedProcess } from './simulated-process.ts'

export type LifeEnd =
  | { readonly kind: 'finished' | 'already-finished' | 'stopped' }
  | { readonly kind: 'failed'; readonly error: Error }
  | { readonly kind: 'died' }
  | { readonly kind: 'asleep' }

export interface Life {
  readonly process: SimulatedProcess
  readonly end: LifeEnd
}

/** What a life is started with; a supervisor repeats it for ever. */
export interface Command {
  readonly directory: string
  /** The folder to begin at, by its path on the disk. */
  readonly savepoint?: string
  /** A person stops the job, or kills it, so long after it was started. */
  readonly ends?: { readonly afterMs: number; readonly by: 'stop' | 'kill' }
}

/** Who says what the next life is started with. */
export interface Commander {
  /**
   * `standStill`: ends all processes of the job that sleep, and lasts until nothing of them is under way any more. Whoever gives another
   * directory, or another point to begin at, waits for it first.
   */
  next(life: number, mode: StartOptions['mode'], standStill: () => Promise<void>): Promise<Command>
  /** Something is to be done although the job has finished. */
  readonly goesOn: boolean
}

/** What looks on, and may say how a life goes on. */
export interface Onlooker {
  started?(process: SimulatedProcess, mode: StartOptions['mode']): void
  joint?(process: SimulatedProcess, message: JointMessage): void
  struck?(fault: PlannedFault, process: SimulatedProcess): void
  /** `finished` was told this very moment. */
  ended?(process: SimulatedProcess, end: LifeEnd): void
}

export interface SimulationOptions {
  readonly plan: RunPlan
  readonly topics: Readonly<Record<string, EmbeddedTopicOptions>>
  /** Made anew for each life, as a process builds its job anew. */
  readonly job: (simulation: Simulation, process: SimulatedProcess) => JobDefinition
  readonly configuration: Readonly<Record<string, string | number | boolean>>
  readonly args?: Readonly<Record<string, string | number | boolean>>
  /** Puts records into topics before the first life. */
  readonly fill: (simulation: Simulation) => Promise<void>
  /** What a person does about the error of a life; undefined: nothing, and after a life in peace the run fails with it. */
  readonly afterFailure?: (error: Error, simulation: Simulation) => LifeChanges | undefined
  readonly onlooker?: Onlooker
  readonly markerDelayMs?: number
  /** Between the job and its storage, for tests of the simulation itself. */
  readonly wrap?: (process: SimulatedProcess) => SimulatedProcess['storage']
  /** The same for what lies elsewhere, by its path. */
  readonly wrapElsewhere?: (storage: SimulatedProcess['storage'], path: string) => SimulatedProcess['storage']
  /** Default: the same command for ever. */
  readonly commander?: Commander
}

/** How the command of the next life differs. */
export interface LifeChanges {
  readonly configuration?: Readonly<Record<string, string | number | boolean>>
  readonly mode?: StartOptions['mode']
}

/** Where the job lives as long as nobody says otherwise. */
export const FIRST_DIRECTORY = 'job'
/** Longer than any request, answer or write is under way. */
const STILL_MS = 10_000
/** Lives after those that were planned; more mean that the job never comes to its end. */
const FURTHER_LIVES_MAX = 8
const EVENTS_MAX = 400_000
/** Virtual time after which a life that has not ended hangs. */
const LIFE_MS_MAX = 20 * 60_000
/** Longer than any transaction lives. */
export const AFTERMATH_MS = 1_000_000

export class Simulation {
  readonly plan: RunPlan
  readonly loop: EventLoop = new EventLoop({ eventsMax: EVENTS_MAX })
  readonly broker: EmbeddedBroker
  readonly disk: SimulatedDisk
  readonly network: SimulatedNetwork
  readonly lives: Life[] = []
  readonly struck: PlannedFault[] = []
  readonly #options: SimulationOptions
  readonly #striker: FaultStriker
  readonly #sleepers: {
    readonly process: SimulatedProcess
    readonly ended: Promise<LifeEnd>
    readonly life: number
  }[] = []
  readonly #clients: Map<SimulatedProcess, JobClient> = new Map()
  #changes: LifeChanges = {}
  #command: Command = { directory: FIRST_DIRECTORY }
  #over = false

  constructor(options: SimulationOptions) {
    const { plan } = options
    this.plan = plan
    this.#options = options
    const { seed, nodes, transactionVersion } = plan
    this.broker = new EmbeddedBroker({
      clock: outsideClock(this.loop, OUTSIDE),
      random: new SeededRandom(seed),
      nodes,
      transactionVersion,
      topics: options.topics,
      memoryBytesMax: 64 * 1024 * 1024,
      settings: { markerDelayMs: options.markerDelayMs ?? 5 },
    })
    this.disk = new SimulatedDisk(this.loop, new Dice(seed, 'disk'))
    this.network = new SimulatedNetwork(this.loop, new Dice(seed, 'network'), this.broker.network)
    this.#striker = new FaultStriker(this, Object.keys(options.topics), (process) => this.#clients.get(process))
  }

  get hash(): string {
    return this.loop.hash
  }

  /** Where the present command begins. */
  get savepoint(): string | undefined {
    return this.#command.savepoint
  }

  /** The ports of whoever is no part of the job: nothing happens to them. */
  outsidePorts(network: Network = this.broker.network): RuntimePorts {
    return {
      clock: outsideClock(this.loop, OUTSIDE),
      random: new SeededRandom(this.plan.seed + 1),
      network,
      logger: silentLogger,
    }
  }

  /** Whether a function of the job shall throw now; true once for each such fault. */
  functionFails(): boolean {
    return this.#striker.takeFunctionFailure()
  }

  /** A person restores from a copy what was damaged; false when nothing was. */
  repair(): boolean {
    return this.#striker.repair()
  }

  /** What was written to the disk, whatever was damaged of it since. */
  written(path: string): Buffer | undefined {
    return this.#striker.copyOf(path) ?? this.disk.objects.get(path)
  }

  /** Throws what went wrong with the run itself; what the job wrote is for the caller to look at. */
  async run(): Promise<void> {
    const listen = (message: unknown): void => this.#onJoint(message as JointMessage)
    subscribe('millrace:joint', listen)
    let failure: unknown
    const supervised = this.#supervise().then(
      () => {
        this.#over = true
      },
      (error: unknown) => {
        failure = error
        this.#over = true
      },
    )
    try {
      await this.loop.run(() => this.#over)
      await supervised
    } finally {
      unsubscribe('millrace:joint', listen)
      for (const { process } of this.lives) process.die()
      this.broker.faults.clear()
    }
    if (failure !== undefined) throw failure
  }

  /** A process calls, or something is delivered to it. */
  readonly #called = (process: SimulatedProcess, what: string): void => {
    for (const fault of this.#striker.atCall(process, what)) this.#strike(fault, process)
  }

  #onJoint(message: JointMessage): void {
    const { owner } = this.loop
    if (!(owner instanceof SimulatedProcess) || owner.gone || owner.asleep) return
    this.#options.onlooker?.joint?.(owner, message)
    for (const fault of this.#striker.atJoint(owner, message.name)) this.#strike(fault, owner)
  }

  #strike(fault: PlannedFault, process: SimulatedProcess): void {
    if (process.gone || process.asleep) return
    if (!this.#striker.strike(fault, process)) return
    this.struck.push(fault)
    this.#options.onlooker?.struck?.(fault, process)
  }

  async #supervise(): Promise<void> {
    await this.#options.fill(this)
    const { lives } = this.plan
    for (let number = 1; number <= lives + FURTHER_LIVES_MAX; number++) {
      const inPeace = number > lives
      if (inPeace) this.#striker.heal()
      const end = await this.#live(number)
      const finished = end.kind === 'finished' || end.kind === 'already-finished'
      if (finished && this.#options.commander?.goesOn !== true) return this.#aftermath()
      this.#changes = {}
      if (end.kind !== 'failed') continue
      const changes = this.#options.afterFailure?.(end.error, this)
      if (changes !== undefined) this.#changes = changes
      else if (inPeace && !this.#mayHaveLost(end.error)) throw end.error
    }
    throw new Error(`the job has not finished after ${lives + FURTHER_LIVES_MAX} lives`)
  }

  /** A life that found another one going on is not the last one. */
  #mayHaveLost(error: Error): boolean {
    const superseded = MillraceError.is(error) && error.code === 'SUPERSEDED'
    return superseded && this.#sleepers.length > 0
  }

  /** One process, from its start to its end, its death or its sleep. */
  async #live(life: number): Promise<LifeEnd> {
    const mode = this.#changes.mode ?? (this.#striker.startsFresh(life) ? 'fresh' : 'resume')
    const { commander } = this.#options
    if (commander !== undefined) this.#command = await commander.next(life, mode, () => this.#standStill())
    const process = new SimulatedProcess({
      name: `life ${life}`,
      life,
      directory: this.#command.directory,
      loop: this.loop,
      disk: this.disk,
      network: this.network,
      seed: this.plan.seed * 1_000 + life,
      called: this.#called,
    })
    this.#options.onlooker?.started?.(process, mode)
    const ended = this.#start(process, mode)
    const died = new Promise<LifeEnd>((resolve) => process.onDeath.push(() => resolve({ kind: 'died' })))
    const asleep = new Promise<LifeEnd>((resolve) => this.#striker.onSleep(process, () => resolve({ kind: 'asleep' })))
    const tooLong = new Promise<LifeEnd>((_resolve, reject) => {
      this.loop.after(LIFE_MS_MAX, process, 'a life is too long', () => {
        reject(new Error(`life ${life} has not ended after ${LIFE_MS_MAX / 60_000} minutes of its time`))
      })
    })
    tooLong.catch(() => undefined)
    const end = await Promise.race([ended, died, asleep, tooLong])
    this.lives.push({ process, end })
    this.#options.onlooker?.ended?.(process, end)
    if (end.kind === 'asleep') this.#sleepers.push({ process, ended: Promise.race([ended, died]), life })
    else process.die()
    return end
  }

  /** What a supervisor's command does. */
  #start(process: SimulatedProcess, mode: StartOptions['mode']): Promise<LifeEnd> {
    const { plan } = this
    const parallelism = plan.parallelism[process.life - 1] ?? plan.parallelism.at(-1) ?? 1
    const changes = this.#changes.configuration
    const { savepoint, ends } = this.#command
    const { wrap, wrapElsewhere } = this.#options
    return new Promise((resolve) => {
      this.loop.after(0, process, 'a process starts', () => {
        startJob(this.#options.job(this, process), {
          parallelism,
          args: { brokers: this.broker.bootstrapServers, ...this.#options.args },
          ports: process.ports,
          storage: wrap?.(process) ?? process.storage,
          openStorage: (path) => {
            const storage = this.disk.storageOf(process, path)
            return wrapElsewhere?.(storage, path) ?? storage
          },
          configuration: {
            'execution.checkpointing.tolerable-failed-checkpoints': plan.tolerableFailedCheckpoints,
            ...this.#options.configuration,
            ...changes,
          },
          start: mode === 'fresh' || savepoint === undefined ? { mode } : { mode: 'savepoint', savepoint },
        })
          .then((client) => {
            this.#clients.set(process, client)
            if (ends !== undefined) this.#end(ends, process, client)
            return client.result()
          })
          .then(
            ({ outcome }) => resolve({ kind: outcome }),
            (error: unknown) =>
              resolve({ kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) }),
          )
      })
    })
  }

  #end({ afterMs, by }: NonNullable<Command['ends']>, process: SimulatedProcess, client: JobClient): void {
    this.loop.after(afterMs, process, `${by} by a person`, () => {
      if (by === 'kill') process.die()
      else void client.stop().catch(() => undefined)
    })
  }

  async #standStill(): Promise<void> {
    for (const { process } of this.#sleepers.splice(0)) process.die()
    await outsideClock(this.loop, OUTSIDE).sleep(STILL_MS)
  }

  /**
   * Sleepers wake to find that all is over, or begin what they were told to begin: then the same command is given once more. What
   * they or dead ones left open is over when its time has passed.
   */
  async #aftermath(): Promise<void> {
    for (const { process } of this.#sleepers) process.wake()
    for (const { ended, process } of this.#sleepers) {
      const end = await ended
      this.#options.onlooker?.ended?.(process, end)
      process.die()
    }
    if (this.#sleepers.length > 0) {
      const last = this.plan.lives + FURTHER_LIVES_MAX + 1
      let end = await this.#live(last)
      // A sleeper may have met the damage that was meant for it.
      const changes = end.kind === 'failed' ? this.#options.afterFailure?.(end.error, this) : undefined
      if (changes !== undefined) {
        this.#changes = changes
        end = await this.#live(last + 1)
      }
      if (end.kind === 'failed') throw end.error
    }
    await outsideClock(this.loop, OUTSIDE).sleep(AFTERMATH_MS)
  }

  /** The broker with all that was written is there until then. */
  async close(): Promise<void> {
    const closed = this.broker.close()
    let over = false
    void closed.then(() => {
      over = true
    })
    await this.loop.run(() => over)
  }
}
