/**
 * Makes expected.json anew, with Kafka's own Java client on a real Apache Kafka of three nodes:
 *
 *     node --conditions=millrace-source test/conformance/record.ts
 *
 * Read the difference before committing it: each line is something that Kafka's client does.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { KAFKA_VERSIONS, KafkaServer } from '../../src/testing/index.ts'
import { conformanceServer } from './broker-under-test.ts'
import { recordWithJava, writeRecording } from './recording.ts'

const server: KafkaServer = await KafkaServer.start(conformanceServer())
try {
  const recording = await recordWithJava({
    version: KAFKA_VERSIONS.newest,
    bootstrapServers: server.bootstrapServers,
  })
  const file = writeRecording(recording)
  execFileSync(fileURLToPath(new URL('../../node_modules/.bin/biome', import.meta.url)), ['format', '--write', file])
} finally {
  await server.close()
}
