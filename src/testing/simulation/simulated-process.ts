/**
 * One life of a job as a process of its own: the ports it reaches the world through. It can die at any call or delivery: then
 * nothing of it reaches anything any more and nothing reaches it, as with a killed process. It can sleep: what it does then is
 * done when it wakes, while the world has gone on.
 */
import { type Clock, SeededRandom, type Storage, sleepOn } from '../../base/index.ts'
import type { RuntimePorts } from '../../core/index.ts'
import type { EventLoop, EventOwner } from './event-loop.ts'
import type { SimulatedDisk } from './simulated-disk.ts'
import type { SimulatedNetwork } from './simulated-network.ts'

/** What reading the clock costs: loops that wait for time to pass come to their end. */
const GLANCE_MS = 0.002

export interface LogLine {
  readonly level: 'warn' | 'error'
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

export interface ProcessOptions {
  readonly name: string
  /** The how manieth life of the job it is, from 1. */
  readonly life: number
  /** The job's own. */
  readonly directory: string
  readonly loop: EventLoop
  readonly disk: SimulatedDisk
  readonly network: SimulatedNetwork
  readonly seed: number
  /** Told of each call and delivery, before it is done: faults strike here. */
  readonly called: (process: SimulatedProcess, what: string) => void
}

export class SimulatedProcess implements EventOwner {
  readonly name: string
  readonly life: number
  readonly directory: string
  readonly ports: RuntimePorts
  readonly storage: Storage
  /** Calls and deliveries so far. */
  calls = 0
  readonly logged: LogLine[] = []
  /** Called once, when it dies. */
  readonly onDeath: (() => void)[] = []
  readonly #options: ProcessOptions
  readonly #whenAwake: (() => void)[] = []
  #gone = false
  #asleep = false

  constructor(options: ProcessOptions) {
    this.#options = options
    this.name = options.name
    this.life = options.life
    this.directory = options.directory
    this.storage = options.disk.storageOf(this, options.directory)
    this.ports = {
      clock: this.#clock(options.loop),
      random: new SeededRandom(options.seed),
      network: options.network.networkOf(this),
      logger: {
        debug: () => undefined,
        info: () => undefined,
        warn: (fields, message) => void this.logged.push({ level: 'warn', fields, message }),
        error: (fields, message) => void this.logged.push({ level: 'error', fields, message }),
      },
    }
  }

  get gone(): boolean {
    return this.#gone
  }

  get asleep(): boolean {
    return this.#asleep
  }

  /** A call or a delivery: the moment at which faults strike. False when the process is gone by now. */
  called(what: string): boolean {
    if (this.#gone) return false
    this.calls++
    this.#options.called(this, what)
    return !this.#gone
  }

  /** Does it now, or when the process wakes. */
  whenAwake(run: () => void): void {
    if (this.#gone) return
    if (this.#asleep) this.#whenAwake.push(run)
    else run()
  }

  /** For good; idempotent. The operating system closes its connections. */
  die(): void {
    if (this.#gone) return
    this.#gone = true
    this.#whenAwake.length = 0
    for (const told of this.onDeath.splice(0)) told()
  }

  fallAsleep(): void {
    this.#asleep = true
  }

  wake(): void {
    if (!this.#asleep || this.#gone) return
    this.#asleep = false
    this.#options.loop.wake(this)
    for (const run of this.#whenAwake.splice(0)) this.whenAwake(run)
  }

  #clock(loop: EventLoop): Clock {
    const clock: Clock = {
      now: () => loop.epochMs,
      monotonic: () => {
        loop.spend(GLANCE_MS)
        return loop.elapsedMs
      },
      setTimer: (delayMs, callback) => {
        this.called('set a timer')
        return loop.after(delayMs, this, 'a timer fires', () => {
          if (this.called('a timer fires')) callback()
        })
      },
      sleep: (delayMs, signal) => sleepOn(clock, delayMs, signal),
      nextTurn: () =>
        new Promise((resolve) => {
          loop.after(0, this, 'the next turn', resolve)
        }),
    }
    return clock
  }
}

/** Time for the brokers and for onlookers: the same, for nothing, and without an end. */
export function outsideClock(loop: EventLoop, owner: EventOwner): Clock {
  const clock: Clock = {
    now: () => loop.epochMs,
    monotonic: () => {
      loop.spend(GLANCE_MS)
      return loop.elapsedMs
    },
    setTimer: (delayMs, callback) => loop.after(delayMs, owner, 'a timer outside fires', callback),
    sleep: (delayMs, signal) => sleepOn(clock, delayMs, signal),
    nextTurn: () =>
      new Promise((resolve) => {
        loop.after(0, owner, 'the next turn outside', resolve)
      }),
  }
  return clock
}
