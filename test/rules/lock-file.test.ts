/**
 * `npm ci` refuses a lock file that lacks what a package names as an optional dependency, also for other platforms. npm writes such
 * a file when the registry it asked did not have one of them, and says nothing.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { readSource } from './source-files.ts'

interface LockedPackage {
  readonly version?: string
  readonly hasInstallScript?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const { packages } = JSON.parse(readSource('package-lock.json').text) as {
  readonly packages: Readonly<Record<string, LockedPackage>>
}

test('the lock file has every optional dependency, so that npm ci works on every platform', () => {
  const locked = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)))
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !locked.has(name))
      .map((name) => `${path} -> ${name}`),
  )
  assert.deepEqual(missing, [])
})

test('no package needs an install script, because npm does not run them', () => {
  const scripted = Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript === true)
  assert.deepEqual(scripted, [])
})

test('node_modules is not tracked, not even as a link: a checkout would replace the packages by it', () => {
  const tracked = execFileSync('git', ['ls-files', 'node_modules'], { cwd: new URL('../..', import.meta.url) })
  assert.equal(tracked.toString(), '')
})
