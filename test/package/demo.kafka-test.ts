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
import { type RunOptions, run, type Started, start } from './run.ts'

const FIRST_OUTPUT_MS = 3_000
const TRIES_MAX = 6
/** A life is killed only when it has committed something: a slow machine needs more seconds for that. */
const SECONDS = ['6', '30', '120'] as const
/** Ends what hangs. */
const WAIT_MS = 120_000
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
  let stdout = ''
  const tries: Try[] = []
  for (const seconds of SECONDS) {
    const slowness = await slownessNow()
    const demo = start('npx', ['millrace', 'demo', '--seconds', seconds], at())
    try {
      tries.push({ firstMs: await firstOutput(demo), slowness })
      const ended = await demo.ended
      stdout = ended.stdout
      assert.equal(ended.code, 0, stdout + ended.stderr)
    } finally {
      demo.destroy()
    }
    if (/SIGKILL to process (\d+)/.test(stdout)) break
  }
  assert.match(stdout, /SIGKILL to process (\d+)/)
  assert.match(stdout, /committed [1-9][\d,]+ · missing 0 · doubled 0 · kills [1-9]/)
  assert.match(stdout.trimEnd(), /The account balances: every order once\.$/)
  while (tries.length < TRIES_MAX && !tries.some(inTime)) {
    const slowness = await slownessNow()
    const demo = start('npx', ['millrace', 'demo', '--seconds', SECONDS[0]], at())
    try {
      tries.push({ firstMs: await firstOutput(demo), slowness })
    } finally {
      demo.destroy()
      await demo.ended
    }
  }
  t.diagnostic(`first output: ${tries.map(told).join(', ')}`)
  assert.ok(tries.some(inTime), `first output: ${tries.map(told).join(', ')}\n${stdout}`)
  assert.deepEqual(readdirSync(project).sort(), files, 'nothing was written beside the package')
  // npm lets Node keep its compiled sources there. What was ended may take a moment to be gone.
  const left = (): string[] => readdirSync(scratch).filter((name) => name !== 'node-compile-cache')
  const until = performance.now() + WAIT_MS
  while (left().length + processesNaming(folder).length > 0 && performance.now() < until) await sleep(50)
  assert.deepEqual(left(), [], 'nothing was left in the folder for temporary files')
  assert.deepEqual(processesNaming(folder), [], 'no process was left')
})

const at = (): RunOptions => ({ cwd: project, env: { TMPDIR: scratch } })

interface Try {
  readonly firstMs: number
  /** How much longer than its own work another program by npx had taken just before: 1 on a machine that does nothing else. */
  readonly slowness: number
}

const inTime = ({ firstMs, slowness }: Try): boolean => firstMs <= FIRST_OUTPUT_MS * slowness
const told = ({ firstMs, slowness }: Try): string =>
  `after ${Math.round(firstMs)} ms on a machine slowed down ${slowness.toFixed(1)} times`

/** How much longer than its own work a program by npx takes now. */
async function slownessNow(): Promise<number> {
  const [workedMs, beganMs] = [childrenWorkedMs(), performance.now()]
  await run('npx', ['millrace', '--version'], at())
  const [tookMs, nowMs] = [performance.now() - beganMs, childrenWorkedMs()]
  return workedMs === undefined || nowMs === undefined ? 1 : Math.max(1, tookMs / (nowMs - workedMs))
}

async function firstOutput(demo: Started): Promise<number> {
  const beganMs = performance.now()
  while (demo.printed() === '') {
    assert.ok(performance.now() - beganMs < WAIT_MS, 'it printed nothing')
    await sleep(10)
  }
  return performance.now() - beganMs
}

/** The processor time of the children that have ended, and of theirs, where the system tells. */
function childrenWorkedMs(): number | undefined {
  if (!existsSync('/proc/self/stat')) return undefined
  const stat = readFileSync('/proc/self/stat', 'utf8')
  // From behind the name in brackets, in hundredths of a second: what children worked in user and in system mode.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[13]) + Number(fields[14])) * 10
}

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
