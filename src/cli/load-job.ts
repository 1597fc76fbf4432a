/**
 * Imports a job file and takes its default export, with an error for each way in which that can go wrong.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MillraceError } from '../base/index.ts'
import { isJobDefinition, type JobDefinition } from '../stream/index.ts'

const EXAMPLE = "export default defineJob('my-job', (env, params) => { ... })"

export async function loadJob(file: string): Promise<JobDefinition> {
  const path = resolve(file)
  if (!existsSync(path)) {
    throw new MillraceError('JOB_FILE_INVALID', `there is no job file ${path}`, {
      next: 'Nothing ran. Check the path; it is taken from the current directory.',
    })
  }
  let module: { readonly default?: unknown }
  try {
    module = await import(pathToFileURL(path).href)
  } catch (error) {
    if (MillraceError.is(error)) throw error
    throw new MillraceError('JOB_FILE_INVALID', `the job file ${path} cannot be loaded`, {
      cause: error,
      next: 'Nothing ran.',
    })
  }
  if (isJobDefinition(module.default)) return module.default
  throw new MillraceError('JOB_FILE_INVALID', `the job file ${path} has no job as its default export`, {
    next: `Nothing ran. Write ${EXAMPLE}; a program that builds its own environment is run by node itself.`,
  })
}
