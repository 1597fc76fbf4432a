/**
 * Makes `dist/`: JavaScript and declarations by tsc, and beside them the files that are not TypeScript and are read at run
 * time. Tests, fuzzers and benches stay out of what is published.
 *
 *     node scripts/build.ts [--out DIR] [--api]
 *
 * With --api it also writes the snapshots of the public surface, `api/*.d.ts`.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { publicApi } from './api.ts'

const root: string = fileURLToPath(new URL('..', import.meta.url))
const { values } = parseArgs({ options: { out: { type: 'string' }, api: { type: 'boolean' } } })
const dist: string = values.out === undefined ? join(root, 'dist') : resolve(values.out)
const NOT_PUBLISHED = [
  'src/**/*.test.ts',
  'src/**/*.sim-test.ts',
  'src/**/*.kafka-test.ts',
  'src/**/*.fuzz.ts',
  'src/**/*.bench.ts',
  'src/**/*.fixture.ts',
  'src/**/*.test-*.ts',
]

function compile(): void {
  const config = join(root, '.cache', 'tsconfig.build.json')
  mkdirSync(dirname(config), { recursive: true })
  const settings = {
    extends: '../tsconfig.json',
    compilerOptions: { noEmit: false, rootDir: '../src', customConditions: [] },
    include: ['../src'],
    exclude: NOT_PUBLISHED.map((pattern) => `../${pattern}`),
  }
  writeFileSync(config, JSON.stringify(settings))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [tsc, '-p', config, '--outDir', dist], { stdio: 'inherit' })
}

function copyAssets(): void {
  for (const path of globSync('src/**/*.{java,html,css,svg,json}', { cwd: root })) {
    const target = join(dist, path.slice('src/'.length))
    mkdirSync(dirname(target), { recursive: true })
    copyFileSync(join(root, path), target)
  }
}

function writeApi(): void {
  const folder = join(root, 'api')
  mkdirSync(folder, { recursive: true })
  for (const [file, text] of publicApi(dist)) writeFileSync(join(folder, file), text)
}

rmSync(dist, { recursive: true, force: true })
compile()
copyAssets()
if (values.api === true) writeApi()
