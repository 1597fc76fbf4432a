/**
 * The code blocks of the documentation, so that tests can run and compile what people will copy from it.
 */
import { filesBelow, readSource } from '../rules/source-files.ts'

export interface CodeBlock {
  /** From the repository's root. */
  readonly path: string
  readonly line: number
  /** What stands behind the opening fence: `ts`, `sh` or nothing. */
  readonly language: string
  readonly text: string
}

export function codeBlocksOf(path: string): CodeBlock[] {
  const { text } = readSource(path)
  return [...text.matchAll(/^```([^\n`]*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    path,
    line: text.slice(0, match.index).split('\n').length,
    language: (match[1] ?? '').trim(),
    text: match[2] ?? '',
  }))
}

/** The blocks of README.md and docs that are whole programs: TypeScript that imports the package. */
export function programsOfTheDocumentation(): CodeBlock[] {
  return ['README.md', ...filesBelow('docs').filter((path) => path.endsWith('.md'))]
    .flatMap(codeBlocksOf)
    .filter(({ language, text }) => language === 'ts' && /^import .* from 'millrace/m.test(text))
}
