/**
 * What a comparison prints: medians of each system, and ours over each other one with its spread. The spread is the lowest and
 * the highest ratio of any run of ours to any run of theirs, so that nothing is hidden in a lucky pairing.
 */
import type { Line } from './contenders.ts'

export interface CaseResult {
  readonly name: string
  /** By contender, ours first. */
  readonly lines: ReadonlyMap<string, readonly Line[]>
}

type Figure = (line: Line) => number | undefined

const rate: Figure = (line) => line.records_per_s
const cpuPerRecord: Figure = (line) => (line.cpu_s === undefined ? undefined : (line.cpu_s / line.records) * 1e6)
const startUp: Figure = (line) =>
  line.total_s === undefined || line.wall_s === undefined ? undefined : line.total_s - line.wall_s

const COLUMNS: readonly (readonly [title: string, figure: Figure, digits: number])[] = [
  ['records/s', rate, 0],
  ['cpu us/record', cpuPerRecord, 2],
  ['peak MB', (line) => line.rss_max_mb, 0],
  ['start-up and exit s', startUp, 2],
  ['to first record s', (line) => line.first_record_s, 2],
  ['p50 ms', (line) => line.p50_ms, 1],
  ['p99 ms', (line) => line.p99_ms, 1],
]

/** How the names of our own contenders begin. */
const OWN = 'millrace'

const RATIOS: readonly (readonly [title: string, figure: Figure])[] = [
  ['records/s', rate],
  ['cpu per record', cpuPerRecord],
  ['p50', (line) => line.p50_ms],
  ['p99', (line) => line.p99_ms],
]

export function reportOf(results: readonly CaseResult[]): string {
  const parts = results.map((result) => `${table(result)}\n${ratios(result)}`)
  const own = ownRatio(results)
  return [...parts, ...(own === undefined ? [] : [own])].join('\n')
}

function table({ name, lines }: CaseResult): string {
  const all = [...lines.values()].flat()
  const columns = COLUMNS.filter(([, figure]) => all.some((line) => figure(line) !== undefined))
  const head = `| ${name} | runs | ${columns.map(([title]) => title).join(' | ')} |`
  const rows = [...lines].map(([contender, own]) => {
    const cells = columns.map(([, figure, digits]) => show(valuesOf(own, figure), digits))
    return `| ${contender} | ${own.length} | ${cells.join(' | ')} |`
  })
  return [head, `|${'---|'.repeat(columns.length + 2)}`, ...rows].join('\n')
}

/** Median (lowest..highest). */
function show(values: readonly number[], digits: number): string {
  if (values.length === 0) return ''
  const text = (value: number): string =>
    value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  if (values.length === 1) return text(median(values))
  return `${text(median(values))} (${text(Math.min(...values))}..${text(Math.max(...values))})`
}

function ratios({ lines }: CaseResult): string {
  const [ours, others] = [
    [...lines].filter(([name]) => name.startsWith(OWN)),
    [...lines].filter(([name]) => !name.startsWith(OWN)),
  ]
  return ours
    .flatMap(([name, own]) =>
      others.flatMap(([other, theirs]) =>
        RATIOS.map(([title, figure]) => ratioLine(`${name} / ${other}`, title, own, theirs, figure)),
      ),
    )
    .filter((line) => line !== undefined)
    .join('\n')
}

function ratioLine(
  who: string,
  title: string,
  ours: readonly Line[],
  theirs: readonly Line[],
  figure: Figure,
): string | undefined {
  const [a, b] = [valuesOf(ours, figure), valuesOf(theirs, figure)]
  if (a.length === 0 || b.length === 0) return undefined
  const pairs = a.flatMap((own) => b.map((other) => own / other))
  const spread = `${Math.min(...pairs).toFixed(2)}..${Math.max(...pairs).toFixed(2)}`
  return `  ${who}: ${title} ${(median(a) / median(b)).toFixed(2)} (${spread})`
}

/** What exactly-once costs ourselves. */
function ownRatio(results: readonly CaseResult[]): string | undefined {
  const rateOf = (name: string): number | undefined => {
    const [first] = results.find((result) => result.name === name)?.lines.values() ?? []
    const values = valuesOf(first ?? [], rate)
    return values.length === 0 ? undefined : median(values)
  }
  const [w2, w3] = [rateOf('W2-5m'), rateOf('W3-5m')]
  return w2 === undefined || w3 === undefined ? undefined : `own W3 / own W2 (5m): ${(w3 / w2).toFixed(2)}`
}

function valuesOf(lines: readonly Line[], figure: Figure): number[] {
  return lines.map(figure).filter((value) => value !== undefined)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low, high] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]]
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2
}
