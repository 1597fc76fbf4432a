/**
 * Another release of Node, for running the packed package on it: its binary from the registry's package for this platform
 * (the one that `tools/node` takes the pinned release from), kept in the cache folder so that it is fetched once.
 *
 * What always holds: the folder is put in its place by one rename after the binary told its version, so what is there works.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDirectory } from 'millrace/testing'
import { withFileLock } from '../../src/testing/kafka-server/file-lock.ts'
import { run } from './run.ts'

const FETCH_TIMEOUT_MS = 5 * 60_000

/** The folder that has `node` of this version, for the front of a PATH. */
export async function nodeRelease(version: string): Promise<string> {
  const cache = join(cacheDirectory(), 'node')
  const release = join(cache, `${version}-${process.platform}-${process.arch}`)
  if (existsSync(release)) return release
  mkdirSync(cache, { recursive: true })
  await withFileLock(join(cache, 'lock'), FETCH_TIMEOUT_MS, async () => {
    if (!existsSync(release)) await fetchRelease(version, cache, release)
  })
  return release
}

async function fetchRelease(version: string, cache: string, release: string): Promise<void> {
  const work = mkdtempSync(join(cache, 'fetch-'))
  try {
    const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
    const options = ['--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund']
    await run('npm', ['install', ...options, '--prefix', work, `${name}@${version}`], {
      cwd: work,
      timeoutMs: FETCH_TIMEOUT_MS,
    })
    const bin = join(work, 'node_modules', name, 'bin')
    const { stdout } = await run(join(bin, 'node'), ['--version'], { cwd: work })
    assert.equal(stdout.trim(), `v${version}`)
    renameSync(bin, release)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
