/** The Node that the command runs on is the one that the package promises to run on. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { MillraceError } from '../base/index.ts'
import { exitCodeOf } from './error-text.ts'
import { ENGINES, refuseUnsupportedNode } from './node-version.ts'

test('a Node that the package does not support is refused in a sentence, with exit code 2, and no other', () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  assert.equal(ENGINES, manifest.engines.node)
  refuseUnsupportedNode()
  for (const version of ['22.22.0', '22.30.1', '24.11.0', '26.0.0', '27.1.0', '30.0.0']) refuseUnsupportedNode(version)
  for (const version of ['18.20.8', '20.20.2', '22.21.9', '23.11.0', '24.10.0', '25.9.0']) {
    assert.throws(
      () => refuseUnsupportedNode(version),
      (error) =>
        MillraceError.is(error) &&
        exitCodeOf(error) === 2 &&
        error.message.includes('Node 22.22, 24.11, 26 or later') &&
        error.message.includes(version),
    )
  }
})
