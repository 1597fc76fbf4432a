/**
 * The public surface of the package as text: of each entry point, all exported names with their declarations as users'
 * compilers see them, without comments, in the order of the alphabet. `api/*.d.ts` are the snapshots that reviews look at; a test
 * of the packed package holds them current, and `node scripts/build.ts --api` writes them.
 *
 * Names that are only mentioned in a declaration are not followed: what is not exported by an entry is no promise. A class that
 * an exported one of the same file extends is shown, because its methods are promised with it.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The file of the snapshot and the entry that it shows. */
const ENTRIES: readonly (readonly [file: string, entry: string])[] = [
  ['millrace.d.ts', 'entry/index.d.ts'],
  ['kafka.d.ts', 'entry/kafka.d.ts'],
  ['testing.d.ts', 'entry/testing.d.ts'],
]

const HEAD = '// Made by `node scripts/build.ts --api` from the declarations of this entry point; not to be edited.\n\n'

/** The snapshots by their file names, of the declarations in `dist`. */
export function publicApi(dist: string): Map<string, string> {
  return new Map(
    ENTRIES.map(([file, entry]) => {
      const declarations = declarationsOf([...exportsOf(join(dist, entry)).values()].join(''))
      const sorted = [...declarations].sort(([a], [b]) => (a < b ? -1 : 1))
      return [file, HEAD + sorted.map(([, text]) => text).join('\n')]
    }),
  )
}

/** The exported names of a file of declarations and their texts, through all files that they are passed on from. */
function exportsOf(path: string): Map<string, string> {
  const text = withoutComments(readFileSync(path, 'utf8'))
  const found = withBases(declarationsOf(text))
  for (const [, clause = '', from = ''] of text.matchAll(/^export (?:type )?\{([^}]*)\} from '(\.[^']+)';$/gm)) {
    const passedOn = exportsOf(join(dirname(path), from.replace(/\.ts$/, '.d.ts')))
    for (const part of clause.split(',')) {
      const name = part.trim().replace(/^type /, '')
      if (name === '') continue
      const declared = passedOn.get(name)
      if (declared === undefined) throw new Error(`${path}: no declaration of "${name}" in ${from}`)
      found.set(name, declared)
    }
  }
  return found
}

/** Each class behind the text of what it extends. */
function withBases(declarations: ReadonlyMap<string, string>): Map<string, string> {
  const whole = (text: string): string => {
    const base = declarations.get(/^export declare (?:abstract )?class [^{]*? extends ([\w$]+)/.exec(text)?.[1] ?? '')
    return base === undefined ? text : whole(base) + text
  }
  return new Map([...declarations].map(([name, text]) => [name, whole(text)]))
}

/** tsc begins each declaration at the left margin and ends it there, or on the line it began on. */
function declarationsOf(text: string): Map<string, string> {
  const found = new Map<string, string>()
  const begin = /^export (?:declare )?(?:abstract )?(?:class|interface|function|const|type) ([\w$]+)/
  for (const declaration of text.split(/^(?=\S)(?!\})/m)) {
    const name = begin.exec(declaration)?.[1]
    if (name === undefined) continue
    // A name may have several, as a type and a value or as overloads; the same one twice is a base class of two.
    const others = found.get(name) ?? ''
    if (!others.includes(declaration)) found.set(name, others + declaration)
  }
  return found
}

function withoutComments(text: string): string {
  return text
    .replaceAll(/^\s*\/\*[\s\S]*?\*\/\n/gm, '')
    .replaceAll(/^\s*(?:#private|private [^\n]*);\n/gm, '')
    .replaceAll(/\n{2,}/g, '\n')
}
