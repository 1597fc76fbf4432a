/** `millrace run` as a process: what signals do to it, and the profiles that it leaves. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
const JOB = fileURLToPath(new URL('./endless-job.fixture.ts', import.meta.url))
const LIFE_MS = 60_000

const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
after(() => rmSync(folder, { recursive: true, force: true }))

interface Run {
  readonly child: ChildProcess
  readonly stderr: () => string
  readonly ended: Promise<number | null>
}

function run(name: string, options: readonly string[]): Run {
  const where = ['-D', `execution.checkpointing.dir=${join(folder, name)}`, '-D', 'execution.checkpointing.interval=50']
  const args = ['--conditions=millrace-source', MAIN, 'run', JOB, ...where, ...options]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const bound = setTimeout(() => child.kill('SIGKILL'), LIFE_MS)
  const ended = once(child, 'close').then(([code]) => {
    clearTimeout(bound)
    return code as number | null
  })
  return { child, stderr: () => stderr, ended }
}

/** Until the job runs: its log has records of completed checkpoints. */
async function running(name: string): Promise<void> {
  for (let waited = 0; waited < LIFE_MS; waited += 20) {
    try {
      if (readdirSync(join(folder, name, 'endless', 'log')).length >= 3) return
    } catch {
      // Not made yet.
    }
    await sleep(20)
  }
  assert.fail('no checkpoint was completed')
}

test('SIGTERM ends a job with exit code 0 and leaves its CPU and heap profile', async () => {
  const profiles = join(folder, 'made', 'for-it')
  const job = run('profiled', ['--cpu-prof', '--heap-prof', '--prof-dir', profiles])
  await running('profiled')
  // The samplers look every millisecond and every half megabyte: what the job does must last a while to be seen by both.
  await sleep(500)
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
  await running('twice')
  job.child.kill('SIGINT')
  await sleep(20)
  job.child.kill('SIGINT')
  assert.equal(await job.ended, 0, job.stderr())
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
