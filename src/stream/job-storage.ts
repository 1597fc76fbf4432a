/**
 * Where a job's directory lies: `<execution.checkpointing.dir>/<job name>/`. Each job has a folder of its own, so one
 * directory serves any number of them.
 */
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DirectoryStorage, MillraceError, type Storage } from '../base/index.ts'
import type { Configuration } from '../core/index.ts'

/** Where defined jobs keep their checkpoints unless told otherwise. */
export const DEFAULT_CHECKPOINT_DIRECTORY = '.millrace'

/** The directory of a job, or undefined when the configuration names none and there is no default. */
export function jobStorage(jobName: string, configuration: Configuration, fallback?: string): Storage | undefined {
  const directory = configuration.get('checkpointDirectory') ?? fallback
  if (directory === undefined) return undefined
  return new DirectoryStorage(join(pathOf(directory), jobName))
}

/** Where defined jobs with this configuration have their directories. */
export function checkpointDirectory(configuration: Configuration): string {
  return resolve(pathOf(configuration.get('checkpointDirectory') ?? DEFAULT_CHECKPOINT_DIRECTORY))
}

function pathOf(directory: string): string {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(directory)?.[1]?.toLowerCase()
  if (scheme === undefined) return directory
  if (scheme === 'file') return fileURLToPath(directory)
  throw new MillraceError(
    'NOT_SUPPORTED',
    `execution.checkpointing.dir: "${directory}" is on ${scheme}; checkpoints are kept in a directory or at a file:// URI`,
  )
}
