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
/** For what hangs: a process, and a wait. A machine that is busy elsewhere may need minutes for what takes seconds. */
const LIFE_MS = 240_000
const PATIENCE_MS = 120_000
const bounded = { timeout: 600_000 }
/** Promised are 3 s; here other tests have the processors too, so that the best of some tries counts. */
const FIRST_OUTPUT_MS = 10_000
const TRIES = 5

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
  for (const beganMs = performance.now(); !condition(); await sleep(20)) {
    if (performance.now() - beganMs > PATIENCE_MS) assert.fail(`not within ${PATIENCE_MS} ms: ${said()}`)
  }
}

/** The figures of the account that stands before the verdict. */
function lastAccount(text: string): (name: string) => number {
  const [last] = text.match(/produced .*missing.*(?=\n[^\n]*balances)/) ?? []
  assert.ok(last !== undefined, text)
  return (name) => Number(new RegExp(`${name} ([\\d,]+)`).exec(last)?.[1]?.replaceAll(',', ''))
}

test('kills in the midst of thousands of orders end with every order once', bounded, async () => {
  const run = demo([])
  const enough = /produced ([\d,]{5,}) .*committed ([\d,]{5,}) .*kills [1-9]/
  await until(() => enough.test(run.text()) && /back: committed again/.test(run.text()), run.text)
  run.child.kill('SIGINT')
  assert.equal(await run.ended, 0, run.text())
  const figure = lastAccount(run.text())
  assert.ok(figure('kills') >= 1 && figure('produced') > 1_000, run.text())
  assert.ok(figure('due') > 1_000 && figure('committed') === figure('due'), run.text())
  assert.deepEqual([figure('missing'), figure('doubled'), figure('on the way')], [0, 0, 0])
  assert.match(run.text(), /every order once/)
  assert.deepEqual(readdirSync(scratch), [])
})

test(
  'the first output is there in seconds; when its time is over the demo lets the job catch up and gives the last account',
  bounded,
  async () => {
    const took: number[] = []
    while (took.length < TRIES && !took.some((ms) => ms < FIRST_OUTPUT_MS)) {
      const run = demo(['--seconds', '2'])
      const beganMs = performance.now()
      await until(() => run.text() !== '', run.text)
      took.push(performance.now() - beganMs)
      assert.equal(await run.ended, 0, run.text())
      const figure = lastAccount(run.text())
      assert.ok(figure('due') > 0 && figure('committed') === figure('due'), run.text())
      assert.deepEqual(readdirSync(scratch), [])
    }
    assert.ok(Math.min(...took) < FIRST_OUTPUT_MS, `${took} ms`)
  },
)

test(
  'a job that writes an order twice is found out: the account does not balance, and the exit code is 1',
  bounded,
  async () => {
    const run = started([WRONG_DEMO])
    assert.equal(await run.ended, 1, run.text())
    assert.match(run.text(), /missing 0 · doubled 1 ·[^\n]*\nThe account does NOT balance\.\n$/)
    assert.deepEqual(readdirSync(scratch), [])
  },
)

test('when the demo itself is killed, its job ends and the folder goes', bounded, async () => {
  const run = demo([])
  await until(() => readdirSync(scratch).some((name) => readdirSync(join(scratch, name)).length > 0), run.text)
  const [folder = ''] = readdirSync(scratch)
  run.child.kill('SIGKILL')
  await run.ended
  await until(
    () => readdirSync(scratch).length === 0,
    () => `${folder} is still there: ${readdirSync(scratch, { recursive: true })}`,
  )
})

test('a duration that is none is wrong usage', async () => {
  const run = demo(['--seconds', 'soon'])
  assert.equal(await run.ended, 2)
  assert.match(run.text(), /--seconds soon/)
})
