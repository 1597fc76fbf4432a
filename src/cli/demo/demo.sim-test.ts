/** `millrace demo` as a process: it balances over kills, and leaves neither process nor folder, even when it is killed itself. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))
const WRONG_DEMO = fileURLToPath(new URL('./wrong-demo.fixture.ts', import.meta.url))
const LIFE_MS = 60_000
/** Promised are 3 s; here other tests have the processors too. */
const FIRST_OUTPUT_MS = 10_000

const root = mkdtempSync(join(tmpdir(), 'millrace-demo-test-'))
/** Of temporary files, where nothing may be left; what Node keeps of compiled sources lies beside it. */
const scratch = join(root, 'tmp')
mkdirSync(scratch)
after(() => rmSync(root, { recursive: true, force: true }))

interface Run {
  readonly child: ChildProcess
  readonly text: () => string
  readonly ended: Promise<number | null>
}

const demo = (args: readonly string[]): Run => started([MAIN, 'demo', ...args])

function started(args: readonly string[]): Run {
  const child = spawn(process.execPath, [...args], {
    env: { ...process.env, TMPDIR: scratch },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
  }
  const bound = setTimeout(() => child.kill('SIGKILL'), LIFE_MS)
  const ended = once(child, 'close').then(([code]) => {
    clearTimeout(bound)
    return code as number | null
  })
  return { child, text: () => text, ended }
}

/** Bounded; the condition says what it waited for. */
async function until(condition: () => boolean, said: () => string): Promise<void> {
  for (let waited = 0; waited < 20_000; waited += 20) {
    if (condition()) return
    await sleep(20)
  }
  assert.fail(said())
}

test('ten seconds with kills end with every order once', async () => {
  const run = demo(['--seconds', '10'])
  const beganMs = performance.now()
  await until(() => run.text() !== '', run.text)
  assert.ok(performance.now() - beganMs < FIRST_OUTPUT_MS, 'the first output is late')
  assert.equal(await run.ended, 0, run.text())
  const [last] = run.text().match(/produced .*missing.*(?=\n[^\n]*balances)/) ?? []
  assert.ok(last !== undefined, run.text())
  const figure = (name: string): number => Number(new RegExp(`${name} ([\\d,]+)`).exec(last)?.[1]?.replaceAll(',', ''))
  assert.ok(figure('kills') >= 1, last)
  assert.ok(figure('produced') > 5_000, last)
  assert.ok(figure('due') > 3_000 && figure('committed') === figure('due'), last)
  assert.deepEqual([figure('missing'), figure('doubled'), figure('on the way')], [0, 0, 0])
  assert.deepEqual(readdirSync(scratch), [])
})

test('a job that writes an order twice is found out: the account does not balance, and the exit code is 1', async () => {
  const run = started([WRONG_DEMO])
  assert.equal(await run.ended, 1, run.text())
  assert.match(run.text(), /missing 0 · doubled 1 ·[^\n]*\nThe account does NOT balance\.\n$/)
  assert.deepEqual(readdirSync(scratch), [])
})

test('when the demo itself is killed, its job ends and the folder goes', async () => {
  const run = demo([])
  await until(() => readdirSync(scratch).some((name) => readdirSync(join(scratch, name)).length > 0), run.text)
  const [folder = ''] = readdirSync(scratch)
  run.child.kill('SIGKILL')
  await run.ended
  await until(
    () => readdirSync(scratch).length === 0,
    () => `${folder} is still there`,
  )
})

test('Ctrl-C lets the job catch up and gives the last account', async () => {
  const run = demo([])
  await until(() => /committed [1-9]/.test(run.text()), run.text)
  run.child.kill('SIGINT')
  assert.equal(await run.ended, 0, run.text())
  assert.match(run.text(), /every order once/)
  assert.deepEqual(readdirSync(scratch), [])
})

test('a duration that is none is wrong usage', async () => {
  const run = demo(['--seconds', 'soon'])
  assert.equal(await run.ended, 2)
  assert.match(run.text(), /--seconds soon/)
})
