/**
 * Runs defined jobs in this process, as `millrace run` does in one of its own: the same engine, the same checkpoints and the
 * same recovery, on storage in memory that outlives each life of a job. A job can be made to crash at a joint of the protocol;
 * started again, it resumes from what it had stored.
 *
 * What always holds: `close` leaves nothing running; what a crashed life does after its crash reaches neither storage nor network.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Clock,
  type JointMessage,
  type JointName,
  MemoryStorage,
  MillraceError,
  type Network,
  type Random,
  type Storage,
  SystemClock,
  SystemRandom,
  silentLogger,
  TcpNetwork,
} from '../../base/index.ts'
import type { JobExecutionResult, JobFigures, JobStatus } from '../../runtime/index.ts'
import {
  type ConfigurationInput,
  type JobArguments,
  type JobClient,
  type JobDefinition,
  startJob,
} from '../../stream/index.ts'
import { CrashingWorld } from './crashing-world.ts'

export interface MiniClusterOptions {
  /** How jobs reach brokers: that of an EmbeddedKafka, or TCP, the default. */
  readonly network?: Network
  /** Default real time. On a SimulatedClock a job moves when the test moves the clock; so must a Kafka that it uses, on the same one. */
  readonly clock?: Clock
  readonly random?: Random
  /** Default 50 ms, so that tests need not wait for commits; what the job or `configuration` says wins. */
  readonly checkpointIntervalMs?: number
}

export interface MiniClusterStartOptions {
  readonly args?: JobArguments
  readonly parallelism?: number
  readonly configuration?: Readonly<Record<string, string | number | boolean>>
}

const CHECKPOINT_INTERVAL_MS = 50
const JOINT_CHANNEL = 'millrace:joint'
const WAIT_MS = 30_000

export class MiniCluster implements AsyncDisposable {
  readonly #options: MiniClusterOptions
  /** By the job's name; outlives its lives. */
  readonly #storages: Map<string, Storage> = new Map()
  #running: MiniClusterJob | undefined

  constructor(options: MiniClusterOptions = {}) {
    this.#options = options
  }

  /** Starts the job, or resumes it when it ran here before. One job runs at a time. */
  async start(job: JobDefinition, options: MiniClusterStartOptions = {}): Promise<MiniClusterJob> {
    if (this.#running?.ended === false) {
      throw new MillraceError('ALREADY_RUNNING', `job "${this.#running.client.jobName}" still runs on this MiniCluster`)
    }
    const { network = new TcpNetwork(), clock = new SystemClock(), random = new SystemRandom() } = this.#options
    const storage = this.#storages.get(job.name) ?? new MemoryStorage()
    this.#storages.set(job.name, storage)
    const world = new CrashingWorld(storage, network)
    const interval = this.#options.checkpointIntervalMs ?? CHECKPOINT_INTERVAL_MS
    const configuration: ConfigurationInput = {
      'execution.checkpointing.interval': interval,
      // A test wants to see the first failure; it may ask for restarts.
      'restart-strategy.type': 'none',
      ...options.configuration,
    }
    const { args, parallelism } = options
    const client = await startJob(job, {
      storage: world.storage,
      ports: { network: world.network, clock, random, logger: silentLogger },
      configuration,
      ...(args === undefined ? {} : { args }),
      ...(parallelism === undefined ? {} : { parallelism }),
    })
    this.#running = new MiniClusterJob(client, world)
    return this.#running
  }

  /** Cancels what runs and forgets what was stored. */
  async close(): Promise<void> {
    await this.#running?.cancel()
    this.#storages.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** One life of a job. */
export class MiniClusterJob {
  readonly client: JobClient
  readonly #world: CrashingWorld
  readonly #done: Promise<void>
  #ended = false

  constructor(client: JobClient, world: CrashingWorld) {
    this.client = client
    this.#world = world
    const end = (): void => {
      this.#ended = true
    }
    this.#done = client.result().then(end, end)
  }

  get ended(): boolean {
    return this.#ended
  }

  status(): JobStatus {
    return this.client.status()
  }

  figures(): JobFigures {
    return this.client.figures()
  }

  /** Resolves when the bounded job has finished or was stopped, rejects when it failed, crashed or was cancelled. */
  result(): Promise<JobExecutionResult> {
    return this.client.result()
  }

  /**
   * Takes a checkpoint now, whatever the interval says. Resolves when it has taken effect: what the job had written before is
   * committed. Rejects when it failed. On a SimulatedClock no time need pass for it.
   */
  checkpoint(): Promise<void> {
    return this.client.triggerCheckpoint()
  }

  /**
   * Crashes the job when it passes this joint the next time (or the `nth`): from there on nothing of it reaches its storage or
   * a broker. Resolves when it is gone; start it again on the same cluster to see it recover. Rejects when the job ends without
   * coming there, or has not come there in 30 s. Joints do not say whose they are: run no other job in the process.
   */
  async failAt(name: JointName, nth = 1): Promise<void> {
    let passed = 0
    const onJoint = (message: unknown): void => {
      if ((message as JointMessage).name !== name || ++passed !== nth) return
      this.#world.crash()
      void this.client.cancel()
    }
    subscribe(JOINT_CHANNEL, onJoint)
    const giveUp = new AbortController()
    try {
      await Promise.race([this.#done, sleep(WAIT_MS, undefined, { signal: giveUp.signal })])
    } finally {
      unsubscribe(JOINT_CHANNEL, onJoint)
      giveUp.abort()
    }
    if (!this.#ended) {
      const seconds = WAIT_MS / 1_000
      throw new MillraceError(
        'CANCELLED',
        `job "${this.client.jobName}" runs on and did not come to ${name} within ${seconds} s`,
      )
    }
    await this.#world.releaseLocks()
    if (this.#world.crashed) return
    // It ended in another way before it came there.
    const { outcome } = await this.result()
    throw new MillraceError('CANCELLED', `job "${this.client.jobName}" was ${outcome} and never came to ${name}`)
  }

  /** A last checkpoint and its commit, then the end; started again it goes on from there. */
  stop(): Promise<void> {
    return this.client.stop()
  }

  /** Ends the job at once. What was not committed is done again by its next life. */
  cancel(): Promise<void> {
    return this.client.cancel()
  }
}
