/**
 * The answers of Kafka's own Java client: kept in expected.json, made anew by `record.ts` (or in the long form of the tests,
 * to see that they are still the same). What always holds: an answer is found only under the very steps it was recorded for.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { installKafka } from '../../src/testing/kafka-server/kafka-installation.ts'
import type { Answer, Scenario } from './scenario.ts'
import { SCENARIOS } from './scenarios/index.ts'

const RECORDER = fileURLToPath(new URL('./java/Recorder.java', import.meta.url))
const EXPECTED = fileURLToPath(new URL('./expected.json', import.meta.url))
const RECORDING_TIMEOUT_MS = 300_000

export interface RecordedScenario {
  /** A digest of the steps. */
  readonly steps: string
  readonly answers: readonly Answer[]
}

export type Recording = Readonly<Record<string, RecordedScenario>>

export function stepsDigest(scenario: Scenario): string {
  return createHash('sha256').update(JSON.stringify(scenario.steps)).digest('hex').slice(0, 16)
}

export function readRecording(): Recording {
  return JSON.parse(readFileSync(EXPECTED, 'utf8')) as Recording
}

/** Acts the scenarios out with Kafka's Java client. */
export async function recordWithJava(options: {
  readonly version: string
  readonly bootstrapServers: string
  readonly scenarios?: readonly Scenario[]
}): Promise<Recording> {
  const { version, bootstrapServers, scenarios = SCENARIOS } = options
  const { java, classpath } = await installKafka(version)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-recording-'))
  try {
    const [input, output] = [join(folder, 'scenarios.json'), join(folder, 'answers.json')]
    writeFileSync(input, JSON.stringify(scenarios))
    const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=off'
    const args = ['-Xmx512m', '-XX:TieredStopAtLevel=1', quiet, RECORDER, input, output]
    await promisify(execFile)(java, [...args, bootstrapServers, `recorded-${process.pid}-`], {
      env: { ...process.env, CLASSPATH: classpath },
      timeout: RECORDING_TIMEOUT_MS,
      maxBuffer: 1 << 26,
    })
    const answers = JSON.parse(readFileSync(output, 'utf8')) as Record<string, readonly Answer[]>
    return Object.fromEntries(
      scenarios.map((one) => [one.name, { steps: stepsDigest(one), answers: answers[one.name] ?? [] }]),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Writes expected.json and answers its path. */
export function writeRecording(recording: Recording): string {
  // One answer a line: the formatter breaks only those that are too long.
  const scenarios = Object.entries(recording).map(([name, { steps, answers }]) => {
    const lines = answers.map((answer) => JSON.stringify(answer)).join(',\n')
    return `${JSON.stringify(name)}: {\n"steps": "${steps}",\n"answers": [\n${lines}\n]\n}`
  })
  writeFileSync(EXPECTED, `{\n${scenarios.join(',\n')}\n}\n`)
  return EXPECTED
}
