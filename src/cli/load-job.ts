/**
 * Imports a job file and takes its default export, with an error for each way in which that can go wrong.
 */
import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MillraceError } from '../base/index.ts'
import { defineJob, isJobDefinition, type JobDefinition } from '../stream/index.ts'

const EXAMPLE = "export default defineJob('my-job', (env, params) => { ... })"

export async function loadJob(file: string): Promise<JobDefinition> {
  const path = resolve(file)
  if (!existsSync(path)) {
    throw new MillraceError('JOB_FILE_INVALID', `there is no job file ${path}`, {
      next: 'Nothing ran. Check the path; it is taken from the current directory.',
    })
  }
  if (statSync(path).isDirectory()) {
    throw new MillraceError('JOB_FILE_INVALID', `${path} is a folder, not a job file`, {
      next: 'Nothing ran. Name the file, for instance orders.ts.',
    })
  }
  let module: { readonly default?: unknown }
  try {
    module = await import(pathToFileURL(path).href)
  } catch (error) {
    if (MillraceError.is(error)) throw error
    throw new MillraceError('JOB_FILE_INVALID', `the job file ${path} cannot be loaded`, {
      cause: error,
      next: isReadAsCommonJs(error)
        ? 'Nothing ran. Node takes it for CommonJS: put "type": "module" into the nearest package.json, or name the file .mts.'
        : 'Nothing ran.',
    })
  }
  if (isJobDefinition(module.default)) return blamingTheFile(module.default, path)
  throw new MillraceError('JOB_FILE_INVALID', `the job file ${path} has no job as its default export`, {
    next: `Nothing ran. Write ${EXAMPLE}; a program that builds its own environment is run by node itself.`,
  })
}

/** What the job's own function throws while it builds the graph is a mistake in the job file, and is told as one. */
function blamingTheFile(job: JobDefinition, path: string): JobDefinition {
  return defineJob(job.name, async (env, params) => {
    try {
      await job.build(env, params)
    } catch (error) {
      if (MillraceError.is(error)) throw error
      throw new MillraceError(
        'JOB_FILE_INVALID',
        `the job "${job.name}" in ${path} cannot be built: its function throws`,
        {
          cause: error,
          next: 'Nothing ran.',
        },
      )
    }
  })
}

function isReadAsCommonJs(error: unknown): boolean {
  return error instanceof SyntaxError && error.message === 'Cannot use import statement outside a module'
}
