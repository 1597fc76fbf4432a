/** `millrace.yaml`: nested and flat keys, and mistakes told with file and line. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { MillraceError } from '../base/index.ts'
import { Configuration } from '../core/index.ts'
import { configurationFile, configurationOf, readConfiguration } from './configuration-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-configuration-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function file(text: string, name = 'millrace.yaml'): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

async function refusal(text: string): Promise<string> {
  try {
    await readConfiguration(file(text))
  } catch (error) {
    assert.ok(MillraceError.is(error) && error.code === 'OPTION_INVALID', String(error))
    return error.message
  }
  return assert.fail('it was taken')
}

test('nested maps and flat keys with dots mean the same, and may be mixed', async () => {
  const read = await readConfiguration(
    file(`# how this job runs
parallelism.default: 4
execution:
  checkpointing:
    interval: 10 s
    tolerable-failed-checkpoints: 2
  checkpointing.timeout: "1 min"
restart-strategy: { type: failure-rate, failure-rate.delay: 500 ms }
restart-strategy.exponential-delay.jitter-factor: 0.25
`),
  )
  assert.equal(read.get('parallelism'), 4)
  assert.equal(read.get('checkpointIntervalMs'), 10_000)
  assert.equal(read.get('tolerableFailedCheckpoints'), 2)
  assert.equal(read.get('checkpointTimeoutMs'), 60_000)
  assert.equal(read.get('restartStrategy'), 'failure-rate')
  assert.equal(read.get('failureRateDelayMs'), 500)
  assert.equal(read.get('backoffJitterFactor'), 0.25)
})

test('an empty file, or one of comments, sets nothing', async () => {
  for (const text of ['', '# nothing yet\n', '---\n']) {
    assert.deepEqual([...(await readConfiguration(file(text))).entries()], [])
  }
})

test('mistakes are told with file, line and key', async () => {
  assert.match(
    await refusal('parallelism.default: 2\nexecution:\n  checkpointing:\n    intervall: 10 s\n'),
    /millrace\.yaml:4: unknown configuration key "execution\.checkpointing\.intervall"; did you mean "execution\.checkpointing\.interval"\?/,
  )
  assert.match(
    await refusal('\nexecution.checkpointing.interval: soon\n'),
    /millrace\.yaml:2: execution\.checkpointing\.interval: "soon" is not a duration/,
  )
  assert.match(
    await refusal('execution:\n  checkpointing.interval: 1 s\nexecution.checkpointing:\n  interval: 2 s\n'),
    /millrace\.yaml:4: execution\.checkpointing\.interval is set already at .*millrace\.yaml:2/,
  )
  assert.match(await refusal('parallelism.default:\n'), /millrace\.yaml:1: parallelism\.default has no value/)
  assert.match(await refusal('parallelism:\n  default: [1, 2]\n'), /millrace\.yaml:2: parallelism\.default is a list/)
  assert.match(await refusal('- a\n- b\n'), /millrace\.yaml:1: the file is a list/)
  assert.match(await refusal('a: 1\nparallelism: {default: 1\n'), /millrace\.yaml:[23]: /)
  assert.match(await refusal('parallelism.default: 1\nparallelism.default: 2\n'), /millrace\.yaml:2: .*unique/)
})

test('what is given with -D wins over the file, which lies beside the job or is named', async () => {
  file('parallelism.default: 2\npipeline.max-parallelism: 64\n')
  const defines = new Configuration({ 'parallelism.default': 3 })
  const beside = await configurationOf({ named: undefined, jobFile: join(folder, 'job.ts'), defines })
  assert.deepEqual([beside.get('parallelism'), beside.get('maxParallelism')], [3, 64])
  const other = file('pipeline.max-parallelism: 32\n', 'other.yaml')
  const named = await configurationOf({ named: other, jobFile: join(folder, 'job.ts'), defines })
  assert.deepEqual([named.get('parallelism'), named.get('maxParallelism')], [3, 32])
  assert.equal(await configurationOf({ named: undefined, jobFile: join(folder, 'none', 'job.ts'), defines }), defines)
  assert.throws(
    () => configurationFile(join(folder, 'missing.yaml'), folder),
    (error) =>
      MillraceError.is(error) && error.code === 'USAGE' && /missing\.yaml: there is no such file/.test(error.message),
  )
})
