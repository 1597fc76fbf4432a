/**
 * What happens by itself every five minutes, as in Apache Kafka: retention by time and size, and forgetting producers and
 * transactional ids that were not used for long.
 */
import type { Timer } from '../base/index.ts'
import type { BrokerCore } from './request/broker-core.ts'

const INTERVAL_MS = 300_000
const PRODUCER_ID_EXPIRATION_MS = 86_400_000
const TRANSACTIONAL_ID_EXPIRATION_MS = 604_800_000

export class Housekeeping {
  readonly #core: BrokerCore
  #timer: Timer | undefined

  constructor(core: BrokerCore) {
    this.#core = core
  }

  start(): void {
    this.#timer = this.#core.clock.setTimer(
      INTERVAL_MS,
      () => {
        this.run()
        this.start()
      },
      { background: true },
    )
  }

  run(): void {
    const { clock, cluster, transactions } = this.#core
    const nowMs = clock.now()
    for (const { log, topic } of cluster.partitions()) {
      log.producers.forgetIdleSince(nowMs - PRODUCER_ID_EXPIRATION_MS)
      if (!topic.config.deletes) continue
      const ms = topic.config.number('retention.ms')
      const bytes = topic.config.number('retention.bytes')
      log.retain(ms < 0 ? undefined : nowMs - ms, bytes < 0 ? undefined : bytes)
    }
    transactions.forgetIdleSince(nowMs - TRANSACTIONAL_ID_EXPIRATION_MS)
  }

  close(): void {
    this.#timer?.cancel()
  }
}
