// One process at a time: a lock file that names its owner, so that the lock of a process that is gone is taken over.
//
// It keeps two test processes from fetching and compiling the same things at once, which would only be slow: every
// result is also put in its place by one rename, so that a lock taken over wrongly can spoil nothing.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { KafkaServerError } from './kafka-server-error.ts'

const POLL_MS = 100

/** Runs `work` while holding the lock file, waiting for another living owner at most `timeoutMs`. */
export async function withFileLock<T>(path: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + timeoutMs
  while (!take(path)) {
    if (!ownerLives(path)) rmSync(path, { force: true })
    else if (Date.now() > deadline) {
      const message = `${path} is held by process ${ownerOf(path)} for more than ${timeoutMs / 1000} s`
      throw new KafkaServerError('KAFKA_TIMEOUT', `${message}; end that process or remove the file`)
    } else await sleep(POLL_MS)
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

function take(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

function ownerOf(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8'))
  } catch {
    return 0
  }
}

function ownerLives(path: string): boolean {
  const owner = ownerOf(path)
  // Unreadable or empty: just being written, or just released; the next look tells. One's own id is a leftover of an
  // earlier process with the same id, as in containers: inside one process the caller never asks twice.
  if (!Number.isInteger(owner) || owner <= 0) return true
  if (owner === process.pid) return false
  try {
    process.kill(owner, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
