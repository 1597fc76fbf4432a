/** The programs of these pages of the documentation are tests, and they pass as they stand there. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { codeBlocksOf } from '../package/code-blocks.ts'
import { ROOT } from '../rules/source-files.ts'

/** For a program that hangs. */
const LIFE_MS = 200_000
const PROGRAMS = ['docs/testing.md', 'docs/embedded-broker.md', 'docs/simulation.md', 'docs/state.md']
  .flatMap(codeBlocksOf)
  .filter(({ language }) => language === 'ts')

test('the pages show programs', () => {
  assert.equal(PROGRAMS.length, 5)
  assert.equal(new Set(PROGRAMS.map(({ path }) => path)).size, 4)
})

for (const { path, line, text } of PROGRAMS) {
  test(`the program in line ${line} of ${path} passes`, { timeout: LIFE_MS + 30_000 }, async () => {
    // Below the package, so that it finds it by its name.
    const cache = join(ROOT, '.cache')
    mkdirSync(cache, { recursive: true })
    const folder = mkdtempSync(join(cache, 'docs-'))
    try {
      const file = join(folder, 'example.ts')
      writeFileSync(file, text)
      const { NODE_TEST_CONTEXT: _, ...env } = process.env
      const child = spawn(process.execPath, ['--conditions=millrace-source', '--test-reporter=tap', file], {
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      const bound = setTimeout(() => child.kill('SIGKILL'), LIFE_MS)
      let said = ''
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (part: string) => {
          said += part
        })
      }
      const [code] = (await once(child, 'close')) as [number | null]
      clearTimeout(bound)
      assert.equal(code, 0, said)
      assert.match(said, /# pass 1\n/)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
}
