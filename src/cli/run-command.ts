/**
 * `millrace run`: loads the job, runs it in its job directory, and turns signals into a clean stop.
 */
import { join } from 'node:path'
import { DirectoryStorage, MillraceError, SystemClock, SystemRandom, TcpNetwork, TextLogger } from '../base/index.ts'
import type { RuntimePorts } from '../core/index.ts'
import { type JobExecution, type JobExecutionResult, runJobGraph } from '../runtime/index.ts'
import { buildJob, JobParameters } from '../stream/index.ts'
import type { RunCommand } from './arguments.ts'
import { loadJob } from './load-job.ts'
import { ProgressLine } from './progress-line.ts'

const DEFAULT_DIRECTORY = '.millrace'

export async function runCommand(command: RunCommand): Promise<number> {
  const job = await loadJob(command.jobFile)
  const ports: RuntimePorts = {
    clock: new SystemClock(),
    random: new SystemRandom(),
    network: new TcpNetwork(),
    logger: new TextLogger({ write: (line) => process.stderr.write(line), level: command.logLevel }),
  }
  const built = await buildJob(job, {
    params: JobParameters.of(command.jobArguments),
    configuration: command.configuration,
  })
  const directory = built.configuration.get('checkpointDirectory') ?? DEFAULT_DIRECTORY
  const execution = runJobGraph(built.graph, {
    configuration: built.configuration,
    ports,
    storage: new DirectoryStorage(join(directory, job.name)),
    start: { mode: command.fresh ? 'fresh' : 'resume', allowNonRestoredState: command.allowNonRestoredState },
  })
  const progress = command.quiet ? undefined : new ProgressLine(execution, ports.clock, process.stderr)
  stopOnSignals(execution)
  try {
    const result = await execution.result()
    progress?.close()
    process.stderr.write(`${summary(result)}\n`)
    return 0
  } catch (error) {
    progress?.close()
    // Its tasks must not go on for one more turn: another process owns the job, or these cannot be ended.
    if (MillraceError.is(error) && error.code === 'CANCELLED') return 0
    throw error
  }
}

function summary(result: JobExecutionResult): string {
  const records = `${result.recordsIn.toLocaleString('en-US')} records in, ${result.recordsOut.toLocaleString('en-US')} out`
  const seconds = (result.durationMs / 1_000).toFixed(1)
  switch (result.outcome) {
    case 'finished':
      return `millrace: ${result.jobName} finished: ${records}, ${seconds} s`
    case 'already-finished':
      return `millrace: ${result.jobName} finished before: all of its input is read and committed; --fresh begins anew`
    case 'stopped':
      return `millrace: ${result.jobName} stopped with a last checkpoint: ${records}, ${seconds} s; the same command resumes it`
  }
}

function stopOnSignals(execution: JobExecution): void {
  let asked = false
  const onSignal = (signal: NodeJS.Signals): void => {
    if (asked) {
      process.stderr.write(
        `\nmillrace: ${signal} again: exiting at once; the next start resumes from the last checkpoint\n`,
      )
      process.exit(1)
    }
    asked = true
    process.stderr.write(`\nmillrace: ${signal}: taking a last checkpoint, then stopping\n`)
    // What goes wrong on the way reaches the caller through `result`.
    execution.stop().catch(() => undefined)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
}
