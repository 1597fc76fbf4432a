/** docs/configuration.md is what the table of options says now. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configurationPage } from '../../scripts/generate-configuration.ts'
import { readSource } from '../rules/source-files.ts'

test('the reference page of the configuration is current; scripts/generate-configuration.ts writes it', () => {
  assert.equal(readSource('docs/configuration.md').text, configurationPage())
})
