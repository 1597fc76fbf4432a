/**
 * `millrace.yaml`: settings by Flink's keys, nested or flat with dots, mixed as one likes. A key that is unknown, set twice or has no value
 * that an option could take is refused with file and line. The YAML parser is loaded only when there is a file to read.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import type { LineCounter, Node, Pair } from 'yaml'
import { MillraceError } from '../base/index.ts'
import { Configuration } from '../core/index.ts'

const DEFAULT_NAME = 'millrace.yaml'

/**
 * The file that settings come from: the one that was named, which must be there, or `millrace.yaml` in the folder; undefined when
 * there is none.
 */
export function configurationFile(named: string | undefined, folder: string): string | undefined {
  if (named === undefined) {
    const path = join(folder, DEFAULT_NAME)
    return existsSync(path) ? path : undefined
  }
  const path = resolve(named)
  if (existsSync(path)) return path
  throw new MillraceError('USAGE', `--config ${named}: there is no such file`, { next: 'Nothing ran. Check the path.' })
}

/** What the file says, and over it what was given with -D. */
export async function configurationOf(options: {
  readonly named: string | undefined
  /** The job file, beside which the settings lie; absent: the current directory. */
  readonly jobFile?: string
  readonly defines: Configuration
}): Promise<Configuration> {
  const folder = options.jobFile === undefined ? '.' : dirname(resolve(options.jobFile))
  const path = configurationFile(options.named, folder)
  return path === undefined ? options.defines : (await readConfiguration(path)).with(options.defines)
}

/** Throws OPTION_INVALID with file and line. */
export async function readConfiguration(path: string): Promise<Configuration> {
  // Its loading takes longer than all else that is read here, and most jobs have no such file.
  const { parseDocument, LineCounter, isMap, isScalar } = await import('yaml')
  const lines = new LineCounter()
  const near = relative('.', path)
  const name = near.startsWith('..') ? path : near
  const document = parseDocument(readFileSync(path, 'utf8'), { lineCounter: lines })
  const [error] = document.errors
  if (error !== undefined) {
    throw invalid(
      `${name}:${error.linePos?.[0].line ?? 1}: ${error.message.split('\n')[0]?.replace(/ at line .*$/, '')}`,
    )
  }
  const configuration = new Configuration()
  const seen = new Map<string, string>()
  const read = (node: Node | null, prefix: string, where: string): void => {
    if (isMap<unknown, Node | null>(node)) {
      for (const { key, value } of node.items as readonly Pair<unknown, Node | null>[]) {
        const part = isScalar(key) ? String(key.value) : String(key)
        read(value, prefix === '' ? part : `${prefix}.${part}`, `${name}:${lineOf(key, lines)}`)
      }
      return
    }
    const value = isScalar(node) ? node.value : undefined
    if (prefix === '' && value === null) return
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw invalid(
        `${where}: ${prefix === '' ? 'the file' : prefix} ${node === null || value === null ? 'has no value' : 'is a list, where a value is wanted'}`,
      )
    }
    const before = seen.get(prefix)
    if (before !== undefined) throw invalid(`${where}: ${prefix} is set already at ${before}`)
    seen.set(prefix, where)
    configuration.set(prefix, value, where)
  }
  if (document.contents !== null) read(document.contents, '', `${name}:1`)
  return configuration
}

function lineOf(key: unknown, lines: LineCounter): number {
  const range = (key as { readonly range?: readonly [number, number, number] } | null)?.range
  return range === undefined ? 1 : lines.linePos(range[0]).line
}

function invalid(message: string): MillraceError {
  return new MillraceError('OPTION_INVALID', message, {
    next: 'Nothing ran. The keys are listed in docs/configuration.md.',
  })
}
