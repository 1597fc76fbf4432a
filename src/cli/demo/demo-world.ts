/**
 * The Kafka of the demo: the embedded broker over TCP for the job's process, and beside it, in this process, a generator that
 * writes orders and a reader at read_committed that tells the account what it sees.
 */
import { SystemClock, SystemRandom, silentLogger, type Timer } from '../../base/index.ts'
import { type BrokerListener, EmbeddedBroker } from '../../broker/index.ts'
import {
  Fetcher,
  KafkaAdmin,
  KafkaCluster,
  Producer,
  type ProducerTopic,
  parseClusterOptions,
  parseFetcherOptions,
  parseProducerOptions,
} from '../../kafka/index.ts'
import type { Account } from './account.ts'
import { GROUP_ID, LARGE_ORDERS_TOPIC, ORDERS_TOPIC, PARTITIONS } from './demo-topics.ts'
import { orderText } from './order.ts'

const ORDERS_PER_SECOND = 2_000
const TICK_MS = 20
/** A demo that runs for hours holds minutes: what both topics keep. */
const RETENTION_MS = 120_000
const RETENTION_CHECK_MS = 30_000

export class DemoWorld {
  readonly clock: SystemClock = new SystemClock()
  readonly random: SystemRandom = new SystemRandom()
  readonly #broker: EmbeddedBroker
  readonly #cluster: KafkaCluster
  readonly #admin: KafkaAdmin
  readonly #fetcher: Fetcher
  readonly #producer: Producer
  readonly #account: Account
  #listener: BrokerListener | undefined
  #timers: Timer[] = []
  #failure: Error | undefined

  constructor(account: Account) {
    const { clock, random } = this
    const config = { 'retention.ms': RETENTION_MS }
    const topics = {
      [ORDERS_TOPIC]: { partitions: PARTITIONS, config },
      [LARGE_ORDERS_TOPIC]: { partitions: PARTITIONS, config },
    }
    this.#account = account
    this.#broker = new EmbeddedBroker({ clock, random, topics })
    const options = parseClusterOptions({ 'bootstrap.servers': this.#broker.bootstrapServers })
    const ports = { network: this.#broker.network, clock, random, logger: silentLogger }
    this.#cluster = new KafkaCluster(options, ports)
    this.#admin = new KafkaAdmin(this.#cluster)
    this.#producer = new Producer(this.#cluster, parseProducerOptions({}), (error) => {
      this.#failure = error
    })
    this.#fetcher = new Fetcher(this.#cluster, parseFetcherOptions({ 'isolation.level': 'read_committed' }))
  }

  /** Answers where the job finds the broker. */
  async start(): Promise<string> {
    this.#listener = await this.#broker.listen()
    for (let partition = 0; partition < PARTITIONS; partition++) this.#fetcher.add(LARGE_ORDERS_TOPIC, partition, 0)
    this.#every(RETENTION_CHECK_MS, () => this.#broker.applyRetention())
    return this.#listener.bootstrapServers
  }

  /** Writes orders at a steady rate until `stop` is called, which resolves when all are acknowledged. */
  async generate(): Promise<{ stop: () => Promise<void> }> {
    const topic = await this.#producer.topic(ORDERS_TOPIC)
    const beganMs = this.clock.monotonic()
    let next = 0
    const timer = this.#every(TICK_MS, () => {
      if (this.#producer.blocked || this.#failure !== undefined) return
      const due = Math.floor(((this.clock.monotonic() - beganMs) * ORDERS_PER_SECOND) / 1_000)
      this.#account.produced(due)
      for (; next < due; next++) append(topic, next, this.clock.now())
    })
    return {
      stop: async () => {
        timer.cancel()
        await this.#producer.seal()
      },
    }
  }

  /** Tells the account where the job's checkpoints stand, and all that is committed by then. */
  async read(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    const input = places(ORDERS_TOPIC)
    const positions = await this.#admin.groupOffsets(GROUP_ID, input)
    const ends = await this.#admin.listOffsets(
      places(LARGE_ORDERS_TOPIC).map((place) => ({ ...place, at: 'latest' })),
      { isolation: 'read_committed' },
    )
    const atEnd = (): boolean =>
      ends.every(({ partition, offset }) => (this.#fetcher.position(LARGE_ORDERS_TOPIC, partition) ?? 0) >= offset)
    for (;;) {
      const part = this.#fetcher.next()
      if (part === undefined) {
        if (atEnd()) break
        await this.#fetcher.available()
        continue
      }
      if (part.kind === 'trouble') throw part.error
      while (part.reader.nextBatch()) while (part.reader.next()) this.#account.seen(part.reader.valueString())
    }
    for (const { partition, offset } of positions) this.#account.position(partition, offset)
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) timer.cancel()
    await this.#fetcher.close()
    await this.#producer.close({ discard: true })
    await this.#cluster.close()
    await this.#broker.close()
  }

  #every(periodMs: number, work: () => void): Timer {
    let timer: Timer
    let cancelled = false
    const again = (): void => {
      timer = this.clock.setTimer(periodMs, () => {
        work()
        if (!cancelled) again()
      })
    }
    again()
    const whole = {
      cancel: () => {
        cancelled = true
        timer.cancel()
      },
    }
    this.#timers.push(whole)
    return whole
  }
}

function append(topic: ProducerTopic, id: number, nowMs: number): void {
  topic.append(id % PARTITIONS, nowMs, null, orderText(id))
}

function places(topic: string): { readonly topic: string; readonly partition: number }[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }))
}
