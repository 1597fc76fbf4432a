/**
 * One job in one directory, copying one topic into another of its own: starts it, again and again by the same command, and
 * looks with Kafka's own Java clients at what came of it. `assertExact` is the oracle of all kill tests: none missing, none
 * twice, the order of each key kept, no transaction open, the group's offsets at the end of the input.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { JointName, Random } from '../../src/base/index.ts'
import type { KafkaServer } from '../../src/testing/index.ts'
import { ParentGuard } from '../../src/testing/kafka-server/parent-guard.ts'
import { describeEnd, type JobEnd, JobProcess, readTrace } from './job-process.ts'
import type { JointCounts } from './joint-counts.ts'
import type { JointPass, KillerRule } from './killer-plan.ts'

export const PARTITIONS = 4
const KEYS = 100
const JOB_FILE = fileURLToPath(new URL('./kill-job.ts', import.meta.url))
const JOB_NAME = 'kill-job'
/** The longest that a process lives that is killed at random, once it has its place in the log. */
const LIVES_MS = 1_200
const OPEN = /^(Ongoing|Prepare)/

/** Fills a topic with numbered records; all records of a key lie in one partition. */
export async function createInput(server: KafkaServer, topic: string, records: number): Promise<void> {
  await server.createTopic(topic, { partitions: PARTITIONS })
  await server.java.produceGenerated(topic, {
    count: records,
    key: `k{i%${KEYS}}`,
    value: '{"id":{i}}',
    partitions: PARTITIONS,
  })
}

export interface KillSceneOptions {
  readonly server: KafkaServer
  /** Unique on the server: the names of the output topic, of the group and of the transactional ids come from it. */
  readonly name: string
  readonly input: string
  readonly records: number
  readonly counts?: JointCounts
  readonly intervalMs?: number
  readonly parallelism?: number
  /** Behind them the job's function is slow until the next checkpoint has completed. */
  readonly recordsPerCheckpoint?: number
  readonly configuration?: Readonly<Record<string, string | number>>
  readonly parameters?: Readonly<Record<string, string | number>>
}

export interface StartOptions {
  readonly rules?: readonly KillerRule[]
  readonly flags?: readonly string[]
  readonly configuration?: Readonly<Record<string, string | number>>
  readonly parameters?: Readonly<Record<string, string | number>>
  readonly jobFile?: string
  /** Instead of the scene's own. */
  readonly checkpoints?: string
  readonly lifeMs?: number
}

export class KillScene {
  readonly server: KafkaServer
  readonly name: string
  readonly output: string
  readonly records: number
  /** Checkpoints, trace and whatever a test puts there; removed by `close`. */
  readonly root: string
  readonly #options: KillSceneOptions
  readonly #guard: ParentGuard

  private constructor(options: KillSceneOptions) {
    this.server = options.server
    this.name = options.name
    this.output = `out-${options.name}`
    this.records = options.records
    this.#options = options
    this.root = mkdtempSync(join(tmpdir(), 'millrace-kill-'))
    this.#guard = new ParentGuard(this.root)
  }

  static async create(options: KillSceneOptions): Promise<KillScene> {
    const scene = new KillScene(options)
    await scene.server.createTopic(scene.output, { partitions: PARTITIONS })
    return scene
  }

  /** The job's own directory. */
  get directory(): string {
    return join(this.root, 'checkpoints', JOB_NAME)
  }

  /** All joints passed by all processes of the scene, in order. */
  get passes(): JointPass[] {
    return readTrace(this.#trace)
  }

  /** Starts the job: the same command each time, but for what the test asks to be different. */
  start(options: StartOptions = {}): JobProcess {
    const { intervalMs = 50, parallelism = 2, recordsPerCheckpoint = 500 } = this.#options
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
    const parameters = {
      brokers: this.server.bootstrapServers,
      in: this.#options.input,
      out: this.output,
      prefix: this.name,
      'records-per-checkpoint': recordsPerCheckpoint,
      ...this.#options.parameters,
      ...options.parameters,
    }
    const command = [
      ...['run', options.jobFile ?? JOB_FILE, '-p', String(parallelism), '--threads', '0', ...(options.flags ?? [])],
      ...Object.entries(configuration).flatMap(([key, value]) => ['-D', `${key}=${value}`]),
      '--',
      ...Object.entries(parameters).flatMap(([name, value]) => [`--${name}`, String(value)]),
    ]
    const plan = { trace: this.#trace, directory: join(checkpoints, JOB_NAME), rules: options.rules ?? [] }
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

  /** One life that must end with exit code 0. */
  async finish(options: StartOptions = {}): Promise<JobEnd> {
    const end = await this.start(options).ended
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

  async assertExact(options: { readonly groupOffsets?: boolean; readonly openForMs?: number } = {}): Promise<void> {
    await this.assertNothingOpen(options.openForMs ?? 0)
    const { missing, doubled, disorder, strange } = await this.compare()
    assert.deepEqual(
      { missing: missing.slice(0, 20), doubled: doubled.slice(0, 20), disorder: disorder.slice(0, 20), strange },
      { missing: [], doubled: [], disorder: [], strange: 0 },
      `output of ${this.name}: ${missing.length} missing, ${doubled.length} twice, ${disorder.length} out of order`,
    )
    if (options.groupOffsets !== false) await this.assertGroupOffsets()
  }

  /** How the output that read_committed readers see differs from the input. */
  async compare(): Promise<{ missing: number[]; doubled: number[]; disorder: string[]; strange: number }> {
    const found = await this.server.java.readAll(this.output, { timeoutMs: 120_000 })
    const counts = new Uint8Array(this.records)
    const last = new Map<string, { readonly partition: number; readonly id: number }>()
    const disorder: string[] = []
    let strange = 0
    for (const { key, value, partition } of found) {
      const id = Number(/^{"id":(\d+)}$/.exec(String(value))?.[1] ?? Number.NaN)
      if (!(id < this.records) || String(key) !== `k${id % KEYS}`) {
        strange++
        continue
      }
      counts[id] = (counts[id] ?? 0) + 1
      const before = last.get(String(key))
      if (before !== undefined && (before.partition !== partition || before.id >= id)) {
        disorder.push(`${key}: ${before.partition}/${before.id} before ${partition}/${id}`)
      }
      last.set(String(key), { partition, id })
    }
    const missing: number[] = []
    const doubled: number[] = []
    for (const [id, count] of counts.entries()) {
      if (count === 0) missing.push(id)
      else if (count > 1) doubled.push(id)
    }
    return { missing, doubled, disorder, strange }
  }

  async assertGroupOffsets(): Promise<void> {
    const { input } = this.#options
    const ends = await this.server.java.offsets(input)
    const committed = await this.server.java.groupOffsets(this.name)
    assert.deepEqual(
      committed.map(({ topic, partition, offset }) => `${topic}-${partition}: ${offset}`).sort(),
      ends.map((offset, partition) => `${input}-${partition}: ${offset}`),
      'the offsets of the group are those of the end of the input',
    )
  }

  /** Transactions of the scene's prefix that are neither committed nor aborted. */
  async openTransactions(): Promise<string[]> {
    const listed = await this.server.java.transactions()
    return listed
      .filter(({ transactionalId, state }) => transactionalId.startsWith(`${this.name}-`) && OPEN.test(state))
      .map(({ transactionalId, state }) => `${transactionalId} ${state}`)
  }

  /** At once, or within a time where a superseded process may have left something to expire. */
  async assertNothingOpen(withinMs = 0): Promise<void> {
    let open = await this.openTransactions()
    for (const deadline = Date.now() + withinMs; open.length > 0 && Date.now() < deadline; await sleep(250)) {
      open = await this.openTransactions()
    }
    assert.deepEqual(open, [], 'no transaction is left open')
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
