/**
 * One job in one directory: starts it, again and again by the same command, and lets its process die where and when a test wants.
 * What came of it only a test knows that knows the job: see kill-scene.ts for those that copy from Kafka to Kafka.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JointName, Random } from '../../src/base/index.ts'
import { ParentGuard } from '../../src/testing/kafka-server/parent-guard.ts'
import { describeEnd, type JobEnd, JobProcess, readTrace } from './job-process.ts'
import type { JointCounts } from './joint-counts.ts'
import type { JointPass, KillerRule } from './killer-plan.ts'

/** The longest that a process lives that is killed at random, once it has its place in the log. */
const LIVES_MS = 1_200

/** So many records before the job's function is slow as there never are. */
export const NOTHING_IS_SLOW: Readonly<Record<string, number>> = { 'records-per-checkpoint': 1_000_000_000 }

export interface JobSceneOptions {
  /** The file of the job, and its name. */
  readonly jobFile: string
  readonly jobName: string
  readonly counts?: JointCounts | undefined
  readonly intervalMs?: number | undefined
  readonly parallelism?: number | undefined
  readonly threads?: number | undefined
  readonly configuration?: Readonly<Record<string, string | number>> | undefined
  readonly parameters?: Readonly<Record<string, string | number>> | undefined
}

export interface StartOptions {
  readonly rules?: readonly KillerRule[]
  readonly inTurn?: readonly KillerRule[]
  readonly flags?: readonly string[]
  readonly configuration?: Readonly<Record<string, string | number>>
  readonly parameters?: Readonly<Record<string, string | number>>
  readonly jobFile?: string
  /** Instead of the scene's own. */
  readonly checkpoints?: string
  readonly lifeMs?: number
}

export class JobScene {
  /** Checkpoints, trace and whatever a test puts there; removed by `close`. */
  readonly root: string
  readonly #options: JobSceneOptions
  readonly #guard: ParentGuard

  constructor(options: JobSceneOptions) {
    this.#options = options
    this.root = mkdtempSync(join(tmpdir(), 'millrace-kill-'))
    this.#guard = new ParentGuard(this.root)
  }

  /** The job's own directory. */
  get directory(): string {
    return join(this.root, 'checkpoints', this.#options.jobName)
  }

  /** All joints passed by all processes of the scene, in order. */
  get passes(): JointPass[] {
    return readTrace(this.#trace)
  }

  /** Starts the job: the same command each time, but for what the test asks to be different. */
  start(options: StartOptions = {}): JobProcess {
    const { jobFile, jobName, intervalMs = 50, parallelism = 2, threads = 0 } = this.#options
    const checkpoints = options.checkpoints ?? join(this.root, 'checkpoints')
    mkdirSync(checkpoints, { recursive: true })
    const configuration = {
      'execution.checkpointing.dir': checkpoints,
      'execution.checkpointing.interval': intervalMs,
      'restart-strategy.type': 'fixed-delay',
      'restart-strategy.fixed-delay.attempts': 3,
      'restart-strategy.fixed-delay.delay': 100,
      ...this.#options.configuration,
      ...options.configuration,
    }
    const parameters = { world: join(this.root, 'world'), ...this.#options.parameters, ...options.parameters }
    const command = [
      ...[
        'run',
        options.jobFile ?? jobFile,
        '-p',
        String(parallelism),
        '--threads',
        String(threads),
        ...(options.flags ?? []),
      ],
      ...Object.entries(configuration).flatMap(([key, value]) => ['-D', `${key}=${value}`]),
      '--',
      ...Object.entries(parameters).flatMap(([name, value]) => [`--${name}`, String(value)]),
    ]
    const { rules = [], inTurn = [] } = options
    const plan = { trace: this.#trace, directory: join(checkpoints, jobName), rules, inTurn }
    const { lifeMs } = options
    return new JobProcess({ command, plan, guard: this.#guard, ...(lifeMs === undefined ? {} : { lifeMs }) })
  }

  /** One life that must end at the joint. */
  async dieAt(
    joint: JointName,
    nth = 1,
    before: readonly KillerRule[] = [],
    options: StartOptions = {},
  ): Promise<JobEnd> {
    const rules: KillerRule[] = [...before, { joint, nth, action: 'kill' }]
    const end = await this.start({ ...options, rules }).ended
    const hit = end.passes.some((pass) => pass.action === 'kill' && pass.joint === joint)
    assert(hit && end.signal === 'SIGKILL', `the job was not killed at ${joint} (pass ${nth}): ${describeEnd(end)}`)
    this.#options.counts?.hit(joint)
    return end
  }

  /** One life that is killed from outside at any time; answers whether it was still alive then. */
  async dieAtRandom(random: Random): Promise<boolean> {
    const life = this.start()
    // Most of them while the job is at work; some before it is, wherever it is then.
    if (random.next() < 0.8) await life.reached((passes) => passes.some((pass) => pass.joint === 'attempt-written'))
    await Promise.race([sleep(random.next() * LIVES_MS), life.ended])
    life.kill()
    const end = await life.ended
    if (end.signal === 'SIGKILL') this.#options.counts?.hit('random')
    else assert.equal(end.code, 0, describeEnd(end))
    return end.signal === 'SIGKILL'
  }

  /** One life that must end with exit code 0; it is slow only where something is planned to happen in it. */
  async finish(options: StartOptions = {}): Promise<JobEnd> {
    const planned = options.rules !== undefined || options.inTurn !== undefined
    const parameters = planned ? options.parameters : { ...NOTHING_IS_SLOW, ...options.parameters }
    const end = await this.start(parameters === undefined ? options : { ...options, parameters }).ended
    assert.equal(end.code, 0, describeEnd(end))
    return end
  }

  /** One life that must end by itself with this code and say all of this on standard error. */
  async failsWith(code: number, says: readonly (string | RegExp)[], options: StartOptions = {}): Promise<JobEnd> {
    const end = await this.start(options).ended
    if (process.env.MILLRACE_SHOW !== undefined) process.stderr.write(`\n${end.stderr}`)
    assert.equal(end.code, code, describeEnd(end))
    for (const part of says) {
      const found = typeof part === 'string' ? end.stderr.includes(part) : part.test(end.stderr)
      assert(found, `the message does not say ${part}: ${describeEnd(end)}`)
    }
    assert.match(end.stderr, /^(millrace: |.*(warn|error|info) )/im, 'a message for a person comes first')
    return end
  }

  /** As if the next start were on another machine, which does not see this machine's friendly lock. */
  forgetLock(): void {
    rmSync(join(this.directory, 'lock.sock'), { force: true })
  }

  /** The records of the job's log, oldest first. */
  log(): { readonly path: string; readonly kind: string; readonly record: Readonly<Record<string, unknown>> }[] {
    const folder = join(this.directory, 'log')
    if (!existsSync(folder)) return []
    return readdirSync(folder)
      .filter((name) => /^\d+$/.test(name))
      .sort()
      .map((name) => {
        const path = join(folder, name)
        const { record } = JSON.parse(readFileSync(path, 'utf8').split('\n')[0] ?? '')
        return { path, kind: record.kind, record }
      })
  }

  close(): void {
    this.#guard.close()
  }

  get #trace(): string {
    return join(this.root, 'trace.jsonl')
  }
}
