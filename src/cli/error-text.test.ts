/** What a person reads when a command fails: the sentence, its code, what to do, and where in the job file. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { MillraceError } from '../base/index.ts'
import { exitCodeOf, textOfError } from './error-text.ts'
import { loadJob } from './load-job.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-error-text-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function saidOf(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  writeFileSync(path, text)
  const error = await loadJob(path).then(
    () => assert.fail('it loaded'),
    (reason: unknown) => reason,
  )
  assert.equal(exitCodeOf(error), 2)
  return textOfError(error)
}

test('a job file that does not parse, or asks for what is not exported, is shown with its line', async () => {
  const broken = await saidOf('broken.ts', 'const a = 1\nconst = 2\n')
  assert.match(
    broken,
    /^millrace: the job file .*broken\.ts cannot be loaded \[JOB_FILE_INVALID\]\n {2}Nothing ran\.\n/,
  )
  assert.match(broken, /\n {4}.*broken\.ts:2\n(.*\n)? {4}const = 2\n {4} +\^$/m)
  assert.doesNotMatch(broken, /^\s+at /m)
  const stranger = await saidOf('stranger.ts', "import { nobody } from 'node:fs'\nnobody()\n")
  assert.match(stranger, /nobody[\s\S]*\n {4}.*stranger\.ts:1\n {4}import \{ nobody \} from 'node:fs'\n/)
})

test('a job file that Node takes for CommonJS, as npm init has it, is told what to do', async () => {
  const common = join(folder, 'common')
  mkdirSync(common)
  writeFileSync(join(common, 'package.json'), '{ "type": "commonjs" }')
  const said = await saidOf('common/orders.ts', "import { sep } from 'node:path'\nexport default sep\n")
  assert.match(
    said,
    /\n {2}Nothing ran\. Node takes it for CommonJS: put "type": "module" into the nearest package\.json/,
  )
})

test('an error of the job file is shown with the frames of its code, a folder and a file that is not there with neither', async () => {
  assert.match(
    await saidOf('throws.ts', "\nthrow new Error('no luck')\n"),
    /caused by: no luck\n\s+at .*throws\.ts:2:7/,
  )
  await assert.rejects(loadJob(folder), /is a folder, not a job file/)
  await assert.rejects(loadJob(join(folder, 'gone.ts')), /there is no job file/)
})

test('an operating error is told in sentences, with its causes, and without a stack', () => {
  const cause = new MillraceError('KAFKA_UNREACHABLE', 'nobody answers', { next: 'Start one.' })
  const error = new MillraceError('CHECKPOINT_FAILED', 'it failed', { cause, next: 'The job goes on.' })
  assert.equal(
    textOfError(error),
    'millrace: it failed [CHECKPOINT_FAILED]\n  The job goes on.\n  caused by: nobody answers [KAFKA_UNREACHABLE]\n    Start one.\n',
  )
  assert.equal(exitCodeOf(error), 1)
})
