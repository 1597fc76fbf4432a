/**
 * The repository's own files as the rules look at them: their text, their lines, and their code without comments and strings,
 * so that a rule about `Date.now` is not upset by a sentence about it.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))

export interface SourceFile {
  /** From the repository's root, with '/'. */
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
  /** The text with comments, strings and regular expressions blanked; line numbers stay. */
  readonly code: string
}

export interface Import {
  /** As written: `./x.ts`, `node:fs`, `zod`. */
  readonly specifier: string
  /** Erased when run: `import type`, `export type`. */
  readonly typeOnly: boolean
}

const SKIPPED: ReadonlySet<string> = new Set(['node_modules', '.git', 'dist', '.cache', '.millrace', 'target'])

/** Paths of all files below a folder, in order; generated and installed ones are left out. */
export function filesBelow(folder: string): string[] {
  const entries = readdirSync(join(ROOT, folder), { withFileTypes: true })
  return entries
    .filter((entry) => !SKIPPED.has(entry.name))
    .flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      return entry.isDirectory() ? filesBelow(path) : [path]
    })
    .sort()
}

export function readSource(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8')
  return { path, text, lines: text.split('\n'), code: withoutTexts(text) }
}

/** All TypeScript files below a folder except generated ones. */
export function sourcesBelow(folder: string): SourceFile[] {
  return filesBelow(folder)
    .filter((path) => path.endsWith('.ts') && !path.includes('/generated/'))
    .map(readSource)
}

/** Tests, fuzzers, benches and what they are made of stand beside the code and are freer than it. */
export function isTest(path: string): boolean {
  return /\.(test|kafka-test|sim-test|fuzz|bench|test-double|fixture)\.ts$/.test(path)
}

/** Import and export declarations that name a module, and dynamic imports of a literal. */
export function importsOf(file: SourceFile): Import[] {
  const found: Import[] = []
  const text = withoutComments(file.text)
  for (const match of text.matchAll(/^(?:import|export)\s(?:[^;'"]*?\sfrom\s+)?['"]([^'"\n]+)['"]/gm)) {
    const clause = match[0]
    const members = /\{([^}]*)\}/
      .exec(clause)?.[1]
      ?.split(',')
      .filter((member) => member.trim() !== '')
    const typeOnly =
      /^(?:import|export)\s+type\s/.test(clause) ||
      (clause.startsWith('export') && members?.every((member) => /^\s*type\s/.test(member)) === true)
    found.push({ specifier: match[1] ?? '', typeOnly })
  }
  for (const match of text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)) {
    found.push({ specifier: match[1] ?? '', typeOnly: false })
  }
  return found
}

/** The path that a relative import leads to, from the repository's root. */
export function resolveImport(from: string, specifier: string): string {
  const parts = from.split('/').slice(0, -1)
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.') parts.push(part)
  }
  return parts.join('/')
}

const TOKENS = new RegExp(
  [
    /\/\/[^\n]*/, // line comment
    /\/\*[\s\S]*?\*\//, // block comment
    /'(?:[^'\\\n]|\\.)*'/, // strings
    /"(?:[^"\\\n]|\\.)*"/,
    /`(?:[^`\\$]|\\.|\$(?!\{)|\$\{(?:[^{}]|\{[^{}]*\})*\})*`/, // templates, with one level of braces inside
    /(?<=[=(,:[!&|?{};>\n]\s*|return\s+)\/(?![/*])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/, // regular expressions
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
)

/** What stands inside `${}` of a template is code and stays. */
export function withoutTexts(text: string): string {
  return text.replace(TOKENS, (token) => {
    if (!token.startsWith('`')) return blank(token)
    let result = ''
    let end = 0
    for (const match of token.matchAll(/\$\{((?:[^{}]|\{[^{}]*\})*)\}/g)) {
      result += `${blank(token.slice(end, match.index))}  ${withoutTexts(match[1] ?? '')} `
      end = match.index + match[0].length
    }
    return result + blank(token.slice(end))
  })
}

function withoutComments(text: string): string {
  return text.replace(TOKENS, (token) => (/^\/[/*]/.test(token) ? blank(token) : token))
}

function blank(token: string): string {
  return token.replace(/[^\n]/g, ' ')
}
