/**
 * The settings of topics: names, types and defaults of Apache Kafka 4.3 except where the comment says why not. All of them can
 * be set and described; the broker acts on those that a client can see the effect of.
 */
export type ConfigType = 'boolean' | 'string' | 'int' | 'long' | 'double' | 'list'

export interface ConfigDefinition {
  readonly type: ConfigType
  readonly value: string
  readonly oneOf?: readonly string[]
  readonly min?: number
}

const LONG_MAX = '9223372036854775807'

export const TOPIC_CONFIGS: ReadonlyMap<string, ConfigDefinition> = new Map<string, ConfigDefinition>([
  ['cleanup.policy', { type: 'list', value: 'delete', oneOf: ['delete', 'compact'] }],
  [
    'compression.type',
    { type: 'string', value: 'producer', oneOf: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'] },
  ],
  ['compression.gzip.level', { type: 'int', value: '-1' }],
  ['compression.lz4.level', { type: 'int', value: '9' }],
  ['compression.zstd.level', { type: 'int', value: '3' }],
  ['delete.retention.ms', { type: 'long', value: '86400000', min: 0 }],
  ['file.delete.delay.ms', { type: 'long', value: '60000', min: 0 }],
  ['flush.messages', { type: 'long', value: LONG_MAX, min: 1 }],
  ['flush.ms', { type: 'long', value: LONG_MAX, min: 0 }],
  ['follower.replication.throttled.replicas', { type: 'list', value: '' }],
  ['index.interval.bytes', { type: 'int', value: '4096', min: 0 }],
  ['leader.replication.throttled.replicas', { type: 'list', value: '' }],
  ['max.compaction.lag.ms', { type: 'long', value: LONG_MAX, min: 1 }],
  ['max.message.bytes', { type: 'int', value: '1048588', min: 0 }],
  // Kafka's is one hour. Here the clock may be a simulated one that stands years before the records.
  ['message.timestamp.after.max.ms', { type: 'long', value: LONG_MAX, min: 0 }],
  ['message.timestamp.before.max.ms', { type: 'long', value: LONG_MAX, min: 0 }],
  ['message.timestamp.type', { type: 'string', value: 'CreateTime', oneOf: ['CreateTime', 'LogAppendTime'] }],
  ['min.cleanable.dirty.ratio', { type: 'double', value: '0.5' }],
  ['min.compaction.lag.ms', { type: 'long', value: '0', min: 0 }],
  ['min.insync.replicas', { type: 'int', value: '1', min: 1 }],
  ['preallocate', { type: 'boolean', value: 'false' }],
  ['remote.log.copy.disable', { type: 'boolean', value: 'false' }],
  ['remote.log.delete.on.disable', { type: 'boolean', value: 'false' }],
  ['remote.storage.enable', { type: 'boolean', value: 'false' }],
  ['local.retention.bytes', { type: 'long', value: '-2', min: -2 }],
  ['local.retention.ms', { type: 'long', value: '-2', min: -2 }],
  ['retention.bytes', { type: 'long', value: '-1' }],
  // Kafka's is seven days. Records with old timestamps would be gone within minutes; here memory is bounded otherwise.
  ['retention.ms', { type: 'long', value: '-1', min: -1 }],
  ['segment.bytes', { type: 'int', value: '1073741824', min: 14 }],
  ['segment.index.bytes', { type: 'int', value: '10485760', min: 4 }],
  ['segment.jitter.ms', { type: 'long', value: '0', min: 0 }],
  ['segment.ms', { type: 'long', value: '604800000', min: 1 }],
  ['unclean.leader.election.enable', { type: 'boolean', value: 'false' }],
])

/** What is wrong with a value, or undefined. */
export function wrongValue(name: string, value: string): string | undefined {
  const definition = TOPIC_CONFIGS.get(name)
  if (definition === undefined) return `Unknown topic config name: ${name}`
  const wrong = `Invalid value ${value} for configuration ${name}`
  const { type, oneOf, min } = definition
  const items = type === 'list' ? value.split(',').filter((item) => item !== '') : [value]
  if (oneOf !== undefined && !items.every((item) => oneOf.includes(item.trim()))) return wrong
  if (type === 'boolean' && !/^(?:true|false)$/i.test(value)) return wrong
  if (type === 'double' && !Number.isFinite(Number(value))) return wrong
  if (type !== 'int' && type !== 'long') return undefined
  return /^-?\d{1,19}$/.test(value.trim()) && Number(value) >= (min ?? Number.NEGATIVE_INFINITY) ? undefined : wrong
}

/** The settings of one topic: what was set, and behind it the defaults. */
export class TopicConfig {
  readonly overrides: Map<string, string> = new Map()

  value(name: string): string {
    return this.overrides.get(name) ?? TOPIC_CONFIGS.get(name)?.value ?? ''
  }

  number(name: string): number {
    return Number(this.value(name))
  }

  get logAppendTime(): boolean {
    return this.value('message.timestamp.type') === 'LogAppendTime'
  }

  get deletes(): boolean {
    return this.#policies.includes('delete')
  }

  get compacts(): boolean {
    return this.#policies.includes('compact')
  }

  get #policies(): string[] {
    return this.value('cleanup.policy')
      .split(',')
      .map((policy) => policy.trim())
  }
}
