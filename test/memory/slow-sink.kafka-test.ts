/**
 * Memory under back-pressure: a sink that takes a thousand records a second in front of a topic of a million. What the
 * source fetches ahead is bounded, so the resident size of the process has to stay where it was when the bound was reached. And
 * memory without anything to do.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { KafkaServer } from 'millrace/testing'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const JOB = fileURLToPath(new URL('./slow-sink-job.ts', import.meta.url))
const RUN_MS = process.env.MILLRACE_LONG === '1' ? 300_000 : 12_000
const IDLE_MS = 8_000
const IDLE_MB = 120
const WARM_UP_MS = 4_000
const SAMPLE_MS = 200
/** What the garbage collector may do within a quarter of the time; what is kept of each fetch would be a megabyte a second. */
const GROWTH_MB = 12
const PEAK_MB = 200

let server: KafkaServer | undefined
const folder = mkdtempSync(join(tmpdir(), 'millrace-slow-'))

before(async () => {
  server = await KafkaServer.start()
  for (const topic of ['in', 'empty']) await server.createTopic(topic, { partitions: 4 })
  const pad = 'x'.repeat(60)
  await server.java.produceGenerated('in', {
    count: 1_000_000,
    value: `{"id":{i},"type":"view","amount":12.5,"pad":"${pad}"}`,
  })
})
after(async () => {
  await server?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Runs the job for a while and ends it by SIGTERM: what it said, and its resident size from when it was warm on. */
async function run(input: string, runMs: number): Promise<{ readonly said: string; readonly resident: number[] }> {
  assert.ok(server !== undefined)
  const settings = ['-D', `execution.checkpointing.dir=${join(folder, input)}`]
  const where = [...settings, '--', '--brokers', server.bootstrapServers, '--in', input]
  const job = spawn(process.execPath, ['--conditions=millrace-source', MAIN, 'run', JOB, '--quiet', ...where], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  job.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const ended = once(job, 'close')
  const bound = setTimeout(() => job.kill('SIGKILL'), runMs + 40_000)
  const resident: number[] = []
  try {
    for (let waited = 0; !said.includes('taken') && waited < 20_000; waited += SAMPLE_MS) await sleep(SAMPLE_MS)
    assert.match(said, /taken/, 'the job runs')
    await sleep(WARM_UP_MS)
    const until = performance.now() + runMs - WARM_UP_MS
    while (performance.now() < until) {
      resident.push(residentMegabytes(job.pid))
      await sleep(SAMPLE_MS)
    }
    job.kill('SIGTERM')
    const [code] = (await ended) as [number | null]
    assert.equal(code, 0, said)
  } finally {
    clearTimeout(bound)
    job.kill('SIGKILL')
  }
  return { said, resident }
}

const skip = process.platform !== 'linux'

test('a job without input stays small', { timeout: IDLE_MS + 60_000, skip }, async (t) => {
  const { resident } = await run('empty', IDLE_MS)
  t.diagnostic(`resident ${Math.min(...resident)} to ${Math.max(...resident)} MB`)
  assert.ok(Math.max(...resident) < IDLE_MB, `less than ${IDLE_MB} MB: ${resident.join(' ')}`)
})

test('a slow sink leaves memory flat', { timeout: RUN_MS + 60_000, skip }, async (t) => {
  const { said, resident } = await run('in', RUN_MS)
  const taken = Number(
    said
      .match(/taken (\d+)/g)
      ?.at(-1)
      ?.slice(6),
  )
  const seconds = RUN_MS / 1000
  t.diagnostic(`${taken} records in ${seconds} s; resident ${resident[0]} to ${resident.at(-1)} MB`)
  assert.ok(taken > seconds * 300 && taken < seconds * 2_000, `the sink was slow and busy: ${taken} records`)
  const quarter = Math.floor(resident.length / 4)
  const early = median(resident.slice(0, quarter))
  const late = median(resident.slice(-quarter))
  assert.ok(late - early <= GROWTH_MB, `from ${early} to ${late} MB: ${resident.join(' ')}`)
  assert.ok(Math.max(...resident) <= PEAK_MB, `at most ${PEAK_MB} MB: ${resident.join(' ')}`)
})

function residentMegabytes(pid: number | undefined): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kilobytes) / 1024)
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
