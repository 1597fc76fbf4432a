/**
 * The walls between the rooms: who may import whom, that a room is entered by its front door only, and that nothing goes in a
 * circle. The table is the one of ARCHITECTURE.md; changing it here means changing it there, with a reason.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  filesBelow,
  type Import,
  importsOf,
  isTest,
  readSource,
  resolveImport,
  type SourceFile,
  sourcesBelow,
} from './source-files.ts'

const TABLE: Readonly<Record<string, readonly string[]>> = {
  base: [],
  core: ['base'],
  kafka: ['base'],
  source: ['base', 'core', 'kafka'],
  sink: ['base', 'core', 'kafka'],
  operators: ['base', 'core'],
  runtime: ['base', 'core'],
  stream: ['base', 'core', 'operators', 'runtime'],
  metrics: ['base', 'core'],
  rest: ['base', 'core', 'runtime', 'metrics'],
  broker: ['base', 'kafka'],
  flink: ['base', 'core', 'source', 'sink', 'operators'],
  testing: ['base', 'core', 'kafka', 'broker', 'runtime', 'stream'],
  cli: [
    'base',
    'core',
    'kafka',
    'source',
    'sink',
    'operators',
    'runtime',
    'stream',
    'metrics',
    'rest',
    'broker',
    'flink',
  ],
}

/** Circles between files that are wanted, by the import that is left out of sight. */
const WANTED_CIRCLES: ReadonlySet<string> = new Set([
  // `KafkaSink.builder()` is what people write, and the builder makes a KafkaSink; the same for the source.
  'src/sink/kafka-sink.ts -> src/sink/kafka-sink-builder.ts',
  'src/source/kafka-source.ts -> src/source/kafka-source-builder.ts',
])

/** The package's public faces: no room, so nobody imports them; they may open every door. */
const FACES = 'entry'

const sources = sourcesBelow('src')
const rooms = [...new Set(filesBelow('src').map((path) => path.split('/')[1] ?? ''))].filter((room) => room !== FACES)

function roomOf(path: string): string {
  return path.split('/')[1] ?? ''
}

function relativeImports(file: SourceFile): (Import & { readonly target: string })[] {
  return importsOf(file)
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map((found) => ({ ...found, target: resolveImport(file.path, found.specifier) }))
}

/** Why an import may not stand where it stands; undefined when it may. */
function wrongWith(file: SourceFile, target: string): string | undefined {
  const [from, to] = [roomOf(file.path), roomOf(target)]
  if (!target.startsWith('src/')) return isTest(file.path) ? undefined : `${target} lies outside src`
  if (from === to && from !== FACES) {
    return target === `src/${to}/index.ts` && !isTest(file.path)
      ? 'inside a room files are imported directly'
      : undefined
  }
  if (to === FACES) return 'nobody imports the faces of the package'
  if (target !== `src/${to}/index.ts`) return `room ${to} is entered by its index.ts only`
  if (from === FACES || isTest(file.path)) return undefined
  return TABLE[from]?.includes(to) === true ? undefined : `room ${from} may not import room ${to}`
}

/** One circle in a graph as the list of its nodes, or undefined. */
function circle(nodes: readonly string[], next: (node: string) => readonly string[]): string[] | undefined {
  const done = new Set<string>()
  const path: string[] = []
  const visit = (node: string): string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node]
    if (done.has(node)) return undefined
    path.push(node)
    for (const other of next(node)) {
      const found = visit(other)
      if (found !== undefined) return found
    }
    path.pop()
    done.add(node)
    return undefined
  }
  for (const node of nodes) {
    const found = visit(node)
    if (found !== undefined) return found
  }
  return undefined
}

test('every folder of src is a room of the table', () => {
  assert.deepEqual(
    rooms.filter((room) => TABLE[room] === undefined),
    [],
  )
})

test('rooms import what the table allows, by the front door', () => {
  const wrong = sources.flatMap((file) =>
    relativeImports(file).flatMap(({ target }) => {
      const why = wrongWith(file, target)
      return why === undefined ? [] : [`${file.path} -> ${target}: ${why}`]
    }),
  )
  assert.deepEqual(wrong, [])
})

test('relative imports carry the .ts extension and lead to a file', () => {
  const known = new Set(filesBelow('src').concat(filesBelow('test'), filesBelow('scripts')))
  const wrong = sources.flatMap((file) =>
    relativeImports(file)
      .filter(({ target }) => !known.has(target))
      .map(({ specifier }) => `${file.path} -> ${specifier}`),
  )
  assert.deepEqual(wrong, [])
})

test('the table has no circle between rooms', () => {
  assert.equal(
    circle(Object.keys(TABLE), (room) => TABLE[room] ?? []),
    undefined,
  )
})

test('no file imports itself in a circle, types aside', () => {
  const imports = new Map(
    sources.map((file) => [
      file.path,
      relativeImports(file)
        .filter(({ typeOnly, target }) => !typeOnly && !WANTED_CIRCLES.has(`${file.path} -> ${target}`))
        .map(({ target }) => target),
    ]),
  )
  assert.equal(
    circle([...imports.keys()], (path) => imports.get(path) ?? []),
    undefined,
  )
})

test('the coordinator never imports the task: they meet in the messages of the channel', () => {
  const wrong = sources
    .filter(({ path }) => path.startsWith('src/runtime/coordinator/') && !isTest(path))
    .flatMap((file) =>
      relativeImports(file)
        .filter(({ target }) => target.startsWith('src/runtime/task/'))
        .map(({ target }) => `${file.path} -> ${target}`),
    )
  assert.deepEqual(wrong, [])
})

test('code outside tests imports packages only that the package depends on', () => {
  const manifest = JSON.parse(readSource('package.json').text) as {
    readonly dependencies?: Record<string, string>
    readonly peerDependencies?: Record<string, string>
  }
  const allowed = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
  const wrong = sources
    .filter(({ path }) => !isTest(path))
    .flatMap((file) =>
      importsOf(file)
        .filter(({ specifier }) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
        .filter(({ specifier }) => !allowed.some((name) => specifier === name || specifier.startsWith(`${name}/`)))
        .map(({ specifier }) => `${file.path} -> ${specifier}`),
    )
  assert.deepEqual(wrong, [])
})

test('every room has a front door of named exports without logic, and a card of at most 30 lines', () => {
  const wrong = rooms.flatMap((room) => {
    const files = filesBelow(`src/${room}`)
    const found: string[] = []
    if (!files.includes(`src/${room}/index.ts`)) found.push(`src/${room} has no index.ts`)
    else if (!isFrontDoor(readSource(`src/${room}/index.ts`).text))
      found.push(`src/${room}/index.ts has more than exports`)
    if (!files.includes(`src/${room}/README.md`)) found.push(`src/${room} has no README.md`)
    else if (readSource(`src/${room}/README.md`).text.trimEnd().split('\n').length > 30) {
      found.push(`src/${room}/README.md has more than 30 lines`)
    }
    return found
  })
  assert.deepEqual(wrong, [])
})

/** Only comments and `export { ... } from '...'`, with or without `type`. */
function isFrontDoor(text: string): boolean {
  const rest = text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '').replace(/export (?:type )?\{[^}]*\} from '[^']*'/g, '')
  return rest.trim() === ''
}

test('the rules themselves see what they must see', () => {
  const file = (path: string, text: string): SourceFile => ({ path, text, lines: text.split('\n'), code: text })
  const runtime = file(
    'src/runtime/task/task.ts',
    "import { a } from '../../kafka/index.ts'\n// import { b } from './b.ts'",
  )
  assert.deepEqual(importsOf(runtime), [{ specifier: '../../kafka/index.ts', typeOnly: false }])
  assert.match(wrongWith(runtime, 'src/kafka/index.ts') ?? '', /may not import/)
  assert.match(wrongWith(runtime, 'src/core/time.ts') ?? '', /index\.ts only/)
  assert.match(wrongWith(runtime, 'src/runtime/index.ts') ?? '', /directly/)
  assert.equal(wrongWith(runtime, 'src/core/index.ts'), undefined)
  const types = file(
    'src/a/b.ts',
    "import type { A } from './a.ts'\nexport { type B, type C } from './c.ts'\nimport './d.ts'",
  )
  assert.deepEqual(
    importsOf(types).map(({ specifier, typeOnly }) => [specifier, typeOnly]),
    [
      ['./a.ts', true],
      ['./c.ts', true],
      ['./d.ts', false],
    ],
  )
  assert.deepEqual(
    circle(['a', 'b', 'c'], (node) => ({ a: ['b'], b: ['c'], c: ['b'] })[node] ?? []),
    ['b', 'c', 'b'],
  )
  assert.equal(isFrontDoor("export { a } from './a.ts'\nexport const b = 1\n"), false)
})
