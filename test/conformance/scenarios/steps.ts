/** The words scenarios are written in: each makes one step of the data in ../scenario.ts, with what is usual left out. */
import type {
  Bytes,
  Capability,
  GroupPosition,
  Isolation,
  OffsetQuestion,
  RecordToWrite,
  Scenario,
  Settings,
  Step,
} from '../scenario.ts'

/** Long ago, so that nothing is taken for the time of the recording. */
export const T0 = 1_700_000_000_000

export function scenario(name: string, needs: readonly Capability[], steps: readonly Step[]): Scenario {
  return { name, needs, steps }
}

export function createTopic(
  topic: string,
  options: { readonly partitions?: number; readonly replicationFactor?: number; readonly config?: Settings } = {},
): Step {
  const { partitions = 1, replicationFactor = 1, config = {} } = options
  return { do: 'createTopic', topic, partitions, replicationFactor, config }
}

export interface RecordParts {
  readonly partition?: number
  readonly timestamp?: number
  readonly key?: Bytes
  readonly headers?: readonly (readonly [string, Bytes])[]
}

export function record(value: Bytes, parts: RecordParts = {}): RecordToWrite {
  return {
    partition: parts.partition ?? 0,
    timestamp: parts.timestamp ?? T0,
    key: parts.key ?? null,
    value,
    headers: parts.headers ?? [],
  }
}

/** `name0`, `name1`, ...: a millisecond apart, in one partition or spread over several. */
export function series(
  name: string,
  count: number,
  parts: RecordParts & { readonly over?: number } = {},
): RecordToWrite[] {
  return Array.from({ length: count }, (_, index) =>
    record(`${name}${index}`, {
      ...parts,
      partition: parts.over === undefined ? (parts.partition ?? 0) : index % parts.over,
      timestamp: (parts.timestamp ?? T0) + index,
    }),
  )
}

export function produce(
  producer: string,
  topic: string,
  records: readonly RecordToWrite[],
  settings: Settings = {},
): Step {
  return { do: 'produce', producer, topic, records, settings }
}

export function begin(
  producer: string,
  options: { readonly id?: string; readonly timeoutMs?: number; readonly settings?: Settings } = {},
): Step {
  const { id = `${producer}-id`, timeoutMs = 60_000, settings = {} } = options
  return { do: 'begin', producer, id, timeoutMs, settings }
}

export const commit = (producer: string): Step => ({ do: 'commit', producer })
export const abort = (producer: string): Step => ({ do: 'abort', producer })
export const expire = (id: string): Step => ({ do: 'expire', id })
export const describeTransaction = (id: string): Step => ({ do: 'describeTransaction', id })
export const listTransactions = (states: readonly string[] = []): Step => ({ do: 'listTransactions', states })

/** A transaction that is begun, written and ended in one breath. */
export function transaction(
  producer: string,
  topic: string,
  records: readonly RecordToWrite[],
  end: 'commit' | 'abort',
  settings: Settings = {},
): Step[] {
  return [begin(producer, { settings }), produce(producer, topic, records, settings), { do: end, producer }]
}

export function read(
  topic: string,
  isolation: Isolation,
  options: { readonly reader?: string; readonly from?: number; readonly settings?: Settings } = {},
): Step {
  const { reader = `${isolation} of ${topic}`, from = 0, settings = {} } = options
  return { do: 'read', reader, topic, isolation, from, settings }
}

/** One reader for each isolation, both from the offset. */
export function readBoth(topic: string, from = 0, settings: Settings = {}): Step[] {
  return (['read_uncommitted', 'read_committed'] as const).map((isolation) =>
    read(topic, isolation, {
      from,
      settings,
      reader: `${isolation} of ${topic} from ${from} ${JSON.stringify(settings)}`,
    }),
  )
}

export const seek = (reader: string, partition: number, offset: number): Step => ({
  do: 'seek',
  reader,
  partition,
  offset,
})
export const pause = (reader: string, partition: number): Step => ({ do: 'pause', reader, partition })
export const resume = (reader: string, partition: number): Step => ({ do: 'resume', reader, partition })

export function offsets(
  topic: string,
  at: OffsetQuestion,
  partitions = 1,
  isolation: Isolation = 'read_uncommitted',
): Step {
  return { do: 'offsets', topic, partitions, at, isolation }
}

export function deleteRecords(topic: string, before: number, partition = 0): Step {
  return { do: 'deleteRecords', topic, partition, before }
}

export function commitGroup(
  group: string,
  positions: readonly (Partial<GroupPosition> & { readonly topic: string; readonly offset: number })[],
): Step {
  const all = positions.map((one) => ({ partition: 0, metadata: '', leaderEpoch: -1, ...one }))
  return { do: 'commitGroup', group, offsets: all }
}

export const groupOffsets = (group: string): Step => ({ do: 'groupOffsets', group })
export const describeTopic = (topic: string): Step => ({ do: 'describeTopic', topic })
export const describeConfigs = (topic: string, keys: readonly string[]): Step => ({
  do: 'describeConfigs',
  topic,
  keys,
})
