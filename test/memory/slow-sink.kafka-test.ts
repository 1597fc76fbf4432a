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
/** Time is counted in checkpoints, one a second, and in the records that the sink took: a slow machine has both later. */
const WARM = { checkpoints: 4, taken: 4_000 }
const END = { checkpoints: 8, taken: process.env.MILLRACE_LONG === '1' ? 300_000 : 12_000 }
const RECORDS = 1_000_000
const IDLE_MB = 120
const SAMPLE_MS = 200
const SAMPLES_LEAST = 20
/** Ends what hangs. */
const TIMEOUT_MS = process.env.MILLRACE_LONG === '1' ? 1_800_000 : 600_000
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
    count: RECORDS,
    value: `{"id":{i},"type":"view","amount":12.5,"pad":"${pad}"}`,
  })
})
after(async () => {
  await server?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** How far the job came: what it says at each checkpoint. */
interface Progress {
  readonly checkpoints: number
  readonly taken: number
}

/** Runs the job so far and ends it by SIGTERM: what the sink took, and the resident size from when the job was warm on. */
async function run(
  input: string,
  reached: (progress: Progress, goal: Progress) => boolean,
): Promise<{ readonly taken: number; readonly resident: number[] }> {
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
  const bound = setTimeout(() => job.kill('SIGKILL'), TIMEOUT_MS)
  const progress = (): Progress => {
    const told = [...said.matchAll(/taken (\d+)\n/g)].map((match) => Number(match[1]))
    return { checkpoints: told.length, taken: told.at(-1) ?? 0 }
  }
  const resident: number[] = []
  try {
    while (!reached(progress(), WARM)) {
      assert.equal(job.exitCode ?? job.signalCode, null, said)
      await sleep(SAMPLE_MS)
    }
    while (!reached(progress(), END) || resident.length < SAMPLES_LEAST) {
      assert.equal(job.exitCode ?? job.signalCode, null, said)
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
  return { taken: progress().taken, resident }
}

const skip = process.platform !== 'linux'

test('a job without input stays small', { timeout: TIMEOUT_MS, skip }, async (t) => {
  const { resident } = await run('empty', ({ checkpoints }, goal) => checkpoints >= goal.checkpoints)
  t.diagnostic(`resident ${Math.min(...resident)} to ${Math.max(...resident)} MB`)
  assert.ok(Math.max(...resident) < IDLE_MB, `less than ${IDLE_MB} MB: ${resident.join(' ')}`)
})

test('a slow sink leaves memory flat', { timeout: TIMEOUT_MS, skip }, async (t) => {
  const { taken, resident } = await run('in', (progress, goal) => progress.taken >= goal.taken)
  t.diagnostic(`${taken} records; resident ${resident[0]} to ${resident.at(-1)} MB`)
  // That it was busy is what `run` waits for.
  assert.ok(taken < RECORDS / 2, `the sink was slow: ${taken} of ${RECORDS} records`)
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
