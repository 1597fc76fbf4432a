/** A table of phases by events as a SPEC.md writes it, in the form that the code has it in. */
import { readFileSync } from 'node:fs'

/** Of the first table below the heading; a dash is an event that cannot happen in that phase. */
export function phaseTableOf(spec: URL, heading: string): Record<string, Record<string, string>> {
  const text = readFileSync(spec, 'utf8')
  const lines = text.slice(text.indexOf(heading)).split('\n')
  const begin = lines.findIndex((line) => line.startsWith('|'))
  const [events = [], , ...phases] = lines.slice(begin, lines.indexOf('', begin)).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  return Object.fromEntries(
    phases.map(([phase = '', ...cells]) => [
      phase,
      Object.fromEntries(cells.map((cell, index) => [events[index + 1] ?? '', cell === '-' ? 'impossible' : cell])),
    ]),
  )
}
