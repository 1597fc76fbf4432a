/**
 * A job that copies one topic into another of its own, and what Kafka's own Java clients say of it. `assertExact` is the oracle
 * of all kill tests: none missing, none twice, the order of each key kept, no transaction open, the group's offsets at the end
 * of the input.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { KafkaServer } from '../../src/testing/index.ts'
import { JobScene, type JobSceneOptions } from './job-scene.ts'

export const PARTITIONS = 4
export const KEYS = 100
const OPEN = /^(Ongoing|Prepare)/
/** Ends what hangs. */
const SETTLE_MS = 120_000

function plainId(value: string): number {
  return Number(/^{"id":(\d+)}$/.exec(value)?.[1] ?? Number.NaN)
}

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

export interface KillSceneOptions extends Omit<JobSceneOptions, 'jobFile' | 'jobName'> {
  readonly server: KafkaServer
  /** Unique on the server: the names of the output topic, of the group and of the transactional ids come from it. */
  readonly name: string
  readonly input: string
  readonly records: number
  /** The number of the input's record that a value of the output is made of; NaN when the value is wrong. */
  readonly idOf?: (value: string) => number
  /** Behind them the job's function is slow until the next checkpoint has completed. */
  readonly recordsPerCheckpoint?: number
}

export class KillScene extends JobScene {
  readonly server: KafkaServer
  readonly name: string
  readonly output: string
  readonly records: number
  readonly #options: KillSceneOptions

  private constructor(options: KillSceneOptions) {
    const { server, name, input, recordsPerCheckpoint = 500 } = options
    const output = `out-${name}`
    super({
      ...options,
      jobFile: fileURLToPath(new URL('./kill-job.ts', import.meta.url)),
      jobName: 'kill-job',
      parameters: {
        brokers: server.bootstrapServers,
        in: input,
        out: output,
        prefix: name,
        'records-per-checkpoint': recordsPerCheckpoint,
        ...options.parameters,
      },
    })
    this.server = server
    this.name = name
    this.output = output
    this.records = options.records
    this.#options = options
  }

  static async create(options: KillSceneOptions): Promise<KillScene> {
    const scene = new KillScene(options)
    await scene.server.createTopic(scene.output, { partitions: PARTITIONS })
    return scene
  }

  async assertExact(options: { readonly groupOffsets?: boolean } = {}): Promise<void> {
    await this.assertNothingOpen()
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
    const { idOf = plainId } = this.#options
    const found = await this.server.java.readAll(this.output, { timeoutMs: 240_000 })
    const counts = new Uint8Array(this.records)
    const last = new Map<string, { readonly partition: number; readonly id: number }>()
    const disorder: string[] = []
    let strange = 0
    for (const { key, value, partition } of found) {
      const id = idOf(String(value))
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

  /** At once, or in time where there is something to expire. One that is decided ends by itself, when its markers are written. */
  async assertNothingOpen(withinMs = 0): Promise<void> {
    const beganMs = Date.now()
    let open = await this.openTransactions()
    const patienceMs = (): number => (open.some((one) => one.endsWith(' Ongoing')) ? withinMs : SETTLE_MS)
    for (; open.length > 0 && Date.now() - beganMs < patienceMs(); await sleep(50)) {
      open = await this.openTransactions()
    }
    assert.deepEqual(open, [], 'no transaction is left open')
  }

  /**
   * What a superseded process opened after the other one had ended is left to its time limit: aborts it in the brokers' stead,
   * and refuses to where it is of the newest attempt, whose process leaves nothing open.
   */
  async expireWhatWasSuperseded(): Promise<void> {
    const all = await this.server.java.transactions()
    const own = all.filter(({ transactionalId }) => transactionalId.startsWith(`${this.name}-`))
    const attemptOf = (id: string): number => Number(id.slice(this.name.length + 1).split('-')[0])
    const newest = Math.max(...own.map(({ transactionalId }) => attemptOf(transactionalId)))
    for (const { transactionalId, state } of own) {
      if (state !== 'Ongoing') continue
      assert(attemptOf(transactionalId) < newest, `${transactionalId} of the newest attempt is left open`)
      await this.server.java.fence(transactionalId)
    }
  }
}
