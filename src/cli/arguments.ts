/**
 * Reads the command line into a command, or refuses it with a USAGE error that names the argument.
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type LogLevel, MillraceError } from '../base/index.ts'
import type { Configuration } from '../core/index.ts'
import type { StartOptions } from '../runtime/index.ts'
import { type BrokerCommand, parseBrokerCommand } from './broker-command.ts'
import { type DemoCommand, parseDemoCommand } from './demo/demo-arguments.ts'
import { definesOf, type JobCommand, parseJobCommand } from './job-arguments.ts'
import type { ProfileOptions } from './profiles.ts'

export interface RunCommand {
  readonly kind: 'run'
  readonly jobFile: string
  readonly start: StartOptions
  /** What -D and -p say; the file of settings lies beneath. */
  readonly configuration: Configuration
  /** Undefined: `millrace.yaml` beside the job, if there is one. */
  readonly configFile: string | undefined
  readonly logLevel: LogLevel
  readonly quiet: boolean
  /** Run it in a process of its own, and start that again when it dies. */
  readonly supervise: boolean
  /** Undefined: as many as suit the job's parallelism and this machine. */
  readonly threads: number | undefined
  /** Undefined when no profile is asked for. */
  readonly profiles: ProfileOptions | undefined
  readonly jobArguments: readonly string[]
}

export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | RunCommand
  | BrokerCommand
  | DemoCommand
  | JobCommand

const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

const OPTIONS = {
  parallelism: { type: 'string', short: 'p' },
  threads: { type: 'string' },
  fresh: { type: 'boolean' },
  'from-savepoint': { type: 'string', short: 's' },
  rewind: { type: 'boolean' },
  'allow-non-restored-state': { type: 'boolean' },
  define: { type: 'string', short: 'D', multiple: true },
  config: { type: 'string' },
  'log-level': { type: 'string' },
  quiet: { type: 'boolean' },
  supervise: { type: 'boolean' },
  'cpu-prof': { type: 'boolean' },
  'heap-prof': { type: 'boolean' },
  'prof-dir': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const

export function parseCommandLine(args: readonly string[]): Command {
  const end = args.indexOf('--')
  const own = end < 0 ? args : args.slice(0, end)
  const jobArguments = end < 0 ? [] : args.slice(end + 1)
  if (!own.includes('--help') && !own.includes('-h')) {
    if (own[0] === 'broker') return parseBrokerCommand(own.slice(1))
    if (own[0] === 'demo') return parseDemoCommand(own.slice(1))
    const command = parseJobCommand(own, jobArguments)
    if (command !== undefined) return command
  }
  const { values, positionals } = parse(own)
  if (values.help === true || positionals[0] === 'help' || own.length === 0) return { kind: 'help' }
  if (values.version === true) return { kind: 'version' }
  const [name, jobFile, ...more] = positionals
  if (name !== 'run') throw usage(`unknown command "${name ?? ''}"`)
  if (jobFile === undefined) throw usage('run needs the path of a job file')
  if (more.length > 0) throw usage(`unexpected argument "${more[0]}"; parameters of the job go after --`)
  return {
    kind: 'run',
    jobFile,
    start: {
      ...startOf(values.fresh ?? false, values.rewind ?? false, values['from-savepoint']),
      allowNonRestoredState: values['allow-non-restored-state'] ?? false,
    },
    configuration: definesOf(values.define ?? [], values.parallelism),
    configFile: values.config,
    logLevel: logLevelOf(values['log-level']),
    quiet: values.quiet ?? false,
    supervise: values.supervise ?? false,
    threads: threadsOf(values.threads),
    profiles: profilesOf(values['cpu-prof'] ?? false, values['heap-prof'] ?? false, values['prof-dir']),
    jobArguments,
  }
}

function parse(
  args: readonly string[],
): ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true })
  } catch (error) {
    // Node's further sentences advise a use of -- that means something else here.
    throw usage(error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error))
  }
}

function startOf(
  fresh: boolean,
  rewind: boolean,
  savepoint: string | undefined,
): Pick<StartOptions, 'mode' | 'savepoint'> {
  if (savepoint !== undefined) {
    if (fresh) throw usage('--fresh and -s contradict each other')
    return { mode: rewind ? 'rewind' : 'savepoint', savepoint: resolve(savepoint) }
  }
  if (rewind) throw usage('--rewind goes back to a savepoint: name it with -s')
  return { mode: fresh ? 'fresh' : 'resume' }
}

function threadsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d+$/.test(text)) return Number(text)
  throw usage(`--threads ${text}: must be a whole number; 0 runs all subtasks on the main thread`)
}

function profilesOf(cpu: boolean, heap: boolean, directory: string | undefined): ProfileOptions | undefined {
  if (cpu || heap) return { cpu, heap, directory: directory ?? '.' }
  if (directory !== undefined) throw usage(`--prof-dir ${directory}: say which profile, --cpu-prof or --heap-prof`)
  return undefined
}

function logLevelOf(text: string | undefined): LogLevel {
  if (text === undefined) return 'warn'
  const level = LOG_LEVELS.find((candidate) => candidate === text)
  if (level === undefined) throw usage(`--log-level ${text}: none of ${LOG_LEVELS.join(', ')}`)
  return level
}

function usage(message: string): MillraceError {
  return new MillraceError('USAGE', message, { next: 'See millrace help.' })
}
