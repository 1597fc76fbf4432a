// An archive of the classes that a small Kafka loads (class data sharing of the JVM): a node then starts in about half
// the time, and several nodes share the memory.
//
// It is made once for each version of Kafka and of Java by running a server for a few seconds. It is an optimisation
// only: when it cannot be made, that is noted beside it and servers start without.

import { randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from './command.ts'
import { withFileLock } from './file-lock.ts'
import { type KafkaInstallation, putInPlace } from './kafka-installation.ts'
import { PortBlock } from './port-block.ts'
import { serverProperties } from './server-properties.ts'

const TRAINING_TIMEOUT_MS = 180_000

/** The flags with which the JVM uses the archive, which is made first where there is none. */
export async function classArchiveFlags(installation: KafkaInstallation): Promise<readonly string[]> {
  const { archive } = installation
  const failed = `${archive}.failed`
  if (!existsSync(archive) && !existsSync(failed)) {
    await withFileLock(join(installation.directory, 'lock'), 2 * TRAINING_TIMEOUT_MS, async () => {
      if (existsSync(archive)) return
      try {
        await train(installation)
      } catch (error) {
        writeFileSync(failed, String(error))
      }
    })
  }
  return existsSync(archive) ? ['-Xshare:auto', `-XX:SharedArchiveFile=${archive}`] : []
}

async function train(installation: KafkaInstallation): Promise<void> {
  // In the cache folder, where what a killed process left of it is removed as stale.
  const work = mkdtempSync(join(installation.directory, 'train-'))
  const made = join(work, 'classes.jsa')
  const block = await PortBlock.take(2)
  try {
    const [port = 0, controllerPort = 0] = block.ports
    const node = { id: 1, port, controllerPort, listenerPorts: new Map() }
    const properties = join(work, 'server.properties')
    const dataDirectory = join(work, 'data')
    writeFileSync(
      properties,
      serverProperties({ node, quorum: [node], keeper: 'kraft', dataDirectory, listeners: {}, properties: {} }),
    )
    await runCommand({
      command: installation.java,
      args: [
        ...['-Xmx512m', '-XX:+UseSerialGC', `-XX:ArchiveClassesAtExit=${made}`],
        ...['-cp', installation.classpath, 'KafkaTools', 'train', properties, 'format', newClusterId()],
      ],
      purpose: 'Making the class archive',
      advice: 'Servers start without it, more slowly.',
      timeoutMs: TRAINING_TIMEOUT_MS,
    })
    putInPlace(made, installation.archive)
  } finally {
    block.release()
    rmSync(work, { recursive: true, force: true })
  }
}

/** A cluster id as Kafka makes them: 16 random bytes in URL-safe base64. A leading dash would look like an option. */
export function newClusterId(): string {
  return Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url').replace(/^-/, 'A')
}
