// What a newcomer meets when Java, Maven or the network is missing: a message that names the command and its last words.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { cacheDirectory, installKafka } from './kafka-installation.ts'
import { KafkaServerError } from './kafka-server-error.ts'

describe('an installation that cannot be made', () => {
  let directory: string
  const kept = { ...process.env }
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-installation-'))
    process.env.MILLRACE_CACHE_DIR = directory
  })
  afterEach(() => {
    process.env = { ...kept }
    rmSync(directory, { recursive: true, force: true })
  })

  const fakeMaven = (script: string): void => {
    const path = join(directory, 'mvn')
    writeFileSync(path, `#!/bin/sh\n${script}\n`)
    chmodSync(path, 0o755)
    process.env.PATH = `${directory}:${kept.PATH}`
  }

  it('names Java when it is missing', async () => {
    process.env.JAVA_HOME = join(directory, 'nowhere')
    await assert.rejects(installKafka('1.0.1'), (error) => {
      assert.ok(error instanceof KafkaServerError)
      assert.match(error.message, /cannot be started: .*nowhere\/bin\/java -version\n.*JAVA_HOME/)
      return true
    })
  })

  it('names the Maven command and its last lines when the network refuses', async () => {
    fakeMaven('echo "[ERROR] Could not transfer artifact: Connection refused"; exit 1')
    await assert.rejects(installKafka('1.0.2'), (error) => {
      assert.ok(error instanceof KafkaServerError)
      assert.match(error.message, /Kafka 1\.0\.2: the command ended with code 1: mvn .*copy-dependencies/)
      assert.match(error.message, /Connection refused/)
      assert.match(error.message, /MILLRACE_CACHE_DIR/)
      return true
    })
    // Nothing half made is left to be taken for an installation, and the lock is free.
    assert.deepEqual(readdirSync(join(directory, 'kafka', '1.0.2')), [])
  })

  it('takes over the lock of a process that is gone', async () => {
    fakeMaven('exit 1')
    await assert.rejects(installKafka('1.0.3'))
    const lock = join(directory, 'kafka', '1.0.3', 'lock')
    const ended = execFileSync('/bin/sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim()
    writeFileSync(lock, ended)
    await assert.rejects(installKafka('1.0.3'), /the command ended with code 1/)
    assert.equal(existsSync(lock), false)
  })

  it('refuses what is not a version before it becomes a path', async () => {
    await assert.rejects(installKafka('../4.3.1'), /is not a version/)
    assert.equal(existsSync(join(dirname(directory), '4.3.1')), false)
  })
})

it('the cache folder is the own one, else that of the user', () => {
  assert.equal(cacheDirectory({ MILLRACE_CACHE_DIR: '/a', XDG_CACHE_HOME: '/b' }), '/a')
  assert.equal(cacheDirectory({ MILLRACE_CACHE_DIR: '', XDG_CACHE_HOME: '/b' }), '/b/millrace')
  assert.match(cacheDirectory({}), /\/\.cache\/millrace$/)
})
