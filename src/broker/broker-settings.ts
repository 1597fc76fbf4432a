/**
 * The broker's own settings, with the defaults of Apache Kafka except where the comment says why not.
 */
export interface BrokerSettings {
  /** Topics come into being when somebody asks for them by name. */
  readonly autoCreateTopics: boolean
  /** Partitions of topics whose creator gives no number. */
  readonly numPartitions: number
  readonly defaultReplicationFactor: number
  readonly transactionMaxTimeoutMs: number
  /** From the answer to EndTxn until the markers are written: what clients are told CONCURRENT_TRANSACTIONS in. */
  readonly markerDelayMs: number
  /** How long a group that begins waits for further members. */
  readonly groupInitialRebalanceDelayMs: number
  /** The largest request; a longer one closes its connection. */
  readonly requestBytesMax: number
  readonly connectionsMax: number
  readonly partitionsMax: number
  /** Groups, and transactional ids, each. */
  readonly coordinatedMax: number
}

export const DEFAULT_SETTINGS: BrokerSettings = {
  autoCreateTopics: true,
  numPartitions: 1,
  defaultReplicationFactor: 1,
  transactionMaxTimeoutMs: 900_000,
  markerDelayMs: 5,
  // Kafka waits 3 s, for the sake of large groups; a test would wait that long for each.
  groupInitialRebalanceDelayMs: 0,
  requestBytesMax: 104_857_600,
  connectionsMax: 1_000,
  partitionsMax: 20_000,
  coordinatedMax: 100_000,
}
