/** A seed is the same run on every release of Node that is supported: what failed on one machine can be looked at on another. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { nodeRelease } from '../package/node-release.ts'
import { run } from '../package/run.ts'
import { runSeed } from './run-seed.ts'

const RELEASES = ['22.22.0', '24.11.0']
const SEEDS = 4
const FROM = 21
/** A release may have to be fetched, and a machine that others use takes its time for the seeds. */
const TIMEOUT_MS = 600_000

test(`the hashes of ${SEEDS} seeds are the same on Node ${RELEASES.join(', ')} and ${process.version}`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const own: string[] = []
  for (let seed = FROM; seed < FROM + SEEDS; seed++) own.push(`${seed} ${(await runSeed(seed)).hash}`)
  for (const release of RELEASES) {
    const node = join(await nodeRelease(release), 'node')
    const program = join(import.meta.dirname, 'sim.ts')
    const options = ['--seed', String(FROM), '--seeds', String(SEEDS), '--hashes']
    const { stdout } = await run(node, [program, ...options], { cwd: import.meta.dirname, timeoutMs: TIMEOUT_MS / 3 })
    assert.deepEqual(stdout.trim().split('\n'), own, release)
  }
})
