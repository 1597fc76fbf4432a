/**
 * Written state machines and their tests hold each other: an invariant of a SPEC.md names a test that exists, and a test that
 * names an invariant belongs to a SPEC.md that has it. The line of an invariant is
 *
 *     - **I3** what always holds - test: "title" in path/of/x.test.ts
 *
 * with any dash, or a row of a table, `| I3 | what always holds | "title" in path/of/x.test.ts |`; several tests are
 * separated by `;`. A path is from the repository's root or from the spec's own folder. A test names an invariant by
 * beginning its title with it: `I3: ...`.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { filesBelow, isTest, ROOT, readSource, resolveImport } from './source-files.ts'

interface Invariant {
  readonly id: string
  readonly tests: readonly { readonly title: string; readonly path: string }[]
}

const allFiles = [
  ...filesBelow('src'),
  ...filesBelow('test'),
  ...(existsSync(join(ROOT, 'docs')) ? filesBelow('docs') : []),
]
const specs = new Map(
  allFiles.filter((path) => /SPEC\.md$/.test(path)).map((path) => [path, invariantsOf(readSource(path).text)]),
)
const tests = allFiles.filter(isTest)

/** An entry of the list may go on over several lines, each indented; a table has id, statement and tests in its columns. */
function invariantsOf(text: string): Invariant[] {
  const listed = [...text.matchAll(/^- \*\*([A-Z]+\d+)\*\*(.*(?:\n[ \t]+\S.*)*)/gm)].map((match) => {
    const body = (match[2] ?? '').replace(/\s+/g, ' ')
    return { id: match[1] ?? '', tests: testsIn(/[—–-] tests?: (.*)$/.exec(body)?.[1] ?? '') }
  })
  const tabled = [...text.matchAll(/^\| *(?:\*\*)?([A-Z]+\d+)(?:\*\*)? *\|(?:.*\|)?([^|\n]*)\| *$/gm)].map((match) => ({
    id: match[1] ?? '',
    tests: testsIn(match[2] ?? ''),
  }))
  return [...listed, ...tabled]
}

function testsIn(text: string): Invariant['tests'] {
  const found = text.matchAll(/"([^"]+)" in `?([\w./-]+\.ts)/g)
  return [...found].map(([, title = '', path = '']) => ({ title, path }))
}

function titlesOf(path: string): string[] {
  const calls = readSource(path).text.matchAll(
    /\b(?:test|it)(?:\.\w+)?\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`([^`]*)`)/g,
  )
  return [...calls].map((match) => (match[1] ?? match[2] ?? match[3] ?? '').replaceAll("\\'", "'"))
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

test('every invariant of a SPEC.md names a test that exists', () => {
  const wrong = [...specs].flatMap(([spec, invariants]) =>
    invariants.flatMap(({ id, tests: named }) => {
      if (named.length === 0) return [`${spec} ${id}: names no test`]
      return named.flatMap(({ title, path }) => {
        const file = [path, resolveImport(spec, path)].find((candidate) => allFiles.includes(candidate))
        if (file === undefined) return [`${spec} ${id}: there is no ${path}`]
        return titlesOf(file).includes(title) ? [] : [`${spec} ${id}: ${file} has no test "${title}"`]
      })
    }),
  )
  assert.deepEqual(wrong, [])
})

test('no invariant is numbered twice in one SPEC.md, and each SPEC.md has some', () => {
  const wrong = [...specs].flatMap(([spec, invariants]) => {
    const ids = invariants.map(({ id }) => id)
    if (ids.length === 0) return [`${spec}: no invariant`]
    return ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `${spec}: ${id} twice`)
  })
  assert.deepEqual(wrong, [])
})

test('every test that begins with an invariant belongs to a SPEC.md that has it', () => {
  const wrong = tests.flatMap((path) =>
    titlesOf(path).flatMap((title) => {
      const id = /^([A-Z]+\d+)\b[:,]/.exec(title)?.[1]
      if (id === undefined) return []
      const known = [...specs].some(
        ([spec, invariants]) =>
          (path.startsWith(`${folderOf(spec)}/`) || path.startsWith('test/') || readSource(spec).text.includes(path)) &&
          invariants.some((invariant) => invariant.id === id),
      )
      return known ? [] : [`${path}: "${title}": no SPEC.md has ${id}`]
    }),
  )
  assert.deepEqual(wrong, [])
})

test('the rules themselves see what they must see', () => {
  const text = [
    '- **I3** nothing flushed is forgotten — test: "a title, with a comma" in ./writer.test.ts',
    '- **I4** over',
    '  two lines - tests: "one" in `src/a.test.ts`; "two" in src/b.test.ts.',
    '- **I5** names none',
    '| I6 | in a table | "one" in src/a.test.ts |',
  ].join('\n')
  assert.deepEqual(invariantsOf(text), [
    { id: 'I3', tests: [{ title: 'a title, with a comma', path: './writer.test.ts' }] },
    {
      id: 'I4',
      tests: [
        { title: 'one', path: 'src/a.test.ts' },
        { title: 'two', path: 'src/b.test.ts' },
      ],
    },
    { id: 'I5', tests: [] },
    { id: 'I6', tests: [{ title: 'one', path: 'src/a.test.ts' }] },
  ])
  assert.ok(titlesOf('test/rules/specs.test.ts').includes('the rules themselves see what they must see'))
})
