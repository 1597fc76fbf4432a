/**
 * Makes `dist/`: JavaScript and declarations by tsc, and beside them the files that are not TypeScript and are read at run
 * time. Tests, fuzzers and benches stay out of what is published.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root: string = fileURLToPath(new URL('..', import.meta.url))
const dist: string = join(root, 'dist')
const NOT_PUBLISHED = [
  'src/**/*.test.ts',
  'src/**/*.kafka-test.ts',
  'src/**/*.fuzz.ts',
  'src/**/*.bench.ts',
  'src/**/*.fixture.ts',
  'src/**/*.test-double.ts',
]

function compile(): void {
  const config = join(root, '.cache', 'tsconfig.build.json')
  mkdirSync(dirname(config), { recursive: true })
  const settings = {
    extends: '../tsconfig.json',
    compilerOptions: { noEmit: false, rootDir: '../src', outDir: '../dist', customConditions: [] },
    include: ['../src'],
    exclude: NOT_PUBLISHED.map((pattern) => `../${pattern}`),
  }
  writeFileSync(config, JSON.stringify(settings))
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', config], { stdio: 'inherit' })
}

function copyAssets(): void {
  for (const path of globSync('src/**/*.{java,html,css,svg,json}', { cwd: root })) {
    const target = join(dist, path.slice('src/'.length))
    mkdirSync(dirname(target), { recursive: true })
    copyFileSync(join(root, path), target)
  }
}

rmSync(dist, { recursive: true, force: true })
compile()
copyAssets()
