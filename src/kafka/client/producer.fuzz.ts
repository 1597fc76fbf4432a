/**
 * The producer under random faults: refusals before and after the append, connections that break with requests in them (some of
 * which are served all the same later), slow answers, moving leaders, brokers away, late identities, small buffers, limits for
 * the size of a batch that come, change and go. Oracle: each partition's log holds exactly what was appended to it, in that
 * order, once, and every seal is true when it resolves. A run may end with a failure in one case only, and then the log holds a
 * beginning of what was appended: a batch that had been written was refused for its size when it was repeated.
 *
 * Run: node src/kafka/client/producer.fuzz.ts [seed] [seconds]
 */
import assert from 'node:assert/strict'
import { SeededRandom } from '../../base/index.ts'
import { KafkaErrorCode } from '../protocol/errors.ts'
import type { ProducerOptions } from './options.ts'
import { DoubleCluster, type Fate } from './producer.test-double.ts'
import { Producer } from './producer.ts'
import type { ProducerIdentity, TransactionVersion } from './transactions.ts'

const firstSeed = Number(process.argv[2] ?? Date.now() % 1_000_000)
const seconds = Number(process.argv[3] ?? 5)
process.stdout.write(`producer.fuzz: seed ${firstSeed}, ${seconds} s\n`)

const REFUSALS = [
  KafkaErrorCode.NOT_LEADER_OR_FOLLOWER,
  KafkaErrorCode.NOT_ENOUGH_REPLICAS,
  KafkaErrorCode.CONCURRENT_TRANSACTIONS,
  KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  KafkaErrorCode.CORRUPT_MESSAGE,
]
const AFTERWARDS = [KafkaErrorCode.REQUEST_TIMED_OUT, KafkaErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND]

class Run {
  readonly #random: SeededRandom
  readonly #cluster: DoubleCluster
  readonly #producer: Producer
  readonly #mode: TransactionVersion | 'plain'
  readonly #expected: Map<string, string[]> = new Map()
  readonly #seals: Promise<void>[] = []
  readonly #sealedCounts: Map<string, number> = new Map()
  readonly #epochs: Map<string, number> = new Map()
  readonly #lastSeals: Map<string, Promise<void>> = new Map()
  #id = ''
  #faults = 0.3
  readonly #limits: boolean
  #value = 0
  #began = false

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    this.#mode = this.#one(['plain', 1, 2] as const)
    this.#limits = this.#random.next() < 0.5
    this.#cluster = new DoubleCluster({ t: 1 + this.#pick(3), u: 1 + this.#pick(3) }, 2, seed)
    if (this.#random.next() < 0.5)
      this.#cluster.topicIds.set('t', 'AAAAAAAAAAAAAAAAAAAAAQ').set('u', 'AAAAAAAAAAAAAAAAAAAAAg')
    this.#cluster.fate = () => this.#fate()
    this.#cluster.connectFails = () => this.#random.next() < this.#faults / 3
    this.#cluster.enlistCode = () =>
      this.#random.next() < this.#faults
        ? this.#one([
            KafkaErrorCode.CONCURRENT_TRANSACTIONS,
            KafkaErrorCode.NOT_COORDINATOR,
            KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
          ])
        : 0
    const options: ProducerOptions = {
      acks: -1,
      batchSize: 100 + this.#pick(300),
      lingerMs: this.#pick(3) * 5,
      bufferMemory: 16 * 1024 * (2 + this.#pick(30)),
      maxInFlightRequestsPerConnection: 1 + this.#pick(5),
      deliveryTimeoutMs: 3_600_000,
      requestTimeoutMs: 3_000,
      maxRequestSize: 200 + this.#pick(2000),
      compressionType: this.#one(['none', 'none', 'gzip'] as const),
      enableIdempotence: true,
      partitionerAdaptive: true,
      partitionerIgnoreKeys: false,
      retries: Number.POSITIVE_INFINITY,
      transactionTimeoutMs: 60_000,
    }
    this.#producer = new Producer(this.#cluster, options)
  }

  /** False when it ended early, by the one failure that is allowed. */
  async all(): Promise<boolean> {
    try {
      await this.#everything()
      return true
    } catch (error) {
      const late = [...this.#cluster.logs.values()].some((log) => log.refusedThoughWritten > 0)
      if (!late || error !== this.#producer.failure || !String(error).includes('part of a larger one')) throw error
      for (const [name, log] of this.#cluster.logs) {
        assert.deepEqual(log.values, this.#expectedOf(name).slice(0, log.values.length), name)
      }
      return false
    }
  }

  get splits(): number {
    return this.#producer.metrics().splits
  }

  async #everything(): Promise<void> {
    for (let step = 0; step < 60; step++) await this.#step()
    this.#faults = 0
    for (const log of this.#cluster.logs.values()) if (log.leader < 0) log.leader = 0
    this.#seal()
    const done = Promise.all(this.#seals)
    let settled = false
    done.then(
      () => void (settled = true),
      () => void (settled = true),
    )
    for (let turn = 0; turn < 2000 && !settled; turn++) await this.#cluster.clock.advance(100)
    assert.ok(settled, 'all seals are settled in 200 s without faults')
    await done
    assert.equal(this.#producer.failure, undefined)
    this.#check()
    assert.equal(this.#producer.metrics().bufferBytesUsed, 0)
  }

  async #step(): Promise<void> {
    const what = this.#random.next()
    if (what < 0.5) await this.#append()
    else if (what < 0.7) await this.#cluster.clock.advance(this.#pick(200))
    else if (what < 0.85) this.#seal()
    else if (what < 0.9 && this.#limits) {
      const log = this.#one([...this.#cluster.logs.values()])
      // The smallest holds any single record, with what gzip puts around it.
      log.bytesMax = this.#one([130, 130, 180, 250, Number.POSITIVE_INFINITY])
    } else {
      const log = this.#one([...this.#cluster.logs.values()])
      log.leader = this.#one([0, 1, 0, 1, -1])
    }
    if (this.#producer.failure !== undefined) throw this.#producer.failure
  }

  async #append(): Promise<void> {
    if (this.#mode !== 'plain' && !this.#began) this.#begin()
    const name = this.#one([...this.#cluster.logs.keys()])
    const [topicName = '', partition = ''] = name.split('/')
    const topic = await this.#producer.topic(topicName)
    for (let count = this.#pick(40); count > 0; count--) {
      const value = `value ${this.#value++}`
      topic.append(Number(partition), 1000, null, value)
      this.#expectedOf(name).push(value)
    }
  }

  #begin(): void {
    this.#began = true
    const id = `id-${this.#pick(3)}`
    const epoch = (this.#epochs.get(id) ?? -1) + 1
    this.#epochs.set(id, epoch)
    const identity: ProducerIdentity = { producerId: Number(id.slice(3)), epoch }
    // An id is used again when its transaction before is done with.
    const before = this.#lastSeals.get(id) ?? Promise.resolve()
    const delayMs = this.#pick(300)
    const later = before.then(() => this.#cluster.clock.sleep(delayMs)).then(() => identity)
    this.#producer.beginTransaction(id, this.#mode === 1 ? 1 : 2, later)
    this.#id = id
  }

  #seal(): void {
    if (this.#mode !== 'plain' && !this.#began) return
    this.#began = false
    const wanted = new Map([...this.#expected].map(([name, values]) => [name, values.slice(this.#sealedBefore(name))]))
    if (this.#mode !== 'plain') for (const [name, values] of this.#expected) this.#sealedCounts.set(name, values.length)
    const sealed = this.#producer.seal().then(() => {
      for (const [name, values] of wanted) {
        const there = new Set(this.#cluster.log(name).values)
        const all = values.every((value) => there.has(value))
        assert.ok(all, `${name} holds what was sealed`)
      }
    })
    // A failure is looked at once, in `all`.
    sealed.catch(() => undefined)
    this.#seals.push(sealed)
    // An empty transaction is sealed at once; the id is free when those before it are.
    const before = this.#lastSeals.get(this.#id) ?? Promise.resolve()
    const last = before.then(() => sealed)
    last.catch(() => undefined)
    this.#lastSeals.set(this.#id, last)
  }

  /** Plain seals answer for all before them, those of transactions for their own records. */
  #sealedBefore(name: string): number {
    return this.#sealedCounts.get(name) ?? 0
  }

  #fate(): Fate {
    if (this.#random.next() >= this.#faults) return 'served'
    switch (this.#pick(5)) {
      case 0:
        return { refuse: this.#one(REFUSALS) }
      case 1:
        return { appendAndAnswer: this.#one(AFTERWARDS) }
      case 2:
        return 'break before serving'
      case 3:
        return 'break after serving'
      default:
        return { delayMs: this.#pick(500) }
    }
  }

  #check(): void {
    for (const [name, log] of this.#cluster.logs) assert.deepEqual(log.values, this.#expectedOf(name), name)
  }

  #expectedOf(name: string): string[] {
    let values = this.#expected.get(name)
    if (values === undefined) this.#expected.set(name, (values = []))
    return values
  }

  #pick(count: number): number {
    return Math.floor(this.#random.next() * count)
  }

  #one<T>(choices: readonly T[]): T {
    return choices[this.#pick(choices.length)] as T
  }
}

const until = performance.now() + seconds * 1000
let runs = 0
let early = 0
let splits = 0
for (let seed = firstSeed; performance.now() < until || runs === 0; seed++, runs++) {
  try {
    const run = new Run(seed)
    if (!(await run.all())) early++
    splits += run.splits
  } catch (error) {
    process.stdout.write(`producer.fuzz: failed with seed ${seed}\n`)
    throw error
  }
}
process.stdout.write(
  `producer.fuzz: ${runs} runs, ${splits} batches split, ${early} runs ended by a limit that came too late\n`,
)
