/**
 * The properties of a source: Kafka's and the connector's own, by their Java names. Values are kept as text; the connector's
 * own are read here, the client's in the kafka room. Whatever is wrong is OPTION_INVALID and names the property.
 */
import { MillraceError } from '../base/index.ts'
import { parseDuration } from '../core/index.ts'

export type PropertyValue = string | number | boolean
export type Properties = Readonly<Record<string, string>>

const DISCOVERY_INTERVAL = 'partition.discovery.interval.ms'
const DISCOVERY_INTERVAL_MS_DEFAULT = 300_000
const AUTO_COMMIT_INTERVAL_MS_DEFAULT = 5_000
const MAX_POLL_RECORDS = 'max.poll.records'
const BYTES_ONLY = /(^|\.)ByteArrayDeserializer$/

/** Absent: the default. Throws when it is neither true nor false. */
export function readFlag(properties: Properties, key: string): boolean | undefined {
  const text = properties[key]?.trim().toLowerCase()
  if (text === undefined) return undefined
  if (text === 'true' || text === 'false') return text === 'true'
  throw new MillraceError('OPTION_INVALID', `KafkaSource: ${key}: "${text}" is neither true nor false`)
}

/** Undefined: partitions are looked for once (a value of 0 or less, or input that is fixed). */
export function discoveryIntervalMs(properties: Properties): number | undefined {
  const text = properties[DISCOVERY_INTERVAL]
  if (text === undefined) return DISCOVERY_INTERVAL_MS_DEFAULT
  if (/^\s*-\s*\d+\s*$/.test(text)) return undefined
  const value = readDuration(DISCOVERY_INTERVAL, text)
  return value > 0 ? value : undefined
}

export function autoCommitIntervalMs(properties: Properties): number | undefined {
  if (readFlag(properties, 'enable.auto.commit') !== true) return undefined
  const key = 'auto.commit.interval.ms'
  const text = properties[key]
  if (text === undefined) return AUTO_COMMIT_INTERVAL_MS_DEFAULT
  const value = readDuration(key, text)
  if (value === 0) throw new MillraceError('OPTION_INVALID', `KafkaSource: ${key}: must be more than 0`)
  return value
}

/**
 * Records that one call of a reader emits at most, however many the engine would take. In Java it is how many one `poll` of the
 * consumer hands over, 500 unless set; here the engine adapts that to the time records take, so that unset there is no bound.
 */
export function maxPollRecords(properties: Properties): number {
  const text = properties[MAX_POLL_RECORDS]?.trim()
  if (text === undefined) return Number.POSITIVE_INFINITY
  const value = /^\d+$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= 0x7fff_ffff) return value
  throw new MillraceError('OPTION_INVALID', `KafkaSource: ${MAX_POLL_RECORDS}: "${text}" is no whole number from 1 on`)
}

/** Records reach the schema as bytes; a Kafka deserializer is a schema here and not a property. */
export function requireBytes(properties: Properties): void {
  for (const key of ['key.deserializer', 'value.deserializer']) {
    const name = properties[key]
    if (name === undefined || BYTES_ONLY.test(name)) continue
    throw new MillraceError(
      'OPTION_INVALID',
      `KafkaSource: ${key}: only ByteArrayDeserializer is possible, as records reach the schema as bytes; give the deserializer by setDeserializer(KafkaRecordDeserializationSchema.valueOnly(...))`,
    )
  }
}

function readDuration(key: string, text: string): number {
  try {
    return parseDuration(text)
  } catch (error) {
    throw new MillraceError('OPTION_INVALID', `KafkaSource: ${key}: ${error instanceof Error ? error.message : text}`)
  }
}

const SHOWN = new Set([
  'auto.offset.reset',
  'bootstrap.servers',
  'check.crcs',
  'client.dns.lookup',
  'client.id',
  'client.id.prefix',
  'client.rack',
  'commit.offsets.on.checkpoint',
  'enable.auto.commit',
  'group.id',
  'isolation.level',
  'register.consumer.metrics',
  'sasl.mechanism',
  'security.protocol',
])

/** For messages and the graph's hash. Only what is known to be harmless is shown: anything else may be a secret. */
export function withoutSecrets(properties: Properties): Record<string, string> {
  const shown: Record<string, string> = {}
  for (const key of Object.keys(properties).sort()) {
    const harmless = SHOWN.has(key) || /^[a-z.]+\.(ms|bytes|records)$/.test(key)
    shown[key] = harmless ? (properties[key] ?? '') : '***'
  }
  return shown
}
