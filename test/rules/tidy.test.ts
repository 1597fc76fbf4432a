/**
 * The style that a formatter cannot hold: sizes, heads, names, and the things that only adapters may touch. An exception
 * stands here with its reason or not at all.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { filesBelow, isTest, readSource, type SourceFile, sourcesBelow, withoutTexts } from './source-files.ts'

const FILE_LINES_MAX = 800
const TEST_LINES_MAX = 1_000
const FUNCTION_LINES_MAX = 70

/** `path: function` -> why it may be longer. */
const LONG_FUNCTIONS: Readonly<Record<string, string>> = {}

/** Rooms whose trade is the outside world, and the adapters behind the ports. */
const MAY_TOUCH_THE_WORLD = ['src/base/', 'src/cli/', 'src/testing/']

const FORBIDDEN: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\bconsole\s*\./, 'Logger'],
  [/\bDate\s*\.\s*now\b|\bnew Date\(\s*\)/, 'Clock.now'],
  [/\bperformance\s*\.\s*now\b/, 'Clock.monotonic'],
  [/\bset(?:Timeout|Interval|Immediate)\b/, 'Clock'],
  [/\bMath\s*\.\s*random\b|\brandom(?:UUID|Bytes|Int)\b/, 'Random'],
]
const FORBIDDEN_MODULES: readonly string[] = [
  'net',
  'tls',
  'dgram',
  'http',
  'https',
  'http2',
  'fs',
  'timers',
  'child_process',
]

const sources = sourcesBelow('src')
const everything = [...sources, ...sourcesBelow('test'), ...sourcesBelow('scripts')]

function collect(files: readonly SourceFile[], check: (file: SourceFile) => readonly string[]): string[] {
  return files.flatMap((file) => check(file).map((what) => `${file.path}: ${what}`))
}

const NO_FUNCTION = /^(?:if|for|while|switch|catch|return|await|new|throw|typeof|void|super|test|it)$/

interface FoundFunction {
  readonly name: string
  readonly line: number
  readonly lines: number
}

const HEADER =
  /^(\s*)(?:export |default |async |static |override |private |protected |public |get |set |\*\s?)*(?:function\s*\*?\s*([\w$]+)|(?:const|let)\s+([\w$]+)[^=]*=\s*(?:async\s*)?(?:function\b|\([^)]*$|\(.*\)[^=]*=>\s*\{$|[\w$]+\s*=>\s*\{$)|(#?[\w$]+)\s*(?:<[^(]*>)?\([^;]*)/

/** Functions and methods that span several lines. The formatter puts a body's end at its head's own indentation. */
function functionsOf(file: SourceFile): FoundFunction[] {
  const lines = file.code.split('\n')
  return lines.flatMap((line, index) => {
    const match = HEADER.exec(line)
    const name = match?.[2] ?? match?.[3] ?? match?.[4]
    if (name === undefined || NO_FUNCTION.test(name)) return []
    const indent = match?.[1] ?? ''
    const open = bodyBegin(lines, index, indent)
    const end = open === undefined ? -1 : lines.findIndex((other, at) => at > open && other.startsWith(`${indent}}`))
    return end === -1 ? [] : [{ name, line: index + 1, lines: end - index + 1 }]
  })
}

/** The line whose end opens the body: the head itself, or the one that ends its parameters. A call leaves a paren open. */
function bodyBegin(lines: readonly string[], head: number, indent: string): number | undefined {
  const first = lines[head] ?? ''
  const ends = (line: string): boolean => line.trimEnd().endsWith('{')
  if (ends(first)) return first.split('(').length === first.split(')').length ? head : undefined
  if (!first.trimEnd().endsWith('(')) return undefined
  const close = lines.findIndex((line, at) => at > head && line.startsWith(`${indent})`))
  return close !== -1 && ends(lines[close] ?? '') ? close : undefined
}

test('files stay within their length', () => {
  const long = collect(everything, ({ path, lines }) => {
    const limit = isTest(path) || path.startsWith('test/') ? TEST_LINES_MAX : FILE_LINES_MAX
    return lines.length > limit ? [`${lines.length} lines, more than ${limit}`] : []
  })
  assert.deepEqual(long, [])
})

test('functions stay within 70 lines', () => {
  const used = new Set<string>()
  const long = collect(
    everything.filter(({ path }) => !isTest(path)),
    (file) =>
      functionsOf(file)
        .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
        .filter(({ name }) => {
          const key = `${file.path}: ${name}`
          used.add(key)
          return LONG_FUNCTIONS[key] === undefined
        })
        .map(({ name, line, lines }) => `${name} in line ${line} has ${lines} lines`),
  )
  assert.deepEqual(long, [])
  assert.deepEqual(
    Object.keys(LONG_FUNCTIONS).filter((key) => !used.has(key)),
    [],
    'exceptions that are not needed any more',
  )
})

test('every file but a test says at its head what it is', () => {
  const silent = collect(
    everything.filter(({ path }) => !isTest(path) && !path.endsWith('/index.ts') && !path.startsWith('test/golden/')),
    ({ text }) => (/^(?:#![^\n]*\n)?\/(?:\*\*|\/)\s*\n?[\s*]*\S/.test(text) ? [] : ['begins without a comment']),
  )
  assert.deepEqual(silent, [])
})

test('time, chance, network, disk and console are reached through ports only', () => {
  const wrong = collect(
    sources.filter(({ path }) => !isTest(path) && !MAY_TOUCH_THE_WORLD.some((room) => path.startsWith(room))),
    ({ code, text }) => [
      ...FORBIDDEN.flatMap(([pattern, instead]) => {
        const found = pattern.exec(code)
        return found === null ? [] : [`${found[0]}; use ${instead}`]
      }),
      ...FORBIDDEN_MODULES.filter((name) =>
        new RegExp(`['"](?:node:)?${name}(?:/[\\w/]+)?['"]`).test(imports(text)),
      ).map((name) => `imports node:${name}; use a port`),
    ],
  )
  assert.deepEqual(wrong, [])
})

function imports(text: string): string {
  return [...text.matchAll(/(?:from|import\(?)\s*['"][^'"\n]+['"]/g)].map((match) => match[0]).join('\n')
}

test('names are kebab-case and say what a thing is', () => {
  const wrong = filesBelow('src')
    .concat(filesBelow('test'), filesBelow('scripts'))
    .filter((path) => {
      const parts = path.split('/')
      const name = parts.at(-1) ?? ''
      const folders = parts.slice(0, -1)
      if (folders.some((folder) => !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(folder))) return true
      if (
        [...folders, name.split('.')[0] ?? ''].some((part) => /^(?:utils?|helpers?|common|misc|shared|lib)$/.test(part))
      )
        return true
      return name.endsWith('.ts') && !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z]+(?:-[a-z]+)*)?\.ts$/.test(name)
    })
  assert.deepEqual(wrong, [])
})

test('no any, no assertion against null, nothing left to do, nothing commented out', () => {
  const wrong = collect(everything, ({ code, text }) => {
    const found: string[] = []
    if (/(?::|<|\bas|\|)\s*any\b(?!\s*[:(=.])/.test(code)) found.push('any')
    if (/[\w)\]]!(?:[.;,)\][]|$)/m.test(code)) found.push('a non-null assertion')
    if (/\b(?:TODO|FIXME|XXX)\b/.test(text) && !text.includes('left to do')) found.push('something to do')
    if (/^\s*\/\/\s*(?:const|let|return|import|export|if|for|await)\b.*[;{(]\s*$/m.test(text))
      found.push('code in a comment')
    return found
  })
  assert.deepEqual(wrong, [])
})

test('no path of a machine stands in the repository', () => {
  const machine = new RegExp(
    ['/home', '/root', '/work', '/Users', 'C:\\\\Users'].map((path) => `(?<![\\w.])${path}/`).join('|'),
  )
  const wrong = filesBelow('')
    .filter((path) => /\.(?:ts|md|json|java|sh|yaml|yml)$|^\.ci\//.test(path) && path !== 'package-lock.json')
    .filter((path) => machine.test(readSource(path).text))
  assert.deepEqual(wrong, [])
})

test('the rules themselves see what they must see', () => {
  const file = (path: string, of: string): SourceFile => ({ ...readSource('package.json'), path, text: of, code: of })
  const long = `class A {\n  run(\n    a: number,\n  ): void {\n${'    a++\n'.repeat(80)}  }\n\n  short(): void {\n    a()\n  }\n}\n`
  const found = functionsOf(file('a.ts', long))
  assert.deepEqual(
    found.map(({ name, lines }) => [name, lines]),
    [
      ['run', 84],
      ['short', 3],
    ],
  )
  const nested = `export function outer(): void {\n  const inner = (a: number): void => {\n${'    a++\n'.repeat(10)}  }\n}\n`
  assert.deepEqual(
    functionsOf(file('b.ts', nested)).map(({ name, lines }) => [name, lines]),
    [
      ['outer', 14],
      ['inner', 12],
    ],
  )
  const call = `function outer(): void {\n  call(\n    1,\n  )\n  other(() => {\n${'    a++\n'.repeat(80)}  })\n}\n`
  assert.deepEqual(
    functionsOf(file('c.ts', call)).map(({ name }) => name),
    ['outer'],
  )
  const blanked = blankedFixture()
  assert.match(blanked, /before/)
  assert.match(blanked, /after/)
  assert.doesNotMatch(blanked, /hidden/)
  assert.equal(blanked.split('\n').length, 6)
})

/** Comments, strings of all kinds and regular expressions, with code on both sides. */
function blankedFixture(): string {
  const lines = [
    'before // hidden',
    "a('hidden')",
    '/* hidden',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the fixture is source text
    '*/ b("hidden", `hidden ${after} hidden`)',
    'c(/hidden"/)',
    '',
  ]
  return withoutTexts(lines.join('\n'))
}
