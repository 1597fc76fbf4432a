/**
 * A job as a value that a file can export. The coordinator and every worker import the file and call `build` again, because
 * functions cannot cross threads; so `build` must make the same graph each time, and what may differ between threads comes
 * in through `params` and `env.once`. Definitions are recognised by brand: a job file may load a second copy of the package.
 */
import { MillraceError } from '../base/index.ts'
import { checkJobName } from './job-name.ts'
import type { JobParameters } from './job-parameters.ts'
import type { StreamExecutionEnvironment } from './stream-execution-environment.ts'

const BRAND: unique symbol = Symbol.for('millrace.job-definition') as never

export type JobBuild = (env: StreamExecutionEnvironment, params: JobParameters) => void | Promise<void>

export interface JobDefinition {
  readonly name: string
  readonly build: JobBuild
}

/**
 *     export default defineJob('orders', (env, params) => {
 *       env.fromData([1, 2, 3]).map((value) => value * 2).print()
 *     })
 */
export function defineJob(name: string, build: JobBuild): JobDefinition {
  checkJobName(name)
  if (typeof build !== 'function') {
    throw new MillraceError('JOB_FILE_INVALID', `defineJob('${name}', build): build must be a function`)
  }
  const definition: JobDefinition = { name, build }
  Object.defineProperty(definition, BRAND, { value: true })
  return Object.freeze(definition)
}

export function isJobDefinition(value: unknown): value is JobDefinition {
  return typeof value === 'object' && value !== null && BRAND in value
}
