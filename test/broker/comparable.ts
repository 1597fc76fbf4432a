/**
 * Answers of two brokers made comparable: what no two brokers share (identities, addresses, times, texts for people) is
 * replaced by its kind, and lists are put in an order.
 */

const PRIVATE: ReadonlySet<string> = new Set([
  ...['clusterId', 'topicId', 'host', 'port', 'memberId', 'leader', 'sessionId', 'finalizedFeaturesEpoch'],
  'producerId',
])
/** No timestamp in a request is as late. */
const NOW_MIN = 1e12

export function comparable(value: unknown, key = ''): unknown {
  if (Buffer.isBuffer(value)) return key === 'records' ? `${value.length} bytes` : value.toString('hex')
  if (Array.isArray(value)) {
    const shown = value
      .filter((one) => !isInternal(one))
      .flatMap((one) => parts(one).map((part) => comparable(part, key)))
    return shown.sort((a, b) => order(a).localeCompare(order(b)))
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, comparable(field, name)]))
  }
  if (key === 'errorMessage') return '<text>'
  if (PRIVATE.has(key)) return value === null || value === '' || value === -1 ? '<none>' : `<${key}>`
  return typeof value === 'number' && value > NOW_MIN ? '<time>' : value
}

/** The embedded broker keeps offsets and transactions elsewhere. */
function isInternal(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'name' in value && String(value.name).startsWith('__')
}

/** A fetched topic may come in several pieces: each of its partitions stands for itself. */
function parts(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null || !('partitions' in value) || !('topic' in value)) return [value]
  const { partitions, ...topic } = value
  return (partitions as unknown[]).map((partition) => ({ ...topic, ...(partition as object) }))
}

function order(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  const of = value as Readonly<Record<string, unknown>>
  const index = of.partitionIndex ?? of.index ?? of.partition ?? of.apiKey
  return `${String(index ?? '').padStart(6)} ${JSON.stringify(value)}`
}

/** Where two comparable values differ, as lines `path: theirs <> ours`. */
export function differences(theirs: unknown, ours: unknown, path = ''): string[] {
  if (JSON.stringify(theirs) === JSON.stringify(ours)) return []
  if (Array.isArray(theirs) && Array.isArray(ours) && theirs.length === ours.length) {
    return theirs.flatMap((one, at) => differences(one, ours[at], `${path}[]`))
  }
  if (isObject(theirs) && isObject(ours)) {
    const names = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])]
    return names.flatMap((name) => differences(theirs[name], ours[name], `${path}.${name}`))
  }
  return [`${path}: ${JSON.stringify(theirs)} <> ${JSON.stringify(ours)}`]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
