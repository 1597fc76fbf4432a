/** Flink's own classes, from its published jars, say the same as the golden file, which the unit test compares with ours. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { flinkJars } from '../../../test/broker/maven-jars.ts'
import { GOLDEN_FILE, GOLDEN_KEYS, GOLDEN_PARALLELISMS } from './golden-keys.fixture.ts'
import { serializeKey } from './key-group.ts'

const PROGRAM: string = fileURLToPath(new URL('../../../test/java/KeyGroups.java', import.meta.url))

test('Flink has the keys in the groups, and the groups on the subtasks, that the golden file says', async () => {
  const questions = GOLDEN_KEYS.flatMap((key) => {
    const bytes = Buffer.from(serializeKey(key)).toString('hex')
    return GOLDEN_PARALLELISMS.map(({ maxParallelism, parallelism }) => `${bytes} ${maxParallelism} ${parallelism}`)
  })
  const flags = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData']
  const input = `${questions.join('\n')}\n`
  const output = execFileSync('java', [...flags, '-cp', await flinkJars(), PROGRAM], { input, encoding: 'utf8' })
  const answers = output.trim().split('\n')
  assert.equal(answers.length, questions.length)
  const lines = questions.map((question, i) => `${question} -> ${answers[i]}\n`).join('')
  // Once, for a new version of the bytes of keys.
  if (process.env.MILLRACE_WRITE_GOLDEN === '1') {
    mkdirSync(new URL('.', GOLDEN_FILE), { recursive: true })
    writeFileSync(GOLDEN_FILE, lines, { flag: 'wx' })
  }
  assert.equal(lines, readFileSync(GOLDEN_FILE, 'utf8'))
})
