/**
 * The demo as people first meet it: `npx millrace demo` of the packed package, in an empty folder, with nothing around it.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { install, pack } from './packed-package.ts'
import { start } from './run.ts'

const FIRST_OUTPUT_MS = 3_000
const folder = mkdtempSync(join(tmpdir(), 'millrace-packed-demo-'))
const project = join(folder, 'empty')
const scratch = join(folder, 'tmp')

before(async () => {
  await install(await pack(folder), project)
  mkdirSync(scratch)
})
after(() => rmSync(folder, { recursive: true, force: true }))

test('npx millrace demo shows something within 3 s, a kill, a balance, and leaves nothing behind', async (t) => {
  const files = readdirSync(project).sort()
  const beganMs = performance.now()
  const demo = start('npx', ['millrace', 'demo', '--seconds', '6'], { cwd: project, env: { TMPDIR: scratch } })
  try {
    while (demo.printed() === '' && performance.now() - beganMs < 20_000) await sleep(10)
    const firstMs = performance.now() - beganMs
    t.diagnostic(`first output after ${Math.round(firstMs)} ms`)
    assert.ok(firstMs <= FIRST_OUTPUT_MS, `first output after ${firstMs} ms: ${demo.printed()}`)
    const { code, stdout, stderr } = await demo.ended
    assert.equal(code, 0, stdout + stderr)
    const killed = [...stdout.matchAll(/SIGKILL to process (\d+)/g)]
    assert.ok(killed.length >= 1, stdout)
    assert.match(stdout, /committed [1-9][\d,]+ · missing 0 · doubled 0 · kills [1-9]/)
    assert.match(stdout.trimEnd(), /The account balances: every order once\.$/)
  } finally {
    demo.destroy()
  }
  assert.deepEqual(readdirSync(project).sort(), files, 'nothing was written beside the package')
  // npm lets Node keep its compiled sources there.
  const left = readdirSync(scratch).filter((name) => name !== 'node-compile-cache')
  assert.deepEqual(left, [], 'nothing was left in the folder for temporary files')
  assert.deepEqual(processesNaming(folder), [], 'no process was left')
})

/** Those whose command line names the folder, where the system tells. */
function processesNaming(path: string): string[] {
  if (!existsSync('/proc/self/cmdline')) return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return ''
      }
    })
    .filter((line) => line.includes(path))
}
