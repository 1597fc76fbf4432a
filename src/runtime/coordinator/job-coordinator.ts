/**
 * The life of a job in one process: takes the job's directory, decides what this start does, and runs attempt after attempt
 * until the job finished, was stopped or cancelled, or failed for good. The states are in SPEC.md.
 */
import { assert, describeError, MillraceError, type Storage, type StorageLock, toError } from '../../base/index.ts'
import type { AccumulatorValue, RuntimePorts, SinkAttemptSettings } from '../../core/index.ts'
import { accumulatorResult, attemptId } from '../../core/index.ts'
import type { TaskFigures, TaskHost } from '../channel/messages.ts'
import { type CheckpointContent, checkpointDamaged } from '../checkpoint/checkpoint-metadata.ts'
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts'
import { JobLog } from '../checkpoint/job-log.ts'
import type { AttemptSink, Lineage } from '../checkpoint/job-log-record.ts'
import { readSavepoint } from '../checkpoint/savepoint.ts'
import { backoffOf, RestartStrategy } from '../restart/restart-strategy.ts'
import type { CheckpointFigures } from './checkpoint-coordinator.ts'
import { Execution, type ExecutionOutcome } from './execution.ts'
import { FailureHistory, type JobFailure } from './failure-history.ts'
import {
  isCheckpointed,
  type JobPlan,
  longestOpenMs,
  poolBound,
  type StartOptions,
  type TransactionalSink,
} from './job-plan.ts'
import { type Recovered, recover } from './recovery.ts'
import { decideStart, type Savepoint, type StartDecision } from './start-decision.ts'
import { Sweeper } from './sweeper.ts'

/** How often the race for the log's next place may be lost: by then the other process is no leftover, but lives. */
const BEGIN_TRIES = 100

export type JobStatus =
  | 'created'
  | 'recovering'
  | 'running'
  | 'restarting'
  | 'stopping'
  | 'finished'
  | 'stopped'
  | 'cancelled'
  | 'failed'

export interface CoordinatorOptions {
  readonly plan: JobPlan
  readonly start: StartOptions
  readonly storage: Storage
  /** Whether the storage outlives the process. */
  readonly durable: boolean
  readonly ports: RuntimePorts
  /** The storage of a folder outside of the job's own, by its path. */
  openStorage(path: string): Storage
  createHost(): TaskHost
  onStatus(status: JobStatus, detail: { readonly attempt: number; readonly error?: Error }): void
}

export type JobOutcome = { readonly kind: 'finished'; readonly alreadyBefore: boolean } | { readonly kind: 'stopped' }

export interface JobFigures extends TaskFigures {
  readonly checkpoints: CheckpointFigures
  readonly restarts: number
}

const NO_CHECKPOINTS: CheckpointFigures = { inProgress: 0, completed: 0, failed: 0, last: undefined }

interface Begun {
  readonly decision: StartDecision
  readonly lineage: Lineage
  readonly settings: Readonly<Record<string, SinkAttemptSettings>>
}

export class JobCoordinator {
  readonly #options: CoordinatorOptions
  readonly #log: JobLog
  readonly #store: CheckpointStore
  readonly #restarts: RestartStrategy
  readonly #failures: FailureHistory
  readonly #cancelled = new AbortController()
  #execution: Execution | undefined
  #host: TaskHost | undefined
  #past: Pick<JobFigures, 'recordsIn' | 'recordsOut' | 'checkpoints'> = {
    recordsIn: 0,
    recordsOut: 0,
    checkpoints: NO_CHECKPOINTS,
  }
  #stopping = false
  /** Resolves when the first execution is there, or the job ended without one. */
  readonly #begun = Promise.withResolvers<void>()
  /** A start that never came to run fails at once: whoever started it should see why, not wait for restarts. */
  #ran = false
  /** The current attempt got past its recovery. */
  #running = false
  #mode: StartOptions['mode']

  constructor(options: CoordinatorOptions) {
    this.#options = options
    const { storage, ports, plan } = options
    this.#log = new JobLog({ storage, clock: ports.clock, random: ports.random })
    this.#store = new CheckpointStore(storage, ports.clock)
    this.#restarts = new RestartStrategy(backoffOf(plan.configuration, isCheckpointed(plan), ports.clock, ports.random))
    this.#failures = new FailureHistory(plan.graph)
    this.#mode = options.start.mode
    this.#begun.promise.catch(() => undefined)
  }

  /** Of this process: what earlier attempts in it did is counted on. */
  get figures(): JobFigures {
    const { recordsIn, recordsOut, checkpoints } = this.#past
    const now = this.#host?.figures()
    const { inProgress, completed, failed, last } = this.#execution?.checkpoints ?? NO_CHECKPOINTS
    return {
      recordsIn: recordsIn + (now?.recordsIn ?? 0),
      recordsOut: recordsOut + (now?.recordsOut ?? 0),
      pendingRecords: now?.pendingRecords,
      checkpoints: {
        inProgress,
        completed: checkpoints.completed + completed,
        failed: checkpoints.failed + failed,
        last: last ?? checkpoints.last,
      },
      restarts: this.#restarts.restarts,
    }
  }

  /** Of the last execution, by name, as the job's result shows them. */
  accumulators(): Readonly<Record<string, unknown>> {
    const all = this.#host?.accumulators() ?? new Map<string, AccumulatorValue>()
    return Object.fromEntries([...all].map(([name, value]) => [name, accumulatorResult(value)]))
  }

  /** The last ones, oldest first, that which ended the job included. */
  get failures(): readonly JobFailure[] {
    return this.#failures.failures
  }

  metrics(): Map<string, number> {
    return this.#host?.metrics() ?? new Map()
  }

  /** A last checkpoint and its commit, then `stopped`. */
  stop(): void {
    this.#stopping = true
    this.#execution?.stop()
  }

  /**
   * Resolves when a checkpoint that began after this call has taken effect, or when the job has ended well; rejects when that
   * checkpoint failed, or the attempt ended before it.
   */
  async triggerCheckpoint(): Promise<void> {
    await this.#begun.promise
    await this.#execution?.triggerCheckpoint()
  }

  /** Ends at once; the next start resumes from the last completed checkpoint. */
  cancel(reason: Error): void {
    this.#cancelled.abort(reason)
    this.#execution?.cancel(reason)
  }

  /** Resolves when the job finished or was stopped; rejects with what made it fail for good, or with the cancel reason. */
  async run(): Promise<JobOutcome> {
    let lock: StorageLock | undefined
    try {
      lock = await this.#lock()
      const outcome = await this.#attempts()
      this.#begun.resolve()
      return outcome
    } catch (error) {
      this.#begun.reject(error)
      throw error
    } finally {
      for (const sink of this.#options.plan.transactional) await this.#quietly('ledger', () => sink.ledger.close())
      await this.#quietly('lock', async () => lock?.release())
    }
  }

  async #attempts(): Promise<JobOutcome> {
    const { onStatus, ports } = this.#options
    for (;;) {
      const outcome = await this.#attempt()
      if (outcome.kind !== 'failed') return outcome
      const { error } = outcome
      if (!this.#cancelled.signal.aborted) {
        this.#failures.add(ports.clock.now(), this.#log.attempt, error, outcome.task)
      }
      const running = this.#running
      this.#running = false
      await this.#refuseWhenSuperseded(error)
      await this.#endIfCancelled()
      const delayMs = this.#ran && !this.#stopping ? this.#restarts.onFailure(error, running) : undefined
      if (delayMs === undefined) {
        await this.#append({ kind: 'failed', message: describeError(error) })
        throw error
      }
      ports.logger.warn(
        { attempt: this.#log.attempt, delayMs },
        `the job failed and restarts from its last checkpoint: ${describeError(error)}`,
      )
      onStatus('restarting', { attempt: this.#log.attempt, error })
      await ports.clock.sleep(delayMs, this.#cancelled.signal).catch(() => undefined)
      await this.#refuseWhenSuperseded(error)
      await this.#endIfCancelled()
    }
  }

  /** Being fenced, and any failure at all, leads to the same check: whose job is it now? (rule 9) */
  async #refuseWhenSuperseded(error: Error): Promise<void> {
    if (isSuperseded(error)) throw error
    if (this.#log.attempt === 0) return
    try {
      await this.#log.checkOwnership()
    } catch (unsure) {
      // Storage that is away is one more failure, not another owner; the next attempt's record asks again.
      if (isSuperseded(toError(unsure))) throw unsure
    }
  }

  async #endIfCancelled(): Promise<void> {
    if (!this.#cancelled.signal.aborted) return
    await this.#append({ kind: 'cancelled' })
    throw this.#cancelled.signal.reason
  }

  /** One attempt, from its record in the log to its end. Failures come back as an outcome. */
  async #attempt(): Promise<JobOutcome | (ExecutionOutcome & { kind: 'failed' })> {
    const { onStatus } = this.#options
    const { signal } = this.#cancelled
    try {
      signal.throwIfAborted()
      await this.#log.read()
      const begun = await this.#begin()
      if (begun === 'already-finished') return { kind: 'finished', alreadyBefore: true }
      onStatus('recovering', { attempt: this.#log.attempt })
      signal.throwIfAborted()
      const recovered = await recover({ ...this.#shared(), readBeginning: (begin) => this.#readBeginning(begin) })
      if (begun.decision.kind === 'settle-and-finish' && recovered.restored?.final === true) {
        await this.#log.append({ kind: 'finished' })
        return { kind: 'finished', alreadyBefore: false }
      }
      signal.throwIfAborted()
      if (this.#stopping) return await this.#end('stop')
      const outcome = await this.#execute(begun, recovered)
      return outcome.kind === 'failed' ? outcome : await this.#end(outcome.reason)
    } catch (error) {
      return { kind: 'failed', error: toError(error) }
    }
  }

  async #execute(begun: Begun, recovered: Recovered): Promise<ExecutionOutcome> {
    const { plan, ports, createHost, onStatus } = this.#options
    const timeouts = Object.values(begun.settings).map((settings) => settings.transactionTimeoutMs)
    const sweeper = new Sweeper({ plan, log: this.#log, ports, transactionTimeoutMs: Math.max(0, ...timeouts) })
    const sweeping = new AbortController()
    this.#past = this.figures
    const host = createHost()
    this.#host = host
    this.#execution = new Execution({
      ...this.#shared(),
      lineage: begun.lineage.id,
      ...recovered,
      sinkSettings: begun.settings,
      intervalMs: plan.configuration.get('checkpointIntervalMs') ?? ownInterval(timeouts),
      host,
      fencedBelow: () => sweeper.fencedBelow,
      onRunning: () => {
        this.#ran = true
        this.#running = true
        onStatus('running', { attempt: this.#log.attempt })
      },
    })
    this.#begun.resolve()
    const execution = this.#execution
    // Whoever knows of another owner goes on with nothing (rule 9).
    const swept = sweeper.run(sweeping.signal).then((superseded) => {
      if (superseded !== undefined) execution.cancel(superseded)
    })
    const outcome = await execution.run()
    sweeping.abort()
    await swept
    return outcome
  }

  async #end(reason: 'end-of-input' | 'stop'): Promise<JobOutcome> {
    if (reason === 'stop') {
      await this.#log.append({ kind: 'stopped' })
      return { kind: 'stopped' }
    }
    await this.#log.append({ kind: 'finished' })
    return { kind: 'finished', alreadyBefore: false }
  }

  /** Decides what this start does and takes a place in the log for it (rules 7 and 9). */
  async #begin(): Promise<Begun | 'already-finished'> {
    const { ports } = this.#options
    const sinks: AttemptSink[] = []
    const settings: Record<string, SinkAttemptSettings> = {}
    const savepoint = await this.#savepoint()
    for (let tries = 0; tries < BEGIN_TRIES; tries++) {
      const history = this.#log.history
      const decision = decideStart(history, this.#mode, savepoint)
      if (decision.kind === 'already-finished') return 'already-finished'
      if (sinks.length === 0) await this.#planSinks(sinks, settings)
      const foreign = history.empty ? await this.#foreignTransactions() : []
      const lineage = decision.kind === 'begin' ? { id: ports.random.hex(8), begin: decision.begin } : history.lineage
      assert(lineage !== undefined, 'a log with attempts has a lineage')
      const firstCheckpoint = history.highestCheckpoint + 1
      const number = await this.#log.begin({ kind: 'attempt', lineage, sinks, firstCheckpoint })
      if (number !== undefined) {
        // A restart inside this process goes on in the lineage that has just begun.
        this.#mode = 'resume'
        // Only now: whoever has not got a place in the log aborts nothing (rule 9).
        for (const { sink, transactionalId } of foreign) await sink.ledger.abortById(transactionalId)
        return { decision, lineage, settings }
      }
      await this.#log.read()
    }
    throw new MillraceError(
      'ALREADY_RUNNING',
      `the next place in the log of job "${this.#options.plan.graph.jobName}" was taken by another process ${BEGIN_TRIES} times in a row: it is running elsewhere (${this.#options.storage.location})`,
      { next: 'This start changed nothing. Stop the other one first, or give this job another name.' },
    )
  }

  /**
   * What the start names to begin at: it is read, and refused if it cannot serve, before anything is changed. Where the present
   * lineage began there it need not be there any more: a job's own checkpoints are removed when there are newer ones.
   */
  async #savepoint(): Promise<Savepoint | undefined> {
    const path = this.#options.start.savepoint
    if (path === undefined || this.#mode === 'resume') return undefined
    const { history } = this.#log
    const repeated = this.#mode === 'savepoint'
    try {
      const { id } = await this.#readSavepoint(path, (begun) => repeated && history.beganAt(begun))
      return { id, path }
    } catch (error) {
      const begin = history.lineage?.begin
      if (!repeated || begin?.kind !== 'savepoint' || begin.path !== path || history.last === undefined) throw error
      if (!MillraceError.is(error) || error.code !== 'CHECKPOINT_DAMAGED') throw error
      return begin
    }
  }

  async #readBeginning({ id, path }: Savepoint): Promise<CheckpointContent> {
    const content = await this.#readSavepoint(path, (begun) => begun === id)
    if (content.id !== id) throw checkpointDamaged(path, 'another one lies where this lineage of the job began')
    return content
  }

  #readSavepoint(path: string, begunAt: (id: string) => boolean): Promise<CheckpointContent> {
    const { ports, openStorage } = this.#options
    return readSavepoint(path, { clock: ports.clock, random: ports.random, openStorage }, begunAt)
  }

  async #planSinks(sinks: AttemptSink[], settings: Record<string, SinkAttemptSettings>): Promise<void> {
    const { plan } = this.#options
    for (const sink of plan.transactional) {
      const planned = await sink.ledger.plan({
        parallelism: sink.parallelism,
        poolBound: poolBound(plan.configuration),
        longestOpenMs: longestOpenMs(plan.configuration),
        checkpointIntervalMs: plan.configuration.get('checkpointIntervalMs'),
      })
      sinks.push({ uid: sink.uid, ...planned.attempt })
      settings[sink.uid] = planned.settings
    }
  }

  /**
   * Rule 17: an empty log, and yet transactions of the own prefix are open. Whose are they? Answers those that a fresh start
   * aborts, and throws for a start that did not say so.
   */
  async #foreignTransactions(): Promise<{ sink: TransactionalSink; transactionalId: string }[]> {
    const { plan, storage, durable } = this.#options
    const foreign: { sink: TransactionalSink; transactionalId: string }[] = []
    for (const sink of plan.transactional) {
      const open = await sink.ledger.openTransactions(attemptId(Number.MAX_SAFE_INTEGER))
      if (open === undefined || open.length === 0) continue
      if (this.#mode === 'fresh' || !durable) {
        for (const { transactionalId } of open) foreign.push({ sink, transactionalId })
        continue
      }
      const list = open.map(({ transactionalId, state }) => `${transactionalId} (${state})`).join(', ')
      throw new MillraceError(
        'FOREIGN_TRANSACTIONS',
        `this job directory (${storage.location}) is empty, but the brokers have open transactions of sink ${sink.uid}'s prefix: ${list}`,
        {
          next:
            'Nothing was changed. If the job ran from another directory, start it there (-D execution.checkpointing.dir=...): ' +
            'it will commit or abort them. If that directory is gone or not wanted, --fresh aborts them and starts anew: ' +
            'flushed records of the former run that were not committed are then lost.',
        },
      )
    }
    return foreign
  }

  async #lock(): Promise<StorageLock> {
    const { storage, plan } = this.#options
    const lock = await storage.lock('lock.sock')
    if (lock !== undefined) return lock
    throw new MillraceError(
      'ALREADY_RUNNING',
      `job "${plan.graph.jobName}" is running already on this machine (${storage.location})`,
      { next: 'This start did nothing. Stop the running one first, or give this job another name.' },
    )
  }

  /** Says how the job ended; when even that fails the log already says enough for the next start. */
  async #append(record: Parameters<JobLog['append']>[0]): Promise<void> {
    try {
      if (this.#log.attempt > 0) await this.#log.append(record)
    } catch (error) {
      this.#options.ports.logger.warn(
        { record: record.kind, error: describeError(error) },
        'the end could not be logged',
      )
    }
  }

  async #quietly(what: string, close: () => Promise<void>): Promise<void> {
    try {
      await close()
    } catch (error) {
      this.#options.ports.logger.warn({ what, error: describeError(error) }, 'closing failed')
    }
  }

  #shared(): Pick<CoordinatorOptions, 'plan' | 'start' | 'ports'> & { log: JobLog; store: CheckpointStore } {
    const { plan, start, ports } = this.#options
    return { plan, start, ports, log: this.#log, store: this.#store }
  }
}

/** Rule 13: exactly-once without periodic checkpoints checkpoints by itself before its transactions get old. */
function ownInterval(transactionTimeouts: readonly number[]): number | undefined {
  return transactionTimeouts.length === 0 ? undefined : Math.max(1, Math.floor(Math.min(...transactionTimeouts) / 4))
}

function isSuperseded(error: Error): boolean {
  return MillraceError.is(error) && error.code === 'SUPERSEDED'
}
