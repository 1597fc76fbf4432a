/** Figures as a person reads them: columns, sizes, times. */

/** Columns as wide as their widest cell, two blanks between them. */
export function tableText(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  return rows
    .map((row) => `${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')}`.trimEnd())
    .map((line) => `${line}\n`)
    .join('')
}

/** `1,234,567`. */
export function countText(count: number): string {
  return count.toLocaleString('en-US')
}

/** `812 B`, `1.5 KB`, `100.0 MB`. */
export function sizeText(bytes: number): string {
  let [size, unit] = [bytes, 'B']
  for (const next of ['KB', 'MB', 'GB']) {
    if (size < 1_024) break
    size /= 1_024
    unit = next
  }
  return unit === 'B' ? `${size} B` : `${size.toFixed(1)} ${unit}`
}

/** UTC, to the second: `2026-01-31 09:05:00`. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
}

/** `3 s`, `12 min`, `5 h`, `9 d`. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

/** `120 records to orders, 1 record to totals`. */
export function recordsText(records: Readonly<Record<string, number>>): string {
  const parts = Object.entries(records).map(
    ([topic, count]) => `${countText(count)} record${count === 1 ? '' : 's'} to ${topic}`,
  )
  return parts.length === 0 ? 'no records' : parts.join(', ')
}
