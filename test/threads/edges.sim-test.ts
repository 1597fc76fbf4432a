/** A job with every way between subtasks, on the caller's thread and on two: each element arrives where and as often as it should. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runJob } from 'millrace'
import { silentLogger } from '../../src/base/index.ts'
import job, { EACH } from './edges-job.fixture.ts'
import { committedLines } from './file-sink.ts'

const module = new URL('./edges-job.fixture.ts', import.meta.url)
const ALL = Array.from({ length: 2 * EACH }, (_, n) => n)

for (const mode of ['exactly-once', 'at-least-once']) {
  for (const threads of [0, 2]) {
    test(`${threads} threads, ${mode}: each way between subtasks delivers each element as often as it says`, async () => {
      const directory = mkdtempSync(join(tmpdir(), 'millrace-edges-'))
      try {
        const result = await runJob(job, {
          module,
          threads,
          parallelism: 4,
          storage: 'memory',
          args: { directory },
          configuration: { 'execution.checkpointing.interval': '30 ms', 'execution.checkpointing.mode': mode },
          ports: { logger: silentLogger },
        })
        const numbers = (name: string): number[] =>
          committedLines(join(directory, name))
            .map((line) => Number(line.split(' ')[1]))
            .sort((left, right) => left - right)
        assert.deepEqual(numbers('rescaled'), ALL)
        assert.deepEqual(numbers('shuffled'), ALL)
        assert.deepEqual(
          numbers('broadcast'),
          ALL.flatMap((n) => [n, n, n]),
        )
        assert.deepEqual(
          numbers('even'),
          ALL.filter((n) => n % 2 === 0),
        )
        assert.deepEqual(
          numbers('odd'),
          ALL.filter((n) => n % 2 === 1),
        )
        assert.equal(result.recordsIn, ALL.length)
        assert.deepEqual(result.accumulators, { elements: ALL.length })
      } finally {
        rmSync(directory, { recursive: true, force: true })
      }
    })
  }
}
