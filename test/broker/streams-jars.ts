/**
 * The jars of Kafka Streams, fetched once by Maven into the cache folder beside those of Kafka, and put in their place by one
 * rename.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDirectory, KAFKA_VERSIONS } from '../../src/testing/index.ts'

const ARTIFACTS = [`org.apache.kafka:kafka-streams:${KAFKA_VERSIONS.newest}`, 'org.rocksdb:rocksdbjni:10.1.3']
const FETCH_TIMEOUT_MS = 300_000

/** A classpath of them. */
export async function streamsJars(): Promise<string> {
  const folder = join(cacheDirectory(), 'kafka-streams', KAFKA_VERSIONS.newest)
  if (!existsSync(folder)) {
    const making = `${folder}-${process.pid}`
    mkdirSync(making, { recursive: true })
    for (const artifact of ARTIFACTS) {
      const goal = ['-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${making}`]
      await promisify(execFile)('mvn', goal, { timeout: FETCH_TIMEOUT_MS, cwd: making })
    }
    try {
      renameSync(making, folder)
    } catch (error) {
      // Somebody else was faster.
      rmSync(making, { recursive: true, force: true })
      if (!existsSync(folder)) throw error
    }
  }
  return join(folder, '*')
}
