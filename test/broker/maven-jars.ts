/**
 * Jars of other projects that test programs need, with all they depend on, fetched once by Maven into the cache folder beside
 * those of Kafka, and put in their place by one rename.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDirectory, KAFKA_VERSIONS } from '../../src/testing/index.ts'
import { putInPlace } from '../../src/testing/kafka-server/kafka-installation.ts'

const FETCH_TIMEOUT_MS = 300_000
const FLINK = '2.2.1'
const FLINK_KAFKA = '5.0.0-2.2'

/** A classpath of Kafka Streams. */
export function streamsJars(): Promise<string> {
  return jars(`kafka-streams-${KAFKA_VERSIONS.newest}`, [`org.apache.kafka:kafka-streams:${KAFKA_VERSIONS.newest}`])
}

/** A classpath of Apache Flink with its Kafka connector, and the Kafka client that this asks for. */
export function flinkJars(): Promise<string> {
  return jars(`flink-${FLINK}-kafka-${FLINK_KAFKA}`, [
    `org.apache.flink:flink-streaming-java:${FLINK}`,
    `org.apache.flink:flink-clients:${FLINK}`,
    `org.apache.flink:flink-connector-base:${FLINK}`,
    `org.apache.flink:flink-connector-kafka:${FLINK_KAFKA}`,
  ])
}

async function jars(name: string, artifacts: readonly string[]): Promise<string> {
  const folder = join(cacheDirectory(), 'jars', name)
  if (!existsSync(folder)) {
    const making = `${folder}-${process.pid}`
    mkdirSync(join(making, 'jars'), { recursive: true })
    try {
      writeFileSync(join(making, 'pom.xml'), pomOf(artifacts))
      const goal = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${join(making, 'jars')}`]
      await promisify(execFile)('mvn', [...goal, '-DincludeScope=runtime'], { timeout: FETCH_TIMEOUT_MS, cwd: making })
      putInPlace(making, folder)
    } finally {
      rmSync(making, { recursive: true, force: true })
    }
  }
  const made = join(folder, 'jars')
  return readdirSync(made)
    .map((name) => join(made, name))
    .join(':')
}

function pomOf(artifacts: readonly string[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group, name, version] = artifact.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`
  })
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>jars</artifactId><version>1</version>
<dependencies>${dependencies.join('\n')}</dependencies></project>\n`
}
