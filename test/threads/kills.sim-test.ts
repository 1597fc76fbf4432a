/**
 * Real processes with worker threads and no Kafka: SIGKILL at every joint that the job passes, on whichever thread that is, and the
 * same command again until it has finished. Every number is written once, with the counts of its key without a gap.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { JOINTS, type JointName } from '../../src/base/index.ts'
import { assertExact } from './assert-exact.ts'
import { committedLines } from './file-sink.ts'

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const JOB = fileURLToPath(new URL('./thread-job.fixture.ts', import.meta.url))
const RECORDS = 10_000
/** How long the source takes at least: a life that is to die at a joint must not come to its end before, however slow the machine is. */
const SECONDS = { endless: 60, quick: 0.4 }
/** For a process that hangs. */
const LIFE_MS = 100_000

/** Where the process dies, and then again, by the joint that this is about. */
function rulesOf(joint: JointName): string[] {
  switch (joint) {
    case 'attempt-written':
    case 'final-checkpoint':
    case 'final-committed':
      return [`kill:${joint}:1`]
    // Only a recovery passes it: something must have gone wrong before.
    case 'committed-written':
      return ['kill:all-ended:2', `kill:${joint}:1`]
    default:
      return [`kill:${joint}:2`]
  }
}

/** A checkpoint that fails is tried elsewhere, and this sink has no producers to initialise and to fence. */
const NOT_PASSED: ReadonlySet<JointName> = new Set(['checkpoint-failed', 'before-init-producer-id', 'sweep'])

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly said: string
}

async function runProcess(directory: string, rules: readonly string[], seconds: number): Promise<Ended> {
  const settings = [
    `execution.checkpointing.dir=${join(directory, 'checkpoints')}`,
    'execution.checkpointing.interval=30 ms',
    'restart-strategy.type=fixed-delay',
    'restart-strategy.fixed-delay.delay=10 ms',
  ].flatMap((setting) => ['-D', setting])
  const own = { directory: join(directory, 'out'), joints: rules.join(','), count: RECORDS, seconds }
  const parameters = Object.entries(own).flatMap(([name, value]) => [`--${name}`, String(value)])
  const flags = ['-p', '4', '--threads', '2', '--quiet', ...settings, '--', ...parameters]
  const child = spawn(process.execPath, ['--conditions=millrace-source', CLI, 'run', JOB, ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (bytes) => {
    said += bytes
  })
  const bound = setTimeout(() => {
    said += `\nit was killed after ${LIFE_MS} ms`
    // Not the signal that the test looks for, and one that nobody catches.
    child.kill('SIGQUIT')
  }, LIFE_MS)
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(bound)
      resolve({ code, signal, said })
    })
  })
}

for (const joint of JOINTS.filter((name) => !NOT_PASSED.has(name))) {
  test(`a process that is killed at ${joint} loses and repeats nothing`, { timeout: 400_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-kills-'))
    try {
      const rules = rulesOf(joint)
      for (const rule of rules) {
        const seconds = rule.startsWith('kill:final-') ? SECONDS.quick : SECONDS.endless
        const { code, signal, said } = await runProcess(directory, rules, seconds)
        assert.equal(signal, 'SIGKILL', `it was to die by ${rule}, and ended with exit code ${code}: ${said}`)
      }
      const last = await runProcess(directory, rules, SECONDS.quick)
      assert.equal(last.code, 0, last.said)
      assertExact(committedLines(join(directory, 'out')), RECORDS)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
}
