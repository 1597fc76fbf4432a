/** `millrace run` as a process: what signals do to it, and the profiles that it leaves. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
const JOB = fileURLToPath(new URL('./endless-job.fixture.ts', import.meta.url))
/** For a process that hangs. */
const LIFE_MS = 100_000

/** Of the job's; so many take the processor for about a second. */
const LINES = 40

const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
after(() => rmSync(folder, { recursive: true, force: true }))

interface Run {
  readonly child: ChildProcess
  readonly stderr: () => string
  /** Lines that it has printed. */
  readonly printed: () => number
  readonly ended: Promise<number | null>
}

function run(name: string, options: readonly string[]): Run {
  const where = ['-D', `execution.checkpointing.dir=${join(folder, name)}`, '-D', 'execution.checkpointing.interval=50']
  const args = ['--conditions=millrace-source', MAIN, 'run', JOB, ...where, ...options]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let [stderr, printed] = ['', 0]
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text.split('\n').length - 1
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const bound = setTimeout(() => child.kill('SIGKILL'), LIFE_MS)
  const ended = once(child, 'close').then(([code]) => {
    clearTimeout(bound)
    return code as number | null
  })
  return { child, stderr: () => stderr, printed: () => printed, ended }
}

/** Until the job runs, its log has records of completed checkpoints, and it has printed so many lines. */
async function running(name: string, { printed, stderr }: Run, lines = 0): Promise<void> {
  const records = (): number => {
    const log = join(folder, name, 'endless', 'log')
    return existsSync(log) ? readdirSync(log).length : 0
  }
  for (const beganMs = performance.now(); records() < 3 || printed() < lines; await sleep(20)) {
    const late = performance.now() - beganMs > LIFE_MS
    assert.ok(!late, `${records()} records in its log, ${printed()} lines of ${lines} printed: ${stderr()}`)
  }
}

test('SIGTERM ends a job with exit code 0 and leaves its CPU and heap profile', async () => {
  const profiles = join(folder, 'made', 'for-it')
  const job = run('profiled', ['--cpu-prof', '--heap-prof', '--prof-dir', profiles])
  // The samplers look every millisecond and every half megabyte: what the job does must be much to be seen by both.
  await running('profiled', job, LINES)
  job.child.kill('SIGTERM')
  assert.equal(await job.ended, 0, job.stderr())
  const files = readdirSync(profiles).sort()
  assert.deepEqual(
    files.map((file) => file.replace(/^millrace-\d{8}T\d{6}Z-\d+\./, '')),
    ['cpuprofile', 'heapprofile'],
  )
  for (const file of files) assert.match(job.stderr(), new RegExp(`profile written to .*${file}`))
  const [cpu = '', heap = ''] = files.map((file) => readFileSync(join(profiles, file), 'utf8'))
  const { nodes, samples } = JSON.parse(cpu) as {
    readonly nodes: readonly { readonly callFrame: { readonly functionName: string } }[]
    readonly samples: readonly number[]
  }
  assert.ok(samples.length > 100, `${samples.length} samples`)
  assert.ok(nodes.some(({ callFrame }) => callFrame.functionName === 'spinSomewhat'))
  assert.match(heap, /"functionName":"spinSomewhat"/)
})

test('Ctrl-C that arrives twice at once, as under npx, is one wish', async () => {
  const job = run('twice', ['--quiet'])
  await running('twice', job)
  // In one go, as whoever sleeps between the two may be kept for long. The system may make one of two that are the same.
  for (const signal of ['SIGINT', 'SIGINT', 'SIGTERM'] as const) job.child.kill(signal)
  assert.equal(await job.ended, 0, job.stderr())
  assert.equal(job.stderr().match(/taking a last checkpoint/g)?.length, 1, job.stderr())
  assert.match(job.stderr(), /stopped with a last checkpoint/)
})

test('a folder for profiles that cannot be made is wrong usage, and nothing runs', async () => {
  const job = run('refused', ['--cpu-prof', '--prof-dir', join(JOB, 'below-a-file')])
  assert.equal(await job.ended, 2, job.stderr())
  assert.match(job.stderr(), /--prof-dir .*below-a-file: the folder cannot be made/)
  assert.throws(() => readdirSync(join(folder, 'refused')))
})

test('--prof-dir without a profile is wrong usage', async () => {
  const job = run('useless', ['--prof-dir', folder])
  assert.equal(await job.ended, 2, job.stderr())
})
