/** docs/errors.md and the closed list of error codes are about the same codes, and each page answers the three questions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ERROR_CODES } from '../../src/base/index.ts'
import { readSource, sourcesBelow } from './source-files.ts'

const sections = new Map(
  readSource('docs/errors.md')
    .text.split(/^## /m)
    .slice(1)
    .map((section) => {
      const end = section.indexOf('\n')
      return [section.slice(0, end).trim(), section.slice(end)] as const
    }),
)

test('every error code has a section in docs/errors.md, and every section a code', () => {
  assert.deepEqual([...sections.keys()].sort(), [...ERROR_CODES].sort())
})

test('every section says what happened, whether anything may be lost, and what to do', () => {
  const wrong = [...sections].flatMap(([code, text]) =>
    ['**What it means.**', '**May anything be lost?**', '**What to do.**']
      .filter((heading) => !text.includes(heading))
      .map((heading) => `${code} lacks ${heading}`),
  )
  assert.deepEqual(wrong, [])
})

test('codes that the sources use exist', () => {
  const known = new Set<string>(ERROR_CODES)
  const wrong = sourcesBelow('src').flatMap(({ path, text }) =>
    [...text.matchAll(/new MillraceError\(\s*'([^']*)'/g)]
      .map((match) => match[1] ?? '')
      .filter((code) => !known.has(code))
      .map((code) => `${path}: ${code}`),
  )
  assert.deepEqual(wrong, [])
})
