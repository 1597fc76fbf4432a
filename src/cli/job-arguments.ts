/** The arguments of the commands about jobs: those that run on this machine, and those whose directories lie here. */
import { parseArgs } from 'node:util'
import { MillraceError } from '../base/index.ts'
import { Configuration } from '../core/index.ts'

interface About {
  /** What -D says, for `execution.checkpointing.dir`. */
  readonly configuration: Configuration
  readonly configFile: string | undefined
}

interface NamedJob<Kind extends string> extends About {
  readonly kind: Kind
  readonly job: string
}

export type JobCommand =
  | (About & { readonly kind: 'list'; readonly all: boolean })
  | NamedJob<'stop'>
  | NamedJob<'cancel'>
  | NamedJob<'checkpoints'>
  | NamedJob<'savepoint'>
  | { readonly kind: 'inspect'; readonly path: string }
  | (About & { readonly kind: 'info'; readonly jobFile: string; readonly jobArguments: readonly string[] })

const NEEDS: Readonly<Record<Exclude<JobCommand['kind'], 'list'>, string>> = {
  stop: 'the name of a running job',
  cancel: 'the name of a running job',
  checkpoints: 'the name of a job',
  savepoint: 'the name of a running job',
  inspect: 'the folder of a checkpoint',
  info: 'the path of a job file',
}

const OPTIONS = {
  define: { type: 'string', short: 'D', multiple: true },
  config: { type: 'string' },
  all: { type: 'boolean', short: 'a' },
  parallelism: { type: 'string', short: 'p' },
} as const

/** Undefined when the first argument names none of them. */
export function parseJobCommand(args: readonly string[], jobArguments: readonly string[]): JobCommand | undefined {
  const [kind, ...rest] = args
  if (kind !== 'list' && !isNamed(kind)) return undefined
  const { values, positionals } = parse(rest)
  const about = {
    configuration: definesOf(values.define ?? [], values.parallelism),
    configFile: values.config,
  }
  if (values.all !== undefined && kind !== 'list') throw usage('--all belongs to list')
  if (values.parallelism !== undefined && kind !== 'info') throw usage('--parallelism belongs to run and info')
  const [name, ...more] = positionals
  if (kind === 'list') {
    if (name !== undefined) throw usage(`unexpected argument "${name}"`)
    return { kind, all: values.all ?? false, ...about }
  }
  if (name === undefined) throw usage(`${kind} needs ${NEEDS[kind]}`)
  const [unexpected] = more
  if (unexpected !== undefined) throw usage(`unexpected argument "${unexpected}"`)
  switch (kind) {
    case 'inspect':
      return { kind, path: name }
    case 'info':
      return { kind, jobFile: name, jobArguments, ...about }
    default:
      return { kind, job: name, ...about }
  }
}

function isNamed(kind: string | undefined): kind is keyof typeof NEEDS {
  return kind !== undefined && Object.hasOwn(NEEDS, kind)
}

function parse(
  args: readonly string[],
): ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true })
  } catch (error) {
    throw usage(error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error))
  }
}

/** `-D key=value`, and -p as the key that it stands for. */
export function definesOf(defines: readonly string[], parallelism: string | undefined): Configuration {
  const configuration = new Configuration()
  for (const define of defines) {
    const at = define.indexOf('=')
    if (at <= 0) throw usage(`-D ${define}: write -D key=value`)
    configuration.set(define.slice(0, at), define.slice(at + 1))
  }
  if (parallelism !== undefined) configuration.set('parallelism.default', parallelism)
  return configuration
}

function usage(message: string): MillraceError {
  return new MillraceError('USAGE', message, { next: 'See millrace help.' })
}
